"""The headers by which the gateway speaks to the router. Clients cannot set them: the edge forwards an allow-list."""

REQUEST_ID = b"x-ab-request-id"
ACCOUNT = b"x-ab-account"
KEY = b"x-ab-key"

BODY_BYTES_MAX = 32 * 2**20
"""The largest body served, which is Anthropic's own limit."""

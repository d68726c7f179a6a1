"""What a client is told when a vendor refused: the vendor's words where they are about the request, ours otherwise.

Claude Code negotiates features by reading the text of a 400, so such text is passed on verbatim. What concerns our
key or the vendor's health is never shown as if it were the customer's fault.
"""

import msgspec

from aibridge_common.errors import AIBridgeError, Unavailable, UpstreamFailed, UpstreamTimeout

VERBATIM = frozenset({400, 404, 405, 408, 409, 413, 415, 422, 429})
_KEY_TROUBLE = frozenset({401, 402, 403})
_MONEY_CODES = (b"insufficient_quota", b"credit_balance_exhausted", b"credit balance is too low")


def refusal_to_pass_on(status: int, body: bytes, key: str) -> bytes | None:
    """The vendor's own error document if the client may see it, with our key masked should it be quoted."""
    if status not in VERBATIM or any(code in body for code in _MONEY_CODES):
        return None
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None
    return body.replace(key.encode(), b"[redacted]")


def own_words(provider: str, status: int, retry_after_s: int | None) -> AIBridgeError:
    """Our error for a vendor's answer that is not passed on."""
    if status in _KEY_TROUBLE:
        return UpstreamFailed(f"{provider} refused the operator's key")
    if status == 504:
        return UpstreamTimeout(f"{provider} did not answer in time")
    if status in {429, 503, 529}:
        return Unavailable(f"{provider} cannot take more requests now", retry_after_s=retry_after_s)
    if status < 400:
        return UpstreamFailed(f"{provider} answered something that is not an answer")
    return UpstreamFailed(f"{provider} failed with status {status}")

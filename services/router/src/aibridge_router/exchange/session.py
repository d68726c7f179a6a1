"""Which conversation a request belongs to: what keeps it on one key and one way out, so that prompt caches live.

Clients say it in headers (Claude Code, Codex, opencode); where they do not, requests of one account that begin alike
are taken for one conversation, since an agent sends the same beginning each time.
"""

from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.inbound import Inbound

_HEADERS = frozenset(
    {
        b"x-claude-code-session-id",
        b"session-id",
        b"thread-id",
        b"x-session-affinity",
        b"x-session-id",
    }
)
_BEGINNING_BYTES = 1024


def session_of(inbound: Inbound, asked: Asked) -> bytes:
    """Some bytes that are the same for every request of a conversation, and of no other account."""
    account = inbound.account_id.bytes
    for name, value in inbound.headers:
        if name in _HEADERS:
            return account + value
    return account + asked.body[:_BEGINNING_BYTES]

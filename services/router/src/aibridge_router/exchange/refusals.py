"""What a client is told when a vendor refused: the vendor's words where they are about the request, ours otherwise.

Claude Code negotiates features by reading the text of a 400, so such text is passed on verbatim. What concerns our
key or the vendor's health is never shown as if it were the customer's fault.
"""

import msgspec

from aibridge_common.errors import AIBridgeError, Unavailable, UpstreamFailed, UpstreamTimeout
from aibridge_router.failover.failure import Failure, classify

_KEY_TROUBLE = frozenset({401, 402, 403})
_ABOUT_THE_REQUEST = frozenset({Failure.CALLER, Failure.REFUSED, Failure.OVERFLOW})


def refusal_to_pass_on(status: int, body: bytes, key: str) -> bytes | None:
    """The vendor's own error document if the client may see it, with our key masked should it be quoted."""
    failure = classify(status, body)
    if failure not in _ABOUT_THE_REQUEST:
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
    if status in {408, 504}:
        return UpstreamTimeout(f"{provider} did not answer in time")
    if status in {429, 503, 529}:
        return Unavailable(f"{provider} cannot take more requests now", retry_after_s=retry_after_s)
    if status < 400:
        return UpstreamFailed(f"{provider} answered something that is not an answer")
    return UpstreamFailed(f"{provider} failed with status {status}")


_WORDS: dict[Failure, tuple[type[AIBridgeError], str]] = {
    Failure.CALLER: (UpstreamFailed, "{} refused the request"),
    Failure.REFUSED: (UpstreamFailed, "{} refused the content"),
    Failure.OVERFLOW: (UpstreamFailed, "the prompt is too long for {}"),
    Failure.CREDENTIAL: (UpstreamFailed, "{} refused the operator's key"),
    Failure.MONEY: (UpstreamFailed, "{} refused the operator's key"),
    Failure.ACCESS: (UpstreamFailed, "{} refused the operator's key"),
    Failure.RATE_LIMIT: (Unavailable, "{} cannot take more requests now"),
    Failure.MODEL_GONE: (UpstreamFailed, "{} does not serve this model any more"),
    Failure.REGION: (UpstreamFailed, "{} does not serve the region of our address"),
    Failure.TRANSIENT: (Unavailable, "{} is in trouble"),
    Failure.MALFORMED: (UpstreamFailed, "{} answered something that is not an answer"),
    Failure.DROPPED: (UpstreamFailed, "{} ended the stream early"),
    Failure.SILENT: (UpstreamTimeout, "{} did not answer in time"),
    Failure.UNREACHABLE: (Unavailable, "{} cannot be reached"),
    Failure.EGRESS: (Unavailable, "no way out to {} works now"),
}


def words_for(failure: Failure, provider: str) -> AIBridgeError:
    """Our error for a failure that has no status of its own."""
    kind, words = _WORDS[failure]
    return kind(words.format(provider))

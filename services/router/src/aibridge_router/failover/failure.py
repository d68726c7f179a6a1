"""What went wrong with an attempt, as a class: read off a status, a vendor's words, or the wire. Pure.

The tables are the rules. A vendor's own code says more than a status, and a status more than a type, because vendors
tell a refused key under 400 (Google), an empty purse under 400 (Anthropic) or 429 (OpenAI), and a prompt that is too
long under any of them. Sources: the vendors' error pages; `docs/reference/failover.md` shows the whole.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Failure(StrEnum):
    """Why an attempt failed. Each member's reaction is a row of `policy.REACTIONS`."""

    CALLER = "caller"
    """The request itself is refused: any vendor would, and it would be charged twice if one did not."""
    REFUSED = "refused"
    """The provider's policy refuses the content; that is not routed around."""
    OVERFLOW = "overflow"
    """The prompt does not fit this model's context."""
    CREDENTIAL = "credential"
    """Our key is not valid there."""
    MONEY = "money"
    """Our account there has no money or credit left."""
    ACCESS = "access"
    """Our key may not use this model."""
    RATE_LIMIT = "rate_limit"
    """Our key has used up its rate."""
    MODEL_GONE = "model_gone"
    """The provider does not know the model, or no longer."""
    REGION = "region"
    """The provider does not serve the place we come from."""
    TRANSIENT = "transient"
    """The provider failed or is overloaded."""
    MALFORMED = "malformed"
    """What came is not an answer, or none at all came under a good status."""
    DROPPED = "dropped"
    """The connection ended after the request was sent; it may have been worked on."""
    SILENT = "silent"
    """Nothing came in time; it may still be worked on."""
    UNREACHABLE = "unreachable"
    """No connection came about; nothing was sent."""
    EGRESS = "egress"
    """Our own way out failed; the provider never heard of the request."""


_STATUSES: dict[int, Failure] = {
    400: Failure.CALLER,
    401: Failure.CREDENTIAL,
    402: Failure.MONEY,
    403: Failure.ACCESS,
    404: Failure.CALLER,  # a path or an id of the request; a model is told by a code or a text
    405: Failure.CALLER,
    408: Failure.TRANSIENT,
    409: Failure.TRANSIENT,
    410: Failure.MODEL_GONE,
    413: Failure.CALLER,
    415: Failure.CALLER,
    422: Failure.CALLER,
    424: Failure.TRANSIENT,
    425: Failure.TRANSIENT,
    429: Failure.RATE_LIMIT,
}
_CODES: dict[str, Failure] = {
    "insufficient_quota": Failure.MONEY,
    "credit_balance_exhausted": Failure.MONEY,
    "billing_hard_limit_reached": Failure.MONEY,
    "billing_not_active": Failure.MONEY,
    "billing_error": Failure.MONEY,
    "invalid_api_key": Failure.CREDENTIAL,
    "account_deactivated": Failure.CREDENTIAL,
    "authentication_error": Failure.CREDENTIAL,
    "API_KEY_INVALID": Failure.CREDENTIAL,
    "UNAUTHENTICATED": Failure.CREDENTIAL,
    "unsupported_country_region_territory": Failure.REGION,
    "permission_error": Failure.ACCESS,
    "PERMISSION_DENIED": Failure.ACCESS,
    "context_length_exceeded": Failure.OVERFLOW,
    "model_not_found": Failure.MODEL_GONE,
    "deployment_not_found": Failure.MODEL_GONE,
    "DeploymentNotFound": Failure.MODEL_GONE,
    "rate_limit_exceeded": Failure.RATE_LIMIT,
    "rate_limit_error": Failure.RATE_LIMIT,
    "slow_down": Failure.RATE_LIMIT,
    "RESOURCE_EXHAUSTED": Failure.RATE_LIMIT,
    "content_policy_violation": Failure.REFUSED,
    "content_filter": Failure.REFUSED,
    "invalid_prompt": Failure.REFUSED,
    "request_too_large": Failure.CALLER,
}
"""The vendor's own words; the most particular that is here counts, whatever the HTTP status was."""

_OPENINGS: tuple[tuple[str, Failure], ...] = (
    ("your credit balance is too low", Failure.MONEY),
    ("you have reached your ", Failure.MONEY),
    ("api key not valid", Failure.CREDENTIAL),
    ("api key expired", Failure.CREDENTIAL),
    ("user location is not supported", Failure.REGION),
    ("country, region, or territory not supported", Failure.REGION),
)
"""What some vendors say about us in words only, in lower case; looked for under 4xx and in error events.

Only where a message begins with it: vendors quote what a customer wrote, and that must not eject our key.
"""

_UNKNOWN_FIELD = "extra inputs are not permitted"
"""How Anthropic ends a message that begins with a field's name, which is the customer's own."""

_OVERFLOWS = (
    "prompt is too long",
    "maximum context length",
    "exceeds the context window",
    "context window of this model",
    "exceed context limit",
    "input tokens exceed",
    "exceeds the maximum number of tokens",
    "input context is too long",
)
"""The same about a prompt's length, anywhere: it counts against nobody."""

_MODEL_OPENINGS = ("model:", "models/", "model `", "the model ", "model not found")
_NOT_FOUND = frozenset({"not_found_error", "NOT_FOUND"})
_EVENT_CALLERS = frozenset({"invalid_request_error", "INVALID_ARGUMENT"})
_READ_BYTES_MAX = 64 * 1024


def classify(status: int, body: bytes) -> Failure:
    """The class of a refusal: a status that is not 2xx and what came with it."""
    if status >= 500:
        return Failure.TRANSIENT
    said = _said(body)
    if said is None:
        # A page for people instead of an error document: the door, not the API, turned us away.
        return Failure.REGION if status == 403 else _by_status(status)
    return _by_words(said) or _by_status(status)


def classify_event(payload: bytes) -> Failure:
    """The class of an error event inside a good answer. What is not known is the vendor's own trouble."""
    said = _said(payload)
    if said is None:
        return Failure.TRANSIENT
    known = _by_words(said)
    if known is not None:
        return known
    return Failure.TRANSIENT if _EVENT_CALLERS.isdisjoint(said.words) else Failure.CALLER


class _Said(msgspec.Struct, frozen=True):
    words: list[str]
    """The most particular first."""
    message: str


def _by_words(said: _Said) -> Failure | None:
    for word in said.words:
        if word in _CODES:
            return _CODES[word]
    message = said.message
    for opening, failure in _OPENINGS:
        if message.startswith(opening) and not message.endswith(_UNKNOWN_FIELD):
            return failure
    if any(text in message for text in _OVERFLOWS):
        return Failure.OVERFLOW
    if message.startswith(_MODEL_OPENINGS) and not _NOT_FOUND.isdisjoint(said.words):
        return Failure.MODEL_GONE
    return None


def _by_status(status: int) -> Failure:
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return Failure.CALLER if 400 <= status < 500 else Failure.MALFORMED


def _said(document: bytes) -> _Said | None:
    """The words of an error document or event of any vendor; None for what is none."""
    try:
        whole = msgspec.json.decode(document[:_READ_BYTES_MAX])
    except (ValueError, RecursionError):
        return None
    if isinstance(whole, list) and whole:
        whole = whole[0]  # Google refuses a stream in an array
    if not isinstance(whole, dict):
        return None
    response = whole.get("response")
    holder = response if isinstance(response, dict) else whole
    error = holder.get("error", whole)
    if isinstance(error, str):
        return _Said(words=[], message=error.lower())
    if not isinstance(error, dict):
        return None
    message = error.get("message")
    return _Said(
        words=_words_of(error),
        message=message.lower() if isinstance(message, str) else "",
    )


def _words_of(error: dict[str, Any]) -> list[str]:
    words: list[Any] = []
    details = error.get("details")
    if isinstance(details, list):
        words += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    words += [error.get(name) for name in ("code", "type", "status")]
    return [word for word in words if isinstance(word, str)]

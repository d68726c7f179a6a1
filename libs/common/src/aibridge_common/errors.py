"""Everything that can be refused or can fail, with its status; rendered only at the rim.

AIBridgeError
├─ InvalidRequest            400  a field is wrong; `param` names it
│  ├─ ContextOverflow        400  the prompt is longer than the model's context
│  └─ UnsupportedMediaType   415  the body is not JSON
├─ Unauthenticated           401  no key, or not a live one
│  ├─ WrongCredentials       401  the password, the code or the session is none
│  └─ SecondFactorNeeded     401  the password is right; the code of the phone is needed too
├─ InsufficientBalance       402  the hold exceeds the spendable balance
├─ Forbidden                 403  the key may not do this
├─ NotFound                  404
│  └─ ModelNotFound          404  no such model here
├─ MethodNotAllowed          405
├─ Conflict                  409  the same idempotency key with another request
├─ PayloadTooLarge           413
├─ UpgradeRequired           426  the caller asked for a WebSocket
├─ RateLimited               429  our own limit; `retry_after_s` says when
├─ UpstreamFailed            502  the vendor answered nonsense or not at all
│  └─ UpstreamTimeout        504  the vendor did not answer in time
└─ Unavailable               503  we cannot serve this now
"""

from typing import ClassVar


class AIBridgeError(Exception):
    """Base of all errors that a caller may see; the message is written for the caller."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.final = False
        """Whether the caller gains nothing by sending the same again: we have tried several times already."""


class InvalidRequest(AIBridgeError):
    """A field is missing, unknown or out of range."""

    code, status = "invalid_request", 400


class ContextOverflow(InvalidRequest):
    """The prompt does not fit the model's context."""

    code = "context_length_exceeded"


class UnsupportedMediaType(InvalidRequest):
    """The body is not what its content-type must be."""

    code, status = "unsupported_media_type", 415


class Unauthenticated(AIBridgeError):
    """No key came, or it is not a live one."""

    code, status = "invalid_api_key", 401


class WrongCredentials(Unauthenticated):
    """What a person showed is not what is kept of them."""

    code = "wrong_credentials"


class SecondFactorNeeded(Unauthenticated):
    """The password was right, and is not enough."""

    code = "second_factor_needed"


class InsufficientBalance(AIBridgeError):
    """The hold exceeds the spendable balance."""

    code, status = "insufficient_balance", 402


class Forbidden(AIBridgeError):
    """The caller is known and may not do this."""

    code, status = "forbidden", 403


class NotFound(AIBridgeError):
    """Nothing is there."""

    code, status = "not_found", 404


class ModelNotFound(NotFound):
    """The catalogue has no such model."""

    code = "model_not_found"


class MethodNotAllowed(AIBridgeError):
    """The path exists, the method does not."""

    code, status = "method_not_allowed", 405


class Conflict(AIBridgeError):
    """The request contradicts what is already there."""

    code, status = "conflict", 409


class PayloadTooLarge(AIBridgeError):
    """The body is larger than we take."""

    code, status = "payload_too_large", 413


class UpgradeRequired(AIBridgeError):
    """A WebSocket was asked for; plain HTTP is served."""

    code, status = "upgrade_required", 426


class RateLimited(AIBridgeError):
    """One of our own limits was reached."""

    code, status = "rate_limited", 429


class UpstreamFailed(AIBridgeError):
    """The vendor answered nonsense, or not at all."""

    code, status = "upstream_failed", 502


class UpstreamTimeout(UpstreamFailed):
    """The vendor did not answer in time."""

    code, status = "upstream_timeout", 504


class Unavailable(AIBridgeError):
    """We cannot serve this now; trying again later may help."""

    code, status = "unavailable", 503

"""Errors of the internal APIs as RFC 9457 problem documents."""

import re
from collections.abc import Callable, Mapping

from litestar.exceptions import HTTPException, NotAuthorizedException, ValidationException
from litestar.plugins.problem_details import (
    ProblemDetailsConfig,
    ProblemDetailsException,
    ProblemDetailsPlugin,
)

from aibridge_common.errors import (
    AIBridgeError,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from aibridge_common.telemetry.log import get_logger

_OF_THE_WHOLE = re.compile(r"Object (?:contains unknown|missing required) field `([^`]+)`")
"""What msgspec says of a field it cannot point to; Litestar then names the body as a whole."""


Problems = Mapping[type[Exception], Callable[..., ProblemDetailsException]]


def problem_details(more: Problems | None = None) -> ProblemDetailsPlugin:
    """The plugin that renders every error of an internal API, the kinds in `more` as they say.

    What nobody foresaw is logged, and the caller learns no more than that.
    """
    return ProblemDetailsPlugin(
        ProblemDetailsConfig(
            exception_to_problem_detail_map={
                AIBridgeError: problem_of,
                ValidationException: _from_validation,
                NotAuthorizedException: _from_http,
                HTTPException: _from_http,
                Exception: unforeseen,
                **(more or {}),
            }
        )
    )


def unforeseen(error: Exception) -> ProblemDetailsException:
    """A 500 without a word about what happened; that is in the log."""
    get_logger().error("request.failed", exc_info=error)
    return problem_of(AIBridgeError("something failed here; it was logged"))


def problem_of(error: AIBridgeError) -> ProblemDetailsException:
    """One of our own errors as a document."""
    extra = {"code": error.code}
    if error.param is not None:
        extra["param"] = error.param
    headers = {"retry-after": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return ProblemDetailsException(
        detail=error.message,
        status_code=error.status,
        title=error.code.replace("_", " ").capitalize(),
        type_=f"urn:aibridge:problem:{error.code}",
        extra=extra,
        headers=headers,
    )


def _from_validation(error: ValidationException) -> ProblemDetailsException:
    fields = error.extra if isinstance(error.extra, list) else []
    first = fields[0] if fields and isinstance(fields[0], dict) else {}
    extra: dict[str, object] = {"code": "invalid_request", "errors": fields}
    named = _OF_THE_WHOLE.fullmatch(str(first.get("message")))
    if named or first.get("key"):
        extra["param"] = named[1] if named else first["key"]
    return ProblemDetailsException(
        detail=str(first.get("message") or error.detail),
        status_code=400,
        title="Invalid request",
        type_="urn:aibridge:problem:invalid_request",
        extra=extra,
    )


_KINDS: dict[int, type[AIBridgeError]] = {
    kind.status: kind
    for kind in (
        InvalidRequest,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        PayloadTooLarge,
        UnsupportedMediaType,
        RateLimited,
    )
}
"""Not 401: the framework knows nothing of the keys and passwords that our own errors of that status are about."""


def _from_http(error: HTTPException) -> ProblemDetailsException:
    kind = _KINDS.get(error.status_code)
    if kind is not None:
        problem = problem_of(kind(error.detail))
        problem.headers = dict(error.headers) if error.headers else None
        return problem
    return ProblemDetailsException(
        detail=error.detail,
        status_code=error.status_code,
        title=error.detail,
        type_="about:blank",
        headers=dict(error.headers) if error.headers else None,
    )

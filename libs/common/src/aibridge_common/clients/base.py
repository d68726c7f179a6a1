"""The control plane's HTTP client: typed commands out, typed replies or our own errors back."""

from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from aibridge_common import errors
from aibridge_common.settings import Secret

T = TypeVar("T")

_BY_CODE: dict[str, type[errors.AIBridgeError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.AIBridgeError)
}


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""
    code: str = ""
    param: str | None = None


class ServiceClient:
    """A connection to one internal service. Use as an async context manager, or call `close()`."""

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        timeout_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if url.startswith("unix:"):
            transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:"))
            url = "http://localhost"
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=timeout_s,
            transport=transport,
            headers={"authorization": f"Bearer {token.reveal()}"},
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self,
        reply: type[T],
        method: str,
        path: str,
        command: msgspec.Struct | None = None,
        query: dict[str, Any] | None = None,
    ) -> T:
        """One call. Raises the `AIBridgeError` the service answered with, or `Unavailable`."""
        content = None if command is None else msgspec.json.encode(command)
        headers = {} if content is None else {"content-type": "application/json"}
        try:
            answer = await self._http.request(
                method, path, content=content, headers=headers, params=query
            )
        except httpx.HTTPError as error:
            raise errors.Unavailable(f"{method} {path}: {type(error).__name__}") from error
        if answer.status_code >= 400:
            raise _error_of(answer)
        if reply is type(None):
            return None  # pyright: ignore[reportReturnType]
        try:
            return msgspec.json.decode(answer.content, type=reply)
        except msgspec.DecodeError as error:
            raise errors.Unavailable(f"{method} {path}: the reply does not fit") from error


def _error_of(answer: httpx.Response) -> errors.AIBridgeError:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(detail=f"status {answer.status_code}")
    kind = _BY_CODE.get(problem.code)
    if kind is None:
        # A refused service token (401) is our own trouble: no customer's request or key is at fault.
        ours = answer.status_code >= 500 or answer.status_code == 401
        kind = errors.Unavailable if ours else errors.InvalidRequest
    retry_after = answer.headers.get("retry-after", "")
    return kind(
        problem.detail,
        param=problem.param,
        retry_after_s=int(retry_after) if retry_after.isdecimal() else None,
    )

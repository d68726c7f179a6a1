"""Fetches what a prompt points to, for vendors that take content only.

Customers choose these addresses, so each is checked: only public hosts, only the usual ports, no redirects, no
credentials, small answers of known kinds.

The name is resolved once, every address it has is checked, and the connection goes to a checked one: a name that
changes its mind between check and connection (DNS rebinding) gains nothing.
"""

import asyncio
import base64
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from msgspec.structs import replace

from aibridge_common.errors import InvalidRequest
from aibridge_common.transport import Origin, Pool, Timers, TransportError
from aibridge_router.canonical.content import Data
from aibridge_router.upstream.public import Address, addresses_of, is_public

CONTENT_BYTES_MAX = 20 * 2**20
FETCHES_MAX = 20
TOTAL_TIMEOUT_S = 15.0
PORTS = frozenset({80, 443})
MEDIA_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "application/pdf"}
)
_TIMERS = Timers(connect_s=3.0, headers_s=10.0, idle_s=5.0)


class Fetcher:
    """Turns addresses into content. `enabled` False refuses all of them."""

    def __init__(
        self,
        *,
        enabled: bool,
        allows: Callable[[Address], bool] = is_public,
        ports: frozenset[int] = PORTS,
    ) -> None:
        self._enabled = enabled
        self._allows = allows
        self._ports = ports

    async def fetch_all(self, urls: Iterable[str]) -> dict[str, Data]:
        """The content behind each address. Raises `InvalidRequest` saying which one cannot be had and why."""
        wanted = list(dict.fromkeys(urls))
        if not self._enabled:
            raise _refusal(wanted[0], "this model takes content only, and fetching is off here")
        if len(wanted) > FETCHES_MAX:
            raise _refusal(wanted[FETCHES_MAX], f"at most {FETCHES_MAX} are fetched for a request")
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                return {url: await self._fetch(url) for url in wanted}
        except TimeoutError:
            raise _refusal(wanted[0], f"not fetched within {TOTAL_TIMEOUT_S:g} s") from None

    async def _fetch(self, url: str) -> Data:
        origin, path = await self._checked(url)
        pool = Pool(origin)
        try:
            response = await pool.request(
                b"GET",
                path.encode(),
                [(b"accept", b"*/*"), (b"connection", b"close")],
                b"",
                _TIMERS,
            )
            if response.status != 200:
                response.close()
                raise _refusal(url, f"it answered with status {response.status}")
            media_type = _media_type(response.headers)
            if media_type not in MEDIA_TYPES:
                response.close()
                raise _refusal(url, f"{media_type or 'its kind'} is neither an image nor a PDF")
            content = await response.read(CONTENT_BYTES_MAX, _TIMERS.idle_s)
        except TransportError:
            raise _refusal(url, "it cannot be fetched") from None
        finally:
            pool.close()
        return Data(media_type=media_type, base64=base64.b64encode(content).decode())

    async def _checked(self, url: str) -> tuple[Origin, str]:
        try:
            parts = urlsplit(url)
            origin, _ = Origin.parse(f"{parts.scheme}://{parts.netloc}")
        except (ValueError, UnicodeError) as error:
            raise _refusal(url, str(error)) from None
        if origin.socket_path is not None or origin.port not in self._ports:
            raise _refusal(url, "only the usual web ports are fetched from")
        try:
            addresses = await addresses_of(origin)
        except OSError:
            raise _refusal(url, "its host is not known") from None
        if not addresses or not all(self._allows(address) for address in addresses):
            raise _refusal(url, "its host is not public")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or any(c <= " " for c in path):
            raise _refusal(url, "its path must be percent-encoded")
        return replace(origin, address=str(addresses[0])), path


def _media_type(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower().decode("latin-1")
    return ""


def _refusal(url: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{url[:200]}: {reason}", param="url")

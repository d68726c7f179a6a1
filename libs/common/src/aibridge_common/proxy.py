"""An HTTP CONNECT or SOCKS5 proxy, parsed once from its URL."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_PORTS = {"http": 8080, "socks5": 1080}
_LONGEST = 255
"""Bytes of a user name or password that SOCKS5 can say (RFC 1929 §2)."""


class Proxy(Struct, frozen=True, kw_only=True):
    """An egress: an HTTP CONNECT or SOCKS5 proxy."""

    kind: Literal["http", "socks5"]
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @staticmethod
    def parse(url: str) -> "Proxy":
        """`http://[user:password@]host:port` or `socks5://…`.

        Raises ValueError naming what is wrong, never with a part of the credentials in its words.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(
                "the proxy URL cannot be read; percent-encode / ? # : @ [ ] in a user name or password"
            ) from None
        if parts.scheme not in {"http", "socks5"}:
            raise ValueError("the proxy URL must begin with http:// or socks5://")
        if not parts.hostname:
            raise ValueError("the proxy URL names no host")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(
                "the proxy URL must end after the port; percent-encode / ? # in a user name or password"
            )
        kind: Literal["http", "socks5"] = "http" if parts.scheme == "http" else "socks5"
        return Proxy(
            kind=kind,
            host=parts.hostname,
            port=port or _PORTS[kind],
            username=_credential(
                "user name", parts.username, other_is_there=parts.password is not None
            ),
            password=_credential("password", parts.password, other_is_there=False),
        )

    def __repr__(self) -> str:
        return f"Proxy({self.kind}://{self.host}:{self.port})"


def _credential(what: str, text: str | None, *, other_is_there: bool) -> str | None:
    if text is None:
        if other_is_there:
            raise ValueError(f"the proxy URL has no {what}: write user:password@host")
        return None
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"the proxy's {what} is not percent-encoded UTF-8") from None
    if not plain or len(plain.encode()) > _LONGEST:
        raise ValueError(f"the proxy's {what} must be 1 to {_LONGEST} bytes")
    if any(character < " " or character == "\x7f" for character in plain):
        raise ValueError(f"the proxy's {what} has a control character")
    return plain

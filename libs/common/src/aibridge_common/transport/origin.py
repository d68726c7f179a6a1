"""Where a connection goes: parsed once, never per request."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_PORTS = {"http": 80, "https": 443, "socks5": 1080}


class Origin(Struct, frozen=True, kw_only=True):
    """A peer: a Unix socket when `socket_path` is set, else host and port.

    `address` is where to connect when the name was resolved and checked before; `host` is still what is asked for.
    """

    host: str
    port: int = 0
    tls: bool = False
    socket_path: str | None = None
    address: str | None = None

    @property
    def host_header(self) -> str:
        """The `Host` header for this peer."""
        if self.socket_path is not None or self.port == _PORTS["https" if self.tls else "http"]:
            return self._bracketed_host
        return self.authority

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT wants them."""
        return f"{self._bracketed_host}:{self.port}"

    @property
    def _bracketed_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @staticmethod
    def parse(url: str) -> tuple["Origin", str]:
        """The origin of a URL and the path behind it, without a trailing slash.

        `unix:/path.sock` names a Unix socket. Raises ValueError naming what is wrong.
        """
        if url.startswith("unix:"):
            return Origin(host="localhost", socket_path=url.removeprefix("unix:")), ""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise ValueError(f"{parts.scheme or 'no'}: scheme must be http, https or unix")
        if not parts.hostname:
            raise ValueError("the URL names no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not carry credentials")
        if parts.query or parts.fragment:
            raise ValueError("the URL must not carry a query or fragment")
        origin = Origin(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "https",
        )
        return origin, parts.path.rstrip("/")


class Proxy(Struct, frozen=True, kw_only=True):
    """An egress: an HTTP CONNECT or SOCKS5 proxy."""

    kind: Literal["http", "socks5"]
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @staticmethod
    def parse(url: str) -> "Proxy":
        """`http://[user:password@]host:port` or `socks5://…`. Raises ValueError naming what is wrong."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "socks5"}:
            raise ValueError(f"{parts.scheme or 'no'}: a proxy is http or socks5")
        if not parts.hostname:
            raise ValueError("the proxy URL names no host")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("the proxy URL must end after the port")
        return Proxy(
            kind="http" if parts.scheme == "http" else "socks5",
            host=parts.hostname,
            port=parts.port or (8080 if parts.scheme == "http" else 1080),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def __repr__(self) -> str:
        return f"Proxy({self.kind}://{self.host}:{self.port})"

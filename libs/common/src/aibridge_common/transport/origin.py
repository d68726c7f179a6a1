"""Where a connection goes: parsed once, never per request."""

from urllib.parse import urlsplit

from msgspec import Struct

_PORTS = {"http": 80, "https": 443}


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

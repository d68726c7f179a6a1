"""The rest of the internet, as far as a client can reach it: a proxy that notes who was called and refuses."""

import socketserver
import threading
from types import TracebackType
from typing import Self

_REFUSAL = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Elsewhere:
    """Clients are told to send whatever is not for loopback through it, so `called` must stay empty."""

    def __init__(self) -> None:
        called: list[str] = []
        self.called = called
        """The first line of each request: `CONNECT host:443 HTTP/1.1`."""

        class Refuse(socketserver.StreamRequestHandler):
            timeout = 5

            def handle(self) -> None:
                called.append(self.rfile.readline(8192).decode("latin-1").strip())
                self.wfile.write(_REFUSAL)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environment(self) -> dict[str, str]:
        """What sends a client here."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        proxied = {"http_proxy": url, "https_proxy": url, "all_proxy": url}
        proxied["no_proxy"] = "127.0.0.1,localhost"
        return proxied | {name.upper(): value for name, value in proxied.items()}

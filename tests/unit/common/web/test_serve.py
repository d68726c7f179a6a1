import pytest

from aibridge_common.transport.pool import IDLE_CONNECTION_S
from aibridge_common.web.serve import KEEP_ALIVE_S, Listen


class TestListen:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("127.0.0.1:8080", Listen(host="127.0.0.1", port=8080)),
            ("0.0.0.0:1", Listen(host="0.0.0.0", port=1)),
            ("localhost:65535", Listen(host="localhost", port=65535)),
            ("[::1]:8080", Listen(host="::1", port=8080)),
            ("unix:/run/s.sock", Listen(socket_path="/run/s.sock")),
        ],
    )
    def test_good(self, text: str, expected: Listen) -> None:
        assert Listen.parse(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "a:0",
            "a:65536",
            "a:-1",
            "a:http",
            "a:\u00b2",
        ],
    )
    def test_bad(self, text: str) -> None:
        with pytest.raises(ValueError, match="host:port or unix"):
            Listen.parse(text)


def test_our_client_lets_go_first() -> None:
    """A server that closed an idle connection first would close it under our client's hands."""
    assert KEEP_ALIVE_S > 2 * IDLE_CONNECTION_S

"""A proxy's URL, parsed once; what is wrong is named and shows no password."""

import pytest

from aibridge_common.proxy import Proxy


class TestProxy:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://p.test:3128", Proxy(kind="http", host="p.test", port=3128)),
            ("http://p.test/", Proxy(kind="http", host="p.test", port=8080)),
            ("socks5://p.test", Proxy(kind="socks5", host="p.test", port=1080)),
            ("socks5://[::1]:9", Proxy(kind="socks5", host="::1", port=9)),
            (
                "http://u:p@p.test:1",
                Proxy(kind="http", host="p.test", port=1, username="u", password="p"),
            ),
            (
                "socks5://u@p.test:1",
                Proxy(kind="socks5", host="p.test", port=1, username="u", password=None),
            ),
            (
                "http://a%40b:p%3A%2F%40%25@p.test:1",
                Proxy(kind="http", host="p.test", port=1, username="a@b", password="p:/@%"),
            ),
        ],
    )
    def test_good(self, url: str, expected: Proxy) -> None:
        assert expected == Proxy.parse(url)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("", "must begin with http:// or socks5://"),
            ("p.test:8080", "must begin"),
            ("https://p.test", "must begin"),
            ("socks4://p.test", "must begin"),
            ("http://", "no host"),
            ("http://:1", "no host"),
            ("http://p.test/path", "after the port"),
            ("http://p.test?x=1", "after the port"),
            ("http://p.test#x", "after the port"),
            ("http://p.test:99999", "cannot be read"),
            ("http://ann:hunt/er2@p.test:1", "cannot be read"),
            ("http://ann:hunt#er2@p.test:1", "cannot be read"),
            ("http://ann:hunt?er2@p.test:1", "cannot be read"),
            ("http://:hunter2@p.test:1", "no user name|user name must be"),
            ("http://ann:@p.test:1", "password must be 1 to 255"),
            ("http://ann:hunter2%0a@p.test:1", "control character"),
            ("http://ann:hunter2%ff@p.test:1", "not percent-encoded UTF-8"),
            ("http://ann:" + "hunter2" * 40 + "@p.test:1", "1 to 255 bytes"),
        ],
    )
    def test_bad(self, url: str, reason: str) -> None:
        """The message names what is wrong and shows no password."""
        with pytest.raises(ValueError, match=reason) as caught:
            Proxy.parse(url)

        assert "hunt" not in str(caught.value)

    def test_password_is_not_printed(self) -> None:
        proxy = Proxy.parse("http://ann:hunter2@p.test:1")

        assert "hunter2" not in f"{proxy!r} {proxy}"
        assert "p.test:1" in repr(proxy)

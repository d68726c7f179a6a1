"""Addresses are parsed once; what is wrong with one is said."""

import pytest

from aibridge_common.transport import Origin


class TestOrigin:
    @pytest.mark.parametrize(
        ("url", "expected", "path"),
        [
            ("http://a.test", Origin(host="a.test", port=80), ""),
            ("http://a.test:8080/", Origin(host="a.test", port=8080), ""),
            ("https://a.test", Origin(host="a.test", port=443, tls=True), ""),
            ("https://A.Test/v1/x/", Origin(host="a.test", port=443, tls=True), "/v1/x"),
            ("https://a.test:444/v1", Origin(host="a.test", port=444, tls=True), "/v1"),
            ("http://127.0.0.1:1", Origin(host="127.0.0.1", port=1), ""),
            ("http://[::1]:8080/v1", Origin(host="::1", port=8080), "/v1"),
            ("unix:/run/s", Origin(host="localhost", socket_path="/run/s"), ""),
        ],
    )
    def test_good(self, url: str, expected: Origin, path: str) -> None:
        assert (expected, path) == Origin.parse(url)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("", "no: scheme"),
            ("a.test", "scheme"),
            ("a.test:80", "scheme"),
            ("ftp://a.test", "ftp: scheme"),
            ("file:///etc/passwd", "scheme"),
            ("socks5://a.test", "scheme"),
            ("https://", "no host"),
            ("https:///v1", "no host"),
            ("https://:443", "no host"),
            ("https://user@a.test", "credentials"),
            ("https://user:hunter2@a.test", "credentials"),
            ("https://:hunter2@a.test", "credentials"),
            ("https://@a.test", "credentials"),
            ("https://a.test?key=1", "query"),
            ("https://a.test/#top", "fragment"),
            ("https://a.test:port", "ort"),
            ("https://a.test:99999", "ort"),
            ("https://[::1", "IPv6"),
        ],
    )
    def test_bad(self, url: str, reason: str) -> None:
        """The message names what is wrong and shows no password."""
        with pytest.raises(ValueError, match=reason) as caught:
            Origin.parse(url)

        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "header"),
        [
            ("http://a.test", "a.test"),
            ("http://a.test:80", "a.test"),
            ("https://a.test:443", "a.test"),
            ("http://a.test:443", "a.test:443"),
            ("https://a.test:80", "a.test:80"),
            ("http://[::1]", "[::1]"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("unix:/run/s", "localhost"),
        ],
    )
    def test_host_header(self, url: str, header: str) -> None:
        """The port is named where it is not the scheme's own."""
        assert header == Origin.parse(url)[0].host_header

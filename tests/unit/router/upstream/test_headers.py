"""A vendor sees our key and what its protocol needs; a client sees what concerns it."""

import pytest

from aibridge_common.catalog import Authentication, Provider
from aibridge_common.dialect import Dialect
from aibridge_router.upstream.headers import returned_headers, upstream_headers

CANARY = b"canary-client-secret"
OUR_KEY = "sk-ours"
SECRET_HEADERS = [
    b"authorization",
    b"proxy-authorization",
    b"cookie",
    b"x-api-key",
    b"x-goog-api-key",
    b"api-key",
    b"openai-organization",
    b"openai-project",
    b"x-forwarded-for",
    b"x-real-ip",
    b"host",
    b"user-agent",
    b"content-length",
    b"transfer-encoding",
    b"accept-encoding",
    b"x-ab-account",
]


def provider(auth: Authentication = "bearer", **headers: str) -> Provider:
    return Provider(
        name="p",
        base_url="https://vendor.example",
        auth=auth,
        paths={Dialect.OPENAI_CHAT: "/chat"},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def sent(
    client: list[tuple[bytes, bytes]], to: Provider, *, bearer: bool = False
) -> list[tuple[bytes, bytes]]:
    return upstream_headers(client, to, OUR_KEY, "req_1", bearer=bearer)


class TestTowardsTheVendor:
    @pytest.mark.parametrize("auth", ["bearer", "x-api-key", "x-goog-api-key"])
    def test_no_secret_of_the_client_travels(self, auth: Authentication) -> None:
        client = [(name, CANARY) for name in SECRET_HEADERS]

        assert all(CANARY not in value for _, value in sent(client, provider(auth)))

    @pytest.mark.parametrize(
        ("auth", "header"),
        [
            ("bearer", (b"authorization", b"Bearer sk-ours")),
            ("x-api-key", (b"x-api-key", b"sk-ours")),
            ("x-goog-api-key", (b"x-goog-api-key", b"sk-ours")),
        ],
    )
    def test_our_key_goes_the_vendors_way_once(
        self, auth: Authentication, header: tuple[bytes, bytes]
    ) -> None:
        with_key = [h for h in sent([], provider(auth)) if b"sk-ours" in h[1]]

        assert with_key == [header]

    @pytest.mark.parametrize("auth", ["bearer", "x-api-key", "x-goog-api-key"])
    def test_a_compatible_endpoint_takes_a_bearer(self, auth: Authentication) -> None:
        with_key = [h for h in sent([], provider(auth), bearer=True) if b"sk-ours" in h[1]]

        assert with_key == [(b"authorization", b"Bearer sk-ours")]

    @pytest.mark.parametrize(
        "name",
        [b"accept", b"anthropic-beta", b"anthropic-version", b"content-type", b"x-codex-turn"],
    )
    def test_what_its_protocol_needs_passes(self, name: bytes) -> None:
        assert (name, b"v") in sent([(name, b"v")], provider())

    def test_the_request_is_ours(self) -> None:
        names = dict(sent([], provider()))

        assert names[b"x-client-request-id"] == b"req_1"
        assert names[b"user-agent"].startswith(b"AI-Bridge/")
        assert names[b"accept-encoding"] == b"identity"

    def test_the_providers_own_headers_yield_to_the_clients(self) -> None:
        to = provider(anthropic_version="2023-06-01", x_extra="1")

        assert (b"anthropic-version", b"2023-06-01") in sent([], to)
        assert [
            h for h in sent([(b"anthropic-version", b"new")], to) if h[0] == b"anthropic-version"
        ] == [(b"anthropic-version", b"new")]
        assert (b"x-extra", b"1") in sent([], to)


class TestTowardsTheClient:
    @pytest.mark.parametrize(
        "name",
        [
            b"set-cookie",
            b"openai-organization",
            b"openai-project",
            b"anthropic-organization-id",
            b"x-ratelimit-remaining-tokens",
            b"anthropic-ratelimit-requests-remaining",
            b"cf-ray",
            b"server",
            b"content-length",
            b"content-encoding",
            b"transfer-encoding",
            b"connection",
            b"authorization",
            b"x-aibridge-model",
        ],
    )
    def test_what_concerns_the_operator_stays(self, name: bytes) -> None:
        assert returned_headers([(name, CANARY)]) == []

    @pytest.mark.parametrize(
        "name", [b"content-type", b"retry-after", b"retry-after-ms", b"x-should-retry"]
    )
    def test_what_concerns_the_client_passes(self, name: bytes) -> None:
        assert returned_headers([(name, b"v")]) == [(name, b"v")]

    @pytest.mark.parametrize("name", [b"request-id", b"x-request-id"])
    def test_the_vendors_request_id_comes_under_our_name(self, name: bytes) -> None:
        assert returned_headers([(name, b"r")]) == [(b"x-aibridge-upstream-request-id", b"r")]

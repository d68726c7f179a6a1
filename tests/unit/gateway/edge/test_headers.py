"""Allow-lists both ways: no client can speak for the gateway, and nothing of the router's connection leaks."""

from uuid import UUID

import pytest

from aibridge_common.contracts.auth import KeyFacts
from aibridge_common.internal import (
    ACCOUNT,
    DEADLINE_DEFAULT_MS,
    DEADLINE_MS,
    KEY,
    REQUEST_ID,
    ROUTING,
)
from aibridge_common.routing import RoutingOptions
from aibridge_gateway.edge.headers import inward, on_behalf_of, outward, under_options

FACTS = KeyFacts(key_id=UUID(int=3), account_id=UUID(int=2))


class TestInward:
    @pytest.mark.parametrize(
        "name",
        [
            REQUEST_ID,
            ACCOUNT,
            KEY,
            ROUTING,
            DEADLINE_MS,
            b"x-aibridge-failover",
            b"x-aibridge-continuation",
            b"x-aibridge-larger-context",
            b"x-stainless-timeout",
            b"authorization",
            b"x-api-key",
            b"x-goog-api-key",
            b"proxy-authorization",
            b"cookie",
            b"host",
            b"connection",
            b"upgrade",
            b"transfer-encoding",
            b"content-length",
            b"content-encoding",
            b"expect",
            b"te",
            b"x-forwarded-for",
            b"forwarded",
            b"user-agent",
            b"x-stainless-os",
            b"anthropic-dangerous-direct-browser-access",
            b"x-codex",
        ],
    )
    def test_what_is_not_on_the_list_stays_out(self, name: bytes) -> None:
        assert inward([(name, b"canary")]) == []

    @pytest.mark.parametrize(
        "name",
        [
            b"accept",
            b"anthropic-beta",
            b"anthropic-version",
            b"content-type",
            b"openai-beta",
            b"idempotency-key",
            b"x-codex-turn-state",
        ],
    )
    def test_what_a_protocol_needs_goes_in(self, name: bytes) -> None:
        assert inward([(name, b"v")]) == [(name, b"v")]

    def test_who_asks_is_said_once_by_the_gateway(self) -> None:
        forged = [(ACCOUNT, b"f" * 32), (b"authorization", b"Bearer mine"), (b"accept", b"*/*")]
        headers = on_behalf_of(inward(forged), b"Bearer ours", UUID(int=1), FACTS)

        assert headers == [
            (b"accept", b"*/*"),
            (b"authorization", b"Bearer ours"),
            (REQUEST_ID, UUID(int=1).hex.encode()),
            (ACCOUNT, UUID(int=2).hex.encode()),
            (KEY, UUID(int=3).hex.encode()),
        ]


class TestOptions:
    def test_the_common_case_says_nothing(self) -> None:
        assert under_options([], RoutingOptions(), DEADLINE_DEFAULT_MS) == []

    def test_what_differs_is_said(self) -> None:
        headers = under_options([(b"accept", b"*/*")], RoutingOptions(failover=False), 1500)

        assert headers == [(b"accept", b"*/*"), (ROUTING, b""), (DEADLINE_MS, b"1500")]


class TestOutward:
    def test_what_belongs_to_the_routers_connection_stays_in(self) -> None:
        kept = [(b"content-type", b"a"), (b"content-length", b"1"), (b"retry-after", b"2")]
        hops = [
            (b"connection", b"close"),
            (b"keep-alive", b"timeout=5"),
            (b"transfer-encoding", b"chunked"),
            (b"date", b"now"),
            (b"server", b"router"),
        ]

        assert outward(hops + kept) == kept

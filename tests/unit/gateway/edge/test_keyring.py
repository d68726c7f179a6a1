"""Auth is asked once for an unknown key, however many requests carry it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec
import pytest

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.auth import AuthClient
from aibridge_common.clock import FrozenClock
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict
from aibridge_common.errors import Unauthenticated, Unavailable
from aibridge_common.events.keys import (
    CHANGED_SUBJECT,
    HEARTBEAT_SUBJECT,
    AuthHeartbeat,
    KeysChanged,
)
from aibridge_common.limits import KeyLimits
from aibridge_common.routing import RoutingOptions
from aibridge_gateway.edge.keyring import ASKED_TIMES_MAX, Keyring

pytestmark = pytest.mark.anyio

FACTS = KeyFacts(key_id=UUID(int=1), account_id=UUID(int=2))


class FakeAuth:
    """Knows some keys; answers when `go_on` is set."""

    def __init__(self) -> None:
        self.verdicts = {"ab-live": KeyVerdict(facts=FACTS)}
        self.asked: list[str] = []
        self.away = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def verify_key(self, key: str) -> KeyVerdict:
        self.asked.append(key)
        verdict = self.verdicts.get(key, KeyVerdict(reason="unknown"))
        await self.go_on.wait()
        if self.away:
            raise Unavailable("auth is away")
        return verdict


class FakeBus:
    """Hands what is published to whoever listens."""

    def __init__(self) -> None:
        self._handlers: dict[str, Callable[[bytes], Awaitable[None]]] = {}

    async def subscribe(self, subject: str, handler: Callable[[bytes], Awaitable[None]]) -> None:
        self._handlers[subject] = handler

    async def publish(self, subject: str, event: msgspec.Struct) -> None:
        await self._handlers[subject](msgspec.json.encode(event))


@pytest.fixture
async def auth() -> FakeAuth:
    return FakeAuth()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def keyring(auth: FakeAuth, clock: FrozenClock) -> Keyring:
    return Keyring(cast("AuthClient", auth), clock)


class TestAsking:
    async def test_many_requests_ask_once(self, keyring: Keyring, auth: FakeAuth) -> None:
        auth.go_on.clear()
        asking = [asyncio.ensure_future(keyring.facts("ab-live")) for _ in range(50)]
        await asyncio.sleep(0)
        auth.go_on.set()

        assert await asyncio.gather(*asking) == [FACTS] * 50
        assert auth.asked == ["ab-live"]

    async def test_a_known_key_is_not_asked_for(self, keyring: Keyring, auth: FakeAuth) -> None:
        for _ in range(3):
            await keyring.facts("ab-live")

        assert auth.asked == ["ab-live"]

    async def test_a_request_that_leaves_does_not_take_the_answer_along(
        self, keyring: Keyring, auth: FakeAuth
    ) -> None:
        auth.go_on.clear()
        first = asyncio.ensure_future(keyring.facts("ab-live"))
        second = asyncio.ensure_future(keyring.facts("ab-live"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        auth.go_on.set()

        assert await second == FACTS
        assert auth.asked == ["ab-live"]

    async def test_without_auth_an_unknown_key_is_unavailable_and_asked_for_again(
        self, keyring: Keyring, auth: FakeAuth
    ) -> None:
        auth.away = True
        with pytest.raises(Unavailable):
            await keyring.facts("ab-live")
        auth.away = False

        assert await keyring.facts("ab-live") == FACTS

    async def test_without_auth_a_known_key_still_opens(
        self, keyring: Keyring, auth: FakeAuth
    ) -> None:
        await keyring.facts("ab-live")
        auth.away = True

        assert await keyring.facts("ab-live") == FACTS


@pytest.fixture
async def bus(keyring: Keyring) -> FakeBus:
    """What the keyring listens to, with a first heartbeat."""
    bus = FakeBus()
    await keyring.listen(cast("Bus", bus))
    await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
    return bus


class TestAskingAgain:
    async def test_a_key_in_use_is_asked_for_before_its_time_and_nobody_waits(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock, bus: FakeBus
    ) -> None:
        await keyring.facts("ab-live")
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        clock.advance(11)
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        clock.advance(5)
        auth.go_on.clear()

        assert await keyring.facts("ab-live") == FACTS
        await asyncio.sleep(0)
        assert auth.asked == ["ab-live"] * 2
        auth.go_on.set()
        await asyncio.sleep(0.01)
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        clock.advance(12)
        assert await keyring.facts("ab-live") == FACTS
        assert auth.asked == ["ab-live"] * 2

    async def test_an_auth_that_is_away_for_a_while_is_not_noticed(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock, bus: FakeBus
    ) -> None:
        await keyring.facts("ab-live")
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        auth.away = True
        clock.advance(16)
        for _ in range(10):
            await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
            assert await keyring.facts("ab-live") == FACTS
            await asyncio.sleep(0.001)
            clock.advance(1)
        auth.away = False
        await keyring.facts("ab-live")
        await asyncio.sleep(0.001)
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        clock.advance(14)
        assert await keyring.facts("ab-live") == FACTS

    async def test_one_that_is_not_used_is_not_asked_for(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock
    ) -> None:
        await keyring.facts("ab-live")
        clock.advance(3600)
        await asyncio.sleep(0)

        assert auth.asked == ["ab-live"]

    async def test_what_was_revoked_meanwhile_opens_no_longer(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock, bus: FakeBus
    ) -> None:
        await keyring.facts("ab-live")
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        auth.verdicts["ab-live"] = KeyVerdict(reason="revoked")
        clock.advance(16)
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        await keyring.facts("ab-live")
        await asyncio.sleep(0.001)

        with pytest.raises(Unauthenticated, match="revoked"):
            await keyring.facts("ab-live")


class TestRefusal:
    @pytest.mark.parametrize("key", [None, ""])
    async def test_no_key_is_told_how_to_send_one(
        self, keyring: Keyring, auth: FakeAuth, key: str | None
    ) -> None:
        with pytest.raises(Unauthenticated, match="no API key came"):
            await keyring.facts(key)

        assert auth.asked == []

    @pytest.mark.parametrize("key", ["sk-live", "ab", "AB-live", " ab-live", "ab-" + "x" * 300])
    async def test_what_is_no_key_of_ours_is_not_asked_for(
        self, keyring: Keyring, auth: FakeAuth, key: str
    ) -> None:
        with pytest.raises(Unauthenticated, match="keys start with ab-"):
            await keyring.facts(key)

        assert auth.asked == []

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("malformed", "typing mistake"),
            ("unknown", "not known"),
            ("revoked", "was revoked"),
            ("expired", "has expired"),
        ],
    )
    async def test_auths_reason_is_said(
        self, keyring: Keyring, auth: FakeAuth, reason: str, words: str
    ) -> None:
        auth.verdicts["ab-x"] = KeyVerdict(reason=reason)
        for _ in range(2):
            with pytest.raises(Unauthenticated, match=words):
                await keyring.facts("ab-x")

        assert auth.asked == ["ab-x"]


async def test_a_key_ends_at_its_expiry_whatever_is_believed_of_it(
    keyring: Keyring, auth: FakeAuth, clock: FrozenClock
) -> None:
    limits = KeyLimits(expires_at=clock.now() + timedelta(seconds=1))
    facts = KeyFacts(key_id=UUID(int=1), account_id=UUID(int=2), limits=limits)
    auth.verdicts["ab-live"] = KeyVerdict(facts=facts)
    assert await keyring.facts("ab-live") == facts
    clock.advance(1)

    with pytest.raises(Unauthenticated, match="has expired"):
        await keyring.facts("ab-live")
    assert auth.asked == ["ab-live"]


class TestListening:
    async def test_a_revocation_is_heard(self, keyring: Keyring, auth: FakeAuth) -> None:
        bus = FakeBus()
        await keyring.listen(cast("Bus", bus))
        await keyring.facts("ab-live")
        auth.verdicts["ab-live"] = KeyVerdict(reason="revoked")
        await bus.publish(
            CHANGED_SUBJECT,
            KeysChanged(sequence=1, account_id=FACTS.account_id, key_id=FACTS.key_id),
        )

        with pytest.raises(Unauthenticated, match="was revoked"):
            await keyring.facts("ab-live")

    async def test_changed_options_are_asked_for(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock
    ) -> None:
        bus = FakeBus()
        await keyring.listen(cast("Bus", bus))
        await keyring.facts("ab-live")
        facts = msgspec.structs.replace(FACTS, routing=RoutingOptions(failover=False))
        auth.verdicts["ab-live"] = KeyVerdict(facts=facts)
        await bus.publish(
            CHANGED_SUBJECT, KeysChanged(sequence=1, account_id=FACTS.account_id, key_id=None)
        )
        clock.advance(0.1)

        assert await keyring.facts("ab-live") == facts

    async def test_an_answer_that_a_change_overtook_is_asked_for_again(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock
    ) -> None:
        bus = FakeBus()
        await keyring.listen(cast("Bus", bus))
        auth.go_on.clear()
        asking = asyncio.ensure_future(keyring.facts("ab-live"))
        for _ in range(3):
            await asyncio.sleep(0)
        clock.advance(0.1)
        auth.verdicts["ab-live"] = KeyVerdict(reason="revoked")
        await bus.publish(CHANGED_SUBJECT, KeysChanged(sequence=1, account_id=FACTS.account_id))
        clock.advance(0.1)
        auth.go_on.set()

        with pytest.raises(Unauthenticated, match="was revoked"):
            await asking
        assert auth.asked == ["ab-live"] * 2

    async def test_a_key_that_changes_all_the_time_is_unavailable_in_the_end(
        self, keyring: Keyring, auth: FakeAuth
    ) -> None:
        """The clock stands still here, so that every answer is as old as the change."""
        bus = FakeBus()
        await keyring.listen(cast("Bus", bus))
        await bus.publish(CHANGED_SUBJECT, KeysChanged(sequence=1, account_id=FACTS.account_id))

        with pytest.raises(Unavailable, match="being changed"):
            await keyring.facts("ab-live")
        assert len(auth.asked) == ASKED_TIMES_MAX

    async def test_heartbeats_keep_a_key_for_longer(
        self, keyring: Keyring, auth: FakeAuth, clock: FrozenClock
    ) -> None:
        bus = FakeBus()
        await keyring.listen(cast("Bus", bus))
        await bus.publish(HEARTBEAT_SUBJECT, AuthHeartbeat(sequence=0))
        await keyring.facts("ab-live")
        clock.advance(10)
        await keyring.facts("ab-live")

        assert len(auth.asked) == 1

        clock.advance(10)
        await keyring.facts("ab-live")

        assert len(auth.asked) == 2

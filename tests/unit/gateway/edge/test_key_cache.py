"""A verdict is believed for a while, and not a moment longer than it is true."""

from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aibridge_common.contracts.auth import KeyFacts, KeyVerdict
from aibridge_gateway.edge import key_cache
from aibridge_gateway.edge.key_cache import (
    CUT_OFF_TTL_S,
    HEARTBEAT_MISSED_S,
    LIVE_TTL_S,
    REFUSED_TTL_S,
    KeyCache,
)

ACCOUNT, OTHER = UUID(int=101), UUID(int=102)
REFUSED = KeyVerdict(reason="unknown")


def live(key: int = 1, account: UUID = ACCOUNT) -> KeyVerdict:
    return KeyVerdict(facts=KeyFacts(key_id=UUID(int=key), account_id=account))


def digest(key: int = 1) -> bytes:
    return KeyCache.digest(f"ab-{key}")


def beating(sequence: int = 0) -> KeyCache:
    """A cache that heard auth at second 0."""
    cache = KeyCache()
    cache.heartbeat(0.0, sequence)
    return cache


class TestTimes:
    def test_a_live_key_is_believed_for_half_a_minute(self) -> None:
        cache = beating()
        cache.put(0.0, digest(), live())
        cache.heartbeat(25.0, 0)

        assert cache.get(LIVE_TTL_S, digest()) == live()
        assert cache.get(LIVE_TTL_S + 0.1, digest()) is None
        assert len(cache) == 0

    def test_the_time_counts_from_the_question(self) -> None:
        """The answer may have been long on its way."""
        cache = beating()
        cache.put(10.0, digest(), live())
        cache.heartbeat(35.0, 0)

        assert cache.get(40.1, digest()) is None

    def test_a_refused_key_is_asked_for_again_soon(self) -> None:
        cache = beating()
        cache.put(0.0, digest(), REFUSED)

        assert cache.get(REFUSED_TTL_S, digest()) == REFUSED
        assert cache.get(REFUSED_TTL_S + 0.1, digest()) is None

    def test_without_a_heartbeat_a_live_key_is_believed_for_seconds(self) -> None:
        cache = beating()
        cache.put(10.0, digest(), live())

        assert cache.get(HEARTBEAT_MISSED_S, digest()) == live()
        assert cache.get(10.0 + CUT_OFF_TTL_S + 0.1, digest()) is None

    def test_before_the_first_heartbeat_too(self) -> None:
        cache = KeyCache()
        cache.put(0.0, digest(), live())

        assert cache.get(CUT_OFF_TTL_S, digest()) == live()
        assert cache.get(CUT_OFF_TTL_S + 0.1, digest()) is None

    def test_another_key_is_unknown(self) -> None:
        cache = beating()
        cache.put(0.0, digest(1), live())

        assert cache.get(0.0, digest(2)) is None


class TestChange:
    def test_a_key_is_forgotten_at_once(self) -> None:
        cache = beating()
        cache.put(0.0, digest(1), live(1))
        cache.put(0.0, digest(2), live(2))
        cache.changed(1.0, 1, ACCOUNT, UUID(int=1))

        assert cache.get(1.0, digest(1)) is None
        assert cache.get(1.0, digest(2)) == live(2)

    def test_an_account_is_forgotten_with_all_its_keys(self) -> None:
        cache = beating()
        for key in (1, 2):
            cache.put(0.0, digest(key), live(key))
        cache.put(0.0, digest(3), live(3, OTHER))
        cache.changed(1.0, 1, ACCOUNT, None)

        assert [cache.get(1.0, digest(key)) for key in (1, 2, 3)] == [None, None, live(3, OTHER)]

    @pytest.mark.parametrize("key_id", [UUID(int=1), None], ids=["key", "account"])
    def test_an_answer_that_was_on_its_way_is_not_believed(self, key_id: UUID | None) -> None:
        cache = beating()
        cache.changed(5.0, 1, ACCOUNT, key_id)

        assert not cache.put(4.9, digest(), live())
        assert cache.get(5.0, digest()) is None

    def test_an_answer_asked_for_later_is_believed(self) -> None:
        cache = beating()
        cache.changed(5.0, 1, ACCOUNT, UUID(int=1))

        assert cache.put(5.1, digest(), live())
        assert cache.get(5.1, digest()) == live()

    def test_a_missed_change_clears_everything(self) -> None:
        cache = beating(sequence=3)
        cache.put(0.0, digest(2), live(2))
        cache.changed(1.0, 5, OTHER, UUID(int=9))

        assert len(cache) == 0

    def test_the_next_one_clears_nothing_else(self) -> None:
        cache = beating(sequence=3)
        cache.put(0.0, digest(2), live(2))
        cache.changed(1.0, 4, OTHER, UUID(int=9))

        assert cache.get(1.0, digest(2)) == live(2)

    def test_one_that_comes_twice_clears_nothing(self) -> None:
        cache = beating(sequence=3)
        cache.changed(1.0, 4, OTHER, UUID(int=9))
        cache.put(1.0, digest(2), live(2))
        cache.changed(1.0, 4, OTHER, UUID(int=9))

        assert cache.get(1.0, digest(2)) == live(2)

    def test_a_heartbeat_that_knows_of_more_clears_everything(self) -> None:
        cache = beating(sequence=3)
        cache.put(0.0, digest(), live())
        cache.heartbeat(1.0, 3)

        assert len(cache) == 1

        cache.heartbeat(2.0, 4)

        assert len(cache) == 0

    def test_changes_are_forgotten_in_the_end(self) -> None:
        cache = beating()
        for number in range(1000):
            cache.changed(number * 1.0, number + 1, OTHER, UUID(int=number + 1))

        assert len(cache._changed) <= 61


class TestBound:
    def test_the_oldest_makes_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(key_cache, "ENTRIES_MAX", 3)
        cache = beating()
        for key in range(5):
            cache.put(0.0, digest(key), live(key + 1))

        assert len(cache) == 3
        assert [cache.get(0.0, digest(key)) is None for key in range(5)] == [
            True,
            True,
            False,
            False,
            False,
        ]
        assert len(cache._by_key_id) == 3

    def test_the_key_itself_is_not_kept(self) -> None:
        cache = beating()
        cache.put(0.0, digest(1), live())

        assert "ab-1" not in repr(vars(cache))


class CacheAgainstTruth(RuleBasedStateMachine):
    """Whatever is lost or late: no key is believed that was revoked more than the longest time ago."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = KeyCache()
        self.now_s = 0.0
        self.sequence = 0
        self.revoked_at_s: dict[int, float] = {}
        self.on_their_way: list[tuple[float, int, KeyVerdict]] = []

    keys = st.integers(1, 3)

    def truth(self, key: int) -> KeyVerdict:
        return KeyVerdict(reason="revoked") if key in self.revoked_at_s else live(key)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 20.0]))
    def let_pass(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(key=keys)
    def ask(self, key: int) -> None:
        if self.cache.get(self.now_s, digest(key)) is None:
            self.on_their_way.append((self.now_s, key, self.truth(key)))

    @rule()
    def answer(self) -> None:
        """The oldest answer arrives, if it did not take more than a call may take."""
        if self.on_their_way:
            asked_at_s, key, verdict = self.on_their_way.pop(0)
            if self.now_s - asked_at_s <= 5.0:
                self.cache.put(asked_at_s, digest(key), verdict)

    @rule(key=keys, heard=st.booleans())
    def revoke(self, key: int, heard: bool) -> None:
        if key in self.revoked_at_s:
            return
        self.sequence += 1
        self.revoked_at_s[key] = self.now_s
        if heard:
            self.cache.changed(self.now_s, self.sequence, ACCOUNT, UUID(int=key))

            assert self.cache.get(self.now_s, digest(key)) is None

    @rule()
    def heartbeat(self) -> None:
        self.cache.heartbeat(self.now_s, self.sequence)

    @invariant()
    def no_revoked_key_is_believed_for_long(self) -> None:
        for key, at_s in self.revoked_at_s.items():
            verdict = self.cache.get(self.now_s, digest(key))
            if verdict is not None and verdict.facts is not None:
                assert self.now_s - at_s <= LIVE_TTL_S


TestCacheAgainstTruth = CacheAgainstTruth.TestCase
TestCacheAgainstTruth.settings = settings(max_examples=60, deadline=None)

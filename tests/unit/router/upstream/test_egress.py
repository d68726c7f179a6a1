"""Which way out is taken, and what is held against whom; time is what the test says."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.contracts.router import EgressStatus, ProviderHealth
from aibridge_common.proxy import Proxy
from aibridge_router.upstream.egress import (
    BLOCKED_S,
    DIRECT,
    REACHED_WITHIN_S,
    EgressEvent,
    EgressPool,
    WayOut,
)

OK, DEAD = EgressEvent.OK, EgressEvent.DEAD
UNREACHABLE, BLOCKED = EgressEvent.UNREACHABLE, EgressEvent.BLOCKED
SESSIONS = [b"session-%d" % number for number in range(200)]


def way(name: str, *, draining: bool = False, host: str = "") -> WayOut:
    proxy = Proxy(
        kind="http", host=host or f"{name}.test", port=8080, username="ann", password="hush-hush"
    )
    return WayOut(name=name, proxy=proxy, draining=draining)


A, B, C = way("a"), way("b"), way("c")


def pool_of(*ways: WayOut) -> EgressPool:
    pool = EgressPool()
    pool.configure(ways)
    return pool


def chosen(
    pool: EgressPool, now_s: float = 0.0, provider: str = "acme", **more: Any
) -> dict[bytes, str | None]:
    """Which way each session takes; nothing stays running."""
    found: dict[bytes, str | None] = {}
    for session in SESSIONS:
        taken = pool.choose(
            now_s, provider, more.get("allowed", ()), session, more.get("exclude", ())
        )
        found[session] = taken.name if taken is not None else None
        if taken is not None:
            pool.release(taken.name)
    return found


def names(
    pool: EgressPool, now_s: float = 0.0, provider: str = "acme", **more: Any
) -> set[str | None]:
    return set(chosen(pool, now_s, provider, **more).values())


def status(pool: EgressPool, name: str, now_s: float = 0.0) -> EgressStatus:
    return next(one for one in pool.status(now_s) if one.name == name)


def health(pool: EgressPool, name: str, provider: str, now_s: float = 0.0) -> ProviderHealth:
    return next(one for one in status(pool, name, now_s).providers if one.provider == provider)


class TestChoosing:
    def test_without_a_pool_traffic_leaves_directly(self) -> None:
        assert EgressPool().choose(0, "acme", (), b"s") == DIRECT

    def test_a_provider_that_may_not_leave_directly_does_not(self) -> None:
        """Its egress may be off at the moment."""
        assert EgressPool().choose(0, "acme", ["a"], b"s") is None

    def test_sessions_spread_over_the_pool(self) -> None:
        spread = Counter(chosen(pool_of(A, B, C)).values())

        assert spread.keys() == {"a", "b", "c"}
        assert min(spread.values()) > len(SESSIONS) / 6

    def test_a_session_keeps_its_way(self) -> None:
        """In this router and in every other one, whatever order they list the pool in."""
        assert chosen(pool_of(A, B, C)) == chosen(pool_of(C, B, A), now_s=1e6)

    def test_only_what_a_provider_is_allowed(self) -> None:
        assert names(pool_of(A, B, C), allowed=["a", "c"]) == {"a", "c"}
        assert names(pool_of(A, B, C), allowed=["gone"]) == {None}

    def test_what_was_tried_is_excluded(self) -> None:
        pool = pool_of(A, B)

        assert names(pool, exclude={"a"}) == {"b"}
        assert names(pool, exclude={"a", "b"}) == {None}
        assert pool_of(A).choose(0, "acme", (), b"s", {"a"}) is None

    @given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=8, unique=True), st.data())
    def test_losing_a_way_moves_only_its_own_sessions(
        self, listed: list[str], data: st.DataObject
    ) -> None:
        lost = data.draw(st.sampled_from(listed))
        pool = pool_of(*map(way, listed))
        before = chosen(pool)
        pool.report(0, way(lost), "acme", DEAD)
        ejected = chosen(pool)
        pool.configure([way(name) for name in listed if name != lost])
        removed = chosen(pool)

        assert ejected == removed
        assert lost not in removed.values()
        assert all(removed[s] == name for s, name in before.items() if name != lost)


class TestBlame:
    def test_a_dead_egress_is_left_for_every_provider(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)

        assert names(pool) == {"b"}
        assert names(pool, provider="other") == {"b"}

    def test_a_provider_that_others_reach_is_unreachable_from_here(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, B, "acme", OK)
        pool.report(REACHED_WITHIN_S, A, "acme", UNREACHABLE)

        assert names(pool) == {"b"}
        assert names(pool, provider="other") == {"a", "b"}

    @pytest.mark.parametrize(
        ("reached_by", "provider", "after_s"),
        [
            (None, "", 0.0),
            (A, "acme", 1.0),
            (B, "other", 1.0),
            (B, "acme", REACHED_WITHIN_S + 0.1),
        ],
        ids=["by nobody", "by itself", "another provider", "long ago"],
    )
    def test_a_provider_that_nobody_else_reaches_is_itself_at_fault(
        self, reached_by: WayOut | None, provider: str, after_s: float
    ) -> None:
        pool = pool_of(A, B)
        if reached_by is not None:
            pool.report(0, reached_by, provider, OK)
        pool.report(after_s, A, "acme", UNREACHABLE)

        assert names(pool, after_s) == {"a", "b"}
        assert pool.due_probes(1e6) == []

    def test_a_blocked_exit_is_left_for_that_provider_only(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", BLOCKED)

        assert names(pool) == {"b"}
        assert names(pool, provider="other") == {"a", "b"}

    def test_a_replaced_proxy_is_not_blamed_for_its_predecessor(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, way("a", host="old.test"), "acme", DEAD)
        pool.report(0, way("gone"), "acme", DEAD)

        assert names(pool) == {"a", "b"}


class TestLastWayOut:
    @pytest.mark.parametrize("what", [DEAD, UNREACHABLE, BLOCKED])
    def test_one_alone_is_never_ejected(self, what: EgressEvent) -> None:
        pool = pool_of(A)
        pool.report(0, A, "acme", what)

        assert names(pool) == {"a"}

    def test_of_the_unhealthy_the_one_that_failed_longest_ago_is_taken(self) -> None:
        pool = pool_of(A, B, C)
        for at_s, one in enumerate([B, A, C]):
            pool.report(at_s, one, "acme", DEAD)
        assert names(pool, 3) == {"b"}

        pool.report(3, B, "acme", BLOCKED)
        assert names(pool, 4) == {"a"}
        assert names(pool, 4, allowed=["b", "c"]) == {"c"}

    @given(
        st.lists(
            st.tuples(
                st.floats(0, 700),
                st.sampled_from([A, B, C]),
                st.sampled_from(["acme", "other"]),
                st.sampled_from(list(EgressEvent)),
                st.booleans(),
            ),
            max_size=40,
        ),
        st.sets(st.sampled_from(["a", "b", "c"])),
        st.sets(st.sampled_from(["a", "b", "c"])),
    )
    def test_whatever_happened_there_is_a_way_unless_all_are_excluded(
        self,
        history: list[tuple[float, WayOut, str, EgressEvent, bool]],
        allowed: set[str],
        exclude: set[str],
    ) -> None:
        pool, now_s = pool_of(A, B, C), 0.0
        for later_s, one, provider, what, probe in history:
            now_s += later_s
            pool.due_probes(now_s)
            (pool.probed if probe else pool.report)(now_s, one, provider, what)
            left = (allowed or {"a", "b", "c"}) - exclude
            taken = pool.choose(now_s, provider, sorted(allowed), b"s", exclude)

            assert (taken is None) == (not left)
            assert taken is None or taken.name in left


class TestProbes:
    def test_they_come_after_2_s_then_4_then_every_8(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        seen = [at_s for at_s in range(40) if pool.due_probes(at_s)]

        assert seen == [2, 6, 14, 22, 30, 38]

    def test_a_passed_probe_re_admits(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        assert pool.due_probes(2) == [(A, "acme")]

        pool.probed(2.1, A, "acme", DEAD)
        assert names(pool, 3) == {"b"}
        pool.probed(6.1, A, "acme", OK)
        assert names(pool, 7) == {"a", "b"}
        assert pool.due_probes(1e6) == []

    def test_an_egress_that_works_again_is_back_though_the_provider_is_not(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        pool.probed(2, A, "acme", UNREACHABLE)

        assert names(pool, 3, "other") == {"a", "b"}
        assert names(pool, 3, "acme") == {"a", "b"}

    def test_and_stays_away_from_a_provider_that_others_reach(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        pool.report(1, B, "acme", OK)
        pool.probed(2, A, "acme", UNREACHABLE)

        assert names(pool, 3, "acme") == {"b"}
        assert names(pool, 3, "other") == {"a", "b"}

    def test_a_request_that_was_under_way_does_not_re_admit(self) -> None:
        """A kept-alive tunnel may outlive the proxy's listener."""
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        pool.report(1, A, "acme", OK)

        assert names(pool, 2) == {"b"}

    def test_an_unreachable_provider_is_probed_through_the_same_egress(self) -> None:
        pool = pool_of(A, B)
        for provider in ("acme", "other"):
            pool.report(0, B, provider, OK)
            pool.report(0, A, provider, UNREACHABLE)
        assert pool.due_probes(2) == [(A, "acme"), (A, "other")]

        pool.probed(2, A, "acme", OK)
        assert names(pool, 3, "acme") == {"a", "b"}
        assert names(pool, 3, "other") == {"b"}

    def test_a_passed_probe_says_that_the_provider_is_reached(self) -> None:
        pool = pool_of(A, B)
        pool.probed(0, B, "acme", OK)
        pool.report(1, A, "acme", UNREACHABLE)

        assert names(pool, 1) == {"b"}

    def test_the_blocked_are_not_probed(self) -> None:
        """To open a connection would prove nothing."""
        pool = pool_of(A, B)
        pool.report(0, A, "acme", BLOCKED)

        assert pool.due_probes(1e6) == []


class TestBlocked:
    def test_after_10_minutes_one_request_tries(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", BLOCKED)
        assert names(pool, BLOCKED_S - 0.1) == {"b"}

        later = Counter(chosen(pool, BLOCKED_S).values())
        assert later == {"a": 1, "b": len(SESSIONS) - 1}

    def test_its_success_re_admits(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", BLOCKED)
        chosen(pool, BLOCKED_S)
        pool.report(BLOCKED_S + 1, A, "acme", OK)

        assert names(pool, BLOCKED_S + 2) == {"a", "b"}

    def test_its_failure_is_another_10_minutes(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", BLOCKED)
        chosen(pool, BLOCKED_S)
        pool.report(BLOCKED_S + 5, A, "acme", BLOCKED)

        assert names(pool, 2 * BLOCKED_S + 4) == {"b"}
        assert names(pool, 2 * BLOCKED_S + 5) == {"a", "b"}

    def test_being_unreachable_meanwhile_does_not_shorten_it(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, B, "acme", OK)
        pool.report(0, A, "acme", BLOCKED)
        pool.report(1, A, "acme", UNREACHABLE)
        pool.probed(2, A, "acme", OK)

        assert health(pool, "a", "acme").health == "blocked"


class TestConfiguring:
    def test_health_of_a_name_that_stays_is_kept(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        pool.configure([C, way("a"), B])

        assert names(pool) == {"b", "c"}

    def test_another_proxy_under_the_same_name_starts_afresh(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "acme", DEAD)
        pool.configure([way("a", host="new.test"), B])

        assert names(pool) == {"a", "b"}

    def test_an_emptied_pool_leaves_directly(self) -> None:
        pool = pool_of(A, B)
        pool.configure([])

        assert names(pool) == {"direct"}


class TestDraining:
    def test_it_takes_no_new_requests_and_is_drained_when_the_last_ended(self) -> None:
        pool = pool_of(A)
        assert pool.choose(0, "acme", (), b"s") == A
        assert pool.choose(0, "acme", (), b"s") == A

        pool.configure([way("a", draining=True), B])
        assert names(pool) == {"b"}
        assert (status(pool, "a").state, status(pool, "a").running) == ("draining", 2)

        pool.release("a")
        assert status(pool, "a").state == "draining"
        pool.release("a")
        assert status(pool, "a").state == "drained"

    def test_activated_again_it_is_taken_again(self) -> None:
        pool = pool_of(way("a", draining=True), B)
        pool.configure([A, B])

        assert names(pool) == {"a", "b"}
        assert status(pool, "a").state == "active"

    def test_a_pool_that_drains_as_a_whole_takes_nothing(self) -> None:
        assert names(pool_of(way("a", draining=True), way("b", draining=True))) == {None}

    def test_what_runs_through_a_removed_one_is_counted_when_it_is_back(self) -> None:
        pool = pool_of(A, B)
        pool.choose(0, "acme", ["a"], b"s")
        pool.configure([B])
        assert [one.name for one in pool.status(0)] == ["b"]

        pool.configure([A, B])
        assert status(pool, "a").running == 1
        pool.release("a")
        assert status(pool, "a").running == 0

    def test_what_ends_after_its_way_was_removed_is_forgotten(self) -> None:
        pool = pool_of(A, B)
        pool.choose(0, "acme", ["a"], b"s")
        pool.configure([B])
        pool.release("a")
        pool.release("a")

        pool.configure([A, B])
        assert status(pool, "a").running == 0


class TestStatus:
    def test_it_says_for_each_provider_since_when_and_until_when(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, B, "acme", OK)
        pool.report(1, A, "acme", UNREACHABLE)
        pool.report(1, A, "other", OK)

        assert status(pool, "a", 2.5) == EgressStatus(
            name="a",
            kind="http",
            address="a.test:8080",
            state="active",
            health="healthy",
            running=0,
            served=1,
            failed=1,
            providers=[
                ProviderHealth(
                    provider="acme",
                    health="unreachable",
                    since_s=1.5,
                    next_probe_in_s=0.5,
                    served=0,
                    failed=1,
                ),
                ProviderHealth(
                    provider="other",
                    health="healthy",
                    since_s=1.5,
                    next_probe_in_s=None,
                    served=1,
                    failed=0,
                ),
            ],
        )

    def test_a_dead_egress_is_dead_for_every_provider(self) -> None:
        pool = pool_of(A, B)
        pool.report(0, A, "other", OK)
        pool.report(1, A, "acme", DEAD)

        assert status(pool, "a", 2).health == "dead"
        assert health(pool, "a", "other", 2).health == "dead"
        assert health(pool, "a", "other", 2).next_probe_in_s == 1

    def test_credentials_are_in_none_of_it(self) -> None:
        pool = pool_of(A)
        pool.report(0, A, "acme", DEAD)

        shown = msgspec.json.encode(pool.status(0))

        assert b"ann" not in shown
        assert b"hush" not in shown

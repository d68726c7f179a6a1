"""Where a request goes along its chain, and why not elsewhere."""

import random
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.catalog import Chain, Model, MultiplierTexts, Provider, Sibling
from aibridge_common.contracts.billing import RateCard
from aibridge_common.dialect import Dialect
from aibridge_common.settings import Secret
from aibridge_common.usage import Multipliers
from aibridge_router.catalog.registry import Registry, UpstreamKey
from aibridge_router.failover.budget import Budget
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.health import Health
from aibridge_router.failover.walk import (
    BACKOFF_S,
    PATIENCE_S,
    PassedOver,
    Rules,
    Step,
    Walk,
    further_budget,
)

NOW_S = 1000.0
HOSTS = ("anthropic", "bedrock", "openai", "google")
CONTEXTS = {"claude": 200_000, "gpt": 100_000, "gemini": 1_000_000}
AT_ONCE = [("claude", "anthropic"), ("claude", "bedrock"), ("gpt", "openai"), ("gemini", "google")]


def keys(provider: str, count: int = 1) -> list[UpstreamKey]:
    first = HOSTS.index(provider) * 100
    return [UpstreamKey(id=UUID(int=first + n), secret=Secret(f"{n}")) for n in range(count)]


def registry(*, keys_each: int = 1, without: str = "") -> Registry:
    """The model claude at anthropic and bedrock; behind it gpt at openai, gemini at google."""

    def model(name: str, provider: str, *siblings: str) -> Model:
        return Model(
            id=name,
            title=name,
            provider=provider,
            siblings=[Sibling(provider=other) for other in siblings],
            context_tokens=CONTEXTS[name],
            max_output_tokens=1000,
            multipliers=MultiplierTexts(input="1", output="5"),
        )

    models = [
        model("claude", "anthropic", "bedrock"),
        model("gpt", "openai"),
        model("gemini", "google"),
    ]
    multipliers = Multipliers(
        input=1, output=1, cache_read=1, cache_write_5m=1, cache_write_1h=1, reasoning=1
    )
    return Registry(
        models,
        [
            Provider(name=host, base_url="https://x", paths={Dialect.OPENAI_CHAT: "/"})
            for host in HOSTS
        ],
        {host: keys(host, keys_each) for host in HOSTS if host != without},
        [
            RateCard(
                model=one.id,
                version=1,
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
                multipliers=multipliers,
            )
            for one in models
        ],
        chains=[Chain(model="claude", backups=["gpt", "gemini"])],
    )


class Trip:
    """A walk, and what came of it so far."""

    def __init__(
        self,
        health: Health | None = None,
        *,
        keys_each: int = 1,
        without: str = "",
        session: bytes = b"s",
        further: Budget | None = None,
        model: str = "claude",
        failover: bool = True,
        larger_context: bool = False,
        attempts_max: int = 20,
    ) -> None:
        self.health = health or Health(random.Random(1))
        self.now_s = NOW_S
        self.walk = Walk(
            registry(keys_each=keys_each, without=without).chain(model),
            self.health,
            further or Budget(0.0, 0.0, 100.0),
            random.Random(2),
            Rules(failover=failover, larger_context=larger_context, attempts_max=attempts_max),
            session,
        )
        self.steps: list[Step] = []
        self._pending: Step | None = None

    def fails(
        self,
        failure: Failure,
        *,
        times: int = 1,
        retry_after_s: float | None = None,
        crashed: bool = False,
    ) -> None:
        """The next attempts are made and fail so."""
        for _ in range(times):
            step = self.next()
            self._pending = None
            assert step is not None, "there is an attempt to make"
            self.steps.append(step)
            probe = self.walk.begin(self.now_s, step)
            self.health.failed(
                self.now_s, step.way, failure, probe=probe, retry_after_s=retry_after_s
            )
            self.walk.failed(
                self.now_s, step, failure, retry_after_s=retry_after_s, crashed=crashed
            )

    def next(self) -> Step | None:
        """Where to go now; the same until it was tried."""
        if self._pending is None:
            self._pending = self.walk.next(self.now_s)
        return self._pending

    def to_the_end(self, failure: Failure) -> list[tuple[str, str]]:
        """Everything that is asked when each attempt fails the same way."""
        while self.next() is not None:
            self.fails(failure)
        return self.asked

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [place(step) for step in self.steps]

    @property
    def reasons(self) -> dict[tuple[str, str], str]:
        return {(one.model, one.provider): one.reason for one in self.over}

    @property
    def over(self) -> list[PassedOver]:
        return self.walk.passed_over(self.now_s)


def place(step: Step | None) -> tuple[str, str]:
    """Model and provider; of no step, neither."""
    return ("", "") if step is None else (step.target.model.id, step.target.provider.name)


def open_breaker(health: Health, provider: str, model: str) -> None:
    (key,) = keys(provider)
    health.failed(NOW_S, (provider, key.id, model), Failure.SILENT, probe=False)


class TestOrder:
    def test_is_the_model_its_siblings_and_then_the_backups(self) -> None:
        assert Trip().to_the_end(Failure.DROPPED) == AT_ONCE

    def test_tries_every_key_of_a_target_before_the_next(self) -> None:
        asked = Trip(keys_each=2).to_the_end(Failure.CREDENTIAL)

        assert asked == [one for one in AT_ONCE for _ in range(2)]

    def test_says_who_stands_in(self) -> None:
        trip = Trip()
        trip.to_the_end(Failure.DROPPED)

        assert [step.stand_in for step in trip.steps] == [False, False, True, True]

    def test_asks_nobody_twice(self) -> None:
        trip = Trip()
        trip.to_the_end(Failure.MALFORMED)

        assert set(Counter(trip.asked).values()) == {1}
        assert trip.next() is None

    def test_passes_over_what_is_not_well(self) -> None:
        health = Health(random.Random(1))
        open_breaker(health, "anthropic", "claude")
        open_breaker(health, "openai", "gpt")

        assert Trip(health).to_the_end(Failure.DROPPED)[:2] == [
            ("claude", "bedrock"),
            ("gemini", "google"),
        ]

    def test_is_the_same_until_something_was_tried(self) -> None:
        walk = Trip().walk

        assert walk.next(NOW_S) is walk.next(NOW_S)


class TestSession:
    @given(session=st.binary(max_size=40), count=st.integers(2, 6), lost=st.integers(0, 5))
    def test_only_conversations_of_a_lost_key_move(
        self, session: bytes, count: int, lost: int
    ) -> None:
        def first(without: int | None) -> UUID:
            health = Health(random.Random(1))
            gone = keys("anthropic", count)[without] if without is not None else None
            if gone is not None:
                health.failed(
                    NOW_S, ("anthropic", gone.id, "claude"), Failure.CREDENTIAL, probe=False
                )
            step = Trip(health, keys_each=count, session=session).next()
            assert step is not None
            return step.key.id

        lost %= count
        before, after = first(None), first(lost)

        assert (before == after) == (before != keys("anthropic", count)[lost].id)

    def test_conversations_spread_over_the_keys(self) -> None:
        counts = Counter(
            step.key.id
            for n in range(300)
            if (step := Trip(keys_each=3, session=b"%d" % n).next()) is not None
        )

        assert len(counts) == 3
        assert min(counts.values()) > 60


class TestRetry:
    def test_is_made_once_after_a_short_wait(self) -> None:
        trip = Trip()
        trip.fails(Failure.TRANSIENT, times=3)

        assert trip.asked == [AT_ONCE[0], AT_ONCE[0], AT_ONCE[1]]
        assert trip.steps[0].wait_s == trip.steps[2].wait_s == 0
        assert 0 < trip.steps[1].wait_s <= 2 * BACKOFF_S

    def test_is_made_once_at_each_provider(self) -> None:
        assert Trip().to_the_end(Failure.TRANSIENT) == [one for one in AT_ONCE for _ in range(2)]

    def test_needs_the_providers_budget(self) -> None:
        health = Health(random.Random(1))
        while health.may_retry(NOW_S, "anthropic"):
            pass
        trip = Trip(health)
        trip.fails(Failure.TRANSIENT)

        assert place(trip.next()) == AT_ONCE[1]

    def test_is_not_made_where_the_failure_opened_the_breaker(self) -> None:
        health = Health(random.Random(1))
        (key,) = keys("anthropic")
        for _ in range(4):
            health.failed(NOW_S, ("anthropic", key.id, "claude"), Failure.TRANSIENT, probe=False)
        trip = Trip(health)
        trip.fails(Failure.TRANSIENT)

        assert place(trip.next()) == AT_ONCE[1]

    @pytest.mark.parametrize("failure", [Failure.DROPPED, Failure.MALFORMED])
    def test_is_not_made_of_what_may_have_been_done(self, failure: Failure) -> None:
        trip = Trip()
        trip.fails(failure)

        assert place(trip.next()) == AT_ONCE[1]


class TestSilence:
    @pytest.mark.parametrize("failure", [Failure.SILENT, Failure.UNREACHABLE])
    def test_rules_out_all_that_the_provider_hosts(self, failure: Failure) -> None:
        trip = Trip(keys_each=3)
        trip.fails(failure, times=4)

        assert trip.asked == AT_ONCE
        assert trip.next() is None


class TestKeys:
    @pytest.mark.parametrize(
        "failure", [Failure.CREDENTIAL, Failure.MONEY, Failure.ACCESS, Failure.RATE_LIMIT]
    )
    def test_another_of_ours_is_tried_at_once(self, failure: Failure) -> None:
        trip = Trip(keys_each=2)
        trip.fails(failure, times=2, retry_after_s=1.0)
        first, second = trip.steps

        assert trip.asked == [AT_ONCE[0]] * 2
        assert first.key.id != second.key.id
        assert second.wait_s == 0

    @pytest.mark.parametrize("wait_s", [0.0, 0.5, PATIENCE_S])
    def test_the_only_one_is_waited_for_when_it_rests_shortly(self, wait_s: float) -> None:
        trip = Trip()
        trip.fails(Failure.RATE_LIMIT, times=3, retry_after_s=wait_s)
        first, again, other = trip.steps

        assert again.key is first.key
        assert again.wait_s == wait_s
        assert place(other) == AT_ONCE[1]

    @pytest.mark.parametrize("wait_s", [None, 2.1, 60.0])
    def test_the_only_one_is_not_waited_for_any_longer(self, wait_s: float | None) -> None:
        trip = Trip()
        trip.fails(Failure.RATE_LIMIT, retry_after_s=wait_s)

        assert place(trip.next()) == AT_ONCE[1]

    @pytest.mark.parametrize("failure", [Failure.CREDENTIAL, Failure.MONEY, Failure.ACCESS])
    def test_one_that_is_refused_is_not_waited_for(self, failure: Failure) -> None:
        trip = Trip()
        trip.fails(failure, retry_after_s=0.1)

        assert place(trip.next()) == AT_ONCE[1]

    def test_of_a_model_that_is_gone_are_not_tried(self) -> None:
        trip = Trip(keys_each=2)
        trip.fails(Failure.MODEL_GONE)

        assert place(trip.next()) == AT_ONCE[1]


class TestStop:
    def test_what_is_wrong_with_the_request_ends_it(self) -> None:
        trip = Trip()
        trip.fails(Failure.CALLER)

        assert trip.walk.stopped
        assert trip.next() is None

    def test_what_a_stand_in_finds_wrong_does_not(self) -> None:
        """It was asked in our words, not in the customer's."""
        trip = Trip()
        trip.fails(Failure.DROPPED, times=2)
        trip.fails(Failure.CALLER)

        assert not trip.walk.stopped
        assert place(trip.next()) == AT_ONCE[3]

    @pytest.mark.parametrize("before", [0, 1, 2, 3])
    def test_refused_content_ends_it_wherever_it_is_refused(self, before: int) -> None:
        trip = Trip()
        trip.fails(Failure.DROPPED, times=before)
        trip.fails(Failure.REFUSED)

        assert trip.walk.stopped
        assert trip.next() is None

    def test_a_prompt_that_is_too_long_ends_it(self) -> None:
        trip = Trip()
        trip.fails(Failure.OVERFLOW)

        assert trip.walk.stopped
        assert trip.next() is None

    def test_a_larger_context_is_looked_for_where_the_customer_chose_that(self) -> None:
        trip = Trip(larger_context=True)
        trip.fails(Failure.OVERFLOW)

        assert place(trip.next()) == ("gemini", "google")
        assert trip.reasons["gpt", "openai"] == "its context is not larger than 200000 tokens"

    def test_a_prompt_too_long_for_a_stand_in_goes_on_to_a_larger_one(self) -> None:
        """The model that was asked for would have taken it."""
        trip = Trip()
        trip.fails(Failure.DROPPED, times=2)
        trip.fails(Failure.OVERFLOW)

        assert not trip.walk.stopped
        assert place(trip.next()) == ("gemini", "google")

    def test_without_failover_only_the_model_itself_is_asked(self) -> None:
        trip = Trip(failover=False)

        assert trip.to_the_end(Failure.DROPPED) == AT_ONCE[:2]
        assert trip.reasons["gpt", "openai"] == "failover is off"
        assert trip.reasons["gemini", "google"] == "failover is off"

    def test_attempts_have_a_limit(self) -> None:
        trip = Trip(attempts_max=3)

        assert len(trip.to_the_end(Failure.TRANSIENT)) == 3

    def test_third_attempts_are_a_share_of_all_requests(self) -> None:
        further = further_budget()
        counts = [len(Trip(further=further).to_the_end(Failure.DROPPED)) for _ in range(100)]

        assert counts[:10] == [4] * 10
        assert counts[-10:].count(2) >= 7
        assert sum(counts) - 200 <= 50 + 0.2 * 100

    def test_a_place_may_be_left_out(self) -> None:
        trip = Trip(keys_each=2)
        step = trip.next()
        assert step is not None
        trip.walk.skip(step, "it is too small")

        assert place(trip.walk.next(NOW_S)) == AT_ONCE[1]
        assert [one.reason for one in trip.over] == ["it is too small"] * 2
        assert trip.walk.attempts == 0


class TestWaysOut:
    def test_three_are_tried_before_another_provider(self) -> None:
        trip = Trip(keys_each=2)
        trip.fails(Failure.REGION)
        trip.fails(Failure.EGRESS, times=2)

        assert trip.asked == [AT_ONCE[0]] * 3
        assert place(trip.next()) == AT_ONCE[1]

    def test_each_provider_is_given_as_many(self) -> None:
        asked = Trip().to_the_end(Failure.REGION)

        assert asked == [one for one in AT_ONCE for _ in range(3)]


class TestPoison:
    @staticmethod
    def serving(*hosts: tuple[str, str]) -> Health:
        health = Health(random.Random(1))
        for model, provider in hosts:
            (key,) = keys(provider)
            health.succeeded(NOW_S, (provider, key.id, model), probe=False)
        return health

    def test_a_request_that_crashes_two_that_serve_others_is_stopped(self) -> None:
        trip = Trip(self.serving(*AT_ONCE))
        trip.fails(Failure.TRANSIENT, times=3, crashed=True)

        assert trip.asked == [AT_ONCE[0], AT_ONCE[0], AT_ONCE[1]]
        assert trip.walk.poisoned
        assert trip.walk.stopped
        assert trip.next() is None

    def test_two_crashes_at_one_provider_prove_nothing(self) -> None:
        trip = Trip(self.serving(*AT_ONCE))
        trip.fails(Failure.TRANSIENT, times=2, crashed=True)

        assert not trip.walk.poisoned
        assert place(trip.next()) == AT_ONCE[1]

    def test_a_crash_where_nobody_is_served_proves_nothing(self) -> None:
        trip = Trip(self.serving(AT_ONCE[0]))
        trip.fails(Failure.TRANSIENT, times=8, crashed=True)

        assert not trip.walk.poisoned

    def test_other_trouble_than_a_crash_proves_nothing(self) -> None:
        trip = Trip(self.serving(*AT_ONCE))
        trip.fails(Failure.TRANSIENT, times=8)

        assert not trip.walk.poisoned


class TestPassedOver:
    def test_names_every_place_and_why(self) -> None:
        health = Health(random.Random(1))
        open_breaker(health, "bedrock", "claude")
        (key,) = keys("google")
        health.failed(NOW_S, ("google", key.id, "gemini"), Failure.MONEY, probe=False)
        trip = Trip(health, without="openai")
        trip.fails(Failure.DROPPED)

        assert trip.reasons == {
            ("gpt", "openai"): "the operator has set no openai key",
            ("claude", "anthropic"): "it failed: dropped",
            ("claude", "bedrock"): "circuit open",
            ("gemini", "google"): "ejected after money, 600 s left",
        }

    def test_does_not_name_who_may_still_answer(self) -> None:
        assert Trip().over == []

    def test_knows_when_the_first_place_may_be_tried_again(self) -> None:
        health = Health(random.Random(1))
        (key,) = keys("google")
        health.failed(NOW_S, ("google", key.id, "gemini"), Failure.MONEY, probe=False)
        later = Trip(health).walk.retry_in_s(NOW_S)
        open_breaker(health, "anthropic", "claude")
        sooner = Trip(health).walk.retry_in_s(NOW_S)

        assert later == 600
        assert sooner is not None
        assert 0 < sooner <= 1
        assert Trip().walk.retry_in_s(NOW_S) is None


class TestLastWay:
    @staticmethod
    def down() -> Health:
        health = Health(random.Random(1))
        for model, provider in AT_ONCE:
            open_breaker(health, provider, model)
        return health

    def test_is_taken_when_nothing_is_well(self) -> None:
        trip = Trip(self.down())

        assert place(trip.next()) == AT_ONCE[0]

    def test_is_taken_once(self) -> None:
        assert Trip(self.down()).walk.next(NOW_S) is not None

        trip = Trip(self.down())
        trip.fails(Failure.DROPPED)

        assert trip.next() is None

    def test_is_not_taken_by_everybody(self) -> None:
        health = self.down()
        taken = sum(Trip(health).next() is not None for _ in range(200))

        assert 4 <= taken <= 40

    def test_is_none_while_every_key_rests(self) -> None:
        health = Health(random.Random(1))
        for model, provider in AT_ONCE:
            (key,) = keys(provider)
            way = (provider, key.id, model)
            health.failed(NOW_S, way, Failure.RATE_LIMIT, probe=False, retry_after_s=30)
        trip = Trip(health)

        assert trip.next() is None
        assert trip.walk.retry_in_s(NOW_S) == 30


class TestAnyTrouble:
    @given(
        st.lists(st.tuples(st.sampled_from(Failure), st.booleans()), max_size=30),
        st.integers(1, 3),
        st.booleans(),
    )
    def test_ends_within_its_attempts_and_never_repeats_for_long(
        self, troubles: list[tuple[Failure, bool]], keys_each: int, larger: bool
    ) -> None:
        trip = Trip(keys_each=keys_each, larger_context=larger, attempts_max=12)
        for failure, crashed in troubles:
            if trip.next() is None:
                break
            trip.fails(failure, crashed=crashed, retry_after_s=1.0)

        assert trip.walk.attempts <= 12
        assert max(Counter(step.way for step in trip.steps).values(), default=0) <= 4
        assert not trip.walk.stopped or trip.next() is None

"""No order of events deletes usage that billing does not have, or a start whose end is not safe."""

from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aibridge_router.spool.segment import Position, SegmentName
from aibridge_router.spool.state import (
    AGAIN_AFTER_S,
    OLDEST_S_MAX,
    Batch,
    Ranges,
    SegmentFacts,
    SpoolState,
)

EPOCH, OLD = 5, 3
SIZE = 10


def name(number: int, epoch: int = EPOCH) -> SegmentName:
    return SegmentName(epoch, number)


class StateAgainstModel(RuleBasedStateMachine):
    """The model remembers where every record stands, what the disk has and what billing has."""

    def __init__(self) -> None:
        super().__init__()
        old = SegmentFacts(name=name(0, OLD), size_bytes=SIZE, first=1, last=2)
        self.state = SpoolState(EPOCH, 10**9, [old])
        self.state.opened(name(0))
        self.now_s = 0.0
        self.number = 0
        self.size = 0
        self.segments = [old.name, name(0)]
        self.running: dict[UUID, int] = {}
        self.ends: dict[UUID, tuple[int, int, int]] = {}  # number, place, sequence
        self.finals: dict[tuple[int, int], SegmentName] = {
            (OLD, 1): old.name,
            (OLD, 2): old.name,
        }
        self.sequence = 0
        self.durable = (0, 0)
        self.has: dict[int, set[int]] = {EPOCH: set(), OLD: set()}
        self.starts: dict[UUID, int] = {}
        self.sent: list[tuple[int, int, float]] = []
        self.requests = 0

    @rule()
    def start(self) -> None:
        self.requests += 1
        request = UUID(int=self.requests)
        self.state.started(request, SIZE)
        self.size += SIZE
        self.running[request] = self.number
        self.starts[request] = self.number

    @precondition(lambda self: self.running)
    @rule(data=st.data(), charged=st.booleans())
    def end(self, data: st.DataObject, charged: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.running)))
        sequence = 0
        if charged:
            self.sequence += 1
            sequence = self.state.next_sequence(self.now_s)
            assert sequence == self.sequence
            self.finals[EPOCH, sequence] = name(self.number)
        self.state.ended(request, sequence, SIZE)
        self.size += SIZE
        del self.running[request]
        self.ends[request] = (self.number, self.size, sequence)

    @rule()
    def roll(self) -> None:
        self.number += 1
        self.size = 0
        self.state.opened(name(self.number))
        self.segments.append(name(self.number))

    @rule(data=st.data())
    def make_durable(self, data: st.DataObject) -> None:
        """The disk is behind the page cache, by anything."""
        place = (self.number, data.draw(st.integers(0, self.size // SIZE)) * SIZE)
        self.durable = max(self.durable, place)
        self.state.durable(Position(name(self.durable[0]), self.durable[1]))

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Envelopes are committed in any order, with gaps, of this run and the earlier one."""
        for epoch, highest in ((EPOCH, self.sequence), (OLD, 2)):
            if highest:
                first = data.draw(st.integers(1, highest))
                last = data.draw(st.integers(first, highest))
                self.has[epoch] |= set(range(first, last + 1))
        self.state.applied(
            self.now_s, {epoch: Ranges(runs(has)) for epoch, has in self.has.items()}
        )

    @precondition(lambda self: self.sequence)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(1, self.sequence))
        last = data.draw(st.integers(first, self.sequence))
        batch = Batch(epoch=EPOCH, first=first, last=last, position=Position(name(0), 0))
        self.state.taken(self.now_s, batch)

    @rule(seconds=st.sampled_from([1.0, 59.0, 61.0, 1000.0]))
    def let_pass(self, seconds: float) -> None:
        self.now_s += seconds
        for batch in self.state.due_again(self.now_s):
            assert batch.round >= 1
            assert not set(range(batch.first, batch.last + 1)) <= self.has[EPOCH]

    @rule()
    def delete(self) -> None:
        gone = self.state.take_deletable()

        assert gone == self.segments[: len(gone)]

        self.segments = self.segments[len(gone) :]
        for (epoch, sequence), segment in self.finals.items():
            assert segment not in gone or sequence in self.has[epoch]
        for request, number in self.starts.items():
            if name(number) in gone:
                assert request in self.ends
                at, place, sequence = self.ends[request]
                safe = (at, place) <= self.durable or self.settled_in_order(sequence)
                assert safe or sequence == 0

    def settled_in_order(self, sequence: int) -> bool:
        return set(range(1, sequence + 1)) <= self.has[EPOCH]

    @invariant()
    def the_watermark_is_the_highest_without_a_gap(self) -> None:
        expected = 0
        while expected + 1 in self.has[EPOCH]:
            expected += 1

        assert self.state.watermark == expected

    @invariant()
    def the_newest_segment_stays(self) -> None:
        assert self.segments[-1] == name(self.number)
        assert self.state.oldest_segment == self.segments[0]


TestStateAgainstModel = StateAgainstModel.TestCase
TestStateAgainstModel.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def runs(numbers: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def fresh(bytes_max: int = 1000) -> SpoolState:
    state = SpoolState(EPOCH, bytes_max)
    state.opened(name(0))
    return state


def finals(state: SpoolState, count: int, now_s: float = 0.0) -> None:
    for number in range(count):
        state.ended(UUID(int=number), state.next_sequence(now_s), 1)


def batch(first: int, last: int) -> Batch:
    return Batch(epoch=EPOCH, first=first, last=last, position=Position(name(0), 0))


class TestSendingAgain:
    def test_what_billing_lacks_a_minute_after_the_bus_had_it(self) -> None:
        state = fresh()
        finals(state, 4)
        state.taken(0.0, batch(1, 2))
        state.taken(0.0, batch(3, 4))
        state.applied(AGAIN_AFTER_S, {EPOCH: Ranges([(1, 2)])})

        assert [(one.first, one.round) for one in state.due_again(AGAIN_AFTER_S)] == [(3, 1)]
        assert state.due_again(AGAIN_AFTER_S) == []
        assert state.sent_again == 1

    def test_silence_of_billing_is_no_loss(self) -> None:
        """Asked at 50 s, it had not got it; since then it could not be asked."""
        state = fresh()
        finals(state, 2)
        state.taken(0.0, batch(1, 2))
        assert state.due_again(1000) == []
        state.applied(50.0, {})

        assert state.due_again(1000.0) == []

    def test_each_time_it_waits_twice_as_long(self) -> None:
        state = fresh()
        finals(state, 1)
        now_s, again, waits = 0.0, batch(1, 1), list[float]()
        for _ in range(7):
            state.taken(now_s, again)
            sent_at_s = now_s
            while not (due := state.due_again(now_s)):
                now_s += 10
                state.applied(now_s, {})
            [again] = due
            waits.append(now_s - sent_at_s)

        assert waits == [60, 120, 240, 480, 960, 960, 960]

    def test_what_was_settled_before_the_bus_said_so_is_not_kept(self) -> None:
        state = fresh()
        finals(state, 1)
        state.applied(0.0, {EPOCH: Ranges([(1, 1)])})
        state.taken(1.0, batch(1, 1))
        state.applied(500.0, {})

        assert state.due_again(500.0) == []


class TestRoom:
    def test_an_alarm_at_six_tenths_and_no_new_work_at_nine(self) -> None:
        state = fresh(bytes_max=1000)
        seen = [(state.is_alarming, state.refusal)]
        for size in (599, 1, 299, 1):
            state.grew(size)
            state.tick(0.0)
            seen.append((state.is_alarming, state.refusal))

        assert seen == [
            (False, None),
            (False, None),
            (True, None),
            (True, None),
            (True, "the spool is full"),
        ]

    def test_no_new_work_when_usage_is_not_settled_for_too_long(self) -> None:
        state = fresh()
        finals(state, 1, now_s=5.0)
        state.tick(5.0 + OLDEST_S_MAX)
        assert state.refusal is None
        state.tick(5.1 + OLDEST_S_MAX)
        assert state.refusal == "usage has not been settled for too long"

        state.applied(2000.0, {EPOCH: Ranges([(1, 1)])})

        assert state.refusal is None
        assert state.oldest_unapplied_s(2000.0) == 0.0

    def test_the_oldest_is_the_first_that_is_not_settled(self) -> None:
        state = fresh()
        for now_s in range(10):
            finals(state, 3, now_s=float(now_s))
        state.applied(10.0, {EPOCH: Ranges([(1, 14)])})  # 15 was the last at 4 s

        assert state.oldest_unapplied_s(10.0) == 6.0
        assert state.unapplied == 16

    def test_a_full_disk_takes_no_new_work_until_it_takes_again(self) -> None:
        state = fresh()
        state.disk_full(0.0, full=True)
        assert state.refusal == "the disk of the spool is full"
        state.disk_full(1.0, full=False)

        assert state.refusal is None

    def test_what_an_earlier_run_left_ages_from_now_on(self) -> None:
        old = SegmentFacts(name=name(0, OLD), first=1, last=4)
        state = SpoolState(EPOCH, 1000, [old])
        state.opened(name(0))
        state.tick(100.0)

        assert state.oldest_unapplied_s(160.0) == 60.0
        assert state.unapplied == 4
        assert state.has_old_segments

        state.applied(170.0, {OLD: Ranges([(1, 4)])})

        assert (state.unapplied, state.oldest_unapplied_s(200.0)) == (0, 0.0)
        assert state.take_deletable() == [old.name]
        assert not state.has_old_segments


def test_a_database_that_was_set_back_uncovers_no_charge() -> None:
    state = fresh()
    finals(state, 5)
    state.applied(0.0, {EPOCH: Ranges([(1, 5)])})
    state.applied(1.0, {EPOCH: Ranges([(1, 2)])})

    assert state.watermark == 5

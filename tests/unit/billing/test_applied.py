"""What a router may delete: noted with the charges or not at all, and told as ranges."""

import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Settled
from aibridge_billing.metering.applied import Numbers, compact, note_applied, spool_applied
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_common.db.engine import transaction
from aibridge_common.events.usage import UsageEnvelope, UsageRecorded
from aibridge_common.ids import uuid7
from tests.fixtures.books import Books, usage_event

pytestmark = pytest.mark.anyio
EPOCH = 1_764_000_000_000_000_000


@pytest.fixture
def router() -> str:
    """The module shares a database: a router of the test's own."""
    return f"router-{uuid7().hex}"


@pytest.fixture
async def settlement(books: Books) -> Settlement:
    await books.rows("DELETE FROM usage_dead_letter RETURNING 1")
    return Settlement(books.database, PriceBook(books.database))


def sent(router: str, first: int, *events: UsageRecorded, last: int | None = None) -> bytes:
    """An envelope as a router sends it."""
    return msgspec.json.encode(
        UsageEnvelope(
            router=router,
            epoch=EPOCH,
            first=first,
            last=first + len(events) - 1 if last is None else last,
            events=list(events),
        )
    )


async def ranges(books: Books, router: str, epoch_min: int = 0) -> list[tuple[int, int, int]]:
    """What the router is told: epoch, first, last."""
    async with transaction(books.database) as tx:
        told = await spool_applied(tx, router, epoch_min)
    return [(each.epoch, found.first, found.last) for each in told.epochs for found in each.applied]


class TestSettling:
    async def test_what_is_charged_is_told_in_ranges(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        account = await books.account(100)
        one, two, three = (usage_event(account, 1) for _ in range(3))

        await settlement.apply([sent(router, 1, one, two), sent(router, 3, three)])

        assert await ranges(books, router) == [(EPOCH, 1, 3)]

    async def test_the_same_envelope_again_changes_nothing_but_is_counted(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        """A redelivery, and the router's own repetition with another cut."""
        account = await books.account(100)
        events = [usage_event(account, 1) for _ in range(4)]
        await settlement.apply([sent(router, 1, *events[:2]), sent(router, 3, *events[2:])])

        again = await settlement.apply([sent(router, 1, *events), sent(router, 3, *events[2:])])

        assert again == Settled(applied=0, duplicates=6)
        assert await ranges(books, router) == [(EPOCH, 1, 4)]
        assert (await books.state(account)).spent_microtokens == 4

    async def test_what_is_undone_is_not_told(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        account = await books.account(100)
        async with transaction(books.database) as tx:
            await tx.execute(
                text("SELECT 1 FROM account WHERE id = :id FOR UPDATE"), {"id": account}
            )
            with pytest.raises(DBAPIError, match="lock timeout"):
                await settlement.apply([sent(router, 1, usage_event(account, 1))])

        assert await ranges(books, router) == []

    async def test_what_is_buried_counts_as_applied(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        """It is in the database; the router need not keep it."""
        account = await books.account(100)
        bad = [usage_event(uuid7(), 1), usage_event(account, 1, price_version=99)]

        await settlement.apply([sent(router, 1, bad[0], usage_event(account, 1), bad[1])])

        assert await ranges(books, router) == [(EPOCH, 1, 3)]
        assert {letter.event_id for letter in await books.dead_letters()} == {
            event.event_id for event in bad
        }
        assert settlement.buried == 2

    async def test_letters_and_charges_of_a_batch_stand_or_fall_together(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        account = await books.account(100)
        poison, good = usage_event(uuid7(), 1), usage_event(account, 1)
        async with books.database.connect() as lock:
            await lock.execute(text("LOCK TABLE spool_applied IN EXCLUSIVE MODE"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                await settlement.apply([sent(router, 1, poison, good)])

        assert await books.dead_letters() == []
        assert (await books.state(account)).spent_microtokens == 0

    async def test_many_bad_ones_among_many_good_ones_are_all_found(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        account, others = await books.account(1000), [await books.account(10) for _ in range(5)]
        events = [
            usage_event(uuid7() if number % 7 == 3 else (account, *others)[number % 6], 1)
            for number in range(50)
        ]

        settled = await settlement.apply([sent(router, 1, *events)])

        assert settled == Settled(applied=43, duplicates=0)
        assert len(await books.dead_letters()) == 7

    @pytest.mark.parametrize(("first", "last"), [(0, 0), (-1, -1), (1, 2), (2, 1), (2**63, 2**63)])
    async def test_numbers_that_do_not_fit_the_events_are_not_told(
        self, books: Books, settlement: Settlement, router: str, first: int, last: int
    ) -> None:
        """A router would delete what billing never saw."""
        account = await books.account(100)

        settled = await settlement.apply([sent(router, first, usage_event(account, 1), last=last)])

        assert settled.applied == 1
        assert await ranges(books, router) == []

    async def test_an_unreadable_event_is_buried_once_however_often_it_comes(
        self, books: Books, settlement: Settlement, router: str
    ) -> None:
        account = await books.account(100)
        document = msgspec.json.decode(sent(router, 1, usage_event(account, 1)))
        document["events"][0]["outcome"] = 99

        for _ in range(2):
            await settlement.apply([msgspec.json.encode(document)])

        assert len(await books.dead_letters()) == 1
        assert await ranges(books, router) == [(EPOCH, 1, 1)]


class TestRanges:
    async def test_a_gap_stays_a_gap(self, books: Books, router: str) -> None:
        await note(books, router, (1, 5), (8, 9), (6, 6), (12, 20))

        assert await ranges(books, router) == [(EPOCH, 1, 6), (EPOCH, 8, 9), (EPOCH, 12, 20)]

    async def test_runs_and_routers_are_told_apart(self, books: Books, router: str) -> None:
        await note(books, router, (1, 5))
        await note(books, f"{router}-other", (6, 9))
        await note(books, router, (6, 7), epoch=EPOCH + 1)

        assert await ranges(books, router) == [(EPOCH, 1, 5), (EPOCH + 1, 6, 7)]
        assert await ranges(books, router, EPOCH + 1) == [(EPOCH + 1, 6, 7)]
        assert await ranges(books, "nobody") == []

    @given(
        st.lists(
            st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda x: (x[0], sum(x))),
            max_size=20,
        )
    )
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    async def test_compaction_changes_nothing_that_is_told(
        self, books: Books, noted: list[tuple[int, int]]
    ) -> None:
        """Whatever overlaps, repeats or touches: the numbers told are exactly those noted."""
        router = f"router-{uuid7().hex}"
        for each in noted:
            await note(books, router, each)
        before = await ranges(books, router)
        async with transaction(books.database) as tx:
            await compact(tx)
        after = await ranges(books, router)
        rows = await books.value(
            "SELECT count(*) FROM spool_applied WHERE router = :router", router=router
        )

        told = {number for _, first, last in after for number in range(first, last + 1)}
        assert told == {number for first, last in noted for number in range(first, last + 1)}
        assert after == before
        assert rows == len(after)

    async def test_compaction_beside_settling_loses_nothing(
        self, books: Books, router: str
    ) -> None:
        async def write(worker: int) -> None:
            for number in range(worker, 300, 3):
                await note(books, router, (number + 1, number + 1), (1, number % 5 + 1))

        async def tidy() -> None:
            for _ in range(40):
                async with transaction(books.database) as tx:
                    await compact(tx)

        await asyncio.gather(write(0), write(1), write(2), tidy(), tidy())

        assert await ranges(books, router) == [(EPOCH, 1, 300)]


async def note(books: Books, router: str, *numbers: tuple[int, int], epoch: int = EPOCH) -> None:
    async with transaction(books.database) as tx:
        await note_applied(
            tx,
            [
                Numbers(router=router, epoch=epoch, first=first, last=last)
                for first, last in numbers
            ],
        )

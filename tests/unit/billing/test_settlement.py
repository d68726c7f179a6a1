"""From envelopes to the ledger: what can be settled is, what cannot is set aside whole, nothing is lost."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_billing.ledger.journal import Settled
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.pricing.store import put_multipliers
from aibridge_common.db.engine import transaction
from aibridge_common.events.usage import UsageRecorded
from aibridge_common.ids import uuid7
from aibridge_common.usage import Usage
from tests.fixtures.books import UNIT_PRICE, Books, envelope, usage_event

pytestmark = pytest.mark.anyio


@pytest.fixture
async def settlement(books: Books) -> Settlement:
    """Settles into `books`, whose heap of dead letters starts empty."""
    await books.rows("DELETE FROM usage_dead_letter RETURNING 1")
    return Settlement(books.database, PriceBook(books.database))


async def test_several_envelopes_are_one_batch(books: Books, settlement: Settlement) -> None:
    account, other = await books.account(100), await books.account(100)
    again = usage_event(account, 10)

    settled = await settlement.apply(
        [
            envelope(again, usage_event(other, 20)),
            envelope(usage_event(account, 30), again),
        ]
    )

    assert settled == Settled(applied=3, duplicates=1)
    assert (await books.state(account)).spent_microtokens == 40
    assert (await books.state(other)).spent_microtokens == 20
    assert await books.dead_letters() == []


def _unknown_version(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, price_version=99)


def _unknown_model(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, billed_model="gpt-9")


def _unknown_account(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, account_id=uuid7())


def _unknown_account_for_nothing(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, account_id=uuid7(), usage=Usage())


def _negative(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, usage=Usage(output=-1))


def _implausible(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, usage=Usage(cache_read=10**12))


def _astronomic(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, usage=Usage(input=10**30))


def _doubtful(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, doubt="token counts out of range: too much")


def _version_beyond_the_column(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, price_version=10**12)


def _zero_character(event: UsageRecorded) -> UsageRecorded:
    return msgspec.structs.replace(event, requested_model="gpt\0-4o")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_unknown_version, "no price version 99"),
        (_unknown_model, "gpt-9 has no price version 1"),
        (_unknown_account, "an account that does not exist"),
        (_unknown_account_for_nothing, "an account that does not exist"),
        (_negative, "out of range"),
        (_implausible, "out of range"),
        (_astronomic, "out of range"),
        (_doubtful, "out of range: too much"),
        (_version_beyond_the_column, "no price version"),
        (_zero_character, "0x00"),
    ],
)
async def test_a_bad_event_is_buried_and_the_others_are_settled(
    books: Books, settlement: Settlement, spoil: Callable[[UsageRecorded], UsageRecorded], why: str
) -> None:
    account = await books.account(100)
    bad = spoil(usage_event(account, 1))
    batch = [
        envelope(usage_event(account, 10), bad, usage_event(account, 20)),
        envelope(usage_event(account, 30)),
    ]

    assert (await settlement.apply(batch)).applied == 3
    assert await settlement.apply(batch) == Settled(applied=0, duplicates=3)

    assert (await books.state(account)).spent_microtokens == 60
    [letter] = await books.dead_letters()
    assert letter.event_id == bad.event_id
    assert why in letter.error
    assert letter.payload["provider"] == "openai"


@pytest.mark.parametrize("field", ["first_content_ms", "total_ms"])
@pytest.mark.parametrize("value", [10**12, -(10**12)])
async def test_a_duration_beyond_belief_does_not_keep_a_charge_away(
    books: Books, settlement: Settlement, field: str, value: int
) -> None:
    account = await books.account(100)

    settled = await settlement.apply([envelope(usage_event(account, 10, **{field: value}))])

    assert settled == Settled(applied=1, duplicates=0)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\0\xfe",
        b"\\u0000",
        b"{}",
        b"[1]",
        b'{"type":"usage.recorded.v2"}',
        b'{"type":"usage\\u0000"}',
        b'{"type":"usage.recorded.v1","more":' + b"[" * 100_000,
    ],
    ids=["empty", "bytes", "escape", "no type", "array", "version", "zero in the type", "deep"],
)
async def test_what_is_no_envelope_is_buried_whole(
    books: Books, settlement: Settlement, payload: bytes
) -> None:
    account = await books.account(100)

    settled = await settlement.apply([payload, envelope(usage_event(account, 10))])

    assert settled == Settled(applied=1, duplicates=0)
    [letter] = await books.dead_letters()
    assert letter.event_id is None
    assert letter.payload == payload.decode("utf-8", "replace").replace("\0", "\ufffd")


async def test_an_event_that_cannot_be_read_does_not_take_its_envelope_along(
    books: Books, settlement: Settlement
) -> None:
    """A router of tomorrow may know outcomes that this billing does not."""
    account = await books.account(100)
    good, odd = usage_event(account, 10), usage_event(account, 20)
    payload = envelope(good, odd, usage_event(account, 30))
    document = msgspec.json.decode(payload)
    document["events"][1]["outcome"] = 99

    settled = await settlement.apply([msgspec.json.encode(document)])

    assert settled == Settled(applied=2, duplicates=0)
    [letter] = await books.dead_letters()
    assert "99" in letter.error
    assert str(odd.event_id) in letter.payload


async def test_a_charge_keeps_the_price_it_names(books: Books, settlement: Settlement) -> None:
    """A newer version neither changes what was charged nor what an older event will be charged."""
    account, model = await books.account(10_000), f"model-{uuid7().hex}"
    first = await _price(books, model, output=2)
    old, late = (
        usage_event(account, 0, billed_model=model, price_version=first, usage=Usage(output=100))
        for _ in range(2)
    )
    await settlement.apply([envelope(old)])
    second = await _price(books, model, output=50)
    new = msgspec.structs.replace(old, event_id=uuid7(), price_version=second)

    await settlement.apply([envelope(late, new)])

    assert (first, second) == (1, 2)
    assert await _charged(books, old.event_id) == 200
    assert await _charged(books, late.event_id) == 200
    assert await _charged(books, new.event_id) == 5000


async def test_every_kind_of_token_has_its_own_price(books: Books, settlement: Settlement) -> None:
    account = await books.account(10_000)
    used = Usage(
        input=1, output=10, cache_read=100, cache_write_5m=200, cache_write_1h=300, reasoning=400
    )
    event = usage_event(account, 0, usage=used)

    await settlement.apply([envelope(event)])

    assert await _charged(books, event.event_id) == 1 + 20 + 300 + 1000 + 2100 + 4400


async def test_a_locked_account_is_waited_for_not_buried(
    books: Books, settlement: Settlement
) -> None:
    """What the database cannot do now it may do later: nothing is acknowledged, nothing is set aside."""
    account = await books.account(100)
    batch = [envelope(usage_event(account, 10))]
    async with transaction(books.database) as tx:
        await tx.execute(text("SELECT 1 FROM account WHERE id = :id FOR UPDATE"), {"id": account})
        with pytest.raises(DBAPIError, match="lock timeout"):
            await settlement.apply(batch)

    assert await books.dead_letters() == []
    assert await settlement.apply(batch) == Settled(applied=1, duplicates=0)


async def test_the_same_batch_in_many_hands_is_charged_once(books: Books) -> None:
    """Several consumers get the same delivery, in whatever order its envelopes come."""
    account, other = await books.account(1000), await books.account(1000)
    batch = [envelope(usage_event(account, 1), usage_event(other, 1)) for _ in range(20)]
    consumers = [Settlement(books.database, PriceBook(books.database)) for _ in range(6)]

    settled = await asyncio.gather(
        *(
            consumer.apply(batch if number % 2 else batch[::-1])
            for number, consumer in enumerate(consumers)
        )
    )

    assert sum(one.applied for one in settled) == 40
    assert (await books.state(account)).spent_microtokens == 20
    assert (await books.state(other)).spent_microtokens == 20


async def _price(books: Books, model: str, *, output: int) -> int:
    async with transaction(books.database) as tx:
        return await put_multipliers(tx, model, msgspec.structs.replace(UNIT_PRICE, output=output))


async def _charged(books: Books, event_id: UUID) -> int:
    return await books.value(
        "SELECT charge_utok FROM usage_event WHERE event_id = :id", id=event_id
    )


class TestOwnKeys:
    async def test_they_are_counted_once_and_charged_never(
        self, books: Books, settlement: Settlement
    ) -> None:
        account = await books.account(100)
        own = usage_event(account, 40, own_key=True, usage=Usage(input=40, cache_read=2, output=3))

        first = await settlement.apply([envelope(own, usage_event(account, 7), own)])
        again = await settlement.apply([envelope(own)])

        assert (first, again) == (
            Settled(applied=2, duplicates=1),
            Settled(applied=0, duplicates=1),
        )
        assert (await books.state(account)).spent_microtokens == 7
        assert await books.rows(
            "SELECT input_tok, cached_tok, output_tok FROM own_key_usage WHERE account_id = :account",
            account=account,
        ) == [(40, 2, 3)]

    async def test_an_account_that_never_bought_anything_may_use_them(
        self, books: Books, settlement: Settlement
    ) -> None:
        assert (await settlement.apply([envelope(usage_event(uuid7(), 40, own_key=True))])).applied

        assert await books.dead_letters() == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"usage": Usage(output=-1)},
            {"usage": Usage(input=10**30)},
            {"provider": "a\0b"},
            {"doubt": "token counts out of range: too much"},
        ],
    )
    async def test_one_that_cannot_be_counted_keeps_no_other_away(
        self, wrong: dict[str, object], books: Books, settlement: Settlement
    ) -> None:
        account = await books.account(100)
        bad = usage_event(account, 40, own_key=True, **wrong)

        settled = await settlement.apply([envelope(bad, usage_event(account, 7))])

        assert settled.applied == 1
        assert (await books.state(account)).spent_microtokens == 7
        assert len(await books.dead_letters()) == 1

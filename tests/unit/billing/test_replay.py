"""What was buried can be settled once its reason is gone, once, and tried before."""

import msgspec
import pytest

from aibridge_billing.metering.replay import Replayed, replay_dead_letters
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.pricing.store import put_multipliers
from aibridge_common.db.engine import transaction
from aibridge_common.ids import uuid7
from tests.fixtures.books import UNIT_PRICE, Books, envelope, usage_event

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def nothing_is_buried_yet(books: Books) -> None:
    await books.rows("DELETE FROM usage_dead_letter RETURNING 1")


async def replay(
    books: Books, *, dry_run: bool = False, accept_doubtful: bool = False
) -> list[Replayed]:
    return await replay_dead_letters(
        books.database,
        PriceBook(books.database),
        dry_run=dry_run,
        accept_doubtful=accept_doubtful,
    )


async def bury(books: Books, payload: bytes) -> None:
    await Settlement(books.database, PriceBook(books.database)).apply([payload])


async def price(books: Books, model: str) -> None:
    async with transaction(books.database) as tx:
        await put_multipliers(tx, model, UNIT_PRICE)


async def test_a_price_that_came_late_settles_it_once(books: Books) -> None:
    account, model = await books.account(100), f"model-{uuid7().hex}"
    event = usage_event(account, 10, billed_model=model)
    await bury(books, envelope(event))
    [refused] = await replay(books)
    await price(books, model)

    [settled] = await replay(books)

    assert refused.refused == f"{model} has no price version 1"
    assert (settled.event_id, settled.charge_microtokens) == (event.event_id, 10)
    assert settled.refused is None
    assert await replay(books) == []
    assert (await books.state(account)).spent_microtokens == 10


async def test_a_dry_run_says_the_same_and_changes_nothing(books: Books) -> None:
    account, model = await books.account(100), f"model-{uuid7().hex}"
    await bury(books, envelope(usage_event(account, 10, billed_model=model)))
    await price(books, model)

    tried = await replay(books, dry_run=True)

    assert (await books.state(account)).spent_microtokens == 0
    assert await replay(books) == tried
    assert (await books.state(account)).spent_microtokens == 10


async def test_one_that_was_charged_meanwhile_is_a_duplicate(books: Books) -> None:
    account, model = await books.account(100), f"model-{uuid7().hex}"
    event = usage_event(account, 10, billed_model=model)
    await bury(books, envelope(event))
    await price(books, model)
    await bury(books, envelope(event))

    [letter] = await replay(books)

    assert letter.is_duplicate
    assert (await books.state(account)).spent_microtokens == 10


async def test_counts_that_were_not_believed_are_charged_only_when_somebody_says_so(
    books: Books,
) -> None:
    account = await books.account(100)
    await bury(books, envelope(usage_event(account, 10, doubt="more than its context")))
    [refused] = await replay(books)
    [settled] = await replay(books, accept_doubtful=True)

    assert refused.refused == "more than its context"
    assert (settled.charge_microtokens, settled.refused) == (10, None)
    assert (await books.state(account)).spent_microtokens == 10


async def test_a_rule_of_the_ledger_still_refuses(books: Books) -> None:
    event = usage_event(uuid7(), 10)
    await bury(books, envelope(event))

    [letter] = await replay(books)

    assert "an account that does not exist" in str(letter.refused)
    assert await replay(books, dry_run=True) == [letter]


async def test_text_that_could_not_be_read_is_read_again(books: Books) -> None:
    """A newer billing may know what an older one did not."""
    account = await books.account(100)
    document = msgspec.json.decode(envelope(usage_event(account, 10)))
    document["events"][0]["outcome"] = 99
    await bury(books, msgspec.json.encode(document))
    [unreadable] = await replay(books)
    await books.rows(
        "UPDATE usage_dead_letter SET payload = to_jsonb(replace(payload #>> '{}', '\\:99', '\\:1')) RETURNING 1"
    )

    [letter] = await replay(books)

    assert str(unreadable.refused).startswith("cannot be read")
    assert letter.refused is None
    assert (await books.state(account)).spent_microtokens == 10

"""The typed client of billing against billing itself."""

from collections.abc import AsyncIterator

import httpx
import pytest

from aibridge_billing.metering.applied import Numbers, note_applied
from aibridge_common.clients.billing import BillingClient
from aibridge_common.contracts.billing import (
    AcquireLease,
    AppliedRange,
    Balance,
    ExtendLease,
    Lease,
    SpoolApplied,
    SpoolEpoch,
    UsagePage,
)
from aibridge_common.db.engine import transaction
from aibridge_common.errors import (
    AIBridgeError,
    Conflict,
    InsufficientBalance,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from aibridge_common.ids import public_request_id, uuid7
from aibridge_common.settings import Secret
from tests.fixtures.books import UNIT_MODEL, UNIT_PRICE, Books, charge
from tests.fixtures.services import TOKEN, running_billing

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def address(billing_url: str, clean_stream: str) -> AsyncIterator[str]:
    async with running_billing(billing_url, clean_stream) as url:
        yield url


@pytest.fixture
async def billing(address: str) -> AsyncIterator[BillingClient]:
    async with BillingClient(address, Secret(TOKEN)) as client:
        yield client


def command(account: object, **changes: object) -> AcquireLease:
    values = {
        "lease_id": uuid7(),
        "account_id": account,
        "holder": "router/1",
        "want_microtokens": "60",
        "min_microtokens": "10",
    }
    return AcquireLease(**(values | changes))  # pyright: ignore[reportArgumentType]


async def test_rate_cards(billing: BillingClient) -> None:
    [card] = await billing.rate_cards()

    assert (card.model, card.version, card.multipliers) == (UNIT_MODEL, 1, UNIT_PRICE)
    assert card.valid_from.tzinfo is not None


async def test_acquire_and_release_a_lease(billing: BillingClient, books: Books) -> None:
    account = await books.account(120)
    wanted = command(account)

    lease = await billing.acquire_lease(wanted)
    assert lease == Lease(lease_id=wanted.lease_id, granted_microtokens="60", ttl_s=30)
    assert await billing.acquire_lease(wanted) == lease
    await billing.release_lease(wanted.lease_id, keep_microtokens=20)
    assert (await billing.balance(account)).reserved_microtokens == "20"
    await billing.release_lease(wanted.lease_id)
    await billing.release_lease(uuid7())
    assert (await billing.balance(account)).reserved_microtokens == "0"


async def test_a_lease_grows_for_a_stream_that_runs_on(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(120)
    wanted = command(account)
    await billing.acquire_lease(wanted)
    more = ExtendLease(account_id=account, granted_microtokens="100", min_microtokens="90")

    for _ in range(2):  # safe to send again
        lease = await billing.extend_lease(wanted.lease_id, more)
        assert lease == Lease(lease_id=wanted.lease_id, granted_microtokens="100", ttl_s=30)
    await billing.release_lease(wanted.lease_id, keep_microtokens=20, granted_microtokens=60)
    assert (await billing.balance(account)).reserved_microtokens == "60"
    rest = ExtendLease(account_id=account, granted_microtokens="300", min_microtokens="101")
    lease = await billing.extend_lease(wanted.lease_id, rest)
    assert lease.granted_microtokens == "160"
    assert (await billing.balance(account)).spendable_microtokens == "0"


async def test_a_lease_does_not_grow_beyond_the_balance(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(120)
    wanted = command(account)
    await billing.acquire_lease(wanted)
    await books.lease(account, 50)

    def to(total: int) -> ExtendLease:
        return ExtendLease(
            account_id=account, granted_microtokens=str(total), min_microtokens=str(total)
        )

    with pytest.raises(InsufficientBalance) as held:
        await billing.extend_lease(wanted.lease_id, to(100))
    with pytest.raises(InsufficientBalance) as too_small:
        await billing.extend_lease(wanted.lease_id, to(190))
    assert (held.value.retry_after_s, too_small.value.retry_after_s) == (2, None)

    await billing.release_lease(wanted.lease_id)
    with pytest.raises(Conflict):
        await billing.extend_lease(wanted.lease_id, to(100))
    with pytest.raises(InvalidRequest) as wrong:
        await billing.extend_lease(
            wanted.lease_id,
            ExtendLease(account_id=account, granted_microtokens="1", min_microtokens="2"),
        )
    assert wrong.value.param == "min_microtokens"


async def test_one_request_may_have_all_that_is_free(billing: BillingClient, books: Books) -> None:
    account = await books.account(100)
    await books.lease(account, 60)
    hold = await billing.acquire_lease(
        command(account, want_microtokens="90", for_one=True, request_waits=True)
    )

    assert (hold.granted_microtokens, hold.one_request) == ("40", True)


async def test_what_of_a_routers_usage_is_committed(billing: BillingClient, books: Books) -> None:
    router = "router-1"
    async with transaction(books.database) as tx:
        await note_applied(
            tx,
            [
                Numbers(router=router, epoch=epoch, first=first, last=last)
                for epoch, first, last in ((7, 1, 2), (7, 4, 5), (2**62, 1, 1))
            ],
        )

    newest = SpoolEpoch(epoch=2**62, applied=[AppliedRange(first=1, last=1)])
    assert await billing.spool(router) == SpoolApplied(
        router=router,
        epochs=[
            SpoolEpoch(
                epoch=7, applied=[AppliedRange(first=1, last=2), AppliedRange(first=4, last=5)]
            ),
            newest,
        ],
    )
    assert (await billing.spool(router, epoch_min=8)).epochs == [newest]
    assert (await billing.spool("nobody")).epochs == []


async def test_a_lease_beyond_the_balance_is_refused_as_such(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(9)

    with pytest.raises(InsufficientBalance) as refusal:
        await billing.acquire_lease(command(account))

    assert (refusal.value.status, refusal.value.code) == (402, "insufficient_balance")


async def test_half_of_a_workers_share_stays_for_the_others(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(100)

    first = await billing.acquire_lease(command(account, want_microtokens="90", holder="router-0"))
    second = await billing.acquire_lease(command(account, want_microtokens="90", holder="router-1"))

    assert [lease.granted_microtokens for lease in (first, second)] == ["50", "12"]


async def test_where_a_lease_is_too_much_a_waiting_request_gets_its_hold(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(30)
    await billing.acquire_lease(command(account, want_microtokens="15", holder="router-0"))
    with pytest.raises(InsufficientBalance) as refusal:
        await billing.acquire_lease(command(account, holder="router-1"))
    assert refusal.value.retry_after_s == 2

    wanted = command(account, holder="router-1", request_waits=True)
    hold = await billing.acquire_lease(wanted)

    assert (hold.granted_microtokens, hold.one_request) == ("10", True)
    assert await billing.acquire_lease(wanted) == hold
    await books.settle(charge(account, 4, lease_id=hold.lease_id))
    assert (await billing.balance(account)).reserved_microtokens == "15"


async def test_what_was_given_back_is_not_granted_again(
    billing: BillingClient, books: Books
) -> None:
    wanted = command(await books.account(100))
    await billing.acquire_lease(wanted)
    await billing.release_lease(wanted.lease_id)

    with pytest.raises(Conflict):
        await billing.acquire_lease(wanted)


async def test_only_tokens_that_are_held_are_worth_waiting_for(
    billing: BillingClient, books: Books
) -> None:
    account = await books.account(20)
    await books.lease(account, 15)
    with pytest.raises(InsufficientBalance) as held:
        await billing.acquire_lease(command(account, request_waits=True))
    with pytest.raises(InsufficientBalance) as too_small:
        await billing.acquire_lease(command(account, min_microtokens="21", request_waits=True))

    assert (held.value.retry_after_s, too_small.value.retry_after_s) == (2, None)


async def test_a_wrong_field_is_refused_by_name(billing: BillingClient) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await billing.acquire_lease(command(uuid7(), min_microtokens="61"))

    assert refusal.value.param == "min_microtokens"


async def test_balance(billing: BillingClient, books: Books) -> None:
    account, nobody = await books.account(3_500_000), uuid7()
    await books.settle(charge(account, 4_000_000))

    assert await billing.balance(account) == Balance(
        account_id=account, spent_microtokens="4000000", debt_microtokens="500000"
    )
    assert await billing.balance(nobody) == Balance(account_id=nobody)


async def test_usage_page_by_page(billing: BillingClient, books: Books) -> None:
    account = await books.account(100)
    charges = [charge(account, number) for number in (1, 2, 3)]
    await books.settle(*charges)
    newest_first = sorted((each.event.event_id for each in charges), reverse=True)

    first = await billing.usage(account, limit=2)
    second = await billing.usage(account, limit=2, cursor=first.next)

    found = [row.request_id for row in first.rows + second.rows]
    assert found == [public_request_id(event_id) for event_id in newest_first]
    assert second.next is None
    assert await billing.usage(uuid7()) == UsagePage(rows=[])


async def test_receipts_page_by_page_and_by_request(billing: BillingClient, books: Books) -> None:
    account = await books.account(100)
    charges = [charge(account, number) for number in (1, 2, 3)]
    for each in charges:
        await books.settle(each)

    first = await billing.receipts(account, limit=2)
    second = await billing.receipts(account, limit=2, cursor=first.next)
    one = await billing.request_receipts(account, charges[1].event.event_id)

    assert [row.seq for row in first.receipts + second.receipts] == ["1", "2", "3"]
    assert second.next is None
    assert one.receipts == first.receipts[1:]
    with pytest.raises(NotFound):
        await billing.request_receipts(uuid7(), charges[1].event.event_id)


@pytest.mark.parametrize(
    ("query", "param"), [({"cursor": "mine"}, "cursor"), ({"limit": 0}, "limit")]
)
async def test_a_wrong_query_is_refused_by_name(
    billing: BillingClient, query: dict[str, int | str], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await billing.usage(uuid7(), **query)  # pyright: ignore[reportArgumentType]

    assert refusal.value.param == param


async def test_a_wrong_token_is_our_trouble_not_the_customers(address: str) -> None:
    """It must never reach a customer as a fault of the request."""
    async with BillingClient(address, Secret("some-other-token")) as client:
        with pytest.raises(AIBridgeError) as refusal:
            await client.rate_cards()

    assert refusal.value.status >= 500


async def test_billing_that_is_away_is_unavailable() -> None:
    async with BillingClient("unix:/nowhere/at/all", Secret(TOKEN)) as client:
        with pytest.raises(Unavailable, match="ConnectError"):
            await client.balance(uuid7())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(500, text="oops"), Unavailable),
        (httpx.Response(503, json={"detail": "soon", "code": "unavailable"}), Unavailable),
        (httpx.Response(502, json={"code": "of tomorrow"}), Unavailable),
        (httpx.Response(418, text="teapot"), AIBridgeError),
        (httpx.Response(200, text="<html>"), Unavailable),
        (httpx.Response(200, json={"rows": 1}), Unavailable),
    ],
)
async def test_an_odd_answer_is_one_of_our_errors(
    answer: httpx.Response, kind: type[AIBridgeError]
) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    async with BillingClient("http://billing", Secret(TOKEN), transport=transport) as client:
        with pytest.raises(kind):
            await client.usage(uuid7())


async def test_when_to_come_again_is_passed_on() -> None:
    answer = httpx.Response(429, headers={"retry-after": "7"}, json={"code": "rate_limited"})
    transport = httpx.MockTransport(lambda _: answer)
    async with BillingClient("http://billing", Secret(TOKEN), transport=transport) as client:
        with pytest.raises(AIBridgeError) as refusal:
            await client.rate_cards()

    assert (refusal.value.code, refusal.value.retry_after_s) == ("rate_limited", 7)

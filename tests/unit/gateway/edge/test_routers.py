"""An account keeps its router; who leaves or comes moves only its own accounts."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aibridge_gateway.edge.routers import AVOIDED_S, Routers

URLS = [f"http://router-{number}.router-pods:3003" for number in range(4)]
ACCOUNTS = [UUID(int=number << 64) for number in range(2000)]


def first(routers: Routers, account: UUID, now_s: float = 0.0) -> int:
    return routers.order(now_s, account)[0]


class TestRendezvous:
    def test_every_gateway_chooses_alike(self) -> None:
        assert [Routers(URLS).order(0, each) for each in ACCOUNTS] == [
            Routers(URLS).order(99, each) for each in ACCOUNTS
        ]

    def test_the_order_of_the_setting_does_not_matter(self) -> None:
        turned = URLS[::-1]

        for account in ACCOUNTS[:100]:
            assert URLS[first(Routers(URLS), account)] == turned[first(Routers(turned), account)]

    def test_accounts_are_spread_evenly(self) -> None:
        counts = Counter(first(Routers(URLS), account) for account in ACCOUNTS)

        assert all(400 < counts[place] < 600 for place in range(4))

    def test_one_that_is_gone_moves_only_its_own_accounts(self) -> None:
        fewer = Routers(URLS[:3])
        all_four = Routers(URLS)

        for account in ACCOUNTS[:300]:
            before = first(all_four, account)

            assert before == 3 or first(fewer, account) == before

    def test_a_single_router_costs_nothing(self) -> None:
        alone = Routers(URLS[:1])
        alone.avoid(0, 0)

        assert alone.order(0, ACCOUNTS[0]) is alone.order(1, ACCOUNTS[1])
        assert list(alone.order(0, ACCOUNTS[0])) == [0]


class TestAvoiding:
    def test_the_next_in_the_accounts_order_takes_over(self) -> None:
        routers, account = Routers(URLS), ACCOUNTS[7]
        own, second, *rest = routers.order(0, account)
        routers.avoid(0, own)

        assert list(routers.order(AVOIDED_S - 0.1, account)) == [second, *rest, own]

    def test_after_a_while_one_request_tries_it_again(self) -> None:
        routers, account = Routers(URLS), ACCOUNTS[7]
        own = first(routers, account)
        routers.avoid(0, own)

        assert first(routers, account, AVOIDED_S) == own
        assert first(routers, account, AVOIDED_S) != own
        assert first(routers, account, 2 * AVOIDED_S) == own

    def test_one_that_answers_has_its_accounts_back(self) -> None:
        routers, account = Routers(URLS), ACCOUNTS[7]
        own = first(routers, account)
        routers.avoid(0, own)
        routers.answered(own)

        assert first(routers, account) == own

    @given(st.sets(st.integers(0, 3)), st.sampled_from(ACCOUNTS), st.floats(0, 20))
    def test_nobody_is_left_out(self, avoided: set[int], account: UUID, now_s: float) -> None:
        """When nobody seems to be up, the account's own is still asked."""
        routers = Routers(URLS)
        for place in avoided:
            routers.avoid(0, place)
        order = routers.order(now_s, account)

        assert sorted(order) == [0, 1, 2, 3]
        assert len(avoided) < 4 or order[0] == first(Routers(URLS), account)

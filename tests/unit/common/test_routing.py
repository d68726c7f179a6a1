"""Account and key together, as the table in docs/guide/clients.md says."""

from itertools import product

import pytest

from aibridge_common.routing import KeyRouting, RoutingOptions, for_key

SAID = [None, True, False]


@pytest.mark.parametrize(("account", "key"), list(product([True, False], SAID)))
def test_failover_is_on_unless_somebody_refused_it(account: bool, key: bool | None) -> None:
    options = for_key(RoutingOptions(failover=account), KeyRouting(failover=key))

    assert options.failover == (account and key is not False)


@pytest.mark.parametrize("option", ["continuation", "larger_context"])
@pytest.mark.parametrize(("account", "key"), list(product([True, False], SAID)))
def test_for_an_opt_in_the_keys_word_counts_before_the_accounts(
    option: str, account: bool, key: bool | None
) -> None:
    options = for_key(RoutingOptions(**{option: account}), KeyRouting(**{option: key}))

    assert getattr(options, option) == (account if key is None else key)


def test_where_nobody_said_anything_the_defaults_hold() -> None:
    assert for_key(RoutingOptions(), KeyRouting()) == RoutingOptions()

"""Who asks is who connects, unless a proxy of ours says for whom."""

import pytest

from aibridge_common.errors import Forbidden
from aibridge_common.limits import KeyLimits
from aibridge_gateway.edge.addresses import ClientAddresses

PROXIES = "10.0.0.0/8, 2001:db8:ffff::/48"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("2001:db8:ffff::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, nonsense"], None),
        (None, ["192.0.2.1"], None),
    ],
)
def test_an_address_is_believed_as_far_as_our_proxies_wrote_it(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]

    found = ClientAddresses(PROXIES).of(peer, headers)

    assert found == expected if expected is None else str(found) == expected


def test_without_proxies_of_ours_nothing_that_is_said_counts() -> None:
    found = ClientAddresses().of("10.0.0.1", [(b"x-forwarded-for", b"198.51.100.1")])

    assert str(found) == "10.0.0.1"


def test_a_mistake_among_the_proxies_ends_the_start() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0"):
        ClientAddresses("10.0.0")


def test_a_key_is_refused_outside_its_networks() -> None:
    addresses = ClientAddresses()
    limits = KeyLimits(ip_ranges=("203.0.113.0/24", "2001:db8::/32"))
    for inside in ("203.0.113.200", "2001:db8::5", "::ffff:203.0.113.1"):
        addresses.check(limits, (inside, 1), ())
    for outside in ("203.0.114.1", "::1"):
        with pytest.raises(Forbidden, match=outside):
            addresses.check(limits, (outside, 1), ())
    with pytest.raises(Forbidden, match="unknown address"):
        addresses.check(limits, None, ())


def test_a_key_without_networks_may_be_used_from_anywhere() -> None:
    ClientAddresses().check(None, None, ())
    ClientAddresses().check(KeyLimits(requests_per_minute=1), None, ())

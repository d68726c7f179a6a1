"""What one key is limited to, as its owner set it."""

import ipaddress
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct, structs

from aibridge_common.errors import InvalidRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_Name = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[!-~]+$")]
_Range = Annotated[str, Meta(min_length=1, max_length=50)]
_Rate = Annotated[int, Meta(ge=1, le=10**9)]
_Tokens = Annotated[int, Meta(ge=1, le=10**15)]


class KeyLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None is no limit. A list that is given has at least one entry: a key that may do nothing is a revoked one."""

    models: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=100)] | None = None
    """Names of the catalogue; no other model answers, not as a stand-in either."""
    ip_ranges: Annotated[tuple[_Range, ...], Meta(min_length=1, max_length=100)] | None = None
    """Addresses and networks in CIDR notation from which the key may be used."""
    requests_per_minute: _Rate | None = None
    tokens_per_minute: _Rate | None = None
    """Of all kinds, as providers count them."""
    spend_per_day_tokens: _Tokens | None = None
    """Charged tokens of a day in UTC."""
    spend_per_month_tokens: _Tokens | None = None
    """Charged tokens of a month in UTC."""
    expires_at: datetime | None = None


NO_LIMITS = KeyLimits()


def checked(limits: KeyLimits, now: datetime) -> KeyLimits:
    """The same with its networks written out. Raises `InvalidRequest`."""
    if limits.expires_at is not None:
        if limits.expires_at.tzinfo is None:
            raise InvalidRequest("say the time zone, such as Z", param="limits.expires_at")
        if limits.expires_at <= now:
            raise InvalidRequest("this time has passed", param="limits.expires_at")
    if limits.ip_ranges is None:
        return limits
    try:
        ranges = tuple(str(network) for network in networks(limits.ip_ranges))
    except ValueError as error:
        raise InvalidRequest(str(error), param="limits.ip_ranges") from None
    return structs.replace(limits, ip_ranges=ranges)


@lru_cache(maxsize=4096)
def networks(ranges: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks in CIDR notation, parsed. Raises `ValueError`."""
    return tuple(ipaddress.ip_network(one.strip(), strict=False) for one in ranges)

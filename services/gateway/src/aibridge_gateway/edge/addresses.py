"""From where a request really comes, where proxies stand before the gateway. Pure."""

import ipaddress
from collections.abc import Iterable

from aibridge_common.errors import Forbidden
from aibridge_common.limits import Address, KeyLimits, Network, networks

_FORWARDED_FOR = b"x-forwarded-for"


class ClientAddresses:
    """Believes `X-Forwarded-For` only as far as proxies of our own wrote it."""

    def __init__(self, trusted_proxies: str = "") -> None:
        """`trusted_proxies` are addresses and networks, separated by commas. Raises `ValueError`."""
        said = tuple(one.strip() for one in trusted_proxies.split(",") if one.strip())
        self._trusted: tuple[Network, ...] = networks(said)

    def of(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> Address | None:
        """The nearest address that is no proxy of ours; None where nobody says, or what is said is no address."""
        address = _parsed(peer or "")
        if not self._is_proxy(address):
            return address
        chain = b",".join(value for name, value in headers if name == _FORWARDED_FOR)
        for hop in reversed(chain.decode("latin-1").split(",")):
            if not hop.strip():
                continue
            address = _parsed(hop.strip())
            if not self._is_proxy(address):
                return address
        return address

    def check(
        self,
        limits: KeyLimits | None,
        client: tuple[str, int] | None,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Raises `Forbidden` where a key is limited to networks and `client`, who connects, asks from elsewhere."""
        if limits is None or limits.ip_ranges is None:
            return
        address = self.of(client[0] if client else None, headers)
        if address is None or not any(address in one for one in networks(limits.ip_ranges)):
            raise Forbidden(f"this key may not be used from {address or 'an unknown address'}")

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parsed(said: str) -> Address | None:
    """An address as proxies write it: with a port by some, in brackets by others."""
    if said.startswith("["):
        said = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        said = said.partition(":")[0]
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

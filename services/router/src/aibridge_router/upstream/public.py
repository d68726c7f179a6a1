"""Which addresses anyone may reach: others choose where we connect to, and must not reach our own network by it."""

import asyncio
import ipaddress
import socket

from aibridge_common.transport import Origin

_EMBEDDED_V4 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether the address is reachable by anyone, and does not wrap one that is not."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _EMBEDDED_V4):
            return False
    return address.is_global and not address.is_multicast


async def addresses_of(origin: Origin) -> list[Address]:
    """Every address its name has now. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            origin.host, origin.port, type=socket.SOCK_STREAM
        )
    except UnicodeError as error:
        raise OSError(f"{origin.host} is no name of a host") from error
    return [ipaddress.ip_address(entry[4][0]) for entry in found]

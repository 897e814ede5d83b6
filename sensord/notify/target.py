"""Where a webhook may go: its host is resolved once an attempt and judged, and we connect to what was judged.

A configured or rostered address must not turn the daemon into a way into the network that it stands in.
Addresses that are not global (loopback, private, link-local, reserved, multicast) are refused unless the
configuration lists the host. Resolving once and connecting to that very address leaves no room for a name
that answers differently the second time (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from sensord.errors import DeliveryError

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that embed an IPv4 address for translators: RFC 6052, section 2.1."""


async def resolve(host: str, port: int, allow: tuple[str, ...]) -> list[str]:
    """Return the addresses to connect to, in the resolver's order.

    Raises ``DeliveryError`` when the name does not resolve, or an address is internal and neither ``host`` nor
    ``host:port`` is in ``allow``. Both are retryable: for a while a portal may answer every name with its own address.
    """
    addresses = [host] if _is_literal(host) else await _look_up(host, port)
    if not {host, f"{host}:{port}"} & {entry.lower() for entry in allow}:
        for address in addresses:
            if is_internal(address):
                advice = f"if it is meant, add {host}:{port} to the channel's allow list"
                raise DeliveryError(f"{host} is at internal address {address}; {advice}")
    return addresses


async def _look_up(host: str, port: int) -> list[str]:
    """Ask the resolver, on a thread of the part that asks (``bulkheads.py``)."""
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"host {host} does not resolve: check the url and this machine's DNS") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _is_literal(host: str) -> bool:
    """Whether it is an address already: then it must not wait for a resolver that does not answer."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_internal(address: str) -> bool:
    """Say whether an address is not a global unicast one; an embedded IPv4 address is what counts."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        parsed = _embedded(parsed) or parsed
    return not parsed.is_global or parsed.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour

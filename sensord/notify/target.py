"""Where a webhook may go: its host is resolved once an attempt and judged, and we connect to what was judged.

A configured or rostered address must not turn the daemon into a way into the network that it stands in.
Addresses that are not global (loopback, private, link-local, reserved, multicast) are refused unless the
configuration lists the host. Resolving once and connecting to that very address leaves no room for a name
that answers differently the second time (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket

from sensord.config.reach import is_allowed, is_internal, is_literal
from sensord.errors import DeliveryError


async def resolve(host: str, port: int, allow: tuple[str, ...]) -> list[str]:
    """Return the addresses to connect to, in the resolver's order.

    Raises ``DeliveryError`` when the name does not resolve, or an address is internal and neither ``host`` nor
    ``host:port`` is in ``allow``. Both are retryable: for a while a portal may answer every name with its own address.
    """
    addresses = [host] if is_literal(host) else await _look_up(host, port)
    if not is_allowed(host, port, allow):
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

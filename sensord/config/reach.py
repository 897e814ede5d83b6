"""Which addresses a channel may call: those that are not global only when its ``allow`` lists the host.

Pure: nothing is resolved here (``notify/target.py`` does that when a message is sent).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that embed an IPv4 address for translators: RFC 6052, section 2.1."""
_UNICAST = IPv6Network("2000::/3")
"""All that is assigned as global (IANA, IPv6 address space). Outside lie fec0::/10, which houses still use, the local
translators' 64:ff9b:1::/48 (RFC 8215), and IPv4 addresses in forms of old."""
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Special in IANA's registries, and global to some versions of Python (RFC 6890, 7526, 9637)."""


def host_and_port(url: str) -> tuple[str, int]:
    """Where the address of an HTTP server leads; the host is in small letters, an IPv6 address without brackets."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def is_allowed(host: str, port: int, allow: Iterable[str]) -> bool:
    """Whether a list has ``host`` or ``host:port``: then it may be internal."""
    return bool({host, f"{host}:{port}"} & {entry.lower() for entry in allow})


def is_literal(host: str) -> bool:
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
    special = any(parsed in network for network in _SPECIAL) or (parsed.version == 6 and parsed not in _UNICAST)
    return special or not parsed.is_global or parsed.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour

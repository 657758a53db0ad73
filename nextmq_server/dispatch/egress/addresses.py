"""Which IP addresses are public. The list is explicit: what `ipaddress` calls global differs between Pythons."""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IPAddress: t.TypeAlias = IPv4Address | IPv6Address
IPNetwork: t.TypeAlias = IPv4Network | IPv6Network

# IANA's special-purpose registries, widened where they list single networks of a range that the public internet
# does not use. Global unicast is 2000::/3, so the rest of IPv6 is reserved.
_REASONS = {
    "unspecified": "0.0.0.0/8 ::/128",
    "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
    "shared by a carrier's customers": "100.64.0.0/10",
    "loopback": "127.0.0.0/8 ::1/128",
    "a cloud's own": "168.63.129.16/32",  # Azure's host; the metadata of other clouds is in other networks here
    "link-local": "169.254.0.0/16 fe80::/10",
    "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    "for benchmarks": "198.18.0.0/15 2001:2::/48",
    "of a 6to4 relay": "192.88.99.0/24",
    "of 6to4": "2002::/16",
    "of Teredo": "2001::/32",
    "of ORCHID": "2001:10::/28 2001:20::/28",
    "of NAT64": "64:ff9b::/96 64:ff9b:1::/48",
    "of SRv6": "5f00::/16",
    "an IPv4 address in IPv6": "::ffff:0:0/96 ::ffff:0:0:0/96 ::/96",
    "discarded": "100::/64",
    "multicast": "224.0.0.0/4 ff00::/8",
    "broadcast": "255.255.255.255/32",
    "reserved": "192.0.0.0/24 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24 240.0.0.0/4 "
    "2001::/23 ::/3 4000::/2 8000::/1",
}

# The smallest network that contains an address comes first.
_BLOCKED: list[tuple[IPNetwork, str]] = sorted(
    ((ip_network(network), reason) for reason, networks in _REASONS.items() for network in networks.split()),
    key=lambda blocked: -blocked[0].prefixlen,
)

# These carry an IPv4 address in the last 32 bits. 64:ff9b:1::/48 may carry it elsewhere, but whoever routes that
# network also chose where.
_CARRIERS = [network for network, reason in _BLOCKED if reason in ("an IPv4 address in IPv6", "of NAT64")]


def blocked_network(address: IPAddress) -> tuple[IPNetwork, str] | None:
    """Return the network that makes `address` non-public, and the reason; None if the address is public."""
    return next(((network, reason) for network, reason in _BLOCKED if address in network), None)


def carried_addresses(address: IPAddress) -> list[IPv4Address]:
    """Return the IPv4 addresses that a packet to `address` may reach: mapped, translated, 6to4, Teredo."""
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return []
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    return [IPv4Address(int(address) & 0xFFFF_FFFF) for network in _CARRIERS if address in network]

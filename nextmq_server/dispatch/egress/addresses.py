"""Which IP addresses are public. The list is explicit: what `ipaddress` calls global differs between Pythons."""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IPAddress: t.TypeAlias = IPv4Address | IPv6Address
IPNetwork: t.TypeAlias = IPv4Network | IPv6Network

# The first network that contains an address gives the reason. These are IANA's special-purpose registries, widened
# where they list single networks of a range that the public internet does not use.
_BLOCKED: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier's customers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own"),  # Azure's host; other clouds' metadata is in a network below
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "of a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in IPv6"),
        ("::ffff:0:0:0/96", "an IPv4 address in IPv6"),
        ("::/96", "an IPv4 address in IPv6"),
        ("64:ff9b::/96", "of NAT64"),
        ("64:ff9b:1::/48", "of NAT64"),
        ("100::/64", "discarded"),
        ("2001::/32", "of Teredo"),
        ("2001:2::/48", "for benchmarks"),
        ("2001:10::/28", "of ORCHID"),
        ("2001:20::/28", "of ORCHID"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "of 6to4"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "of SRv6"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        # Global unicast is 2000::/3, so the rest is not.
        ("::/3", "reserved"),
        ("4000::/2", "reserved"),
        ("8000::/1", "reserved"),
    )
)

# These carry an IPv4 address in the last 32 bits. 64:ff9b:1::/48 may carry it elsewhere, but whoever routes that
# network also chose where.
_CARRIERS = tuple(
    IPv6Network(network)
    for network in ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")
)


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

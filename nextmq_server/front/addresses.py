"""Who calls: the address at the other end, or the one that a trusted proxy forwards."""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network: t.TypeAlias = IPv4Network | IPv6Network

_MAX_HOPS = 16  # of x-forwarded-for that are read, from the right

_OF_ONE_HOST = 64  # bits of an IPv6 address: a host has all addresses of its network


def origin(peer: str, forwarded_for: t.Iterable[bytes], trusted: t.Collection[Network]) -> str:
    """Return the address of the caller.

    That is the peer, unless it is in a trusted network: then the rightmost address of `forwarded_for`, the values
    of x-forwarded-for, that is in none. What stands left of an address that cannot be read counts for nothing.
    """
    address = _parse(peer) if trusted else None
    if address is None:
        return peer
    for hop in reversed(b",".join(forwarded_for).rsplit(b",", _MAX_HOPS)[-_MAX_HOPS:]):
        if not is_in(address, trusted):
            break
        forwarded = _parse(_without_port(hop.strip().decode("latin-1")))
        if forwarded is None:
            break
        address = forwarded
    return str(address)


def is_proxy(peer: str, trusted: t.Collection[Network]) -> bool:
    """Return whether the peer is in one of the trusted networks."""
    address = _parse(peer) if trusted else None
    return address is not None and is_in(address, trusted)


def network_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _parse(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or address)
    return str(IPv6Network((int(parsed) >> _OF_ONE_HOST << _OF_ONE_HOST, _OF_ONE_HOST)))


def is_in(address: IPv4Address | IPv6Address, networks: t.Iterable[Network]) -> bool:
    """Return whether one of the networks has the address."""
    return any(address in network for network in networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])  # without the zone of a link
    except ValueError:
        return None
    # An IPv4 peer of a socket that listens on both.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text

"""Who a caller is: from the peer, x-forwarded-for and the trusted proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.front.addresses import network_of, origin

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

CALLERS = [
    ("192.0.2.1", [], "192.0.2.1"),
    ("192.0.2.1", [b"198.51.100.1"], "192.0.2.1"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", [b""], "10.0.0.1"),
    ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", [b"198.51.100.1, 198.51.100.2"], "198.51.100.2"),
    ("10.0.0.1", [b"198.51.100.1", b"198.51.100.2"], "198.51.100.2"),
    ("10.0.0.1", [b"198.51.100.1, 10.0.0.2"], "198.51.100.1"),
    ("10.0.0.1", [b"198.51.100.1,10.0.0.2 ,\t10.0.0.3"], "198.51.100.1"),
    ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", [b"198.51.100.1:4711"], "198.51.100.1"),
    ("10.0.0.1", [b"[2001:db8::1]:4711"], "2001:db8::1"),
    ("10.0.0.1", [b"[2001:db8::1]"], "2001:db8::1"),
    ("10.0.0.1", [b"2001:db8::1"], "2001:db8::1"),
    ("fd00::1", [b"198.51.100.1"], "198.51.100.1"),
    ("::ffff:10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", [b"unknown"], "10.0.0.1"),
    ("10.0.0.1", [b"198.51.100.1, unknown"], "10.0.0.1"),
    ("10.0.0.1", [b"198.51.100.1, \xff\xfe, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", [b"198.51.100.1, 10.0.0.2," * 1000], "10.0.0.1"),
    ("", [b"198.51.100.1"], ""),
]


@pytest.mark.parametrize(("peer", "forwarded", "expected"), CALLERS)
def test_the_caller_is_the_rightmost_address_that_is_not_trusted(
    peer: str, forwarded: list[bytes], expected: str
) -> None:
    assert origin(peer, forwarded, PROXIES) == expected


@given(
    peer=st.ip_addresses().map(str),
    forwarded=st.lists(st.binary() | st.ip_addresses().map(lambda a: str(a).encode())),
)
def test_without_trusted_proxies_forwarded_addresses_are_ignored(peer: str, forwarded: list[bytes]) -> None:
    assert origin(peer, forwarded, []) == peer


@given(forwarded=st.lists(st.binary()), real=st.ip_addresses(v=4, network="198.51.100.0/24").map(str))
def test_what_a_caller_writes_left_of_its_address_changes_nothing(forwarded: list[bytes], real: str) -> None:
    assert origin("10.0.0.1", [*forwarded, real.encode()], PROXIES) == real


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_caller_is_an_ipv4_address_or_an_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network

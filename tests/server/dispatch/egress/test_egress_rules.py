"""The egress rules alone: which addresses and URLs they refuse, and with which message."""

from __future__ import annotations

import contextlib
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextmq_handler.errors import ConfigurationError
from nextmq_server.dispatch.egress.rules import EgressRefused, EgressRules, parse_network

MESSAGES = {
    "https://10.0.0.5/": "the address 10.0.0.5 is private: allow it with --allow-egress 10.0.0.0/8",
    "http://10.0.0.5/": "the address 10.0.0.5 is private: allow it with --allow-egress 10.0.0.0/8",
    "https://[fd00::5]/": "the address fd00::5 is private: allow it with --allow-egress fc00::/7",
    "http://8.8.8.8/": "the address 8.8.8.8 is public, and anyone on the way can read plain http: use https, or "
    "allow it with --allow-egress 8.8.8.8/32",
    "http://hooks.example/": "the URL must be https: use https, or allow its network with --allow-egress CIDR",
    "https://127.1/": "the URL's host is an address in an unusual form: write it like 192.0.2.1",
}


@pytest.mark.parametrize(("url", "message"), MESSAGES.items(), ids=MESSAGES)
def test_a_refused_url_is_told_why(url: str, message: str) -> None:
    with pytest.raises(EgressRefused, match=f"^{re.escape(message)}$"):
        EgressRules().check_url(url)


# Written again, so that a network that is lost from the list is noticed.
BLOCKED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "4000::/3",
    "8000::/1",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


@pytest.mark.parametrize("network", BLOCKED)
@settings(max_examples=25)
@given(data=st.data())
def test_every_address_of_a_blocked_network_is_refused(network: str, data: st.DataObject) -> None:
    address = data.draw(st.ip_addresses(network=network))
    assert is_refused(address)


@given(st.ip_addresses())
def test_what_python_does_not_call_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    assert address.is_global or is_refused(address)


@given(st.ip_addresses(v=4) | st.ip_addresses(network="2000::/3"))
def test_every_other_address_is_public(address: IPv4Address | IPv6Address) -> None:
    rest = [*BLOCKED, "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24"]
    assert is_refused(address) == any(address in ip_network(network) for network in rest)


@given(st.ip_addresses(v=4))
def test_a_nat64_that_is_allowed_opens_no_address_behind_it(address: IPv4Address) -> None:
    rules = EgressRules(allowed=[ip_network("64:ff9b::/96")])
    carrier = IPv6Address(int(IPv6Address("64:ff9b::")) | int(address))
    assert is_refused(carrier, rules) == is_refused(address)


CARRIERS = {
    "::ffff:0:0/96": "::ffff:10.0.0.5",
    "::ffff:0:0:0/96": "::ffff:0:10.0.0.5",
    "::/96": "::10.0.0.5",
    "64:ff9b:1::/48": "64:ff9b:1::10.0.0.5",
    "2002::/16": "2002:a00:5::1",
    "2001::/32": "2001:0:5db8:d70e::f5ff:fffa",
}


@pytest.mark.parametrize(("network", "address"), CARRIERS.items(), ids=CARRIERS)
def test_a_carrier_that_is_allowed_opens_no_private_address(network: str, address: str) -> None:
    with pytest.raises(EgressRefused, match=r"carries 10\.0\.0\.5, which is private"):
        EgressRules(allowed=[ip_network(network)]).check_address(address, is_plain=False)


def is_refused(
    address: IPv4Address | IPv6Address, rules: EgressRules | None = None, *, is_plain: bool = False
) -> bool:
    try:
        (rules or EgressRules()).check_address(str(address), is_plain=is_plain)
    except EgressRefused:
        return True
    return False


@pytest.mark.parametrize("is_plain", [False, True], ids=["https", "http"])
@given(st.ip_addresses(network="10.1.0.0/16"))
def test_an_allowed_network_is_open_to_both_schemes(is_plain: bool, address: IPv4Address) -> None:
    assert not is_refused(address, EgressRules(allowed=[ip_network("10.1.0.0/16")]), is_plain=is_plain)


def test_what_is_beside_an_allowed_network_stays_closed() -> None:
    assert is_refused(ip_address("10.2.0.0"), EgressRules(allowed=[ip_network("10.1.0.0/16")]))


@given(st.ip_addresses())
def test_plain_http_reaches_no_address_that_is_not_allowed(address: IPv4Address | IPv6Address) -> None:
    assert is_refused(address, is_plain=True)


def test_a_name_may_be_asked_for_over_plain_http_where_a_network_is_allowed() -> None:
    rules = EgressRules(allowed=[ip_network("10.1.0.0/16")])
    assert rules.check_url("http://hooks.example/").host == "hooks.example"


AMBIGUOUS = {
    "a user": "https://user@hooks.example/",
    "an empty user": "https://@hooks.example/",
    "an empty password": "https://:@hooks.example/",
    "a backslash": "https://hooks.example\\path",
    "a backslash in the query": "https://hooks.example/?a=\\",
    "a space": "https://hooks.example/a b",
    "a zone": "https://[2606:4700::1%25eth0]/",
    "a name in brackets": "https://[hooks.example]/",
    "a decimal address": "https://134744072/",
    "a short address": "https://8.2056/",
    "an octal address": "https://010.8.8.8/",
    "a last dot after an address": "https://8.8.8.8./",
    "an escape in the host": "https://hooks%2eexample/",
    "two dots": "https://hooks..example/",
    "a dot at the start": "https://.hooks.example/",
}


@pytest.mark.parametrize("url", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_url_that_may_be_read_in_two_ways_is_refused_although_it_is_public(url: str) -> None:
    with pytest.raises(EgressRefused, match="URL"):
        EgressRules().check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/",
        "https://hooks.example.:8443/a/b?c=d@e#f",
        "https://hooks_1.example/@user",
        "https://bücher.example/é",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/",
    ],
    ids=ascii,
)
def test_a_public_url_is_taken(url: str) -> None:
    assert EgressRules().check_url(url).scheme == "https"


@given(st.text() | st.text("htps:/\\@[]%.#?0127xlocahst ").map(lambda rest: f"https://{rest}"))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    with contextlib.suppress(EgressRefused):
        assert EgressRules().check_url(text).scheme == "https"


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "example.com", "10/8", "fd00::/129"])
def test_what_is_no_network_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a network like"):
        parse_network(text)

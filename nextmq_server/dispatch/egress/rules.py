"""Where deliveries may go: public addresses over https, and what an operator allows beside them.

A name is resolved once and every address of it is checked; the connection goes to a checked address, so a second
answer of its name server changes nothing.
"""

from __future__ import annotations

import re
import typing as t
from ipaddress import ip_address, ip_network

from yarl import URL

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import is_loopback

from .addresses import Address, Network, blocked_network, carried_addresses

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_USER = re.compile("[^/?#]*//[^/?#]*@")  # of the text: an empty one leaves no trace in what is parsed
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# What inet_aton takes for an IPv4 address, or a part of one, in decimal, octal or hex.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")


class EgressRefused(ValueError):
    """Nothing is sent there; the message says why, and what would allow it."""


class EgressRules:
    """What may be connected to; immutable.

    Public addresses over https. `allow_loopback` adds this machine, and `allowed` networks whatever they are: both
    over plain http too.
    """

    def __init__(self, *, allow_loopback: bool = False, allowed: t.Sequence[Network] = ()) -> None:
        self._allow_loopback = allow_loopback
        self._networks = tuple(allowed)
        self._allowed = (*allowed, *(_LOOPBACK if allow_loopback else ()))

    @classmethod
    def for_development(cls, allowed: t.Sequence[Network] = ()) -> EgressRules:
        """This machine, the `allowed` networks and the public internet."""
        return cls(allow_loopback=True, allowed=allowed)

    def check_url(self, url: str) -> URL:
        """`url`, parsed once and for all. Raises EgressRefused for what can be told without resolving its name."""
        target = parse_url(url)
        host = target.raw_host or ""
        is_plain = target.scheme == "http"
        if ":" in host or _ends_in_number(host):
            self.check_address(host, is_plain=is_plain)
        elif is_plain and not self._networks and not (self._allow_loopback and is_loopback(host)):
            raise EgressRefused("the URL must be https, or its network allowed with --allow-egress CIDR")
        return target

    def check_address(self, address: str, *, is_plain: bool, name: str | None = None) -> None:
        """Raises EgressRefused where no connection to `address`, which `name` resolved to, may be made."""
        parsed = ip_address(address)
        whose = f"the address {address}" + (f" of {name}" if name else "")
        for each in (parsed, *carried_addresses(parsed)):
            blocked = None if self._is_allowed(each) else blocked_network(each)
            if blocked is not None:
                network, reason = blocked
                what = "is" if each is parsed else f"carries {each}, which is"
                raise EgressRefused(f"{whose} {what} {reason}: allow it with --allow-egress {network}")
        if is_plain and not self._is_allowed(parsed):
            raise EgressRefused(
                f"{whose} is public, where anyone on the way reads plain http: use https, or allow it with "
                f"--allow-egress {ip_network(parsed.packed)}"
            )

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def parse_url(url: str) -> URL:
    """`url` as the one parser that requests go through reads it. Raises EgressRefused where it is not plainly one.

    What other parsers may read otherwise is refused, be it harmless here: a backslash, user info, spaces, escapes
    in the host, IPv4 addresses that are not four decimal numbers, IPv6 zones.
    """
    if not url.isprintable() or " " in url:
        raise EgressRefused("the URL has a space or a control character")
    if "\\" in url:
        raise EgressRefused("the URL has a backslash: write it as %5C")
    try:
        target = URL(url)
    except ValueError:
        raise EgressRefused("the URL is malformed") from None
    host = target.raw_host
    if target.scheme not in ("http", "https") or not host or _USER.match(url):
        raise EgressRefused("the URL must be an http or https URL without user info")
    if ":" in host or _ends_in_number(host):
        _check_canonical(host)
    elif not _NAME.fullmatch(host):
        raise EgressRefused("the URL's host is neither a name nor an address")
    return target


def parse_network(text: str) -> Network:
    """The network that a CIDR names. Raises ConfigurationError."""
    try:
        return ip_network(text)
    except ValueError as exc:
        raise ConfigurationError(f"{text!r} is not a network like 10.0.0.0/8 or fd00::/8: {exc}") from None


def _check_canonical(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        raise EgressRefused("the URL's host is an address in an unusual form: write it like 192.0.2.1") from None
    if "%" in host:
        raise EgressRefused("the URL's host has a zone: write the address without it")


def _ends_in_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None

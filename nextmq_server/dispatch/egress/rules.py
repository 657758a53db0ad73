"""Where deliveries may go: public addresses over https, and what an operator also allows.

A name is resolved once and each of its addresses is checked. The connection goes to a checked address, so a second
answer of the name server changes nothing.
"""

from __future__ import annotations

import re
import typing as t
from ipaddress import ip_address, ip_network

from yarl import URL

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import is_loopback

from .addresses import IPAddress, IPNetwork, blocked_network, carried_addresses

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_USER = re.compile("[^/?#]*//[^/?#]*@")  # checked in the text: parsing drops an empty one
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# inet_aton takes this for an IPv4 address or a part of one, in decimal, octal or hex.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")


class EgressRefused(ValueError):
    """Deliveries must not go there. The message says why, and what would allow it."""


class EgressRules:
    """Where the server may connect; immutable.

    Public addresses over https are allowed. `allow_loopback` adds this machine and `allowed` adds networks, both
    over plain http too.
    """

    def __init__(self, *, allow_loopback: bool = False, allowed: t.Sequence[IPNetwork] = ()) -> None:
        self._allow_loopback = allow_loopback
        self._networks = tuple(allowed)
        self._allowed = (*allowed, *(_LOOPBACK if allow_loopback else ()))

    @classmethod
    def for_development(cls, allowed: t.Sequence[IPNetwork] = ()) -> EgressRules:
        """Return rules that allow this machine, the `allowed` networks and the public internet."""
        return cls(allow_loopback=True, allowed=allowed)

    def check_url(self, url: str) -> URL:
        """Return `url` parsed. Raises EgressRefused if it is refused whatever its name resolves to."""
        target = parse_url(url)
        host = target.raw_host or ""
        is_plain = target.scheme == "http"
        if ":" in host or _ends_in_number(host):
            self.check_address(host, is_plain=is_plain)
        elif is_plain and not self._networks and not (self._allow_loopback and is_loopback(host)):
            raise EgressRefused("the URL must be https: use https, or allow its network with --allow-egress CIDR")
        return target

    def check_address(self, address: str, *, is_plain: bool, name: str | None = None) -> None:
        """Check an address that `name`, if given, resolved to. Raises EgressRefused."""
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
                f"{whose} is public, and anyone on the way can read plain http: use https, or allow it with "
                f"--allow-egress {ip_network(parsed.packed)}"
            )

    def _is_allowed(self, address: IPAddress) -> bool:
        return any(address in network for network in self._allowed)


def parse_url(url: str) -> URL:
    """Return `url` parsed, by the parser that requests use. Raises EgressRefused if it is not an ordinary URL.

    Whatever another parser may read differently is refused, even if it is harmless here: a backslash, user info,
    spaces, escapes in the host, IPv4 addresses that are not four decimal numbers, IPv6 zones.
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


def parse_network(text: str) -> IPNetwork:
    """Return the network of a CIDR. Raises ConfigurationError."""
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

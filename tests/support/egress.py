"""Helpers of the egress tests: spellings of this machine's address, a trap on it, a lying name server."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import typing as t

from nextmq_server.dispatch.egress.resolver import AddressInfo

SPELLINGS = {
    "dotted": "127.0.0.1:{port}",
    "dotted with a last dot": "127.0.0.1.:{port}",
    "the end of the network": "127.255.255.254:{port}",
    "decimal": "2130706433:{port}",
    "decimal with zeros": "0002130706433:{port}",
    "decimal that overflows": "6425673729:{port}",
    "hex": "0x7f000001:{port}",
    "hex in capitals": "0X7F000001:{port}",
    "hex octets": "0x7f.0x0.0x0.0x1:{port}",
    "octal": "017700000001:{port}",
    "octal octets": "0177.0.0.01:{port}",
    "octets with zeros": "127.000.000.001:{port}",
    "octal, hex and decimal": "0177.0x0.0.1:{port}",
    "two parts": "127.1:{port}",
    "three parts": "127.0.1:{port}",
    "two parts in hex": "0x7f.1:{port}",
    "five parts": "127.0.0.0.1:{port}",
    "an octet too large": "383.0.0.1:{port}",
    "zero": "0:{port}",
    "zeros": "0.0.0.0:{port}",
    "hex zero": "0x0:{port}",
    "nothing but 0x": "0x:{port}",
    "full-width digits": "１２７.０.０.１:{port}",
    "digits in circles": "①②⑦.⓪.⓪.①:{port}",
    "ideographic dots": "127。0。0。1:{port}",
    "half-width ideographic dots": "127｡0｡0｡1:{port}",
    "Arabic digits": "١٢٧.٠.٠.١:{port}",
    "superscript digits": "¹²⁷.⁰.⁰.¹:{port}",
    "percent-encoded digits": "%31%32%37.0.0.1:{port}",
    "percent-encoded dots": "127%2E0%2E0%2E1:{port}",
    "a percent-encoded NUL": "127.0.0.1%00.example:{port}",
    "a percent-encoded slash": "127.0.0.1%2f.example:{port}",
    "localhost": "localhost:{port}",
    "localhost in capitals": "LocalHost:{port}",
    "localhost with a last dot": "localhost.:{port}",
    "localhost with last dots": "localhost..:{port}",
    "localhost percent-encoded": "%6c%6f%63%61%6c%68%6f%73%74:{port}",
    "localhost in circles": "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}",
    "localhost in full width": "ｌｏｃａｌｈｏｓｔ:{port}",
    "localhost in bold": "𝐥𝐨𝐜𝐚𝐥𝐡𝐨𝐬𝐭:{port}",
    "localhost with a soft hyphen": "local\u00adhost:{port}",
    "localhost with a zero-width space": "local\u200bhost:{port}",
    "localhost with a long s": "localhoſt:{port}",
    "localhost in brackets": "[localhost]:{port}",
    "IPv6": "[::1]:{port}",
    "IPv6 in full": "[0000:0000:0000:0000:0000:0000:0000:0001]:{port}",
    "IPv6 half short": "[0:0::0:1]:{port}",
    "IPv6 without brackets": "::1:{port}",
    "IPv6 unspecified": "[::]:{port}",
    "IPv6 with a zone": "[::1%lo]:{port}",
    "IPv6 with an escaped zone": "[::1%25lo]:{port}",
    "IPv6 with a zone number": "[::1%251]:{port}",
    "IPv6 link-local with a zone": "[fe80::1%25lo]:{port}",
    "mapped": "[::ffff:127.0.0.1]:{port}",
    "mapped in capitals": "[::FFFF:127.0.0.1]:{port}",
    "mapped in hex": "[::ffff:7f00:1]:{port}",
    "mapped in full": "[0:0:0:0:0:ffff:7f00:0001]:{port}",
    "mapped zeros": "[::ffff:0.0.0.0]:{port}",
    "compatible": "[::127.0.0.1]:{port}",
    "compatible in hex": "[::7f00:1]:{port}",
    "translated": "[::ffff:0:127.0.0.1]:{port}",
    "NAT64": "[64:ff9b::127.0.0.1]:{port}",
    "local NAT64": "[64:ff9b:1::7f00:1]:{port}",
    "6to4": "[2002:7f00:1::]:{port}",
    "Teredo": "[2001:0:7f00:1::80ff:fffe]:{port}",
    "IPv4 in brackets": "[127.0.0.1]:{port}",
    "a future address": "[v1.127.0.0.1]:{port}",
    "text after the bracket": "[::1]x:{port}",
    "user info": "hooks.example@127.0.0.1:{port}",
    "user and password": "hooks.example:443@127.0.0.1:{port}",
    "an empty user": "@127.0.0.1:{port}",
    "an empty user and password": ":@127.0.0.1:{port}",
    "two users": "a@hooks.example@127.0.0.1:{port}",
    "a name as fragment": "127.0.0.1:{port}#@hooks.example",
    "a name as query": "127.0.0.1:{port}?@hooks.example",
    "a name as path": "127.0.0.1:{port}/@hooks.example",
    "a port as user": "127.0.0.1:{port}@hooks.invalid",
    "a full-width question mark": "127.0.0.1:{port}？@hooks.example",
    "a full-width slash": "127.0.0.1:{port}／hooks.example",
    "a full-width at sign": "hooks.example＠127.0.0.1:{port}",
    "a backslash for a slash": "127.0.0.1:{port}\\hooks.example",
    "a backslash and user info": "127.0.0.1:{port}\\@hooks.example",
    "user info and a backslash": "hooks.example\\@127.0.0.1:{port}",
    "a space after": "127.0.0.1 :{port}",
    "a space before": " 127.0.0.1:{port}",
    "a tab within": "127.0\t.0.1:{port}",
    "a line break within": "local\nhost:{port}",
    "a NUL after": "127.0.0.1\x00:{port}",
    "one slash more": "/127.0.0.1:{port}",
    "backslashes before": "\\\\127.0.0.1:{port}",
    "a port with zeros": "127.0.0.1:000{port}",
    "a port with a plus": "127.0.0.1:+{port}",
    "a comma": "127.0.0.1,hooks.invalid:{port}",
    "a semicolon": "127.0.0.1;hooks.invalid:{port}",
    "metadata": "169.254.169.254",
    "metadata of IPv6": "[fd00:ec2::254]",
    "metadata of Azure": "168.63.129.16",
    "metadata of Alibaba": "100.100.100.200",
    "broadcast": "255.255.255.255:{port}",
}


class Trap:
    """A listener on this machine, IPv4 and IPv6 on one port, that knows whether anyone else has connected."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._listeners = [stack.enter_context(socket.create_server(("0.0.0.0", 0)))]
        self.port: int = self._listeners[0].getsockname()[1]
        with contextlib.suppress(OSError):  # without IPv6
            listener = socket.create_server(("::", self.port), family=socket.AF_INET6, dualstack_ipv6=False)
            self._listeners.append(stack.enter_context(listener))

    @property
    def has_ipv6(self) -> bool:
        return len(self._listeners) > 1

    def was_reached(self) -> bool:
        """Return whether someone else has connected."""
        strangers = [_accepts_a_stranger(listener) for listener in self._listeners]
        return any(strangers)

    async def reached(self) -> None:
        """Wait for a connection."""
        ready, _, _ = await asyncio.to_thread(select.select, self._listeners, [], [], 30)
        assert ready


def _accepts_a_stranger(listener: socket.socket) -> bool:
    host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    with socket.create_connection((host, listener.getsockname()[1]), timeout=30) as probe:
        strangers = 0
        while True:
            accepted, peer = listener.accept()
            accepted.close()
            if peer[:2] == probe.getsockname()[:2]:
                return strangers > 0
            strangers += 1


class NameServer:
    """A resolver that gives each of its answers once, and then the last one again and again."""

    def __init__(self, *answers: t.Sequence[str]) -> None:
        self._answers = list(answers)
        self.questions: list[str] = []

    async def resolve(self, host: str, port: int) -> t.Sequence[AddressInfo]:
        self.questions.append(host)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [_address_info(address, port) for address in addresses]


def _address_info(address: str, port: int) -> AddressInfo:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)

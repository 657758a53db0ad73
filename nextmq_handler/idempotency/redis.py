"""Results in Redis or Valkey, through the app's own `redis.Redis`."""

from __future__ import annotations

import typing as t

from .store import Busy, Finished

if t.TYPE_CHECKING:
    from redis import Redis

# A key holds "r" and its owner during the run, "f" and the result afterwards.
_IF_OWNER = "if redis.call('GET', KEYS[1]) == ARGV[1] then "
_FINISH = _IF_OWNER + "return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end"
_RELEASE = _IF_OWNER + "return redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """Keep results under `prefix`. The methods raise what redis-py raises."""

    def __init__(self, redis: Redis, *, prefix: str = "nextmq:idempotency:") -> None:
        self._redis: t.Any = redis
        self._prefix = prefix

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        """Claim `key` for `lease` s."""
        name = self._prefix + key
        while not self._redis.set(name, f"r{owner}", nx=True, px=max(1, round(lease * 1000))):
            held, left = self._redis.get(name), self._redis.pttl(name)
            if held is None:
                continue  # it expired between the calls
            text = held.decode() if isinstance(held, bytes) else str(held)
            return Finished(text[1:]) if text.startswith("f") else Busy(max(left, 0) / 1000)
        return None

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        """Keep `result` for `keep` s."""
        self._redis.eval(_FINISH, 1, self._prefix + key, f"r{owner}", f"f{result}", round(keep * 1000))

    def release(self, key: str, owner: str) -> None:
        """Free `key`."""
        self._redis.eval(_RELEASE, 1, self._prefix + key, f"r{owner}")

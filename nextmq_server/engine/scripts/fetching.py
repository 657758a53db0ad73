"""Finish or delay a job and fetch the next one in the same step, unless the queue is held."""

from __future__ import annotations

from .holds import LOOK_INTERVAL


def fetch_unless_held(script: str, *, flag: int, hold: int) -> str:
    """Return Lua that runs one of BullMQ's scripts into `answer`, without its fetch while the queue is held.

    A hold whose rest has passed has no limiter's key any more, but lets one job through only: a process that does
    not know of the hold must not take another one beside it. Argument number `flag` is "1" if the script fetches,
    key number `hold` is the hold.
    """
    return f"""
local is_held = ARGV[{flag}] == '1' and redis.call('EXISTS', KEYS[{hold}]) == 1
if is_held then ARGV[{flag}] = '' end
local answer = {script}(KEYS, ARGV)
if is_held and answer == 0 then answer = {{0, 0, {LOOK_INTERVAL * 1000:.0f}, 0}} end
"""

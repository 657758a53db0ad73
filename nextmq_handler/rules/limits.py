"""What BullMQ and the server allow: each limit is written here once. Times are ms, sizes bytes."""

from __future__ import annotations

DAY_MS = 86_400_000

MAX_DELAY_MS = 10 * 365 * DAY_MS
"""The longest delay, interval or rate limit of a queue: ten years."""

MAX_WORKER_MS = 7 * DAY_MS
"""The longest timeout, lock, interval or limiter period of a worker: a week."""

MAX_TIMEOUT_MS = 15 * 60 * 1000
"""The longest timeout of a worker that a server takes by default: a delivery holds a slot as long."""

MAX_NUMBER = 10**12
"""The largest count: BullMQ's scripts keep 14 digits of an option."""

MAX_STARTS = 10**9
"""The most jobs that a limiter or a global concurrency lets start."""

MAX_PAGE_INDEX = 2**31
"""The last position that a page of a list starts or ends at."""

UNLIMITED = 2**53 - 1
"""What stands for no limit: the largest whole number that Lua and JavaScript hold exactly."""

MAX_ATTEMPTS = 10_000

MAX_CONCURRENCY = 10_000
"""The most jobs that one worker runs at once."""

MAX_PRIORITY = 2**21 - 1
"""The lowest priority: with a larger number BullMQ's scores would no longer keep jobs of one priority in order."""

MAX_STALLED_COUNT = 1000

MIN_LOCK_MS = 1000
"""The shortest lock and the shortest stalled interval of a worker."""

MAX_BACKOFF_STRATEGIES = 20

MAX_STRATEGY_DELAYS = 100

MAX_SCHEMAS = 64 * 1024
"""The largest schemas of a worker, in bytes of their compact ASCII JSON."""

MAX_WORKERS = 1000
"""The most workers of a project."""

MAX_REGISTRATIONS = 32 * 1024 * 1024
"""The largest registrations of a project together, in bytes. Each server process holds them in memory."""

MAX_SCHEDULES = 200
"""How many schedules a worker may declare."""

MAX_NAME = 256
"""The longest name of a job, and the longest custom id, in characters."""

MAX_ID = 1024
"""The longest id of a job in a path, and of a parent, in characters."""

MAX_PATTERN = 200
"""The longest cron pattern, in characters."""

MAX_TIME_ZONE = 64
"""The longest name of a time zone, in characters."""

MAX_TRACE_CONTEXT = 8192
"""The longest trace context of a job, in characters."""

MAX_LOG_ROW = 65_536
"""The longest log line of a job, in characters."""

MAX_DATA_SIZE = 1024 * 1024
"""The largest job data, in bytes of its compact JSON in UTF-8."""

MAX_BULK = 1000
"""The most jobs that one request adds, in a bulk or in flows."""

MAX_FLOW_DEPTH = 20
"""The most levels of a flow."""

MAX_PAGE = 1000
"""The most that one answer lists, and that one request cleans or redrives."""

MAX_WAIT = 60_000
"""The longest wait for a result in one request, in ms."""

MAX_PRIORITIES = 100
"""The most priorities whose jobs one request counts."""

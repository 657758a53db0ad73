"""The bounds of the front. They apply before the API key is checked, unless their text says otherwise."""

from __future__ import annotations

MAX_HEAD = 64 * 1024
"""The longest head of a request, in bytes: the request line and the headers."""

MAX_FRAMING = 64 * 1024
"""How many bytes behind the head may be neither body nor matched by as many bytes of body: chunk heads …"""

HEAD_TIMEOUT = 10.0
"""How long, in s, a head may take: from the connection's begin, the end of the last answer, or its first byte."""

BODY_TIMEOUT = 10.0
"""How long, in s, a body may take at least; each MIN_BODY_RATE bytes of it give another second."""

MIN_BODY_RATE = 16 * 1024
"""How fast, in bytes/s, a body has to come that takes longer than BODY_TIMEOUT."""

SEND_TIMEOUT = 30.0
"""How long, in s, a client may take to read MIN_READ bytes of its answer, or what is left of it."""

MIN_READ = 64 * 1024
"""How many bytes of an answer a client has to read in each SEND_TIMEOUT."""

LINGER = 2.0
"""How long, in s, the server reads on after an answer to a request that it did not read to the end."""

MAX_DISCARDED = 16 * 1024 * 1024
"""How many bytes, of such a request or behind one, the server throws away before it resets the connection."""

MAX_CONNECTIONS = 4096
"""How many connections a process has; fewer if half of its limit of open files is less."""

MAX_UNKNOWN = 1024
"""How many of these may be unknown: no request on them had a valid API key. A new one ends the oldest."""

MAX_UNKNOWN_PER_ADDRESS = 64
"""How many unknown connections one IPv4 address or IPv6 /64 network keeps on which nothing happens for QUIET."""

QUIET = 3.0
"""For how long, in s, nothing happens on a connection that counts for its address: not one that is busy."""

SWEEP = 1.0
"""How often, in s, the connections are looked at. Each timeout may take so much longer."""

FREE_REFUSALS = 20
"""How many requests with a wrong API key, or none, an address sends in a minute before each waits."""

REFUSAL_DELAY = 1.0
"""How long, in s, the refusal of such a request waits."""

MAX_ADDRESSES = 1000
"""How many addresses the front remembers because they were refused."""

MAX_LINES = 10
"""How many lines a minute the front logs about refusals."""

MAX_WAITS, MAX_ALL_WAITS = 256, 1024
"""How many long polls a project, and all projects together, may have open in a process."""

MAX_PROBES, MAX_ALL_PROBES = 2, 32
"""How many probes of endpoints a project, and all projects together, may have open in a process."""

MAX_ALL_STREAMS = 512
"""How many event streams all projects together may have open in a process."""

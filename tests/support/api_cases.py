"""Jobs that the REST API takes, and jobs that it refuses, as tables."""

from __future__ import annotations

import json
import typing as t

import pytest

from nextmq_handler.rules.job_ids import QUEUE_KEYS

MIB = 1024 * 1024
TEN_YEARS = 10 * 365 * 86_400_000
LARGEST = 10**12

RIGHT: dict[str, list[t.Any]] = {
    "attempts": [1, 10_000],
    "backoff": [
        {"type": "fixed", "delay": 0},
        {"type": "exponential", "delay": TEN_YEARS, "jitter": 0.25},
        {"type": "slow"},
        {"type": "My-slow.one_2", "jitter": 1},
    ],
    "delay": [1, TEN_YEARS],
    "jobId": [
        "x",
        "x" * 256,
        "order-42 ✓",
        "a/b?c#d%25",
        "007",
        "00123",
        "12345678901234567890",
        "٣",
        "-0",
        "1e3",
    ],
    "lifo": [True, False],
    "priority": [1, 2**21 - 1],
    "removeOnComplete": [True, False, 0, 1, LARGEST, {"age": 3600, "count": 0}],
    "removeOnFail": [True, False, 0, 1, LARGEST, {"age": LARGEST}, {"count": LARGEST}],
    "sizeLimit": [4, LARGEST],
    "stackTraceLimit": [0, LARGEST],
    "timestamp": [0, 2_099_999_999_999],
}
RENAMED: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "deduplication": (
        {"deduplication": {"id": "a:b ✓", "ttl": 1, "extend": True, "replace": True}},
        {"de": {"id": "a:b ✓", "ttl": 1, "extend": True, "replace": True}},
    ),
    "telemetry": (
        {"telemetry": {"metadata": '{"traceparent":"x"}', "omitContext": True}},
        {"tm": '{"traceparent":"x"}', "omc": True},
    ),
    "failParentOnFailure": ({"failParentOnFailure": True}, {"fpof": True}),
    "continueParentOnFailure": ({"continueParentOnFailure": True}, {"cpof": True}),
    "ignoreDependencyOnFailure": ({"ignoreDependencyOnFailure": True}, {"idof": True}),
    "removeDependencyOnFailure": ({"removeDependencyOnFailure": True}, {"rdof": True}),
    "keepLogs": ({"keepLogs": 5}, {"kl": 5}),
}
"""Options that BullMQ keeps under a short name: as they are sent, and as Redis holds them."""
WRONG: dict[str, list[t.Any]] = {
    "attempts": [0, 10_001, "3", True, 1.5, [], {}],
    "backoff": [
        -1,
        TEN_YEARS + 1,
        2**70,
        True,
        "exponential",
        {"type": "fixed"},
        {"delay": 1},
        {"type": "custom", "delay": 1},
        {"type": "not slow"},
        {"type": "x" * 101},
        {"type": 5},
        {"type": "slow", "jitter": 1.1},
        {"type": "slow", "factor": 3},
        {"type": "fixed", "delay": -1},
        {"type": "fixed", "delay": "1"},
        {"type": "fixed", "delay": 1, "jitter": 1.1},
        {"type": "fixed", "delay": 1, "jitter": -0.1},
        {"type": "fixed", "delay": 1, "factor": 3},
    ],
    "delay": [-1, TEN_YEARS + 1, 2**70, "1s"],
    "jobId": [
        "",
        "x" * 257,
        5,
        "\ud800",
        "0",
        "5",
        "-1",
        "NaN",
        "9007199254740992",
        "1:lock",
        "a:b",
        ":",
        *sorted(QUEUE_KEYS),
    ],
    "keepLogs": [-1, LARGEST + 1, 2**70, "1"],
    "lifo": [1, "yes"],
    "priority": [-1, 2**21, 2**21 + 1, "high"],
    "removeOnComplete": [-1, LARGEST + 1, 2**70, "true", [1], {"age": -1}, {"count": 2**70}, {"limit": 1}],
    "removeOnFail": [-1, LARGEST + 1, 2**70, "true", [1], {"age": -1}, {"count": 2**70}, {"limit": 1}],
    "stackTraceLimit": [-1, LARGEST + 1, 2**70],
    "timestamp": [-1, 2_100_000_000_000, 1.5],
    "colour": ["red"],
    "parent": [{"id": "1", "queue": "bull:other"}],
    "deduplication": [
        "1",
        {},
        {"id": ""},
        {"id": 5},
        {"id": "x" * 257},
        {"id": "1", "ttl": 0},
        {"id": "1", "ttl": TEN_YEARS + 1},
        {"id": "1", "extend": 1},
        {"id": "1", "mode": "simple"},
    ],
    "sizeLimit": [-1, "1", LARGEST + 1],
    "telemetry": ["x", {"metadata": 5}, {"metadata": "x" * 8193}, {"omitContext": 1}, {"span": "x"}],
    "failParentOnFailure": [1, "true"],
}
WRONG_JOBS: dict[str, tuple[object, str]] = {
    "no name": ({}, "name"),
    "an empty name": ({"name": ""}, "name"),
    "a name over 256": ({"name": "x" * 257}, "name"),
    "a name that is a number": ({"name": 5}, "name"),
    "a name that is no Unicode": ({"name": "\ud800"}, "name"),
    "an unknown member": ({"name": "welcome", "queue": "emails"}, "queue"),
    "options that are a list": ({"name": "welcome", "opts": []}, "opts"),
    "options that are null": ({"name": "welcome", "opts": None}, "opts"),
    "a list": ([], ""),
    "a string": ("welcome", ""),
    "null": (None, ""),
    "two policies for one child": (
        {"name": "welcome", "opts": {"failParentOnFailure": True, "removeDependencyOnFailure": True}},
        "opts",
    ),
    "data over the limit that its producer set": (
        {"name": "welcome", "data": "abc", "opts": {"sizeLimit": 4}},
        "data",
    ),
    "data over 1 MiB": ({"name": "welcome", "data": "x" * (MIB - 1)}, "data"),
    "data over 1 MiB in UTF-8": ({"name": "welcome", "data": "✓" * (MIB // 3 + 1)}, "data"),
}
NO_JSON: dict[str, bytes] = {
    "not JSON": b"{",
    "NaN": b'{"name":"welcome","data":NaN}',
    "Infinity": b'{"name":"welcome","data":-Infinity}',
    "a number that fits no double": b'{"name":"welcome","data":1e999}',
    "a number of 5000 digits": b'{"name":"welcome","data":' + b"9" * 5000 + b"}",
    "nested 101 deep": b'{"name":"welcome","data":' + b"[" * 100 + b"]" * 100 + b"}",
    "nested 100,000 deep": b'{"name":"welcome","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not UTF-8": b'{"name":"welcome","data":"\xff"}',
    "UTF-16": '{"name":"welcome"}'.encode("utf-16"),
}
DATA: dict[str, t.Any] = {
    "null": None,
    "zero": 0,
    "false": False,
    "empty text": "",
    "a large integer": 10**400,
    "a double": 0.1 + 0.2,
    "any text": 'żółć☃😀\x00\n"\\',
    "a lone surrogate": "\ud800",
    "a name that is a lone surrogate": {"\udfff": 1},
    "nested 99 deep": json.loads("[" * 99 + "]" * 99),
    "1 MiB": "x" * (MIB - 2),
    "1 MiB of two bytes each": "é" * (MIB // 2 - 1),
    "1 MiB of three bytes each": "中" * ((MIB - 2) // 3),
    "1 MiB of four bytes each": "😀" * ((MIB - 2) // 4),
}


def cases(table: dict[str, list[t.Any]]) -> list[t.Any]:
    """One case for each value of each option."""
    return [
        pytest.param(option, value, id=f"{option}={json.dumps(value)[:40]}")
        for option, values in table.items()
        for value in values
    ]

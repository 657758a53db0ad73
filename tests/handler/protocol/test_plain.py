"""What JSON can carry: nothing is changed or lost in silence, in a container, an iterator, a model or a key."""

from __future__ import annotations

import dataclasses
import enum
import typing as t
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from datetime import date
from itertools import count

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import AsyncJob, ConfigurationError, Every, Job
from nextmq_handler.client._http.content import encode
from nextmq_handler.protocol import strict_json
from nextmq_handler.testing import make_job
from tests.support.handler import json_values, outcome_of

NAN, INF = float("nan"), float("inf")


class Model(pydantic.BaseModel):
    xs: t.Any


class Rows(pydantic.BaseModel):
    xs: t.Iterable[float]


@dataclasses.dataclass
class Record:
    xs: t.Any


class Kind(enum.Enum):
    A = b"a"


Row = namedtuple("Row", "xs")


def rows(*items: t.Any) -> Iterator[t.Any]:
    yield from items


def same(item: t.Any) -> t.Any:
    return item


class Iterating:
    def __init__(self, *items: t.Any) -> None:
        self._items = iter(items)

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> t.Any:
        return next(self._items)


HIDERS: dict[str, tuple[Callable[[t.Any], t.Any], str]] = {
    "itself": (lambda x: x, ""),
    "a list": (lambda x: [0, x], "1"),
    "a tuple": (lambda x: (x,), "0"),
    "a named tuple": (lambda x: Row(x), "0"),
    "a deque": (lambda x: deque([x]), "0"),
    "a dict": (lambda x: {"a": {"b": x}}, "a.b"),
    "an ordered dict": (lambda x: OrderedDict(a=x), "a"),
    "a generator": (lambda x: rows(0, x), "1"),
    "a generator in a dict": (lambda x: {"xs": (y for y in [x])}, "xs.0"),
    "a generator in a generator": (lambda x: rows(rows(x)), "0.0"),
    "a map": (lambda x: {"xs": map(same, [0, x])}, "xs.1"),
    "a filter": (lambda x: filter(lambda y: True, [x]), "0"),
    "a zip": (lambda x: zip([0], [x], strict=True), "0.1"),
    "an enumeration": (lambda x: enumerate([x]), "0.1"),
    "an iterator of a list": (lambda x: iter([x]), "0"),
    "an iterator of its own class": (lambda x: [Iterating(x)], "0.0"),
    "a model": (lambda x: Model(xs=x), "xs"),
    "a model in an iterator": (lambda x: rows(Model(xs=[x])), "0.xs.0"),
    "an iterator in a model": (lambda x: Model(xs=rows(0, x)), "xs.1"),
    "an iterator in a dataclass": (lambda x: {"a": Record(map(same, [x]))}, "a.xs.0"),
    "a model in a dataclass": (lambda x: Record(Model(xs={"a": x})), "xs.xs.a"),
}
CULPRITS: dict[str, t.Any] = {
    "NaN": NAN,
    "an infinity": -INF,
    "bytes": b"x",
    "a bytearray": bytearray(b"x"),
    "a memoryview": memoryview(b"x"),
    "an enum of bytes": Kind.A,
    "keys of one name": {1: "a", "1": "b"},
    "True and its name": {True: 1, "true": 2},
    "None and its name": {None: 1, "null": 2},
    "None and its name in Python": {None: 1, "None": 2, date(2030, 1, 1): 3},
    "a float and its name": {1.5: 1, "1.5": 2},
    "a UUID and its name": {uuid.UUID(int=1): 1, str(uuid.UUID(int=1)): 2},
    "a key that is bytes": {b"a": 1},
    "a key that is NaN": {NAN: 1},
}


@pytest.mark.parametrize("culprit", CULPRITS.values(), ids=CULPRITS)
@pytest.mark.parametrize(("hide", "path"), HIDERS.values(), ids=HIDERS)
def test_what_json_would_change_is_refused_by_its_path_wherever_it_hides(
    hide: Callable[[t.Any], t.Any], path: str, culprit: t.Any
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        encode({"data": hide(culprit)})
    assert str(refused.value).startswith(f"{f'data.{path}'.strip('.')} cannot be sent as JSON (it ")


@pytest.mark.anyio
@pytest.mark.parametrize("culprit", CULPRITS.values(), ids=CULPRITS)
@pytest.mark.parametrize(("hide", "path"), HIDERS.values(), ids=HIDERS)
async def test_a_result_with_what_json_would_change_is_refused_by_its_path(
    hide: Callable[[t.Any], t.Any], path: str, culprit: t.Any
) -> None:
    async def process(job: AsyncJob) -> object:
        return hide(culprit)

    outcome = await outcome_of(process)
    assert outcome["error"]["name"] == "ReturnValueError"
    assert outcome["error"]["message"].startswith(f"the return value is not JSON: {path or 'it'} ")


@pytest.mark.parametrize(("hide", "path"), HIDERS.values(), ids=HIDERS)
def test_a_value_that_json_can_carry_is_sent_wherever_it_is(hide: Callable[[t.Any], t.Any], path: str) -> None:
    sent = strict_json.loads(encode({"data": hide({"ä": [1.5, None]})}))["data"]
    for name in filter(None, path.split(".")):
        sent = sent[int(name) if name.isdecimal() else name]
    assert sent == {"ä": [1.5, None]}


def test_an_iterable_of_a_model_is_read_once() -> None:
    assert encode(Rows(xs=rows(1, 2))) == b'{"xs":[1.0,2.0]}'


@given(value=json_values)
def test_json_is_encoded_as_it_is(value: t.Any) -> None:
    assert strict_json.loads(encode(value)) == value


@given(
    names=st.lists(
        st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | st.text("1.-truenlfas", max_size=4)
    ),
    levels=st.integers(0, 3),
)
def test_a_dict_keeps_each_key_or_is_refused(names: list[t.Any], levels: int) -> None:
    value: t.Any = dict.fromkeys(names)
    sent: t.Any = value
    for _ in range(levels):
        sent = {"a": [1, sent]}
    try:
        read = strict_json.loads(encode(sent))
    except ConfigurationError:
        return
    for _ in range(levels):
        read = read["a"][1]
    assert len(read) == len(value)


def test_an_endless_iterator_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\Axs cannot be sent as JSON \(it is an iterator of more than"):
        encode({"xs": count()})


@pytest.mark.parametrize("data", [[NAN], {"xs": iter([1])}, {"a": {1: 1, "1": 2}}, [{1, 2}], [b"x"]], ids="abcde")
def test_a_schedules_data_that_is_not_json_is_refused_by_its_path(data: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r": data is not JSON: (0|xs|a) (is|has|holds) "):
        Every("report", 1000, data=data)


@pytest.mark.parametrize("call", ["update_progress", "update_data"])
def test_progress_and_data_with_keys_of_one_name_are_refused(call: str) -> None:
    job: Job[t.Any] = make_job(None)
    with pytest.raises(ConfigurationError, match="has two keys that are one name"):
        getattr(job, call)({1: 1, "1": 2})

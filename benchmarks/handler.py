"""Measure what a request costs: `python -m benchmarks.handler`.

In this process, in CPU time, as ratios to a hand-written floor of the same run (see benchmarks/floor.py), beside
what people use today. Each contender must first answer a valid delivery with 200 and refuse the same with one byte
changed.
"""

from __future__ import annotations

import hmac
import logging
import typing as t
from collections.abc import Sequence

from mangum import Mangum

from . import floor, integrations, ours, peers
from .deliveries import DELIVERY_ID, KEY, MOUNT, PATH, SIZES, Sample, delivery
from .integrations import Case, Contender
from .rounds import Result, compare, prove

URL_PATH = MOUNT + PATH
FRACTIONS = "64 KB, a fraction in each row"


class Group(t.NamedTuple):
    """Contenders of one integration and size; the first is what the others are compared with."""

    title: str
    contenders: Sequence[Contender]
    goals: t.Mapping[str, float]
    """The highest ratio allowed, by contender."""
    is_forged: bool = False


def main() -> None:
    for name in ("nextmq_handler", "inngest"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # each refusal is logged; not to the terminal
        logging.getLogger(name).propagate = False
    with ours.queue_server() as url:
        fingerprint = ours.registered_fingerprint(url)
        samples = {name: delivery(size, fingerprint=fingerprint) for name, size in SIZES.items()}
        samples[FRACTIONS] = delivery(SIZES["64 KB"], fingerprint=fingerprint, amount=1.25)
        groups = [*asgi_groups(url, samples), lambda_group(url, samples), flask_group(url, samples)]
        missed: list[str] = []
        for group in groups:
            for contender in group.contenders:
                prove(contender)
        ours.wait_for_registrations()
        for group in groups:
            missed += show(group, compare([_case(group, contender) for contender in group.contenders]))
    print("\nall goals hold" if not missed else "\nmissed:\n  " + "\n  ".join(missed))


def asgi_groups(url: str, samples: t.Mapping[str, Sample]) -> list[Group]:
    app = ours.asgi_app(url)
    small, large = samples["1 KB"], samples["1 MB"]
    one_kb = [
        integrations.asgi("floor", floor.asgi_app, PATH, small),
        integrations.asgi("floor, answer not signed", floor.asgi_app_unsigned, PATH, small),
        integrations.asgi("nextmq", app, PATH, small),
        integrations.asgi("nextmq in Starlette, mounted", ours.starlette_app(url), URL_PATH, small),
        integrations.asgi("nextmq in FastAPI, mounted", ours.fastapi_mount(url), URL_PATH, small),
        integrations.asgi("nextmq in FastAPI, router", ours.fastapi_router(url), URL_PATH, small),
        integrations.asgi("Starlette route", peers.starlette_route(), URL_PATH, small),
        integrations.asgi("FastAPI route", peers.fastapi_route(), URL_PATH, small),
        integrations.asgi("FastAPI route, declared model", peers.fastapi_declared(), URL_PATH, small),
        integrations.asgi(
            "standardwebhooks in Starlette",
            peers.standardwebhooks_app(),
            peers.WEBHOOK,
            peers.standardwebhooks_sample(small.valid.body),
        ),
        integrations.asgi(
            "qstash in Starlette", peers.qstash_app(), peers.WEBHOOK, peers.qstash_sample(small.valid.body)
        ),
        _inngest(SIZES["1 KB"]),
    ]
    goals = {"nextmq": 1.25, "nextmq in Starlette, mounted": 1.5, "nextmq in FastAPI, mounted": 2.1}
    larger = [
        Group(
            f"ASGI, {name}",
            [
                integrations.asgi("floor", floor.asgi_app, PATH, samples[name]),
                integrations.asgi("nextmq", app, PATH, samples[name]),
                integrations.asgi("FastAPI route", peers.fastapi_route(), URL_PATH, samples[name]),
                _inngest(SIZES[name]),
            ],
            {"nextmq": 1.05},
        )
        for name in ("64 KB", "1 MB")
    ]
    fractions = [
        integrations.asgi("floor", floor.asgi_app, PATH, samples[FRACTIONS]),
        integrations.asgi("nextmq", app, PATH, samples[FRACTIONS]),
    ]
    forged = [
        integrations.work("its HMAC alone", lambda: _hmac(large)),
        integrations.asgi("floor", floor.asgi_app, PATH, large),
        integrations.asgi("nextmq", app, PATH, large),
        integrations.asgi("FastAPI route, declared model", peers.fastapi_declared(), URL_PATH, large),
        _inngest(SIZES["1 MB"]),
    ]
    return [
        Group("ASGI, 1 KB", one_kb, goals),
        *larger,
        Group(f"ASGI, {FRACTIONS}", fractions, {}),
        Group("ASGI, forged 1 MB refused", forged, {"nextmq": 1.05}, is_forged=True),
    ]


def lambda_group(url: str, samples: t.Mapping[str, Sample]) -> Group:
    small = samples["1 KB"]
    contenders = [
        integrations.aws_lambda("floor", floor.lambda_app, URL_PATH, small),
        integrations.aws_lambda("nextmq", ours.lambda_app(url), URL_PATH, small),
        integrations.aws_lambda("Mangum + Starlette", Mangum(peers.starlette_route(), "off"), URL_PATH, small),
        integrations.aws_lambda("Mangum + FastAPI", Mangum(peers.fastapi_route(), "off"), URL_PATH, small),
        integrations.aws_lambda(
            "Mangum + inngest",
            Mangum(peers.inngest_fastapi(), "off"),
            peers.INNGEST,
            peers.inngest_sample(SIZES["1 KB"]),
            query=peers.INNGEST_QUERY,
        ),
    ]
    return Group("Lambda, 1 KB", contenders, {"nextmq": 1.3})


def flask_group(url: str, samples: t.Mapping[str, Sample]) -> Group:
    small = samples["1 KB"]
    contenders = [
        integrations.wsgi("lean Flask view", floor.flask_app(), URL_PATH, small),
        integrations.wsgi("nextmq blueprint", ours.flask_app(url), URL_PATH, small),
        integrations.wsgi("Flask view", peers.flask_view(), URL_PATH, small),
        integrations.wsgi(
            "inngest in Flask",
            peers.inngest_flask(),
            peers.INNGEST,
            peers.inngest_sample(SIZES["1 KB"]),
            query=peers.INNGEST_QUERY,
        ),
    ]
    return Group("Flask, 1 KB", contenders, {"nextmq blueprint": 1.1})


def show(group: Group, results: Sequence[Result]) -> list[str]:
    """Print the table of the group; return the goals that it missed."""
    missed: list[str] = []
    print(f"\n{group.title:<36}{'us':>10}{'ratio':>9}{'goal':>9}")
    for result in results:
        goal = group.goals.get(result.name)
        verdict = "" if goal is None else f"{goal:>9.2f}  {'holds' if result.ratio <= goal else 'MISSED'}"
        print(f"  {result.name:<34}{result.seconds * 1e6:>10.1f}{result.ratio:>9.2f}{verdict}")
        if goal is not None and result.ratio > goal:
            missed.append(f"{group.title}, {result.name}: {result.ratio:.2f}, the goal is {goal:.2f}")
    return missed


def _case(group: Group, contender: Contender) -> tuple[str, Case]:
    return contender.name, contender.forged if group.is_forged else contender.valid


def _inngest(size: int) -> Contender:
    query = peers.INNGEST_QUERY.encode()
    app, sample = peers.inngest_fastapi(), peers.inngest_sample(size)
    return integrations.asgi("inngest in FastAPI", app, peers.INNGEST, sample, query=query)


def _hmac(sample: Sample) -> bytes:
    body = sample.forged.body
    return hmac.digest(KEY, b"%s.%s.%s" % (DELIVERY_ID.encode(), b"1790000000", body), "sha256")


if __name__ == "__main__":
    main()

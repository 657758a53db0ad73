"""Debian's Prometheus reads the metrics, and its promtool the alert rules; both name metrics that exist."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import httpx
import pytest
import yaml

from nextmq_server.cli.metrics_port import serve_metrics
from nextmq_server.metrics.exposition import ProjectSnapshot, Snapshot, families_of
from nextmq_server.metrics.metrics import ProcessMetrics
from nextmq_server.service import Service
from nextmq_server.serving import listen

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS, BOARD = DEPLOY / "alerts.yaml", DEPLOY / "grafana.json"


def tool(name: str) -> str:
    """Return the path of a program of Debian's package prometheus."""
    path = shutil.which(name)
    assert path is not None, f"{name} is missing: apt-get install prometheus"
    return path


def known_names() -> set[str]:
    """Return the names of all series that /metrics can have."""
    from collections import Counter

    from nextmq_server.dispatch.counts import DeliveryCounts, QueueLabels

    counts = DeliveryCounts("shop", QueueLabels())
    families = families_of(Snapshot([ProjectSnapshot("shop", counts, {})], Counter(), None, 0.0))
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


def expressions() -> list[str]:
    """Return the queries of the alert rules and of the board."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    board = json.loads(BOARD.read_text())
    return [
        *(rule["expr"] for group in groups for rule in group["rules"]),
        *(target["expr"] for panel in board["panels"] for target in panel["targets"]),
        *(one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"),
    ]


def test_every_metric_that_the_board_and_the_alerts_name_exists() -> None:
    named = {name for text in expressions() for name in re.findall(r"nextmq_\w+", text)}
    assert named
    assert named - known_names() == set()


def test_the_board_shows_every_metric() -> None:
    shown = " ".join(expressions())
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in known_names()}
    assert {name for name in families if name not in shown} == set()


def test_promtool_accepts_the_alert_rules() -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "7 rules found" in checked.stdout


@pytest.mark.anyio
async def test_prometheus_scrapes_the_server(service: Service, tmp_path: Path, wait_until: WaitUntil) -> None:
    await service.add([service.jobs.new("emails", "welcome", None, {}, now=1)])
    with listen("127.0.0.1", 0, command="a test") as free:
        port = free.getsockname()[1]
    async with serve_metrics(ProcessMetrics(), [service], 0) as url:
        target = url.removeprefix("http://").removesuffix("/metrics")
        config = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "nextmq", "static_configs": [{"targets": [target]}]}],
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        prometheus = await asyncio.create_subprocess_exec(
            tool("prometheus"),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=sys.stderr if "-s" in sys.argv else asyncio.subprocess.DEVNULL,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                query = 'nextmq_jobs{queue="emails",state="waiting"}'

                async def is_scraped() -> bool:
                    try:
                        answer = await client.get("/api/v1/query", params={"query": query})
                    except httpx.TransportError:
                        return False
                    results = answer.json().get("data", {}).get("result", []) if answer.is_success else []
                    return [result["value"][1] for result in results] == ["1"]

                await wait_until(is_scraped)
        finally:
            prometheus.terminate()
            await prometheus.wait()

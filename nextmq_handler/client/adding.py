"""What the calls that add jobs and flows send, and the jobs that a bulk returns."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol import strict_json
from ..protocol.arguments import check_queue_name
from ..rules.limits import MAX_BULK, MAX_FLOW_DEPTH
from ..rules.options import FlowJob, NewJob, QueueOptions, check_list, to_wire
from ..rules.views import new_job_view
from ._http.content import encode


def bulk_body(jobs: t.Sequence[NewJob[t.Any]]) -> bytes:
    """Encode the jobs of a bulk. Raises ConfigurationError."""
    check_list("add_bulk", jobs, "jobs")
    if len(jobs) > MAX_BULK:
        raise ConfigurationError(f"add_bulk takes up to {MAX_BULK} jobs at once, not {len(jobs)}")
    return encode({"jobs": [_new_job(job, f"jobs.{index}") for index, job in enumerate(jobs)]})


def added_views(body: bytes, answer: t.Any) -> list[dict[str, t.Any]]:
    """Return the jobs of a bulk as if they had been read; `body` is what was sent."""
    sent = strict_json.loads(body)["jobs"]  # models are JSON there, as in the server's answers
    return [_added_view(*pair) for pair in zip(sent, answer["jobs"], strict=True)]


def flow_content(flows: t.Sequence[FlowJob]) -> list[dict[str, t.Any]]:
    """Convert flows to JSON content. Raises ConfigurationError."""
    check_list("add_bulk", flows, "flows")
    roots = [_node(flow) for flow in flows]
    level, count = roots, 0
    for _ in range(MAX_FLOW_DEPTH):
        count += len(level)
        if count > MAX_BULK:
            raise ConfigurationError(f"a call takes up to {MAX_BULK} jobs in all its flows together")
        for parent in level:
            parent["children"] = [_node(child) for child in parent["children"]]
        level = [child for parent in level for child in parent["children"]]
    if level:
        raise ConfigurationError(f"a flow has up to {MAX_FLOW_DEPTH} levels of jobs")
    return roots


def queues_content(queues_options: t.Mapping[str, QueueOptions]) -> dict[str, t.Any]:
    """Convert the options of each queue's jobs. Raises ConfigurationError."""
    if not isinstance(t.cast("object", queues_options), t.Mapping):
        raise ConfigurationError(f"queues_options takes a dict, not {type(queues_options).__name__}")
    return {
        check_queue_name(queue): to_wire(
            QueueOptions, options, kind="member of queues_options", path=f"queues_options.{queue}"
        )
        for queue, options in queues_options.items()
    }


def _node(job: FlowJob) -> dict[str, t.Any]:
    node: dict[str, t.Any] = {
        "data": None,
        "opts": {},
        "children": [],
        **to_wire(FlowJob, job, kind="member of a flow's job"),
    }
    check_list("children", node["children"], "jobs")
    return node


def _new_job(job: NewJob[t.Any], path: str) -> dict[str, t.Any]:
    return {"data": None, "opts": {}, **to_wire(NewJob, job, kind="member of a job", path=path)}


def _added_view(sent: dict[str, t.Any], added: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a new job as it was sent, or the job that was there already."""
    view = added["job"]
    if view is None:
        view = new_job_view(added["id"], added["state"], added["timestamp"], **sent)
    return {**view, "deduplicated": added["deduplicated"]}

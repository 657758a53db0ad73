"""Flows in the form that the server takes."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.names import check_queue_name
from ..rules.limits import MAX_BULK, MAX_FLOW_DEPTH
from ..rules.options import FlowJob, QueueOptions, check_list, to_wire


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

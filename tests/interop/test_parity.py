"""docs/reference/parity.md is true: every public name of BullMQ has a row, every row a proof or a reason."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import typing as t
from pathlib import Path

import bullmq
import pytest

import nextmq_handler
from tests.support.rest_api import documented

from .chapters import CHAPTERS
from .coverage import proven_by
from .declarations import classes_of_node, classes_of_python, members_of_node, members_of_python

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "reference" / "parity.md"


class Section(t.NamedTuple):
    """Whose members a table of the page lists: Node's by name, Python's as "module.Class" of bullmq."""

    node: str
    python: str = ""


SECTIONS = {
    "Queue": Section("Queue QueueGetters QueueBase", "queue.Queue"),
    "Queue methods' options": Section(
        "Queue.retryJobs Queue.promoteJobs Queue.remove Job.changePriority RetryOptions ObliterateOpts",
        "types.retry_jobs_options.RetryJobsOptions types.promote_jobs_options.PromoteJobsOptions",
    ),
    "Queue options": Section(
        "QueueOptions QueueBaseOptions KeyPrefixOptions AdvancedRepeatOptions",
        "types.queue_options.QueueBaseOptions",
    ),
    "Job": Section("Job", "job.Job"),
    "Job methods' options": Section("MoveToWaitingChildrenOpts DependenciesOpts"),
    "Job options": Section(
        "DefaultJobOptions BaseJobOptions CompressableJobOptions", "types.job_options.JobOptions"
    ),
    "Backoff": Section("BackoffOptions", "types.backoff_options.BackoffOptions"),
    "Keeping finished jobs": Section("KeepJobs", "types.keep_jobs.KeepJobs"),
    "Deduplication": Section("DeduplicationOptions", "types.deduplication_options.DeduplicationOptions"),
    "Parents": Section("ParentOptions"),
    "FlowProducer": Section("FlowProducer", "flow_producer.FlowProducer"),
    "Flow options": Section("FlowJobBase NodeOpts FlowOpts JobNode"),
    "Job schedulers": Section("JobScheduler", "job_scheduler.JobScheduler"),
    "Repeat options": Section("RepeatOptions", "types.repeat_options.RepeatOptions"),
    "What a scheduler shows": Section("JobSchedulerJson", "types.repeat_options.JobSchedulerJson"),
    "Worker": Section("Worker", "worker.Worker"),
    "Worker options": Section(
        "WorkerOptions SandboxedOptions AdvancedOptions", "types.worker_options.WorkerOptions"
    ),
    "Limits and metrics": Section("RateLimiterOptions MetricsOptions Metrics"),
    "QueueEvents": Section(
        "QueueEvents QueueEventsProducer QueueEventsOptions QueueEventsListener",
        "queue_events.QueueEvents queue_events_producer.QueueEventsProducer "
        "types.queue_events_options.QueueEventsOptions",
    ),
}
CLASSES, NEXTMQ, DIFFERENCES = "Classes and errors", "NextMQ", "Where results differ"

_NEXTMQ_NAMES = """
    Queue Worker FlowProducer Job RateLimitError UnrecoverableJobError JobRemovedError NextMQHttpError
    NextMQRequestTimeoutError WorkerRegistrationError isNextMQControlFlowError resetNextMQConfig Processor
    RemoteJobOptions RemoteWorkerOptions createNextMQHandler createNextMQHandler.workers ensureWorkersRegistered
    getWorkerRegistrationStatuses /health Queue.add Queue.addBulk Queue.getJob Queue.getJobs Queue.getWaiting
    Queue.getActive Queue.getCompleted Queue.getFailed Queue.getDelayed Queue.getPrioritized
    Queue.getWaitingChildren Queue.count Job.id Job.data Job.deliveryId Job.updateProgress Job.moveToDelayed
    Job.getChildrenValues Job.waitUntilFinished FlowProducer.add FlowProducer.addBulk FlowProducer.getFlow
    Worker.concurrency Worker.limiter Worker.timeoutMs Worker.lockDuration Worker.lockRenewTime
    Worker.stalledInterval Worker.maxStalledCount trigger trigger.name trigger.url trigger.schedule trigger.payload
    trigger.retries trigger.pause trigger.fire trigger.delete
"""


class Row(t.NamedTuple):
    """A row of the page."""

    section: str
    node: list[str]
    python: list[str]
    here: list[str]
    proof: str

    @property
    def is_proven(self) -> bool:
        """Whether the last cell holds proofs, and not a reason."""
        return bool(re.fullmatch(r"(scenario )?`[^`]+`(,? `[^`]+`)*", self.proof))

    def __str__(self) -> str:
        return f"{self.section}: {' '.join((*self.node, *self.python))}"


def _read() -> t.Iterator[Row]:
    section = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith(("| `", "| – |")):
            first, *others, here, proof = (cell.strip() for cell in line.strip("|").split(" | "))
            yield Row(section, _code(first), _code(others[0]) if others else [], _code(here), proof)


def _code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


ROWS = list(_read())


def listed(section: str, column: str) -> list[str]:
    """Return the names in a column of a section's table, sorted."""
    return sorted(name for row in ROWS if row.section == section for name in getattr(row, column))


def test_the_page_has_these_tables_and_no_others() -> None:
    assert list(dict.fromkeys(row.section for row in ROWS)) == [*SECTIONS, CLASSES, NEXTMQ]


@pytest.mark.parametrize("section", SECTIONS)
def test_each_name_of_nodes_has_one_row(section: str, node_bullmq: Path) -> None:
    members = [members_of_node(node_bullmq, owner) for owner in SECTIONS[section].node.split()]
    assert listed(section, "node") == sorted(set().union(*members) - {"constructor"})


@pytest.mark.parametrize("section", SECTIONS)
def test_each_name_of_pythons_has_one_row(section: str) -> None:
    members = [members_of_python(_python(path)) for path in SECTIONS[section].python.split()]
    assert listed(section, "python") == sorted(set[str]().union(*members))


def _python(path: str) -> type[t.Any]:
    module, _, name = path.rpartition(".")
    return t.cast("type[t.Any]", getattr(importlib.import_module(f"bullmq.{module}"), name))


def test_each_class_of_nodes_has_one_row(node_bullmq: Path) -> None:
    assert listed(CLASSES, "node") == sorted(classes_of_node(node_bullmq))


def test_each_class_of_pythons_has_one_row() -> None:
    assert listed(CLASSES, "python") == sorted(classes_of_python(bullmq))


def test_each_name_of_nextmqs_has_one_row() -> None:
    assert listed(NEXTMQ, "node") == sorted(_NEXTMQ_NAMES.split())


def test_a_row_has_what_there_is_here_with_a_proof_or_else_a_reason() -> None:
    wrong = [row for row in ROWS if bool(row.here) != row.is_proven or not row.proof.strip("– ")]
    assert not wrong


def test_what_the_rows_say_is_here_is_here() -> None:
    names = {name for row in ROWS for name in row.here}
    problems = [_problem(name) for name in sorted(names | set(map(_awaited, names)))]
    assert not list(filter(None, problems))


def _awaited(name: str) -> str:
    """Name the same member of the async twin, if the class has one."""
    owner = name.partition(".")[0].partition("(")[0]
    return f"Async{name}" if hasattr(nextmq_handler, f"Async{owner}") else name


def _problem(name: str) -> str | None:
    """Return what is wrong with the name of a route, or of a public member or parameter."""
    if " " in name:
        method, path = name.split(" ")
        return None if method.lower() in _paths().get(path, ()) else f"the API has no route {name}"
    match = re.fullmatch(r"(\w+)(?:\.(\w+))?(?:\((\w+)\))?", name)
    if not match or match[1] not in nextmq_handler.__all__:
        return f"nextmq_handler has no {name}"
    target = getattr(nextmq_handler, match[1])
    if match[2]:
        if match[2] not in _members(target):
            return f"{match[1]} has no {match[2]}"
        target = getattr(target, match[2], None)
    if match[3] and match[3] not in inspect.signature(target).parameters:
        return f"{name}: the parameter does not exist"
    return None


@functools.cache
def _paths() -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", documented()["paths"])


@functools.cache
def _members(owner: t.Any) -> set[str]:
    """Return the members of a class, of its instances, or of a TypedDict."""
    given = {
        name
        for kind in owner.__mro__
        if kind.__module__.startswith("nextmq_handler")
        for name in re.findall(r"\bself\.(\w+)\b(?:: [^=\n]+)? =", inspect.getsource(kind))
    }
    return {*dir(owner), *given, *getattr(owner, "__annotations__", {})}


def test_a_chapter_that_proves_a_row_has_to_do_with_it() -> None:
    unproven = [
        f"{row}: not in {chapter}"
        for row in ROWS
        if row.proof.startswith("scenario ")
        for chapter in _code(row.proof)
        if not _methods(row) <= proven_by(CHAPTERS[chapter])
    ]
    assert not unproven


def test_a_test_that_proves_a_row_is_there() -> None:
    proofs = {proof for row in ROWS if row.is_proven for proof in _code(row.proof) if "::" in proof}
    missing = {proof for proof in proofs if proof.partition("::")[2] not in _functions(proof.partition("::")[0])}
    assert not missing


def _methods(row: Row) -> set[str]:
    """Return what a chapter must use or show: the row's methods, options and fields, but no classes."""
    names = {name.rpartition(".")[2] for name in row.node or row.python}
    return {name for name in names if name[0].islower()}


@functools.cache
def _functions(path: str) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_the_differences_of_the_scenario_are_listed() -> None:
    text = TABLE.read_text().partition(f"## {DIFFERENCES}\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^- `(\w+)`: (.+)$", text, re.MULTILINE)
    told = {
        (step["op"], step["differs"])
        for chapter in CHAPTERS.values()
        for step in chapter.steps
        if step.get("differs")
    }
    assert sorted(shown) == sorted(told)

"""The log of a server command: lines of text or of JSON, and one for each delivery."""

from __future__ import annotations

import json
import logging
import typing as t
from datetime import UTC, datetime
from enum import StrEnum

from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.log_text import one_line

from ..dispatch.reports import Report

deliveries = logging.getLogger("nextmq_server.deliveries")


_DELIVERY = "queue %s job %s (%s) attempt %d: %s, status %s, %.0f ms, delivery %s%s"


class LogLevel(StrEnum):
    """The least severe lines that are written."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(StrEnum):
    """What a line is."""

    text = "text"
    json = "json"


class OneLineFormatter(logging.Formatter):
    """Keeps each record on one line, whatever text of producers, apps or Redis is in it; a traceback follows."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without the traceback."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: t.Any) -> str:
        """Return the traceback, whose last lines are the exception's own text."""
        return "\n".join(map(one_line, super().formatException(ei).split("\n")))


class JSONFormatter(logging.Formatter):
    """Writes each record as one JSON object on one line: `time`, `level`, `logger`, `message`.

    A delivery has its members beside them, an exception its traceback as `exception`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        members: dict[str, t.Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        members.update(getattr(record, "delivery_members", {}))
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        return json.dumps(members)  # in ASCII, so that no line break or escape sequence is left


def configure_logging(
    *,
    level: LogLevel = LogLevel.info,
    format: LogFormat = LogFormat.text,
    time_format: str | None = None,
) -> None:
    """Write the server's log to stderr, one line for each record."""
    handler = logging.StreamHandler()
    if format is LogFormat.json:
        handler.setFormatter(JSONFormatter())
    else:
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s", datefmt=time_format))
    logging.basicConfig(level=max(logging.WARNING, _number(level)), handlers=[handler])
    logging.getLogger("nextmq_server").setLevel(_number(level))


def log_delivery(report: Report) -> None:
    """Log a delivery at INFO: which job, what came of it, and its trace. Never its data."""
    if not deliveries.isEnabledFor(logging.INFO):
        return
    is_retried = isinstance(report.verdict, Failed) and not report.is_final
    outcome = "retrying" if is_retried else report.verdict.outcome
    trace_id = report.traceparent[3:35]
    args = (
        report.queue,
        report.job_id,
        report.job_name,
        report.attempt,
        outcome,
        report.status or "none",
        report.duration,
        report.delivery_id,
        f", trace {trace_id}" if trace_id else "",
    )
    # A logger looks for the caller's line, which takes as long as the rest.
    record = logging.LogRecord(deliveries.name, logging.INFO, __file__, 0, _DELIVERY, args, None)
    record.__dict__["delivery_members"] = {
        "queue": report.queue,
        "job": report.job_id,
        "jobName": report.job_name,
        "attempt": report.attempt,
        "delivery": report.delivery_id,
        "status": report.status,
        "outcome": outcome,
        "ms": round(report.duration),
        "traceId": trace_id or None,
    }
    deliveries.handle(record)


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.upper()]

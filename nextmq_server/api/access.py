"""Who may call each route, and what the audit log calls it: the one place that says so."""

from __future__ import annotations

import enum
import typing as t

from ..projects.roles import ApiKey, Role

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN


class Apps(enum.Enum):
    """Whether a key of the role app may call a route: never, always, or only a processor for its own job."""

    NEVER = enum.auto()
    ALWAYS = enum.auto()
    IN_DELIVERY = enum.auto()


class Access(t.NamedTuple):
    """The least role for a route besides `app`, what apps may do, and the action in the audit log.

    Without `action` the route is not in the audit log.
    """

    least: Role
    apps: Apps = Apps.NEVER
    action: str | None = None

    def admits(self, key: ApiKey, *, in_delivery: bool) -> bool:
        """Return whether a caller with `key` may call the route. `in_delivery`: it names its delivery."""
        if key.role is Role.APP:
            return self.apps is Apps.ALWAYS or (self.apps is Apps.IN_DELIVERY and in_delivery)
        return key.role.includes(self.least)

    def is_audited(self, key: ApiKey, *, in_delivery: bool) -> bool:
        """Return whether the audit log has the call. What apps and processors do is not in it."""
        is_of_app = key.role is Role.APP or (in_delivery and self.apps is Apps.IN_DELIVERY)
        return self.action is not None and not is_of_app

    @property
    def needed(self) -> str:
        """The roles that may call the route, for people."""
        roles = [Role.APP] if self.apps is Apps.ALWAYS else []
        return " or ".join([*roles, *(role for role in (VIEWER, OPERATOR, ADMIN) if role.includes(self.least))])


UNDECLARED = Access(ADMIN, action="undeclared")
"""The access of a route that is not in the table: a test fails for it, and only an admin may call it."""

_READ = Access(VIEWER)
_READ_BY_APPS = Access(VIEWER, Apps.ALWAYS)
_ADD = Access(OPERATOR, Apps.ALWAYS)

_QUEUE, _JOB = "/v1/queues/{queue}", "/v1/queues/{queue}/jobs/{id}"
_SCHEDULER, _TRIGGER, _RULE = "/v1/queues/{queue}/schedulers/{id}", "/v1/triggers/{id}", "/v1/alerts/rules/{id}"

ROUTES: dict[str, Access] = {
    "GET /openapi.json": _READ_BY_APPS,
    "GET /metrics": _READ,
    "GET /v1/project": _READ_BY_APPS,
    "GET /v1/server": _READ,
    "GET /v1/overview": _READ,
    "GET /v1/audit": _READ,
    # registrations
    "GET /v1/workers": _READ_BY_APPS,
    f"GET {_QUEUE}/worker": _READ_BY_APPS,
    f"PUT {_QUEUE}/worker": Access(ADMIN, Apps.ALWAYS),
    f"DELETE {_QUEUE}/worker": Access(ADMIN, Apps.ALWAYS, "unregister"),
    f"POST {_QUEUE}/worker/probe": Access(OPERATOR, Apps.ALWAYS),
    # jobs
    f"POST {_QUEUE}/jobs": _ADD,
    f"POST {_QUEUE}/jobs/bulk": _ADD,
    "POST /v1/flows": _ADD,
    "POST /v1/flows/bulk": _ADD,
    "GET /v1/flows/{queue}/{id}": _READ_BY_APPS,
    f"GET {_QUEUE}/jobs": _READ,
    f"GET {_JOB}": _READ_BY_APPS,
    f"GET {_JOB}/why": _READ_BY_APPS,
    f"GET {_JOB}/root": _READ_BY_APPS,
    f"GET {_JOB}/result": _READ_BY_APPS,
    f"GET {_JOB}/logs": _READ_BY_APPS,
    f"GET {_JOB}/children-values": _READ_BY_APPS,
    f"GET {_JOB}/ignored-failures": _READ_BY_APPS,
    f"GET {_JOB}/dependencies": _READ_BY_APPS,
    f"GET {_QUEUE}/events": _READ_BY_APPS,
    f"DELETE {_JOB}": Access(OPERATOR, action="remove"),
    f"POST {_JOB}/retry": Access(OPERATOR, action="retry"),
    f"POST {_JOB}/promote": Access(OPERATOR, action="promote"),
    f"PUT {_JOB}/delay": Access(OPERATOR, action="change-delay"),
    f"PUT {_JOB}/priority": Access(OPERATOR, action="change-priority"),
    f"DELETE {_JOB}/parent": Access(OPERATOR, action="remove-parent"),
    # what processors call too
    f"PUT {_JOB}/data": Access(OPERATOR, Apps.IN_DELIVERY, "update-data"),
    f"PUT {_JOB}/progress": Access(OPERATOR, Apps.IN_DELIVERY, "update-progress"),
    f"POST {_JOB}/logs": Access(OPERATOR, Apps.IN_DELIVERY, "add-log"),
    f"DELETE {_JOB}/logs": Access(OPERATOR, Apps.IN_DELIVERY, "clear-logs"),
    f"DELETE {_JOB}/children": Access(OPERATOR, Apps.IN_DELIVERY, "remove-children"),
    f"DELETE {_JOB}/deduplication-key": Access(OPERATOR, Apps.IN_DELIVERY, "release-deduplication"),
    # queues
    "GET /v1/queues": _READ,
    f"GET {_QUEUE}": _READ,
    f"GET {_QUEUE}/why": _READ,
    f"GET {_QUEUE}/counts": _READ,
    f"GET {_QUEUE}/counts-per-priority": _READ,
    f"GET {_QUEUE}/workers": _READ,
    f"GET {_QUEUE}/maxed": _READ,
    f"GET {_QUEUE}/metrics": _READ,
    f"GET {_QUEUE}/metrics/{{state}}": _READ,
    f"GET {_QUEUE}/deduplication/{{id}}": _READ,
    f"DELETE {_QUEUE}/deduplication/{{id}}": Access(OPERATOR, action="release-deduplication"),
    f"POST {_QUEUE}/pause": Access(OPERATOR, action="pause"),
    f"POST {_QUEUE}/resume": Access(OPERATOR, action="resume"),
    "POST /v1/pause": Access(OPERATOR, action="pause-all"),
    "POST /v1/resume": Access(OPERATOR, action="resume-all"),
    f"POST {_QUEUE}/retry-jobs": Access(OPERATOR, action="retry-jobs"),
    f"POST {_QUEUE}/redrive": Access(OPERATOR, action="redrive"),
    f"POST {_QUEUE}/promote-jobs": Access(OPERATOR, action="promote-jobs"),
    f"POST {_QUEUE}/drain": Access(ADMIN, action="drain"),
    f"POST {_QUEUE}/clean": Access(ADMIN, action="clean"),
    f"POST {_QUEUE}/obliterate": Access(ADMIN, action="obliterate"),
    f"POST {_QUEUE}/trim-events": Access(ADMIN, action="trim-events"),
    # limits
    f"GET {_QUEUE}/concurrency": _READ,
    f"PUT {_QUEUE}/concurrency": Access(ADMIN, action="set-concurrency"),
    f"DELETE {_QUEUE}/concurrency": Access(ADMIN, action="remove-concurrency"),
    f"GET {_QUEUE}/rate-limit": _READ,
    f"PUT {_QUEUE}/rate-limit": Access(ADMIN, action="set-rate-limit"),
    f"DELETE {_QUEUE}/rate-limit": Access(ADMIN, action="remove-rate-limit"),
    f"GET {_QUEUE}/rate-limited": _READ,
    f"PUT {_QUEUE}/rate-limited": Access(ADMIN, action="rest"),
    f"DELETE {_QUEUE}/rate-limited": Access(OPERATOR, action="end-rest"),
    # schedules and triggers
    f"GET {_QUEUE}/schedulers": _READ,
    f"GET {_SCHEDULER}": _READ,
    f"PUT {_SCHEDULER}": Access(ADMIN, action="set-scheduler"),
    f"DELETE {_SCHEDULER}": Access(ADMIN, action="remove-scheduler"),
    f"POST {_SCHEDULER}/run": Access(OPERATOR, action="run-scheduler"),
    "GET /v1/triggers": _READ,
    "POST /v1/triggers": Access(ADMIN, action="create-trigger"),
    f"GET {_TRIGGER}": _READ,
    f"GET {_TRIGGER}/runs": _READ,
    f"DELETE {_TRIGGER}": Access(ADMIN, action="remove-trigger"),
    f"POST {_TRIGGER}/pause": Access(OPERATOR, action="pause-trigger"),
    f"POST {_TRIGGER}/resume": Access(OPERATOR, action="resume-trigger"),
    f"POST {_TRIGGER}/fire": Access(OPERATOR, action="fire-trigger"),
    f"POST {_TRIGGER}/rotate-secret": Access(ADMIN, action="rotate-trigger-secret"),
    # search and what follows from it
    "GET /v1/search": _READ,
    "GET /v1/failures": _READ,
    "GET /v1/bulk": _READ,
    "GET /v1/bulk/{id}": _READ,
    "POST /v1/bulk": Access(OPERATOR, action="bulk"),
    "POST /v1/bulk/{id}/cancel": Access(OPERATOR, action="cancel-bulk"),
    # alerts
    "GET /v1/alerts": _READ,
    f"PUT {_RULE}": Access(ADMIN, action="set-alert"),
    f"DELETE {_RULE}": Access(ADMIN, action="remove-alert"),
    f"POST {_RULE}/test": Access(ADMIN, action="test-alert"),
}
"""The access of each route that needs a key, by method and path."""


def access_of(methods: t.Collection[str], path: str) -> Access:
    """Return the access of the route with this path, which has one method."""
    [method] = methods
    return ROUTES.get(f"{method} {path}", UNDECLARED)

"""The states of a job, and what the failure of a child means for its parent."""

from __future__ import annotations

import typing as t

JobState = t.Literal[
    "waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed", "unknown"
]
"""The state that a job is shown in; "unknown" if it was removed in the meantime."""

STATES = ("waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed")
"""The states that a job can be listed by."""

STORED_STATES = (*STATES, "paused")
"""The lists that Redis holds jobs in. BullMQ keeps the waiting jobs of a paused queue apart."""

FAILURE_POLICIES = (
    "failParentOnFailure",
    "continueParentOnFailure",
    "ignoreDependencyOnFailure",
    "removeDependencyOnFailure",
)
"""The options that say what a child's failure means for its parent. A job has at most one of them."""

"""Sentry hears of each job that failed, in every framework, with nothing but `sentry_sdk.init`."""

import json
import subprocess
import sys


def test_sentry_gets_one_event_for_a_job_that_failed_with_the_jobs_tags() -> None:
    code = [sys.executable, "-m", "tests.adapters.sentry_apps"]
    ran = subprocess.run(code, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    heard = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(one["app"], one["job"]) for one in heard] == [
        (app, job) for app in ("fastapi", "flask", "lambda") for job in ("def", "async")
    ]
    for one in heard:
        function = {"def": "in_thread", "async": "on_loop"}[one["job"]]
        assert one["statuses"] == [200, 200], one
        # The first of two attempts is a warning, which Sentry keeps as a breadcrumb of the request.
        tags = {"queue": "emails", "job": "42", "job_name": one["job"], "attempt": 2}
        event = {"level": "error", "exceptions": ["ValueError"], "function": function, "tags": tags}
        assert one["events"] == [event], one

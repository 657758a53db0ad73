"""What a cold start in Lambda imports: a delivery answered by a plain `def` processor, in a fresh process."""

import base64
import json
import subprocess
import sys
import time
import typing as t

import pytest

from nextmq_handler import Worker
from nextmq_handler.protocol.signing import parse_secret, signature_headers
from nextmq_handler.registration import fingerprint
from nextmq_handler.settings import load_settings
from tests.support.handler import APP_URL, SECRET, URL, delivery, encode

FORBIDDEN = {
    "anyio",
    "asyncio",
    "dataclasses",
    "email",
    "httpx",
    "importlib.metadata",
    "inspect",
    "nextmq_handler.telemetry",
    "opentelemetry",
    "pydantic",
    "ssl",
    "starlette",
}

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

FUNCTION = f"""
from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_handler import Job, Worker

emails = Worker("emails")

@emails.processor("welcome")
{{processor}}
    return {{{{"sent": job.data["to"]}}}}

handler = lambda_handler(workers=[emails], url={URL!r}, app_url={APP_URL!r})
"""


def loaded_by(processor: str, event: dict[str, t.Any], answer: str) -> set[str]:
    """Return the modules of a fresh process in which the function has answered `event`."""
    code = FUNCTION.format(processor=processor)
    code += f"answer = handler({event!r}, None)\nassert answer['statusCode'] == 200, answer\n"
    code += f"assert answer['body'] == {answer!r}, answer\nimport sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.split())


def event_of(body: bytes, *, is_base64: bool) -> dict[str, t.Any]:
    """Return a delivery as an event of payload version 2.0."""
    seal = signature_headers([parse_secret(SECRET)], "dlv_1", int(time.time()), body)
    return {
        "version": "2.0",
        "rawPath": "/api/nextmq/queues/emails",
        "headers": {"content-type": "application/json", "traceparent": TRACEPARENT}
        | {name.decode(): value.decode() for name, value in seal},
        "requestContext": {"http": {"method": "POST", "path": "/api/nextmq/queues/emails"}, "stage": "$default"},
        "body": base64.b64encode(body).decode() if is_base64 else body.decode(),
        "isBase64Encoded": is_base64,
    }


def registered() -> dict[str, str]:
    """Return the worker of a delivery whose server holds this app's registration."""
    return {
        "fingerprint": fingerprint(Worker("emails", lambda job: None), load_settings(url=URL, app_url=APP_URL))
    }


@pytest.mark.parametrize("is_base64", [False, True])
@pytest.mark.parametrize(
    "processor",
    [
        "def welcome(job):",
        "def welcome(job: Job):",
        "def welcome(job: Job[dict]) -> dict[str, str]:",
    ],
)
def test_a_plain_processor_in_lambda_runs_without_the_slow_imports(processor: str, is_base64: bool) -> None:
    event = event_of(encode(delivery(worker=registered())), is_base64=is_base64)
    answer = {"outcome": "completed", "returnValue": {"sent": "ä@example.com"}}
    loaded = loaded_by(processor, event, json.dumps(answer, separators=(",", ":")))
    assert "nextmq_adapters.aws_lambda" in loaded
    assert loaded & FORBIDDEN == set()


def test_the_measure_sees_a_slow_import() -> None:
    event = event_of(encode(delivery(worker=registered())), is_base64=False)
    answer = {"outcome": "completed", "returnValue": {"sent": "ä@example.com"}}
    processor = "async def welcome(job):"
    assert {"asyncio", "anyio"} <= loaded_by(processor, event, json.dumps(answer, separators=(",", ":")))

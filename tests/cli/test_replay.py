"""`nextmq replay`: an app on this machine runs a copy of a job, and nothing of the job changes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import AsyncJob, Job, Queue, Worker, _overrides, create_nextmq_handler, idempotent
from nextmq_handler.cli.calls import Server
from nextmq_handler.cli.main import main
from nextmq_handler.idempotency import MemoryStore
from nextmq_handler.protocol.signing import generate_secret
from nextmq_handler.settings import parse_connection_string
from nextmq_server.projects.roles import Role
from nextmq_server.projects.rotation import with_key_of
from nextmq_server.testing.live import LiveNextMQ
from tests.support.served_app import MOUNT, ServedApp

Ran = list[t.Any]


class Told(t.NamedTuple):
    """How a command ended, and what it printed."""

    status: object
    out: str
    err: str


class Local:
    """An app on this machine with a secret of its own, and jobs of another server."""

    def __init__(self, app: ServedApp, secret: str, capfd: pytest.CaptureFixture[str]) -> None:
        self.secret = secret
        self.ran: Ran = []
        self._app = app
        self._capfd = capfd

    def serve(self, processor: t.Callable[..., t.Any]) -> None:
        """Serve a handler with this processor, as an app of the local secret does."""
        worker = Worker("emails", processor)
        handler = create_nextmq_handler(workers=[worker], webhook_secrets=self.secret)
        self._app.serve(Starlette(routes=[Mount(MOUNT, handler)]))

    def serve_flask(self, processor: t.Callable[..., t.Any]) -> None:
        """Do the same in Flask."""
        app = Flask("local")
        blueprint = nextmq_blueprint(workers=[Worker("emails", processor)], webhook_secrets=self.secret)
        app.register_blueprint(blueprint, url_prefix=MOUNT)
        self._app.serve(app)

    def replay(self, id: str, *options: str, to: str | None = None) -> Told:
        """Run the command."""
        self._capfd.readouterr()
        status: object = 0
        try:
            main(["replay", "emails", id, "--to", to or self._app.app_url, *options])
        except SystemExit as exc:
            status = exc.code or 0
        return Told(status, *self._capfd.readouterr())


def live_view(id: str) -> dict[str, t.Any]:
    """Return the job as the server shows it, with its logs."""
    server = Server()
    return {**server.get("queues", "emails", "jobs", id), **server.get("queues", "emails", "jobs", id, "logs")}


@pytest.fixture
def local(
    live_nextmq: LiveNextMQ,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> t.Iterator[Local]:
    secret = generate_secret()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXTMQ_APP_URL")
    file = tmp_path / ".nextmq" / "env"
    file.parent.mkdir()
    file.touch(0o600)
    file.write_text(f"NEXTMQ_URL=nextmq+http://nmq_key:{secret}@127.0.0.1:1/dev\n")
    app = ServedApp()
    yield Local(app, secret, capfd)
    app.close()


def test_the_app_runs_the_job_with_its_data_and_prints_what_it_would_send(local: Local) -> None:
    def welcome(job: Job) -> dict[str, t.Any]:
        local.ran.append((job.id, job.data, job.attempts_made, job.is_replay))
        job.update_progress({"done": 50})
        job.log("writing to\nada")
        job.update_data({"to": "changed"})
        job.clear_logs()
        return {"sent": True}

    local.serve(welcome)
    job = Queue("emails").add("welcome", {"to": "ada"})
    before = live_view(job.id)
    told = local.replay(job.id)
    assert (told.status, local.ran) == (0, [(job.id, {"to": "ada"}, 0, True)])
    assert [line for line in told.err.splitlines() if line.startswith("replay ")] == [
        f'replay emails/{job.id}: progress {{"done": 50}}',
        f"replay emails/{job.id}: log writing to ada",
        f'replay emails/{job.id}: data {{"to": "changed"}}',
        f'replay emails/{job.id}: DELETE logs {{"keep": 0}}',
    ]
    assert '{\n  "sent": true\n}' in told.out
    assert live_view(job.id) == before


def test_an_async_processor_is_replayed_too(local: Local) -> None:
    async def welcome(job: AsyncJob) -> str:
        await job.update_progress(1)
        return "done"

    local.serve(welcome)
    told = local.replay(Queue("emails").add("welcome", None).id)
    assert (told.status, '"done"' in told.out, "progress 1" in told.err) == (0, True, True)


def test_a_wsgi_app_is_replayed_too(local: Local) -> None:
    local.serve_flask(lambda job: job.is_replay)
    assert "true" in local.replay(Queue("emails").add("welcome", None).id).out


def test_a_processor_that_raises_is_told_with_its_traceback(local: Local) -> None:
    def welcome(job: Job) -> None:
        raise ValueError(f"no such user: {job.data}")

    local.serve(welcome)
    told = local.replay(Queue("emails").add("welcome", "ada").id)
    assert told.status == 1
    assert "ValueError: no such user: ada" in told.out
    assert f'File "{__file__}"' in told.out


def test_what_a_replay_cannot_know_is_an_error_of_the_processor(local: Local) -> None:
    local.serve(lambda job: job.get_children_values())
    told = local.replay(Queue("emails").add("welcome", None).id)
    assert (told.status, "a replay cannot ask the server for its children-values" in told.out) == (1, True)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_idempotent_processor_runs_whatever_its_store_has(local: Local, is_async: bool) -> None:
    async def awaited(job: AsyncJob) -> str:
        return f"run {job.id}"

    store = MemoryStore()
    local.serve(idempotent(store)(awaited if is_async else lambda job: f"run {job.id}"))
    id = Queue("emails").add("welcome", None).id
    assert [f'"run {id}"' in local.replay(id).out for _ in range(2)] == [True, True]
    assert store._entries == {}


def test_a_signal_is_told_and_moves_nothing(local: Local) -> None:
    local.serve(lambda job: job.retry_in(60_000))
    job = Queue("emails").add("welcome", None)
    told = local.replay(job.id)
    assert (told.status, "delayed in" in told.out, live_view(job.id)["state"]) == (0, True, "waiting")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("http://app.example/api/nextmq", "which is not this machine: say --yes"),
        ("http://127.0.0.1:1/api/nextmq", "no app answers at http://127.0.0.1:1/api/nextmq"),
        ("app.example", "--to must be an http or https URL"),
    ],
)
def test_where_a_replay_cannot_go_is_told(local: Local, to: str, said: str) -> None:
    told = local.replay(Queue("emails").add("welcome", None).id, to=to)
    assert (told.status != 0, said in told.err) == (True, True), told


def test_an_app_with_another_secret_refuses_and_the_command_says_why(local: Local) -> None:
    local.secret = generate_secret()
    local.serve(lambda job: local.ran.append(job))
    told = local.replay(Queue("emails").add("welcome", None).id)
    assert (told.status, "another webhook secret than .nextmq/env" in told.err, local.ran) == (1, True, [])


def test_without_a_file_the_secret_of_this_environment_signs(
    local: Local, live_nextmq: LiveNextMQ, tmp_path: Path
) -> None:
    (tmp_path / ".nextmq" / "env").unlink()
    local.secret = parse_connection_string(live_nextmq.url).webhook_secret
    local.serve(lambda job: "ran")
    assert local.replay(Queue("emails").add("welcome", None).id).status == 0


def test_a_replay_registers_no_worker(local: Local, live_nextmq: LiveNextMQ) -> None:
    local.serve(lambda job: None)
    assert local.replay(Queue("emails").add("welcome", None).id).status == 0
    assert Queue("emails").info().worker is None
    assert _overrides.url == live_nextmq.url


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APP])
def test_a_key_that_may_not_see_all_data_replays_nothing(
    local: Local, live_nextmq: LiveNextMQ, role: Role
) -> None:
    project = with_key_of(live_nextmq._service.project, role, None)
    live_nextmq._service.credentials.rotate(project)
    local.serve(lambda job: local.ran.append(job))
    url = project.connection_string(parse_connection_string(live_nextmq.url).base_url, project.keys[-1])
    told = local.replay(Queue("emails").add("welcome", None).id, "--url", url)
    assert (told.status, f"role {role}, and a replay needs operator" in told.err, local.ran) == (1, True, [])


def test_a_job_that_does_not_exist_is_told(local: Local) -> None:
    told = local.replay("nobody")
    assert (told.status, "queue emails has no job nobody" in told.err) == (1, True)

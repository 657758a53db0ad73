"""Where the app of `nextmq dev -- COMMAND` listens, as its words and its environment tell."""

from __future__ import annotations

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.cli.app_commands import guess_app_url

PORTS = {
    "uvicorn main:app --reload": 8000,
    "uvicorn main:app --port 9000": 9000,
    "uvicorn main:app --port=9000": 9000,
    "UVICORN_PORT=9000 uvicorn main:app": 9000,
    "UVICORN_PORT=9000 uvicorn main:app --port 9001": 9001,
    "/srv/.venv/bin/uvicorn main:app --port 9000": 9000,
    "uv run uvicorn main:app --port 9000": 9000,
    "python -m uvicorn main:app --port 9000": 9000,
    "fastapi dev main.py --port 9000": 9000,
    "flask --app main run": 5000,
    "flask --app main run -p 9000": 9000,
    "flask --app main run -p9000": 9000,
    "FLASK_RUN_PORT=9000 flask --app main run": 9000,
    "gunicorn main:app": 8000,
    "gunicorn main:app -p gunicorn.pid": 8000,
    "gunicorn main:app --bind 0.0.0.0:9000": 9000,
    "gunicorn main:app -b [::]:9000": 9000,
    "gunicorn main:app -b:9000": 9000,
    "gunicorn main:app -b 0.0.0.0": 8000,
    "PORT=9000 gunicorn main:app": 9000,
    "PORT=9000 uvicorn main:app": 8000,
    "hypercorn main:app --bind=localhost:9000": 9000,
    "python manage.py runserver": 8000,
    "python manage.py runserver --noreload 9000": 9000,
    "python manage.py runserver 0.0.0.0:9000": 9000,
    "python main.py": 8000,
}


def guess(line: str) -> str:
    """Return the URL for a line of a shell, whose first words may set variables."""
    words = line.split()
    variables = [word for word in words if word.split("=")[0].isupper()]
    return guess_app_url(words[len(variables) :], dict(word.split("=") for word in variables))


@pytest.mark.parametrize(("line", "port"), PORTS.items())
def test_the_port_of_a_command_is_the_one_at_which_its_app_listens(line: str, port: int) -> None:
    assert guess(line) == f"http://127.0.0.1:{port}/api/nextmq"


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn main:app --bind unix:/run/app.sock",
        "uvicorn main:app --port 0",
        "uvicorn main:app --port 99999",
        "UVICORN_PORT=http uvicorn main:app",
    ],
)
def test_a_command_without_a_port_that_can_be_known_is_told_to_pass_the_url(line: str) -> None:
    with pytest.raises(ConfigurationError, match="pass --app with the URL"):
        guess(line)

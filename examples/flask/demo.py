"""Orders two reports as a browser would, reloads their pages as these ask for it, checks what they show."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import httpx
from rich.console import Console

from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

from .stand_ins import bank_server

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

FINISH_TIME = 15.0

TOTALS = {
    "by-currency": {"EUR": "4,368.71", "GBP": "3,377.48", "USD": "3,135.44"},
    "in-euros": {"EUR": "11,074.71"},
}


class Page(t.NamedTuple):
    """A report's page as a visitor sees it; `reload_after`, in s, is None if it does not reload itself."""

    state: str
    progress: int
    totals: dict[str, str]
    reload_after: float | None


def main() -> None:
    """Run the demo; exit 0 only if each report's page showed what it should."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextmq-demo-")))
        bank_port = stack.enter_context(bank_server())
        app_port = free_port()
        site = f"http://127.0.0.1:{app_port}"
        app_url = f"{site}/api/nextmq"
        console.rule("nextmq dev")
        server, nextmq_url = stack.enter_context(nextmq_dev(folder / "data", app_url))
        os.environ.update(NEXTMQ_URL=nextmq_url, NEXTMQ_APP_URL=app_url, BANK_URL=f"http://127.0.0.1:{bank_port}")
        console.rule("deliveries, and the pages that the browser sees")
        stack.enter_context(flask_app(app_port))
        # The server polls /health of the app, and the app registers its worker.
        server.wait_for_line("queue reports: worker registered")
        with httpx.Client(base_url=site, follow_redirects=True) as browser:
            were_right = [order_and_watch(browser, kind, 2025) for kind in TOTALS]
    if not all(were_right):
        sys.exit("A page showed something else than it should.")
    console.print("Every page showed what it should.")


def order_and_watch(browser: httpx.Client, kind: str, year: int) -> bool:
    """Post the form and stay on the page that it leads to; whether that page showed what it should."""
    form = re.search(r'<form action="([^"]+)" method="post">', browser.get("/").text)
    assert form is not None, "the first page has no form"
    response = browser.post(form[1], data={"kind": kind, "year": year})
    deadline = time.monotonic() + FINISH_TIME
    pages = [seen(response)]
    while (pause := pages[-1].reload_after) is not None and time.monotonic() < deadline:
        time.sleep(pause)
        pages.append(seen(browser.get(response.url)))
    was_under_way = any(0 < page.progress < 100 for page in pages)
    return was_under_way and pages[-1] == Page("completed", 100, TOTALS[kind], None)


def seen(response: httpx.Response) -> Page:
    """Fetch a report's page, and print it."""
    text = response.raise_for_status().text
    status = re.search(r"is <strong>(.+)</strong>, (\d+) % done", text)
    assert status is not None, f"{response.url} is not the page of a report:\n{text}"
    reload = re.search(r'<meta http-equiv="refresh" content="(\d+)">', text)
    totals = dict(re.findall(r"<th>(.+)</th><td>(.+)</td>", text))
    page = Page(status[1], int(status[2]), totals, float(reload[1]) if reload else None)
    shown = [f"{page.progress} %", *(f"{currency} {total}" for currency, total in totals.items())]
    console.print(f"  page {response.url.path}: {page.state}, {', '.join(shown)}")
    return page


@contextlib.contextmanager
def nextmq_dev(data_dir: Path, app_url: str) -> t.Generator[tuple[ChildProcess, str]]:
    """`nextmq dev` on a free port, its lines shown as they come, and its connection string."""
    env = {"FORCE_COLOR": "1"} if console.is_terminal else {}
    server, url = start_dev_server(data_dir, app_url=app_url, env=env, echo=lambda line: console.out(line, end=""))
    try:
        yield server, url
    finally:
        server.stop()


@contextlib.contextmanager
def flask_app(port: int) -> t.Generator[None]:
    """Run the example under gunicorn, or under Flask's own server if gunicorn is not installed."""
    # A processor occupies a thread while it runs, and the pages need some too.
    gunicorn = ["gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "8", "examples.flask.app:app"]
    flask = ["flask", "--app", "examples.flask.app", "run", "--port", str(port)]
    has_gunicorn = importlib.util.find_spec("gunicorn") is not None
    app = ChildProcess([sys.executable, "-m", *(gunicorn if has_gunicorn else flask)])
    try:
        app.wait_for_line("Booting worker" if has_gunicorn else "Running on")
        yield
    finally:
        app.stop()


if __name__ == "__main__":
    main()

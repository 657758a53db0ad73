"""`nextmq alerts`: the rules that tell somebody."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import USAGE, CommandFailed
from ..options import AsJson, Url, Yes
from ..output import Cell, duration, print_json, say, table
from .content import read_json


def alerts(
    name: t.Annotated[str | None, typer.Argument(metavar="RULE", help="The name of a rule to change.")] = None,
    new: t.Annotated[str | None, typer.Option("--set", help="Make or change the rule: JSON, @FILE or -.")] = None,
    test: t.Annotated[bool, typer.Option("--test", help="Send a test to the rule's channels.")] = False,
    remove: t.Annotated[bool, typer.Option("--remove", help="Remove the rule. Asks.")] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the alert rules and what fires, or set, test or remove a rule."""
    server = Server(url)
    changes = [new is not None, test, remove]
    if not any(changes):
        _show(server, name, as_json)
        return
    if name is None or sum(changes) > 1:
        raise CommandFailed(
            "name one rule and one change: nextmq alerts RULE --set JSON, --test or --remove", USAGE
        )
    if new is not None:
        _told("Set", name, server.put("alerts", "rules", name, content=read_json(new, "--set")), as_json)
    elif test:
        _told("Sent a test of", name, server.post("alerts", "rules", name, "test"), as_json)
    else:
        confirm(f"remove alert rule {one_line(name)}", yes=yes)
        _told("Removed", name, server.delete("alerts", "rules", name), as_json)


def _told(verb: str, name: str, answer: t.Any, as_json: bool) -> None:
    print_json(answer or {}) if as_json else say(f"{verb} rule {one_line(name)}.")


def _show(server: Server, name: str | None, as_json: bool) -> None:
    found = server.get("alerts")
    rules: list[Json] = [rule for rule in found["rules"] if name in (None, rule["name"])]
    if as_json:
        print_json({**found, "rules": rules})
    elif not rules:
        say("No such alert rule.")
    else:
        say(*table(("rule", "state", "fires above", "queues", "tells", "firing"), map(_row, rules)))


def _row(rule: Json) -> list[Cell]:
    when = rule["when"].replace("_", " ")
    # A server of a later version may know more states and conditions.
    bound = duration(rule["over"]) if rule["when"] in _LASTING else f"{rule['over']:,}"
    state = rule["state"] if rule["isEnabled"] else "off"
    firing = "; ".join(one["text"] for one in rule["firings"])
    tells = ", ".join(channel["type"] for channel in rule["channels"])
    style = {"firing": "bad", "ok": "ok", "off": "muted"}.get(state, "warn")
    return [rule["name"], (state, style), f"{when} {bound}", rule["queues"], tells, firing]


_LASTING = ("oldest_waiting", "held", "no_worker", "paused", "schedule_overdue")
"""The conditions whose bound is a time, in ms."""

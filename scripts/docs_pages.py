"""A hook of mkdocs: generate the pages about the `nextmq` commands and the REST API from the code."""

import os
import re
import subprocess
import sys
import typing as t
from collections.abc import Iterator

from nextmq_handler.cli.commands import COMMANDS
from nextmq_server.api.app import create_app

Schema = dict[str, t.Any]

_COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_ENVIRONMENT = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}


def on_page_markdown(markdown: str, **_: t.Any) -> str:
    """Insert generated parts at their markers, and remove comments, which are for the tests."""
    for marker, generate in (("commands", commands), ("routes", routes)):
        if (comment := f"<!-- generated: {marker} -->") in markdown:
            markdown = markdown.replace(comment, generate())
    return _COMMENT.sub("", markdown)


def commands() -> str:
    """Return the help of every command, by section."""
    return "\n".join(
        f"## {section}\n\n" + "\n".join(_help_of([entry.name]) for entry in entries)
        for section, entries in COMMANDS.items()
    )


def _help_of(words: list[str]) -> str:
    """Return the help of a command, and of the commands below it."""
    command = [sys.executable, "-m", "nextmq_handler", *words, "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=_ENVIRONMENT).stdout
    _, _, below = printed.partition("\nCommands:\n")
    names = [line.split()[0] for line in below.splitlines() if re.match(r"  \w", line)]
    shown = f"### `nextmq {' '.join(words)}`\n\n```text\n{printed.strip()}\n```\n"
    return "\n".join([shown, *(_help_of([*words, name]) for name in names)])


def routes() -> str:
    """Return every route and schema of the server's OpenAPI document."""
    document = create_app().openapi()
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_route(method, path, operation))
    schemas = document["components"]["schemas"]
    parts = [f"## {tag.capitalize()}\n\n" + "\n".join(parts) for tag, parts in by_tag.items()]
    parts.append("## Schemas\n")
    parts += [_schema(name, schema) for name, schema in sorted(schemas.items())]
    return "\n".join(parts)


def _route(method: str, path: str, operation: Schema) -> str:
    lines = [f"### `{method.upper()} {path}` {{ #{operation['operationId']} }}", "", operation["description"], ""]
    if parameters := [_parameter(p) for p in operation.get("parameters", []) if p["in"] != "path"]:
        lines += ["| parameter | in | type | |", "| --- | --- | --- | --- |", *parameters, ""]
    if body := operation.get("requestBody"):
        lines.append(f"Body: {_content(body)}.\n")
    answers = [
        f"{status} {_content(answer)}".strip()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    ]
    lines.append(f"Answers {', '.join(answers)}.\n")
    return "\n".join(lines)


def _parameter(parameter: Schema) -> str:
    described = _cell(parameter.get("description", ""))
    return f"| `{parameter['name']}` | {parameter['in']} | {_type(parameter['schema'])} | {described} |"


def _content(body: Schema) -> str:
    kinds = [_type(media["schema"]) for media in body.get("content", {}).values() if media.get("schema")]
    return ", ".join(kinds)


def _schema(name: str, schema: Schema) -> str:
    lines = [f"### {name} {{ #schema-{name.lower()} }}", "", schema.get("description", ""), ""]
    if members := schema.get("properties"):
        required = schema.get("required", [])
        lines += ["| member | type | |", "| --- | --- | --- |"]
        lines += [_member(key, member, key in required) for key, member in members.items()]
    return "\n".join([*lines, ""])


def _member(name: str, schema: Schema, required: bool) -> str:
    notes = [schema["description"]] if "description" in schema else []
    if required:
        notes.append("required")
    if schema.get("default") is not None:
        notes.append(f"default `{schema['default']}`")
    return f"| `{name}` | {_type(schema)} | {_cell('; '.join(notes))} |"


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(_types(schema))) or "any JSON"


def _types(schema: Schema) -> Iterator[str]:
    if ref := schema.get("$ref"):
        name = ref.rpartition("/")[2]
        yield f"[{name}](#schema-{name.lower()})"
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for choice in choices:
            yield from _types(choice)
    elif "const" in schema or "enum" in schema:
        yield from (f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    elif schema.get("type") == "array":
        yield f"array of {_type(schema.get('items', {}))}"
    elif kind := schema.get("type"):
        yield kind + _bounds(schema)


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f" {_whole(low)} … {_whole(high)}".rstrip()


def _whole(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")

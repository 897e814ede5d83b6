"""Publishes the schemas: JSON Schema for editors and other programs, and a reference for people.

What ``docs/schema/*.json`` and ``docs/configuration.md`` are written from (``make docs``). Rules:
both are generated from the types that load the files, so they cannot disagree; a test compares what is there.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from sensord.config.places import PlacesFile
from sensord.config.plantext import DispatchFile
from sensord.config.rostertext import RosterFile
from sensord.config.ruletext import RulesFile
from sensord.config.settings import Settings
from sensord.config.testtext import RuleTestFile
from sensord.config.vehicles import VehiclesFile
from sensord.core.intake.codec.native import MESSAGES

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FILES: dict[str, type] = {
    "sensord": Settings,
    "places": PlacesFile,
    "roster": RosterFile,
    "dispatch": DispatchFile,
    "rules": RulesFile,
    "ruletest": RuleTestFile,
    "vehicles": VehiclesFile,
}
_INTRODUCTION = """\
# Configuration reference

<!-- written by `make docs` from the schemas in sensord/config -->

Six kinds of file, all YAML. Every mistake is reported at once, as `file:line:column` with a hint; unknown
keys are refused. Durations name their unit (`30s`, `5m`, `1h30m`). Aliases, anchors, tags, duplicate keys and
plain `yes`/`no`/`on`/`off` are refused; `true` and `false` are the truth values. Limits: 256 KiB a file
(places and roster: 8 MiB), 20 levels. Editors that know the YAML language server find the schema by the first
line of each sample.

The last part describes the JSON messages of the native format.
"""
_TITLES = {
    "sensord": "sensord.yaml",
    "places": "places.yaml",
    "roster": "roster.yaml",
    "dispatch": "dispatch.yaml",
    "rules": "rules/*.yaml",
    "ruletest": "rules/tests/*.yaml",
    "vehicles": "vehicles.yaml",
}


def schemas() -> dict[str, Schema]:
    """Return every JSON Schema by name: the files, and ``message-<stream>`` for native messages."""
    wanted = {**_FILES, **{f"message-{stream.word}": message for stream, message in MESSAGES.items()}}
    return {
        name: {"$schema": _DIALECT, **{key: _tidy(node) for key, node in msgspec.json.schema(kind).items()}}
        for name, kind in wanted.items()
    }


def _tidy(node: object) -> object:
    """Make descriptions of docstrings readable: no indentation, no double backquotes."""
    if isinstance(node, dict):
        return {key: _prose(value) if key == "description" else _tidy(value) for key, value in node.items()}
    return [_tidy(item) for item in node] if isinstance(node, list) else node


def _prose(value: object) -> object:
    return inspect.cleandoc(value).replace("``", "`") if isinstance(value, str) else _tidy(value)


def reference() -> str:
    """Return the reference as Markdown."""
    parts = [_INTRODUCTION]
    for name, schema in schemas().items():
        title = _TITLES.get(name) or f"Native message: {name.removeprefix('message-')}"
        parts.append(f"## {title}\n\nSchema: [`{name}.json`](schema/{name}.json)\n")
        parts += [_section(name, word, definition) for word, definition in _in_order(schema)]
    return "\n".join(parts)


def _in_order(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the definitions from the root on, each once, in the order in which they are first mentioned."""
    waiting, seen = [_target(schema)], set()
    while waiting:
        word = waiting.pop(0)
        if word not in seen:
            seen.add(word)
            yield word, schema["$defs"][word]
            waiting += list(_mentioned(schema["$defs"][word]))


def _mentioned(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield _target(node)
        for key, value in node.items():
            if key != "default":
                yield from _mentioned(value)
    elif isinstance(node, list):
        for item in node:
            yield from _mentioned(item)


def _target(node: Schema) -> str:
    return str(node["$ref"]).rpartition("/")[2]


def _section(name: str, word: str, definition: Schema) -> str:
    lines = [
        f'### <a id="{name}-{word.lower()}"></a>{_title(word)}',
        "",
        definition.get("description", ""),
        "",
    ]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    required = set(definition.get("required", ()))
    for key, field in definition.get("properties", {}).items():
        default = "required" if key in required else _default(field)
        meaning = str(_described(field)).replace("|", "\\|")
        lines.append(f"| `{key}` | {_kind(name, field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _title(word: str) -> str:
    for ending in ("Entry", "Text", "File"):
        if word.endswith(ending) and word != f"Local{ending}":
            return word.removesuffix(ending)
    return word


def _default(field: Schema) -> str:
    value = field.get("default")
    if isinstance(value, dict | list | tuple) and value:
        return "see there"
    return "" if value in (None, "", {}, [], ()) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _described(field: Schema) -> str:
    texts = [field.get("description", "")] + [part.get("description", "") for part in field.get("anyOf", ())]
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _kind(name: str, node: Schema) -> str:
    """Write what a key's value may be."""
    if "$ref" in node:
        return f"[{_title(_target(node))}](#{name}-{_target(node).lower()})"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_kind(name, part) for part in node["anyOf"] if part.get("type") != "null"))
    if "enum" in node:
        return ", ".join(f"`{word}`" for word in node["enum"])
    if node.get("type") == "array":
        return f"list of {_kind(name, node.get('items', {}))}"
    if node.get("type") == "object":
        return f"mapping of names to {_kind(name, node.get('additionalProperties', {}))}"
    return {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}.get(
        node.get("type", ""), "number"
    ) + _limits(node)


def _limits(node: Schema) -> str:
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    if low is None and high is None:
        return ""
    return f" {low:g} to {high:g}" if None not in (low, high) else f" from {low:g}" if high is None else f" to {high:g}"


def texts() -> dict[str, str]:
    """Return every generated file by its path below ``docs/``."""
    files = {
        f"schema/{name}.json": json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
        for name, schema in schemas().items()
    }
    return {**files, "configuration.md": reference()}

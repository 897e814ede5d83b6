"""A small reader of line protocol, written from the format's description, to hold the encoder against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Value = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    at: int


def parse(text: str) -> Line:
    """Read one line; raises ``ValueError`` where the format does not allow what it finds."""
    head, fields, at = _split(text, " ", quoted=True)
    measurement, *tags = _split(head, ",")
    return Line(
        _plain(measurement),
        {_plain(name): _plain(value) for name, value in (_split(tag, "=") for tag in tags)},
        {_plain(name): _value(text) for name, text in map(_field, _split(fields, ",", quoted=True))},
        int(at),
    )


def _split(text: str, separator: str, *, quoted: bool = False) -> list[str]:
    """Split at separators that are neither escaped nor, with ``quoted``, inside double quotes."""
    parts, inside = [""], False
    for piece, is_escaped in _pieces(text):
        inside ^= quoted and piece == '"'
        if piece == separator and not inside and not is_escaped:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    position = 0
    while position < len(text):
        size = 2 if text[position] == "\\" and position + 1 < len(text) else 1
        yield text[position : position + size], size > 1
        position += size


def _plain(text: str) -> str:
    for special in (",", "=", " "):
        text = text.replace("\\" + special, special)
    if not text:
        raise ValueError("a name or tag value is empty")
    return text


def _field(text: str) -> tuple[str, str]:
    name, value = _split(text, "=", quoted=True)
    return name, value


def _value(text: str) -> Value:
    if text.startswith('"'):
        return "".join(piece[-1] for piece, _ in _pieces(text[1:-1]))
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text.endswith("i") else float(text)

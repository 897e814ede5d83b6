"""Reads a rule's ``value``: an aggregate, such as ``count()``, ``mean(density)``, ``rate(enter, 1m)``."""

from __future__ import annotations

import re

from sensord.config.findings import Findings
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, MILLISECOND
from sensord.core.rule import Aggregate, Value
from sensord.core.stream import STREAMS, Stream

_CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_FORMS = {
    aggregate: {Aggregate.COUNT: "count()", Aggregate.RATE: "rate(field, 1m)"}.get(aggregate, f"{aggregate}(field)")
    for aggregate in Aggregate
}
_ARGUMENTS = {Aggregate.COUNT: 0, Aggregate.RATE: 2}


def read_value(findings: Findings, path: KeyPath, text: str, stream: Stream | None) -> Value | None:
    """Read a value; notes an error at ``path`` and returns None when it is none.

    Without a stream (another mistake, noted elsewhere) its field is not checked.
    """
    call = _CALL.fullmatch(text)
    if call is None:
        hint = f"write one of {', '.join(_FORMS.values())}"
        findings.error(path, f"{text!r} is not a value", hint)
        return None
    word, arguments = call[1], [part.strip() for part in call[2].split(",")] if call[2].strip() else []
    if word not in set(Aggregate):
        findings.error(
            path,
            f"there is no {word}()",
            findings.suggest(word, [aggregate.value for aggregate in Aggregate]),
        )
        return None
    aggregate = Aggregate(word)
    if len(arguments) != _ARGUMENTS.get(aggregate, 1):
        takes = {0: "no field", 1: "one field", 2: "a field and a unit of time"}[_ARGUMENTS.get(aggregate, 1)]
        findings.error(path, f"{aggregate}() takes {takes}", f"write {_FORMS[aggregate]}")
        return None
    field = arguments[0] if arguments else None
    if field is not None and stream is not None and not _known(findings, path, field, stream):
        return None
    per = findings.duration(path, arguments[1], MILLISECOND, DAY) if aggregate is Aggregate.RATE else 0
    return Value(aggregate, field, per)


def _known(findings: Findings, path: KeyPath, field: str, stream: Stream) -> bool:
    known = [spec.name for spec in STREAMS[stream].fields]
    if field in known:
        return True
    labels = [label.name for label in STREAMS[stream].labels]
    hint = f"{field} is a label: write it under where" if field in labels else findings.suggest(field, known)
    findings.error(path, f"stream {stream.word} has no field {field}", hint)
    return False

"""Reads a rule's ``value``: an aggregate, such as ``count()``, ``mean(density)``, ``rate(enter, 1m)``."""

from __future__ import annotations

import re

from sensord.config.findings import Findings
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, HOUR, MILLISECOND, MINUTE
from sensord.core.rules.rule import Aggregate, Value
from sensord.core.stream import STREAMS, Adds, Stream

_CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_RANK = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII)
_FORMS = {
    Aggregate.COUNT: "count()",
    Aggregate.RATE: "rate(field, 1m)",
    Aggregate.SLOPE: "slope(field, 1h)",
    Aggregate.PERCENTILE: "percentile(field, 95)",
    Aggregate.OCCUPANCY: "occupancy(04:00)",
}
_ARGUMENTS = {
    Aggregate.COUNT: ((0,), "no field"),
    Aggregate.RATE: ((2,), "a field and a unit of time"),
    Aggregate.SLOPE: ((2,), "a field and a unit of time"),
    Aggregate.PERCENTILE: ((2,), "a field and a percentage"),
    Aggregate.OCCUPANCY: ((0, 1), "nothing but the time of day at which it starts from zero"),
}
_ONE_FIELD = ((1,), "one field")
_MEANT = {
    "avg": "mean",
    "average": "mean",
    "maximum": "max",
    "minimum": "min",
    "latest": "last",
    "std": "stddev",
    "unique": "distinct",
    "trend": "slope",
}
"""What other programs call an aggregate, and what it is here."""
_COUNTABLE = {Stream.PLATE: ("device", "vehicle"), Stream.VISIT: ("device", "vehicle")}
"""What ``distinct`` can count besides fields: vehicles by their pseudonyms, where site keys are set up."""
_COUNTED = ("enter", "exit")
"""Fields that hold what happened since the reading before; all others hold what is, or a total that only grows."""
_FOUR = 4 * HOUR
"""When nobody is expected inside, unless the rule says otherwise."""


def read_value(findings: Findings, path: KeyPath, text: str, stream: Stream | None) -> Value | None:
    """Read a value; notes an error at ``path`` and returns None when it is none.

    Without a stream (another mistake, noted elsewhere) its field is not checked.
    """
    call = _CALL.fullmatch(text)
    forms = [_FORMS.get(aggregate, f"{aggregate}(field)") for aggregate in Aggregate]
    if call is None:
        findings.error(path, f"{text!r} is not a value", f"write one of {', '.join(forms)}")
        return None
    word, arguments = call[1], [part.strip() for part in call[2].split(",")] if call[2].strip() else []
    if word not in set(Aggregate):
        near = findings.suggest(word, [aggregate.value for aggregate in Aggregate])
        hint = f"did you mean {_MEANT[word]}()?" if word in _MEANT else near
        findings.error(path, f"there is no {word}()", hint)
        return None
    aggregate = Aggregate(word)
    numbers, takes = _ARGUMENTS.get(aggregate, _ONE_FIELD)
    if len(arguments) not in numbers:
        form = _FORMS.get(aggregate, f"{aggregate}(field)")
        findings.error(path, f"{aggregate}() takes {takes}", f"write {form}")
        return None
    if aggregate is Aggregate.OCCUPANCY:
        return _occupancy(findings, path, arguments, stream)
    field = arguments[0] if arguments else None
    if field is not None and stream is not None:
        known = _known(findings, path, field, stream, aggregate)
        if not known or not _adds_up(findings, path, aggregate, field, stream):
            return None
    if aggregate is Aggregate.RATE and field is not None and field not in _COUNTED:
        message = f"rate() adds up what each reading counted, and {field} is a state or a running total"
        findings.error(path, message, f"for a running total write delta({field}), for a state slope({field}, 1h)")
        return None
    if aggregate is Aggregate.PERCENTILE:
        return _percentile(findings, path, field, arguments[1])
    per = findings.duration(path, arguments[1], MILLISECOND, DAY) if len(arguments) > 1 else 0
    return Value(aggregate, field, per)


def _percentile(findings: Findings, path: KeyPath, field: str | None, text: str) -> Value | None:
    if _RANK.fullmatch(text) is None or float(text) == 0:
        findings.error(
            path, f"{text!r} is no percentage", "write a number above 0 and below 100: percentile(field, 95)"
        )
        return None
    return Value(Aggregate.PERCENTILE, field, rank=float(text))


def _occupancy(findings: Findings, path: KeyPath, arguments: list[str], stream: Stream | None) -> Value | None:
    if stream not in (None, Stream.CROWD, Stream.PLATE):
        findings.error(path, f"stream {stream.word} does not say who enters and who leaves", "use crowd or plate")
        return None
    if not arguments:
        return Value(Aggregate.OCCUPANCY, anchor=_FOUR)
    time = _TIME.fullmatch(arguments[0])
    if time is None:
        findings.error(path, f"{arguments[0]!r} is no time of day", "write occupancy(04:00)")
        return None
    return Value(Aggregate.OCCUPANCY, anchor=int(time[1]) * HOUR + int(time[2]) * MINUTE)


def _known(findings: Findings, path: KeyPath, field: str, stream: Stream, aggregate: Aggregate) -> bool:
    known = [spec.name for spec in STREAMS[stream].fields]
    if field in known or (aggregate is Aggregate.DISTINCT and field in _COUNTABLE.get(stream, ("device",))):
        return True
    labels = [label.name for label in STREAMS[stream].labels]
    hint = f"{field} is a label: write it under where" if field in labels else findings.suggest(field, known)
    findings.error(path, f"stream {stream.word} has no field {field}", hint)
    return False


def _adds_up(findings: Findings, path: KeyPath, aggregate: Aggregate, field: str, stream: Stream) -> bool:
    """Whether the sum is a number of something: readings of what happened add up, and sensors that see a part each."""
    adds = next((spec.adds for spec in STREAMS[stream].fields if spec.name == field), Adds.NOTHING)
    if aggregate is Aggregate.SUM and adds is not Adds.READINGS:
        message = f"sum() adds up readings, and {field} is how it is at a moment: whoever is there is in each of them"
    elif aggregate is Aggregate.TOTAL and adds is Adds.READINGS:
        message = f"total() adds up how many each sensor sees at a moment, and {field} is what happened"
    elif aggregate is Aggregate.TOTAL and adds is Adds.NOTHING:
        message = f"total() adds up how many each sensor sees, and {field} is no number of something"
    else:
        return True
    better = {
        Adds.READINGS: f"write sum({field})",
        Adds.DEVICES: f"for all sensors of the place together write total({field}), for one of them mean({field})",
        Adds.NOTHING: f"write mean({field}), max({field}) or last({field})",
    }
    findings.error(path, message, better[adds])
    return False

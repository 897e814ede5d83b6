"""Reads a rule's ``active``: on which days and during which hours it is in force."""

from __future__ import annotations

import re
from collections.abc import Collection

from sensord.config.findings import Findings
from sensord.config.ruletext import ActiveText
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.schedule import DAY_WORDS, Active

_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)", re.ASCII)


def read_active(
    findings: Findings, path: KeyPath, given: ActiveText | tuple[ActiveText, ...], named: Collection[str] | None
) -> tuple[Active, ...]:
    """Return the stretches of the week; ``named`` are the calendar's own lists of days (None: not known)."""
    made: list[Active] = []
    for number, text in enumerate(given if isinstance(given, tuple) else (given,)):
        place = (*path, number) if isinstance(given, tuple) else path
        for key, words in (("days", text.days), ("except", text.apart)):
            for index, word in enumerate(words):
                if word not in DAY_WORDS and named is not None and word not in named:
                    hint = findings.suggest(word, [*DAY_WORDS, *named])
                    findings.error((*place, key, index), f"there are no days {word}", hint)
        if text.days and set(text.days) <= set(text.apart):
            message = "the days that except takes away are all that days name: the rule is never active"
            findings.error((*place, "except"), message, "leave some days")
        hours = (text.hours,) if isinstance(text.hours, str) else text.hours
        if wrong := [span for span in hours if _HOURS.fullmatch(span) is None]:
            findings.error((*place, "hours"), f"{wrong[0]!r} are no hours of the day", "write 22:00-06:00")
            continue
        if not (text.days or text.apart or hours):
            findings.error(place, "this says nothing about when the rule is active", "add days: or hours:")
        for start, stop in [_span(span) for span in hours] or [(0, DAY)]:
            if start == stop:
                findings.error((*place, "hours"), "a span of hours has no length", "write 22:00-06:00")
            made.append(Active(text.days, text.apart, start, stop))
    return tuple(made)


def _span(text: str) -> tuple[int, int]:
    start, stop = (
        int(hours) * HOUR + int(minutes) * MINUTE for hours, minutes in (time.split(":") for time in text.split("-"))
    )
    return start, stop

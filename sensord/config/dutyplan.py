"""The duty plan of ``roster.yaml``: shifts, rotations, changes, holidays, the daily check."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import msgspec

from sensord.config.findings import Findings
from sensord.config.plan import minutes, moment
from sensord.config.rostertext import ChangeText, RosterFile, RotationText
from sensord.config.yamlfile import KeyPath
from sensord.core.people.duty import Change, ChangeReason, Duty, Holiday, Rotation, Shift
from sensord.core.schedule import PUBLIC, Calendar

_NEEDS = {"leave": ("away",), "swap": ("away", "stands_in"), "extra": ("stands_in",)}


def read_duty(findings: Findings, file: RosterFile, zone: str) -> Duty:
    """Check the duty plan and convert it."""
    people = {person.id for person in file.people}
    for nth, person in enumerate(file.people):
        for position, shift in enumerate(person.shifts):
            _known(findings, ("people", nth, "shifts", position), shift, file.shifts, "shift")
    plan = Duty(
        shifts=tuple(
            Shift(word, minutes(text.start), minutes(text.end), text.days) for word, text in file.shifts.items()
        ),
        rotations=tuple(_rotation(findings, nth, text, file.shifts, people) for nth, text in enumerate(file.rotations)),
        changes=tuple(read_change(findings, nth, text, people, zone) for nth, text in enumerate(file.changes)),
        holidays=tuple(
            Holiday(_day(findings, ("holidays", day), day), text.name, text.work) for day, text in file.holidays.items()
        ),
    )
    if file.check is None:
        return plan
    return msgspec.structs.replace(plan, check_at=minutes(file.check.at), check_days=file.check.days)


def with_public_days(duty: Duty, calendar: Calendar) -> Duty:
    """Return the plan with the public calendar's days, if a shift asks for them; the plan's own days beat those."""
    if not any(PUBLIC & set(shift.days) for shift in duty.shifts):
        return duty
    own = {holiday.day for holiday in duty.holidays}
    public = [(date.fromisoformat(day).toordinal(), False) for day in calendar.holidays]
    public += [(date.fromisoformat(day).toordinal(), True) for day in calendar.workdays]
    added = tuple(Holiday(day, "", work) for day, work in sorted(public) if day not in own)
    return msgspec.structs.replace(duty, holidays=duty.holidays + added)


def _rotation(
    findings: Findings, nth: int, text: RotationText, shifts: Collection[str], people: Collection[str]
) -> Rotation:
    path: KeyPath = ("rotations", nth)
    _known(findings, (*path, "shift"), text.shift, shifts, "shift")
    for position, person in enumerate(text.people):
        _known(findings, (*path, "people", position), person, people, "person")
    return Rotation(text.id, text.shift, text.people, _day(findings, (*path, "starts"), text.starts), text.every)


def read_change(findings: Findings, nth: int, text: ChangeText, people: Collection[str], zone: str) -> Change:
    """Check the ``nth`` of the document's ``changes`` and convert it."""
    path: KeyPath = ("changes", nth)
    start, end = (
        moment(findings, (*path, key), words, zone) for key, words in (("from", text.start), ("to", text.end))
    )
    if start and end and end <= start:
        findings.error((*path, "to"), f"{text.end} is not after {text.start}")
    for name in _NEEDS[text.reason]:
        if getattr(text, name) is None:
            findings.error(path, f"a {text.reason} needs {name}: whose duty is it about?", f"add {name}: ...")
    if text.away is not None and text.away == text.stands_in:
        findings.error((*path, "stands_in"), "nobody stands in for themselves", "name somebody else, or leave it out")
    for name in ("away", "stands_in"):
        person = getattr(text, name)
        if person is not None:
            _known(findings, (*path, name), person, people, "person")
    return Change(start, end, ChangeReason(text.reason), text.away or "", text.stands_in or "")


def _day(findings: Findings, path: KeyPath, text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError as error:
        findings.error(path, f"{text} is not a date: {error}")
        return 1


def _known(findings: Findings, path: KeyPath, word: str, known: Collection[str], kind: str) -> None:
    if word not in known:
        findings.error(path, f"there is no {kind} {word}", findings.suggest(word, known))

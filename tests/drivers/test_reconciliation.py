"""The report held against the raw journal: counted once more from its lines (``recount``), number for number."""

from __future__ import annotations

from collections import Counter

import pytest

from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.place import PlaceKind, Places
from sensord.drivers.vehiclereport import KINDS, SORTS, Counts, VehicleReport
from tests.core.traffic import MONDAY
from tests.drivers.recount import LAST, WHOLE, Ran, blind, expected


def test_the_days_hold_every_fault(ran: Ran) -> None:
    """Else the rest proves little: duplicates, misreads, unread, without a plate, missed exits, silence."""
    assert ran.counted["plate", "duplicate"] > 20
    assert ran.counted["visit", "missed_exit"] > 5
    assert ran.counted["visit", "missed_entry"] > 5
    assert ran.counted["visit", "merged"] > 1000
    sorts = Counter(sort for _, _, sort in ran.found.read.elements())
    assert set(sorts) >= {"local", "out_of_town", "key_area", "special", "none", "unread"}
    assert sum(len({read.plate for read in one.reads}) > 1 for one in ran.found.vehicles) > 30
    assert ran.report.street.counted is not None
    assert ran.report.street.counted.special > 2


def test_readings_are_those_of_the_lines(ran: Ran) -> None:
    """Per gate, direction and class, repeats left out."""
    assert ran.read == ran.found.read
    accepted = ran.counted["plate", "accepted"] + ran.counted["plate", "late"]
    assert accepted == ran.found.read.total()


def test_merged_readings_are_those_of_the_lines(ran: Ran) -> None:
    """Every reading is a passage, or is merged with one."""
    assert ran.counted["visit", "merged"] == ran.found.read.total() - len(ran.found.vehicles)


def at_gates(report: VehicleReport, number: int) -> dict[str, Counts]:
    """What the report says of an hour (by its number) or of the whole (-1), at the gates that were seen."""
    passed = report.lines if number < 0 else report.hourly[number].lines
    return {one.place: one.counted for one in passed if one.kind == PlaceKind.GATE and one.counted is not None}


@pytest.mark.parametrize("number", range(-1, 24))
def test_passages_are_those_of_the_lines(ran: Ran, number: int) -> None:
    """Per gate, direction and class, in the whole and hour by hour; the gate that nobody saw has no numbers."""
    start = LAST + max(number, 0) * HOUR
    found = expected(ran.found, start, LAST + DAY if number < 0 else start + HOUR)
    assert found.pop("C1-S") == Counts()
    told = at_gates(ran.report, number)
    if "C2-N" not in told:
        assert (number, found.pop("C2-N")) == (13, Counts())
    assert told == found


def test_the_week_before_and_each_day_are_those_of_the_lines(ran: Ran) -> None:
    """The same weekday a week before, gate by gate, and the eight days of the street."""
    before = expected(ran.found, MONDAY, MONDAY + DAY)
    assert {one.place: one.before for one in ran.report.of(PlaceKind.GATE)} == before
    for number, day in enumerate(ran.report.daily):
        total = Counts()
        for one in expected(ran.found, MONDAY + number * DAY, MONDAY + (number + 1) * DAY).values():
            total.add(one)
        assert day.lines[0].counted == total


@pytest.mark.parametrize("kind", KINDS)
def test_provinces_are_those_of_the_lines(ran: Ran, kind: PlaceKind) -> None:
    """By the first one and two characters of the plates of arrivals from elsewhere, at every place of a kind."""
    places, prefixes = Places(WHOLE.places, WHOLE.devices), dict[str, Counter[str]]()
    for one in ran.found.vehicles:
        read, above = one.counts, places.above(one.gate, kind)
        day = LAST <= one.reads[0].at < LAST + DAY
        if day and one.direction == "in" and read.sort in ("out_of_town", "key_area"):
            assert above is not None
            prefixes.setdefault(above, Counter()).update((read.plate[0], read.plate[:2]))
    told = {one.place: one.provinces | one.cities for one in ran.report.of(kind)}
    assert {place: found for place, found in told.items() if found} == prefixes


def test_what_nobody_saw_is_what_the_lines_lack(ran: Ran) -> None:
    """To the nanosecond, in the whole, hour by hour, and a week before."""
    for one in ran.report.of(PlaceKind.GATE):
        heard = ran.found.heard[f"cam-{one.place}"]
        assert one.unknown == blind(heard, LAST, LAST + DAY)
        assert one.before_unknown == blind(heard, MONDAY, MONDAY + DAY) == 0
    for number, hour in enumerate(ran.report.hourly):
        start = LAST + number * HOUR
        for passed in (one for one in hour.lines if one.kind == PlaceKind.GATE):
            assert passed.unknown == blind(ran.found.heard[f"cam-{passed.place}"], start, start + HOUR)
    assert (ran.report.street.unseen, ran.report.street.unknown // MINUTE) == (2, 24 * 60 + 78)


def test_everything_adds_up(ran: Ran) -> None:
    """Gates to compounds to grids to blocks to the street, hours to the day, kinds to arrivals, cities to provinces."""
    report, places = ran.report, Places(WHOLE.places, WHOLE.devices)
    stretches = [report.lines, *(one.lines for one in (*report.hourly, *report.daily))]
    for passed in stretches:
        for kind in KINDS[:-1]:
            for one in (one for one in passed if one.kind == kind):
                total = Counts()
                for gate in (gate for gate in passed if gate.kind == PlaceKind.GATE and gate.counted is not None):
                    if places.above(gate.place, kind) == one.place:
                        assert gate.counted is not None
                        total.add(gate.counted)
                assert (one.counted or Counts()) == total
                assert sum(getattr(total, sort) for sort in SORTS) == total.inward
    for number, line in enumerate(report.lines):
        total = Counts()
        for hour in report.hourly:
            total.add(hour.lines[number].counted or Counts())
        assert total == (line.counted or Counts())
        assert sum(hour.lines[number].unknown for hour in report.hourly) == line.unknown
        assert sum(line.provinces.values()) == total.out_of_town + total.key_area
    inside = {kind: sum(one.inside or 0 for one in report.of(kind)) for kind in KINDS[:-1]}
    assert len(set(inside.values())) == 1

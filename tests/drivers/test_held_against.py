"""What a report on vehicles is held against: the same time weeks before, other days, and the parking spaces."""

from __future__ import annotations

import pytest

from sensord.core.cases.reports import Span
from sensord.core.instant import DAY, HOUR, MINUTE, parse_instant
from sensord.core.place import Places
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import PassageCount
from sensord.drivers.vehiclefull import balance
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import Counts, Kept, Line, build
from sensord.drivers.vehiclespan import windows
from tests.core.traffic import MONDAY, definition
from tests.drivers.test_vehiclereport import LATER, NOWHERE, SPAN, ZONE, counted, seen


@pytest.mark.parametrize(
    ("since", "zh", "en", "days"),
    [
        (8 * HOUR, "2（到 08:15 为止，上周同期 1，+0）", "2 in (until 08:15: a week before 1, +0)", ["1"] * 8),
        (
            8 * HOUR + 15 * MINUTE,
            "1（未满一刻钟，不与上周同期相比）",
            "1 in (no full quarter of an hour yet to hold against a week before)",
            [],
        ),
    ],
)
def test_only_full_slots_are_held_against_a_week_before(since: int, zh: str, en: str, days: list[str]) -> None:
    """One vehicle in a minute is not fewer than the fifteen of a whole quarter of an hour, nor of other days."""
    slots = (8 * HOUR, 8 * HOUR + 15 * MINUTE)
    passed = [
        PassageCount(MONDAY + day * DAY + slot, "C1-N", "in", "local", "沪", "fuel", 1 if day == 7 else 1 + 14 * late)
        for day in range(8)
        for late, slot in enumerate(slots)
    ]
    now = SPAN.start + 8 * HOUR + 16 * MINUTE
    made = build(definition(), Span("now", SPAN.start + since, now), Kept(passed, (), seen(), now), now)
    for language, said in (("zh", zh), ("en", en)):
        pages = VehiclePages(made, NOWHERE, language)
        assert said in pages.lines()[0]
    assert [str(counted(one.lines[0]).inward) for one in made.daily] == days


@pytest.mark.parametrize(
    ("days", "zh", "en"),
    [(7, "上周同期", "a week before"), (8, "2周前同期", "2 weeks before"), (92, "14周前同期", "14 weeks before")],
)
def test_it_says_how_many_weeks_before(days: int, zh: str, en: str) -> None:
    """A quarter is held against fourteen weeks before: who reads "a week before" compares with another time."""
    span = Span("long", SPAN.start, SPAN.start + days * DAY)
    begun = [Blind(one.id, 0, SPAN.start - 99 * DAY) for one in definition().devices]
    made = build(definition(), span, Kept((), (), begun, span.end), span.end)
    for language, said in (("zh", zh), ("en", en)):
        document = VehiclePages(made, NOWHERE, language).document()
        note = next(one for one in document.notes if "2025-" in one)
        assert note.lower().startswith(said)
        assert document.lead[0].count(said) == 2
        assert document.tables[0].columns[-2].startswith(said)


def test_nine_tenths_are_nearly_full() -> None:
    """In whole numbers: of a hundred spaces the ninetieth counts, and it is not sent to."""
    lines = {
        name: Line("compound", name, 1, 0, 0, Counts(), inside=inside, parking=spaces)
        for name, inside, spaces in (("C1", 90, 100), ("C2", 89, 100), ("C3", 27, 30))
    }
    places = Places(definition().places, definition().devices)
    full = {one.compound: [place for place, _ in one.nearest] for one in balance(places, lines)}
    assert full == {"C1": ["C2"], "C3": ["C2"]}


@pytest.mark.parametrize(
    ("start", "end", "before", "hours", "days"),
    [
        ("2025-12-01T07:30", "2025-12-01T19:30", "2025-11-24T07:30", 12, 8),
        ("2025-12-01T00:00", "2025-12-08T00:00", "2025-11-24T00:00", 0, 7),
        ("2025-10-01T00:00", "2026-01-01T00:00", "2025-06-25T00:00", 0, 92),
        ("2025-12-01T12:00", "2025-12-03T12:00", "2025-11-24T12:00", 48, 3),
        ("2025-12-01T07:10", "2025-12-01T07:50", "2025-11-24T07:00", 1, 8),
    ],
)
def test_any_span_is_laid_out(start: str, end: str, before: str, hours: int, days: int) -> None:
    """A shift, a week, a quarter, two days: the same weekdays before never overlap it, and hours and days fill it."""
    asked = Span("any", parse_instant(start), parse_instant(end))
    laid = windows(asked, ZONE, parse_instant("2030-01-01"))
    assert laid.before.start == parse_instant(before)
    assert laid.before.end <= laid.whole.start
    assert (laid.before.start - laid.whole.start) % (7 * DAY) == 0
    assert (len(laid.hours), len(laid.days)) == (hours, days)
    for parts in (laid.hours, laid.days if days != 8 else laid.days[-1:]):
        assert sum(part.end - part.start for part in parts) in (0, laid.whole.end - laid.whole.start)


def test_the_clock_on_the_wall_counts() -> None:
    """Where clocks go back, the day has 25 hours, and the same time a week before is that of the clock."""
    zone = "Europe/Berlin"
    now, then = ([parse_instant(f"2026-10-{day}", zone) for day in days] for days in ((25, 26), (18, 19)))
    laid = windows(Span("day", *now), zone, 2 * LATER)
    assert (len(laid.hours), len(laid.days), laid.before) == (25, 8, tuple(then))

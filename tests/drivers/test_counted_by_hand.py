"""Vehicles counted by hand, in the report: what was corrected is said, and what was before is in no doubt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sensord.config.load import Loaded
from sensord.core.instant import DAY, HOUR
from sensord.core.place import PlaceKind
from sensord.core.site import Step
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import Occupancy
from sensord.drivers.sheets import Sheet
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import VehicleReport
from sensord.drivers.vehiclesheets import VehicleSheets
from sensord.reporting import VehicleReporter
from sensord.store.passages import tallies
from sensord.store.state import StateStore
from tests.core.traffic import definition
from tests.drivers.test_vehiclereport import LATER, NOWHERE, SPAN, seen

COUNTS = [
    ByHand(SPAN.start - 3 * DAY, "C2", 9, 4),
    ByHand(SPAN.start + 2 * HOUR, "C1", 38, 41),
    ByHand(SPAN.start + 20 * HOUR, "C1", 44, 43),
    ByHand(SPAN.start + 20 * HOUR, "gone", 1, 7),
]


def report(tmp_path: Path, *blind: Blind, counts: list[ByHand] = COUNTS) -> VehicleReport:
    """The day's report from a daemon's state."""
    loaded = cast("Loaded", SimpleNamespace(definition=definition(rules=())))
    inside = [Occupancy(SPAN.end, name, 1, 0) for name in ("C1", "C2", "C3")]
    store = StateStore(tmp_path)
    store.apply(Step(1, LATER, occupancy=inside, blind=seen(*blind), by_hand=counts))
    store.close()
    return VehicleReporter(lambda: loaded, tmp_path).make(SPAN, LATER)


@pytest.mark.parametrize(
    ("language", "begins", "between"),
    [
        ("zh", "人工清点（数，更正）：", "、"),
        ("en", "Counted by hand (vehicles, and by how many that corrected the number): ", ", "),
    ],
)
def test_what_was_corrected_is_said(tmp_path: Path, language: str, begins: str, between: str) -> None:
    """Each count of the report's time with its number and the difference."""
    (note,) = [one for one in VehiclePages(report(tmp_path), NOWHERE, language).notes() if one.startswith(begins)]
    assert note.removeprefix(begins).rstrip(".。").split(between) == [
        "C1 2025-12-01 02:00 41 (+3)",
        "C1 2025-12-01 20:00 43 (-1)",
        "gone 2025-12-01 20:00 7 (+6)",
    ]


def test_nobody_counted_and_nothing_is_said(tmp_path: Path) -> None:
    """A day without a count has no line for it."""
    assert not [one for one in VehiclePages(report(tmp_path, counts=[]), NOWHERE, "en").notes() if "by hand" in one]


def test_the_table_holds_what_was_corrected(tmp_path: Path) -> None:
    """At the compound and at every place above it; gates have no number inside."""
    made = report(tmp_path)
    table = VehicleSheets(made, Sheet(NOWHERE, "Asia/Shanghai", "en")).makers["vehicles"]()
    where, times, sums = (table.columns.index(name) for name in ("place", "counted_by_hand", "corrected"))
    found = {row[where]: (row[times], row[sums]) for row in table.rows}
    assert [found[one] for one in ("street", "B1", "G1", "C1")] == [("2", "2")] * 4
    assert [found[one] for one in ("G2", "C2", "C1-N")] == [("0", "0"), ("0", "0"), ("", "")]


@pytest.mark.parametrize(
    ("blind", "doubted", "begun"),
    [
        (Blind("cam-C2-N", SPAN.start - 3 * DAY - HOUR, SPAN.start - 3 * DAY), False, False),
        (Blind("cam-C2-N", SPAN.start - 3 * DAY - HOUR, SPAN.start - 3 * DAY + HOUR), True, False),
        (Blind("cam-C2-N", 0, SPAN.start - 4 * DAY), False, False),
        (Blind("cam-C2-N", 0, SPAN.start - 2 * DAY), True, True),
    ],
)
def test_what_was_before_a_count_is_in_no_doubt(tmp_path: Path, blind: Blind, *, doubted: bool, begun: bool) -> None:
    """Neither a silence nor the time before the camera came, if somebody has counted since."""
    (one,) = [line for line in report(tmp_path, blind).of(PlaceKind.COMPOUND) if line.place == "C2"]
    assert (one.doubted, bool(one.begun)) == (doubted, begun)


def test_counts_are_deleted_with_the_tallies(tmp_path: Path) -> None:
    """When the time of the numbers has come."""
    report(tmp_path)
    store = StateStore(tmp_path)
    store.keeping.prune(0, SPAN.start)
    store.close()
    with tallies(tmp_path) as stored:
        assert stored.by_hand(0, LATER) == COUNTS[1:]

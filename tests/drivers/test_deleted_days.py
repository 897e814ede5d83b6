"""Days of which the tallies are deleted, or that were before the installation, are unknown: never quiet."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sensord.config.load import Loaded
from sensord.core.cases.reports import Span
from sensord.core.instant import DAY
from sensord.core.place import Places
from sensord.core.site import Step
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import PassageCount
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import VehicleReport
from sensord.reporting import VehicleReporter
from sensord.store.state import StateStore
from tests.core.traffic import MONDAY, definition

NOWHERE = Places((), ())


def steady(directory: Path, days: int, kept: int) -> None:
    """A street with a hundred arrivals a day at one gate, all of it seen; but for the last days it is deleted."""
    store, end = StateStore(directory), MONDAY + days * DAY
    passed = [PassageCount(MONDAY + day * DAY, "C1-N", "in", "local", "沪", "fuel", 100) for day in range(days)]
    seen_since = [Blind(device.id, 0, MONDAY) for device in definition().devices]
    store.apply(Step(1, end, passages=passed, blind=seen_since))
    while store.keeping.prune(end - 30 * DAY, end - kept * DAY):
        pass
    store.close()


@pytest.mark.parametrize(("days", "before"), [(7, 700), (25, None), (31, None), (92, None)])
def test_nothing_is_held_against_days_that_are_gone(tmp_path: Path, days: int, before: int | None) -> None:
    """A steady street must never seem to have grown because the time before was deleted."""
    steady(tmp_path, 200, 30)
    made = latest(tmp_path, 200, days)
    street = made.street
    assert (street.before and street.before.inward) == before
    assert (street.counted and street.counted.inward) == min(days, 30) * 100
    assert bool(street.unknown) is bool(made.since) is (days > 30)
    said = " ".join(VehiclePages(made, NOWHERE, "en").lines())
    assert ("in (no data of " in said) is (before is None)
    assert ("was deleted when its time had come" in said) is (days > 30)


def test_a_quarter_is_held_against_the_one_before(tmp_path: Path) -> None:
    """With the default keeping; a comparison that reaches beyond the installation shows no number either."""
    steady(tmp_path, 200, 400)
    quarter, too_long = latest(tmp_path, 200, 92).street, latest(tmp_path, 200, 120).street
    assert (quarter.counted and quarter.counted.inward, quarter.before and quarter.before.inward) == (9200, 9200)
    assert (too_long.counted and too_long.counted.inward, too_long.before) == (12000, None)
    day_before = VehicleReporter(plain, tmp_path).make(Span("day", MONDAY - DAY, MONDAY), MONDAY + 9 * DAY)
    assert {line.counted for line in day_before.lines} == {None}


def plain() -> Loaded:
    """A configuration of the small street, as far as reports look at it."""
    return cast("Loaded", SimpleNamespace(definition=definition(rules=())))


def latest(directory: Path, until: int, days: int) -> VehicleReport:
    """The report of the last days until the beginning of a day."""
    end = MONDAY + until * DAY
    return VehicleReporter(plain, directory).make(Span("days", end - days * DAY, end), end)

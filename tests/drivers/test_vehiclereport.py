"""The 24-hour report: its numbers are the journal's, whatever befalls the daemon; its forms hold the same."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR
from sensord.core.place import Places
from sensord.core.record import Group
from sensord.core.site import Site, definition_record
from sensord.core.vehicles.tally import Occupancy, PassageCount
from sensord.core.vehicles.visit import Compound
from sensord.drivers.tabular import FORMS, render
from sensord.drivers.vehiclepages import document
from sensord.drivers.vehiclereport import Line, VehicleReport, balance, build, span
from sensord.store.passages import PassageReader
from sensord.store.state import StateStore
from simulators.traffic import Traffic
from tests.core.street import grouped
from tests.core.traffic import MONDAY, SECRETS, definition

ZONE = "Asia/Shanghai"
TODAY = date(2025, 12, 1)


def counts() -> list[PassageCount]:
    """Some passages of the day and of the same weekday before."""
    day = MONDAY + 7 * DAY

    def one(hour: int, gate: str, direction: str, sort: str, province: str, energy: str, count: int) -> PassageCount:
        return PassageCount(hour, gate, direction, sort, province, energy, count)

    return [
        one(day, "C1-N", "in", "local", "沪", "new_energy", 3),
        one(day + 23 * HOUR, "C1-S", "in", "out_of_town", "苏E", "fuel", 2),
        one(day + 23 * HOUR, "C1-S", "in", "out_of_town", "苏A", "fuel", 1),
        one(day + 23 * HOUR, "C1-S", "in", "out_of_town", "苏Y", "fuel", 1),
        one(day + 8 * HOUR, "C1-N", "out", "local", "沪", "fuel", 4),
        one(day + 8 * HOUR, "C3-N", "in", "key_area", "皖K", "fuel", 1),
        one(day + 8 * HOUR, "C3-N", "in", "unread", "", "", 5),
        one(day + 24 * HOUR, "C3-N", "in", "local", "沪", "fuel", 1000),
        one(day - 7 * DAY + HOUR, "C1-N", "in", "local", "沪", "fuel", 7),
        one(day - 6 * DAY, "C1-N", "in", "local", "沪", "fuel", 900),
        one(day - 7 * DAY + HOUR, "gone", "in", "local", "沪", "fuel", 900),
    ]


def report() -> VehicleReport:
    """The report on those passages."""
    inside = [Occupancy(0, "C1", 4, 1), Occupancy(0, "C2", 1, 0), Occupancy(0, "C3", 2, 2)]
    return build(definition(), TODAY, counts(), inside)


def line(place: str) -> Line:
    """One place's numbers."""
    return next(one for one in report().lines if one.place == place)


def test_numbers_add_up_from_gate_to_street() -> None:
    """Gates, compounds, grids and the street hold the same vehicles; kinds add up to arrivals."""
    street = line("street")
    assert (street.inward, street.outward, street.inside, street.unsure, street.parking) == (13, 4, 7, 3, 12)
    assert (line("C1").inward, line("C1-N").inward, line("C1-S").inward, line("G2").inward) == (7, 3, 4, 6)
    for one in report().lines:
        kinds = (one.local, one.out_of_town, one.key_area, one.special, one.none, one.unread)
        assert sum(kinds) == one.inward
    assert street.provinces == {"苏": 4, "皖": 1}
    assert street.cities == {"苏E": 2, "苏A": 1, "苏Y": 1, "皖K": 1}
    assert street.new_energy == 3


def test_the_day_is_the_local_day_and_is_held_against_a_week_before() -> None:
    """The next day's passages are not in it; the same weekday before is beside it, the days between are listed."""
    street = line("street")
    assert (street.before_in, street.before_out) == (7, 0)
    hourly, daily = report().hourly, report().daily
    assert [one.inward for one in hourly] == [3, *[0] * 7, 6, *[0] * 14, 4]
    assert [one.inward for one in daily] == [7, 900, 0, 0, 0, 0, 0, 13]
    assert span(TODAY, ZONE) == (daily[0].start, report().end)


def test_the_nearest_free_spaces_come_first() -> None:
    """A full compound is shown with the free ones of its own grid first."""
    (full,) = report().balance
    assert (full.compound, full.free, full.nearest) == ("C1", 0, (("C2", 3), ("C3", 2)))
    places = Places(definition().places, ())
    empty = {name: Line(name, "compound", parking=4) for name in ("C1", "C2", "C3")}
    assert list(balance(places, empty)) == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_numbers(form: str, language: str) -> None:
    """Every cell of every table is in the text of each form; HTML stands alone."""
    names = {place.id: place for place in definition().places}
    whole = document(report(), names, language)
    text = render(whole, form)
    assert len(whole.tables) == 8
    registered = next(table.rows for table in whole.tables if "登记" in table.title or "registration" in table.title)
    provinces = ("江苏", "安徽") if language == "zh" else ("Jiangsu", "Anhui")
    assert list(registered) == [(provinces[0], "4", "苏E 苏州 2, 苏A 南京 1, 苏Y 1"), (provinces[1], "1", "皖K 阜阳 1")]
    for table in whole.tables:
        cells = [cell for row in table.rows for cell in row]
        assert all(cell in text for cell in (table.title, *table.columns, *cells))
    assert ("http" in text) is False


# -- against the journal ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def journal() -> list[Group]:
    """Two simulated days of a small street, as a journal."""
    whole = definition(rules=())
    records = list(Traffic(whole, MONDAY, 2, 60, seed=3).records())
    return grouped([definition_record(whole, MONDAY), *records], [37])


def from_state(directory: Path, whole: Definition, day: date) -> VehicleReport:
    """The report as the command makes it."""
    reader, (start, end) = PassageReader(directory), span(day, whole.zone)
    return build(whole, day, reader.counts(start, end), reader.occupancy(end))


def test_numbers_reconcile_exactly_with_the_journal(journal: list[Group], tmp_path: Path) -> None:
    """Every accepted reading is a passage or a repeat of one; a crash in between counts nothing twice or never."""
    store, site, seen = StateStore(tmp_path), Site(None, SECRETS), Counter[tuple[str, str]]()
    saved = site.snapshot()
    for number, group in enumerate(journal):
        step = site.step(group)
        seen.update(step.counts)
        if not step.changes_nothing or number % 5 == 0:
            store.apply(step)
        if number == 40:
            saved = site.snapshot()
        if number == 60:  # the daemon dies and steps again what it had applied since its last snapshot
            site = Site.restored(saved, SECRETS)
            for again in journal[41:61]:
                store.apply(site.step(again))
    whole = definition(rules=())
    days = [from_state(tmp_path, whole, date(2025, 11, day)) for day in (24, 25, 26)]
    passed = sum(one.street.inward + one.street.outward for one in days)
    accepted = seen["plate", "accepted"] + seen["plate", "late"]
    assert passed == accepted - seen["visit", "merged"] > 150
    replayed, replay = Counter[tuple[str, int]](), Site(None, SECRETS)
    for group in journal:
        for one in replay.step(group).passages:
            replayed[one.direction, one.hour // HOUR] += one.count
    hours = {("in" if way == "inward" else "out", one.start // HOUR): getattr(one, way)
             for made in days for one in made.hourly for way in ("inward", "outward")}  # fmt: skip
    assert {key: count for key, count in hours.items() if count} == dict(replayed)
    assert days[0].street.inside == sum(here.inside for here in _at(journal, days[0].end).values())
    store.close()


def _at(journal: list[Group], until: int) -> dict[str, Compound]:
    site = Site(None, SECRETS)
    for group in journal:
        records = tuple(record for record in group.records if record.received_at <= until)
        if records:
            site.step(Group(group.seq, records))
    return dict(site.tracker.presence.compounds)


def test_old_tallies_are_deleted(journal: list[Group], tmp_path: Path) -> None:
    """What is past its keeping goes, tallies like everything else."""
    store, site = StateStore(tmp_path), Site(None, SECRETS)
    for group in journal:
        store.apply(site.step(group))
    reader = PassageReader(tmp_path)
    assert reader.counts(0, MONDAY + DAY)
    store.prune(MONDAY + DAY)
    assert not reader.counts(0, MONDAY + DAY)
    assert reader.counts(MONDAY + DAY, MONDAY + 2 * DAY)
    store.close()

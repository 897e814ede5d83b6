"""The 24-hour report: its numbers are the journal's, whatever befalls the daemon; its forms hold the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from sensord.config.load import Loaded
from sensord.core.cases.listing import Table
from sensord.core.cases.reports import Span
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Group
from sensord.core.site import Site, Step, definition_record
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.tally import SLOT, Occupancy, PassageCount
from sensord.drivers.tabular import FORMS, Document, render
from sensord.drivers.vehiclefull import balance
from sensord.drivers.vehiclepages import VehiclePages, provinces
from sensord.drivers.vehiclereport import KINDS, SORTS, Counts, Kept, Line, Passed, VehicleReport, build
from sensord.drivers.vehiclespan import windows
from sensord.reporting import VehicleReporter
from sensord.store.passages import tallies
from sensord.store.state import StateStore
from simulators.traffic import Traffic
from tests.core.street import grouped
from tests.core.traffic import MONDAY, SECRETS, definition

ZONE = "Asia/Shanghai"
NOWHERE = Places((), ())
"""No place has a name."""


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


SPAN = Span("day", MONDAY + 7 * DAY, MONDAY + 8 * DAY)
LATER = SPAN.end + HOUR


def seen(*blind: Blind) -> list[Blind]:
    """Every camera was first heard long before, and was blind as said."""
    return [*(Blind(device.id, 0, MONDAY - 30 * DAY) for device in definition().devices), *blind]


def report(*blind: Blind, span: Span = SPAN, made_at: int = LATER) -> VehicleReport:
    """The report on those passages."""
    inside = [Occupancy(SPAN.end, "C1", 4, 1), Occupancy(SPAN.end, "C2", 1, 0), Occupancy(SPAN.end, "C3", 2, 2)]
    return build(definition(), span, Kept(counts(), inside, seen(*blind), made_at), made_at)


def line(place: str, *blind: Blind) -> Line:
    """One place's numbers."""
    return next(one for one in report(*blind).lines if one.place == place)


def counted(one: Passed) -> Counts:
    """What was counted there."""
    assert one.counted is not None
    return one.counted


def test_numbers_add_up_from_gate_to_street() -> None:
    """Gates, compounds, grids, blocks and the street hold the same vehicles; kinds add up to arrivals."""
    street, whole = line("street"), report()
    assert (counted(street).inward, counted(street).outward) == (13, 4)
    assert (street.inside, street.unsure, street.parking, street.unknown) == (7, 3, 12, 0)
    assert [counted(line(place)).inward for place in ("B1", "C1", "C1-N", "G2")] == [13, 7, 3, 6]
    for one in whole.lines:
        assert sum(getattr(counted(one), sort) for sort in SORTS) == counted(one).inward
    assert street.provinces == {"苏": 4, "皖": 1}
    assert street.cities == {"苏E": 2, "苏A": 1, "苏Y": 1, "皖K": 1}
    assert counted(street).new_energy == 3
    for kind in KINDS:
        assert sum(counted(one).inward for one in whole.of(kind)) == 13
    for number in range(len(whole.lines)):
        assert sum(counted(hour.lines[number]).inward for hour in whole.hourly) == counted(whole.lines[number]).inward


def test_the_day_is_the_local_day_and_is_held_against_a_week_before() -> None:
    """The next day's passages are not in it; the same weekday before is beside it, the days between are listed."""
    before = line("street").before
    assert before is not None
    assert (before.inward, before.outward) == (7, 0)
    hourly, daily = report().hourly, report().daily
    assert [counted(one.lines[0]).inward for one in hourly] == [3, *[0] * 7, 6, *[0] * 14, 4]
    assert [counted(one.lines[0]).inward for one in daily] == [7, 900, 0, 0, 0, 0, 0, 13]
    assert windows(SPAN, ZONE, LATER).reach == (daily[0].start, SPAN.end)
    assert report(span=Span("before", MONDAY, MONDAY + DAY)).strays == 900, "a gate that is no more is not forgotten"


def test_blind_is_not_quiet() -> None:
    """A gate that nobody saw has no numbers, and never zero; one that was blind for a while says for how long."""
    never, lately = Blind("cam-C3-N", MONDAY + 6 * DAY, 0), Blind("cam-C2-N", SPAN.start + HOUR, SPAN.start + 3 * HOUR)
    gone = [one for one in counts() if not one.gate.startswith("C3")]
    inside = [Occupancy(SPAN.end, name, 1, 0) for name in ("C1", "C2", "C3")]
    made = build(definition(), SPAN, Kept(gone, inside, seen(never, lately), LATER), LATER)
    of = {one.place: one for one in made.lines}
    assert (of["C3-N"].counted, of["C3"].counted, of["G2"].counted, of["C3"].inside) == (None,) * 4
    assert (of["C3-N"].unknown, of["C3-N"].before) == (DAY, Counts()), "then it saw, and nobody passed"
    assert (counted(of["C2-N"]).inward, of["C2-N"].unknown) == (0, 2 * HOUR)
    street = of["street"]
    assert (street.gates, street.unseen, street.unknown) == (4, 2, DAY + 2 * HOUR)
    assert [one.lines[0].unknown // HOUR for one in made.hourly[:4]] == [1, 2, 2, 1]
    text = render(VehiclePages(made, NOWHERE, "zh").document(), "txt")
    assert "4 个出入口中 2 个曾失联，共 26.0 小时" in text
    unseen = build(definition(), SPAN, Kept((), (), (), LATER), LATER)
    assert unseen.street.counted is None, "nobody looked"
    assert "没有数据" in VehiclePages(unseen, NOWHERE, "zh").lines()[0]


def test_what_the_core_has_not_come_to_is_unknown() -> None:
    """When the daemon stopped, everything after a camera's deadline is unknown, and so is who is inside."""
    stopped = SPAN.start + 12 * HOUR
    made = build(definition(), SPAN, Kept(counts(), (), seen(), stopped), LATER)
    assert made.street.unknown == 4 * (12 * HOUR - 3 * MINUTE)
    assert (made.street.inside, made.inside_at) == (None, 0)


def test_a_day_that_has_not_ended_counts_until_now() -> None:
    """What has not been is neither unknown nor zero: its hours are not listed."""
    made = report(made_at=SPAN.start + 8 * HOUR + 5 * MINUTE)
    assert (made.complete, made.street.unknown, len(made.hourly)) == (False, 0, 9)
    assert made.end == SPAN.start + 8 * HOUR + 15 * MINUTE
    assert counted(made.street).inward == 9


def test_the_nearest_free_spaces_come_first() -> None:
    """A full compound is shown with the free ones of its own grid first; one that nobody sees is not called free."""
    (full,) = report().balance
    assert (full.compound, full.free, full.nearest) == ("C1", 0, (("C2", 3), ("C3", 2)))
    places = Places(definition().places, ())
    empty = {name: Line("compound", name, 1, 0, 0, None, inside=0, parking=4) for name in ("C1", "C2", "C3")}
    assert list(balance(places, empty)) == []
    (known,) = report(Blind("cam-C2-N", SPAN.end - HOUR, 0)).balance
    assert known.nearest == (("C3", 2),)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_numbers(form: str, language: str) -> None:
    """Every cell of every table is in the text of each form; HTML stands alone."""
    pages = VehiclePages(report(), Places(definition().places, ()), language)
    whole = pages.document()
    text = render(whole, form)
    assert len(whole.tables) == 17
    for table in whole.tables:
        cells = [cell for row in table.rows for cell in row]
        assert all(cell in text for cell in (*table.columns, *cells))
    assert ("http" in text) is False


def test_provinces_are_listed_with_their_cities() -> None:
    """Most first, in words; of a letter without a city, the prefix."""
    for language, names, cities in (
        ("zh", ("江苏", "安徽"), "苏E 苏州 2、苏A 南京 1、苏Y 1"),
        ("en", ("Jiangsu", "Anhui"), "苏E Suzhou 2, 苏A Nanjing 1, 苏Y 1"),
    ):
        rows = provinces(line("street"), language)
        fuyang = "皖K 阜阳 1" if language == "zh" else "皖K Fuyang 1"
        assert rows == [(names[0], "4", cities), (names[1], "1", fuyang)]


def test_every_place_lists_the_provinces_of_who_came_to_it() -> None:
    """Block, grid, compound, gate; a place that nobody saw has no data, which is not nobody from elsewhere."""
    never = Blind("cam-C2-N", MONDAY, 0)
    tables = {table.title: table.rows for table in VehiclePages(report(never), NOWHERE, "zh").tables()}
    listed = {kind: tables[f"外地和重点地区车辆的登记省份 · {kind}"] for kind in ("街区", "居民区", "小区", "出入口")}
    assert listed["街区"] == [("B1", "4", "1", "江苏 4、安徽 1")]
    assert listed["居民区"] == [("G1", "4", "0", "江苏 4"), ("G2", "0", "1", "安徽 1")]
    assert listed["小区"] == [("C1", "4", "0", "江苏 4"), ("C2", "-", "-", "-"), ("C3", "0", "1", "安徽 1")]
    assert {row[0]: row[1:] for row in listed["出入口"]} == {
        "C1-N": ("0", "0", ""),
        "C1-S": ("4", "0", "江苏 4"),
        "C2-N": ("-", "-", "-"),
        "C3-N": ("0", "1", "安徽 1"),
    }


def test_columns_lie_below_each_other() -> None:
    """In a terminal a Chinese character is two columns wide: numbers end in one column, whatever stands before them."""
    table = Table("t", ("地点", "n"), [("小区一", "1"), ("ab", "10")])
    assert render(Document("t", "zh", [table]), "txt").splitlines()[3:] == [
        "地点     n",
        "----------",
        "小区一   1",
        "ab      10",
    ]


def test_a_long_list_goes_on_below_itself() -> None:
    """In a terminal; no line is wider than is read, nothing is broken but behind commas, and nothing is lost."""
    listed = "、".join(f"内蒙古 {number}" for number in range(31))
    lines = render(Document("t", "zh", [Table("t", ("n", "省份"), [("1", listed), ("2", "")])]), "txt").splitlines()
    body = [text[3:] for text in lines[5:-1]]
    assert len(body) == 5
    assert "".join(body) == listed
    assert all(text.endswith("、") for text in body[:-1])
    assert all(len(text.encode("gb2312")) <= 76 for text in body)
    assert [text[0] for text in lines[5:]] == ["1", *" " * 4, "2"]


# -- against the journal ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def journal() -> list[Group]:
    """Two simulated days of a small street, as a journal."""
    whole = definition(rules=())
    records = list(Traffic(whole, MONDAY, 2, 60, seed=3).records())
    return grouped([definition_record(whole, MONDAY), *records], [37])


def from_state(directory: Path, day: int) -> VehicleReport:
    """The report of a day as the command makes it."""
    loaded = cast("Loaded", SimpleNamespace(definition=definition(rules=())))
    span = Span("day", MONDAY + day * DAY, MONDAY + (day + 1) * DAY)
    return VehicleReporter(lambda: loaded, directory).make(span, MONDAY + 4 * DAY)


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
    days = [from_state(tmp_path, day) for day in range(3)]
    passed = sum(counted(one.street).inward + counted(one.street).outward for one in days[:2])
    accepted = seen["plate", "accepted"] + seen["plate", "late"]
    assert passed == accepted - seen["visit", "merged"] > 150
    replayed, replay = Counter[tuple[str, int]](), Site(None, SECRETS)
    for group in journal:
        for one in replay.step(group).passages:
            replayed[one.direction, one.start // HOUR] += one.count
    hours = {
        (direction, one.start // HOUR): getattr(one.lines[0].counted, way, 0)
        for one in (hour for made in days for hour in made.hourly)
        for direction, way in (("in", "inward"), ("out", "outward"))
    }
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


@pytest.mark.parametrize("minute", [0, 7, 15, 16, 22, 44, 59])
def test_inside_is_as_of_now_or_of_the_end(journal: list[Group], tmp_path: Path, minute: int) -> None:
    """Whoever asks while the time runs hears who is inside as of what came last; of a time that is over, at its end."""
    now = MONDAY + DAY + 17 * HOUR + minute * MINUTE
    known_until(journal, now, tmp_path)
    loaded = cast("Loaded", SimpleNamespace(definition=definition(rules=())))
    reporter = VehicleReporter(lambda: loaded, tmp_path)
    for end in (now, MONDAY + 2 * DAY, now // SLOT * SLOT - 3 * SLOT):
        made = reporter.make(Span("asked", MONDAY + DAY, end), now)
        assert made.inside_at == min(end, applied_at(tmp_path))
        assert inside(made) == {
            place: (here.inside, here.unsure) for place, here in _at(journal, made.inside_at).items()
        }


def test_inside_is_told_of_a_daemon_that_has_stopped(journal: list[Group], tmp_path: Path) -> None:
    """For an hour, with the instant when it stopped; then nobody knows."""
    stopped = MONDAY + DAY + 17 * HOUR + 7 * MINUTE
    known_until(journal, stopped, tmp_path)
    loaded = cast("Loaded", SimpleNamespace(definition=definition(rules=())))
    reporter = VehicleReporter(lambda: loaded, tmp_path)
    soon, late = (reporter.make(Span("day", MONDAY + DAY, MONDAY + 2 * DAY), stopped + wait) for wait in (HOUR, DAY))
    assert soon.inside_at == applied_at(tmp_path)
    assert inside(soon) == {place: (here.inside, here.unsure) for place, here in _at(journal, stopped).items()}
    assert (late.inside_at, late.street.inside) == (0, None)


def known_until(journal: list[Group], until: int, directory: Path) -> None:
    """Leave a state behind that has come to an instant, in small groups."""
    store, site = StateStore(directory), Site(None, SECRETS)
    for group in grouped([record for whole in journal for record in whole.records], [3]):
        if group.received_at <= until:
            store.apply(site.step(group))
    store.close()


def inside(made: VehicleReport) -> dict[str, tuple[int | None, int]]:
    """Who is inside each compound."""
    return {one.place: (one.inside, one.unsure) for one in made.of(PlaceKind.COMPOUND)}


@pytest.mark.parametrize(("minute", "known"), [(0, 14), (1, 14), (50, 14), (59, 14), (75, 0)])
def test_inside_of_long_ago_is_not_told(tmp_path: Path, minute: int, known: int) -> None:
    """A number that is older than an hour and a quarter is not today's any more."""
    store, at = StateStore(tmp_path), MONDAY + 14 * HOUR
    blind = [Blind(device.id, 0, MONDAY) for device in definition().devices]
    store.apply(Step(1, at + 2 * HOUR, occupancy=[Occupancy(at, "C1", 4, 1)], blind=blind))
    store.close()
    loaded = cast("Loaded", SimpleNamespace(definition=definition(rules=())))
    span = Span("day", MONDAY, MONDAY + DAY)
    made = VehicleReporter(lambda: loaded, tmp_path).make(span, at + minute * MINUTE)
    assert made.inside_at == (MONDAY + known * HOUR if known else 0)
    assert made.street.inside == (4 if known else None)


def applied_at(directory: Path) -> int:
    """How far a state has come."""
    with tallies(directory) as stored:
        return stored.applied_at


def test_a_day_whose_tallies_are_deleted_is_unknown(journal: list[Group], tmp_path: Path) -> None:
    """What is past its keeping goes, and its day has no numbers from then on: never nobody."""
    store, site = StateStore(tmp_path), Site(None, SECRETS)
    for group in journal:
        store.apply(site.step(group))
    kept = from_state(tmp_path, 1)
    assert counted(from_state(tmp_path, 0).street).inward > 0
    assert counted(kept.daily[-2].lines[0]).inward > 0
    store.keeping.prune(MONDAY + DAY, MONDAY + DAY)
    gone, after = from_state(tmp_path, 0), from_state(tmp_path, 1)
    assert {line.counted for line in gone.lines} == {None}
    assert (gone.street.unknown, gone.since, after.since) == (4 * DAY, MONDAY + DAY, 0)
    assert "没有数据（2025-11-25 00:00 之前的统计已到期删除" in VehiclePages(gone, NOWHERE, "zh").lines()[0]
    # When cameras came is kept for ever, when they were heard for the first time is not.
    assert kept.street.begun > after.street.begun > 0
    assert msgspec.structs.replace(after.street, begun=kept.street.begun) == kept.street
    assert after.daily[-2].lines[0].counted is None
    with tallies(tmp_path) as stored:
        assert not list(stored.counts(0, MONDAY + DAY))
        ended = [one for one in stored.blind(0, MONDAY + DAY) if 0 < one.until < MONDAY + DAY]
        assert {one.since for one in ended} == {0}, "since when cameras are heard stays known"
    store.close()

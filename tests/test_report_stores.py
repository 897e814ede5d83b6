"""The scheduled report, from real stores: due, made, told, kept, deleted; late, held back, failing."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from sensord.core.cases.notification import REPORT
from sensord.core.cases.reports import ReportTable, Span
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.drivers.dayreport import DayReport
from sensord.drivers.tabular import FORMS
from sensord.errors import DeliveryError, StoreError
from sensord.notify.filled import FilledChannel
from sensord.ports import Entry
from sensord.reporting import PATIENCE
from sensord.reportmessages import ReportFiller
from sensord.store.reports import ReportFolder
from sensord.telemetry.metrics import PrometheusMeter
from tests.morning import CROWD, DUE, FIVE, NAME, PLATES, SILENCE, Morning, Sent, messages_of


def test_the_report_is_made_told_and_deleted(morning: Morning) -> None:
    """Due by the core's decision; its files hold the morning's numbers, and so does each one's message."""
    morning.task(DUE + 2 * SECOND).turn()
    folder = ReportFolder(morning.directory)
    assert folder.names() == [], "late readings and undecided passages are waited for"
    morning.task(DUE + MINUTE).turn()
    assert folder.names() == [NAME]
    made = morning.directory / "reports" / NAME
    modes = {path.stat().st_mode & 0o777 for path in made.iterdir()}
    assert (modes, made.stat().st_mode & 0o777, made.parent.stat().st_mode & 0o777) == ({0o600}, 0o700, 0o700)
    files = {path.name for path in made.iterdir()}
    assert files == {
        "report.json",
        *(f"{tongue}.{form}" for tongue in ("zh", "en") for form in ("txt", "md", "html", "message")),
    }
    _check_numbers(msgspec.json.decode(folder.read(NAME, "report.json") or b"", type=DayReport), morning)
    sent = Sent()
    channel = FilledChannel(sent, ReportFiller(folder, lambda: DUE + MINUTE))
    for message in messages_of(morning):
        assert message.text == REPORT, "the decision is the core's; the numbers are filled in on delivery"
        asyncio.run(channel.send(Entry(message, 1, False)))
    messages = [one.notification for one in sent.entries]
    assert {one.receiver for one in messages} == {"居委干部-01", "志愿者-01", "志愿者-02"}
    texts = {one.language: one.text for one in messages}
    assert "立案 11（红色 0、橙色 1、黄色 0、蓝色 10）" in texts["zh"]
    assert "未响应最多：居委干部-01 10/11、志愿者-01 1/1\n" in texts["zh"]
    assert "最多 417 人，小区1 弄1，2026-11-24 06:05" in texts["zh"]
    assert "5 in (no data of a week before), 2 out" in texts["en"]
    os.utime(morning.directory / "reports" / NAME, ns=(FIVE, FIVE))
    morning.task(FIVE + 731 * DAY).turn()
    assert folder.names() == []


def _check_numbers(report: DayReport, morning: Morning) -> None:
    lanes = {lane.lane: lane for lane in report.lanes or ()}
    counts = [
        json.loads(one.payload)["count"] for group in morning.groups for one in group.records if "crowd" in one.topic
    ]
    lane = lanes["L001"]
    assert (lane.peak, lane.peak_at, lane.density) == (max(counts), CROWD[0] + 5 * MINUTE, round(417 / 180, 2))
    level, seconds = Level.NONE, Counter[str]()
    for second in range(FIVE // SECOND, DUE // SECOND):
        changed = [one for one in morning.changes if one.rule == "lane-crowding" and one.at // SECOND == second]
        level = changed[-1].level if changed else level
        seconds[level.word] += 1
    assert lane.levels == {word: seconds[word] * SECOND for word in ("blue", "yellow", "orange", "red")}
    assert lane.levels["orange"] > 10 * MINUTE
    night, silence = FIVE - (DUE - DAY), SILENCE[1] - SILENCE[0]
    assert lane.unknown == night + silence - 30 * SECOND, "blind until five, and again from 30 s after it fell silent"
    assert (lanes["L002"].peak, lanes["L002"].unknown) == (None, DAY), "never heard is not quiet"
    street = report.vehicles.street
    assert street.counted is not None
    assert (street.counted.inward, street.counted.outward, street.counted.local) == (5, 2, 2)
    assert street.counted.out_of_town == 3
    assert street.provinces == {"苏": 1, "皖": 1, "粤": 1}
    assert (report.vehicles.start, report.vehicles.end) == (DUE - DAY, DUE), "to the quarter of an hour"
    # A camera is believed for three minutes after each of its messages: seven, ten minutes apart; the other has none.
    assert (street.gates, street.unseen, street.unknown) == (2, 2, 2 * DAY - 7 * 3 * MINUTE)
    assert street.before is None, "nobody looked a week before"
    assert report.cases is not None
    crowd = next(case for case in report.case_list if case.place == "L001")
    assert (crowd.peak, report.cases.acknowledge) == (
        "orange",
        round((crowd.acknowledged_at - crowd.opened_at) / MINUTE, 1),
    )
    assert report.cases.opened == len(report.case_list) == sum(report.cases.levels.values())
    assert {one.person for one in report.silent} >= {"志愿者-01"}


@pytest.mark.parametrize(("until", "known"), [(CROWD[0] + 10 * MINUTE, True), (DUE, False)])
def test_alarms_that_are_deleted_are_not_none(morning: Morning, until: int, known: bool) -> None:
    """Of a part of the time there is a question mark, of all of it no number: never zero minutes of alarm."""
    whole, _ = morning.reporter().make(Span("day", DUE - DAY, DUE), DUE + HOUR)
    morning.state.keeping.prune(until, 0)
    report, pages = morning.reporter().make(Span("day", DUE - DAY, DUE), DUE + HOUR)
    (lane, was), text = (one.lanes[0] for one in (report, whole) if one.lanes), pages["en"].document()
    row = next(table for table in text.tables if table.title == "Crowds, by lane").rows[0]
    assert (report.alarms_since, whole.alarms_since) == (until, 0)
    if known:
        assert lane.levels
        assert was.levels
        assert 0 < sum(lane.levels.values()) < sum(was.levels.values())
        assert row[4:8] == ("0?", "0?", "0.3?", "0?")
    else:
        assert lane.levels is None
        assert row[4:8] == ("-",) * 4
    assert any("Alarms before 2026-11-24" in note for note in text.notes)
    assert ("- lanes had alarms" in " ".join(text.lead)) is not known


def test_no_vehicle_is_in_a_report(morning: Morning) -> None:
    """No plate, no mask of one and no pseudonym: in no form, in no message, whoever reads it."""
    morning.task(DUE + MINUTE).turn()
    definition = morning.loaded.definition
    who = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, morning.loaded.secrets)
    hidden = [
        text for plate in PLATES for text in (plate, plate[2:], plate[-3:], word(who.identify(plate, FIVE).token))
    ]
    files = {path.name: path.read_text(encoding="utf-8") for path in (morning.directory / "reports" / NAME).iterdir()}
    span, maker, kept = Span("vehicles", DUE - DAY, DUE), morning.reporter().vehicles, morning.reporter().kept
    for language in ("zh", "en"):
        for form in (*FORMS, "json"):
            files[f"vehicles.{language}.{form}"] = maker.printed(maker.make(span, DUE + MINUTE), form, language)
        for table in get_args(ReportTable):
            files[f"{language}.{table}"] = (kept.read(NAME, "csv", language, table) or b"").decode()
    assert len(files) == 1 + 2 * 4 + 2 * (4 + 9)
    assert all(files.values())
    for name, text in files.items():
        # Three digits may be an instant's or a code's, too; then they stand in a longer number.
        assert [one for one in hidden if re.search(rf"(?<![0-9]){re.escape(one)}(?![0-9])", text)] == [], name


@pytest.mark.parametrize(("minutes", "said"), [(0, False), (7, True)])
def test_a_report_says_what_its_vehicles_cover(morning: Morning, minutes: int, said: bool) -> None:
    """They are counted by the quarter of an hour; a report that begins and ends elsewhere says so."""
    end = DUE - minutes * MINUTE
    _, pages = morning.reporter().make(Span("latest", end - DAY, end), DUE + HOUR)
    for language, note in (
        ("zh", "车辆按整刻钟统计：2026-11-23 07:15 – 2026-11-24 07:15。"),
        ("en", "Vehicles are counted by whole quarters of an hour: 2026-11-23 07:15 – 2026-11-24 07:15."),
    ):
        assert (note in pages[language].document().notes) is said
        assert any("07:15" in one for one in pages[language].document().notes) is said


def test_a_report_that_goes_while_somebody_looks_is_not_there(tmp_path: Path) -> None:
    """Deleted by hand, or being made anew: the others are listed, and go when their time has come."""
    folder = ReportFolder(tmp_path)
    assert (folder.names(), folder.prune(1 << 62)) == ([], 0)
    folder.write("day-20261129", {"report.json": b"{}"})
    (tmp_path / "reports" / "day-20261128").symlink_to("gone")
    assert folder.names() == ["day-20261129"]
    assert folder.prune(1 << 62) == 1
    assert folder.names() == []


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), StoreError("state.db: is malformed")])
def test_reports_that_cannot_be_looked_after_end_nothing(
    morning: Morning, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is counted and tried again; only a state that cannot be read is the daemon's end, as ever."""
    monkeypatch.setattr("sensord.reporting.LOOK", 0.0)
    monkeypatch.setattr("sensord.reporting.TRY_AGAIN", 0)
    meter = PrometheusMeter()

    def fails() -> int:
        raise error

    async def until_tried_again() -> None:
        task = asyncio.ensure_future(morning.tasked(morning.reporter(), fails, meter=meter).run())
        async with asyncio.timeout(10):
            while meter.value("report_failures_total") < 2 and not task.done():  # noqa: ASYNC110  # it sets no event
                await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(StoreError if isinstance(error, StoreError) else asyncio.CancelledError):
        asyncio.run(until_tried_again())


def test_a_message_waits_for_its_report_and_goes_without_in_the_end(morning: Morning) -> None:
    """Tried again while the report is not there; after five minutes it says where the report will be."""
    message = messages_of(morning)[0]
    folder = ReportFolder(morning.directory)
    with pytest.raises(DeliveryError) as refused:
        ReportFiller(folder, lambda: DUE + MINUTE).fill(message)
    assert refused.value.retryable
    late = ReportFiller(folder, lambda: DUE + PATIENCE).fill(message)
    assert NAME in late.text
    assert REPORT not in late.text


def test_roll_ups_that_lag_are_waited_for(morning: Morning) -> None:
    """The report is made once they have come as far as the core had; if they never do, after five minutes."""
    reporter = morning.reporter()
    assert not reporter.waits(len(morning.groups))
    assert reporter.waits(len(morning.groups) + 1)
    now = [DUE + MINUTE]
    reporter.waits = lambda seq: True  # type: ignore[method-assign]
    task = morning.tasked(reporter, lambda: now[0])
    task.turn()
    assert reporter.folder.names() == []
    now[0] += PATIENCE
    task.turn()
    assert reporter.folder.names() == [NAME]


class Pressed:
    """As the test says."""

    pressed = True


@pytest.mark.parametrize("passes", [True, False])
def test_reports_give_way_while_more_comes_in_than_is_taken(morning: Morning, passes: bool) -> None:
    """Pressed, none is made; it is as soon as that is over, and after five minutes even so."""
    reporter, pressure, now = morning.reporter(), Pressed(), [DUE + MINUTE]
    task = morning.tasked(reporter, lambda: now[0], pressure=pressure)
    task.turn()
    assert reporter.folder.names() == []
    if passes:
        pressure.pressed = False
    else:
        now[0] += PATIENCE
    task.turn()
    assert reporter.folder.names() == [NAME]


def test_a_report_that_cannot_be_made_is_tried_again_a_minute_later(morning: Morning) -> None:
    """It ends nothing else: not the task, not the daemon."""
    reporter, now, meter = morning.reporter(), [DUE + MINUTE], PrometheusMeter()
    task = morning.tasked(reporter, lambda: now[0], meter=meter)
    tried: list[int] = []

    def fail(span: Span, at: int) -> None:
        tried.append(at)
        raise ZeroDivisionError

    keep, reporter.keep = reporter.keep, fail  # type: ignore[assignment,method-assign]
    for seconds in (0, 2, 59, 60):
        now[0] = DUE + MINUTE + seconds * SECOND
        task.turn()
    assert tried == [DUE + MINUTE, DUE + 2 * MINUTE]
    assert meter.value("report_failures_total") == 2
    reporter.keep = keep  # type: ignore[method-assign]
    now[0] += MINUTE
    task.turn()
    assert reporter.folder.names() == [NAME]


def test_without_roll_ups_nothing_is_said_of_crowds(morning: Morning) -> None:
    """No table of quiet lanes, but the words that there are no data."""
    settings = msgspec.structs.replace(morning.loaded.settings, sinks=())
    bare = replace(morning, loaded=replace(morning.loaded, settings=settings))
    report, pages = bare.reporter().make(Span("latest", DUE - DAY, DUE), DUE)
    assert report.lanes is None
    assert "没有数据" in pages["zh"].message()
    assert "Crowds, by lane" not in [table.title for table in pages["en"].document().tables]

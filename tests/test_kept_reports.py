"""What a report that is kept can be read as: a CSV for each table, and files that go with the message about it."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections import Counter
from typing import get_args

import msgspec
import pytest

from sensord.config.channels import MqttChannel, Smtp
from sensord.core.cases.reports import ReportTable
from sensord.core.instant import MINUTE
from sensord.drivers.dayreport import DayReport
from sensord.errors import StoreError
from sensord.ports import Entry
from sensord.reportmessages import ReportFiles, with_files
from tests.morning import DUE, NAME, Morning, Sent, messages_of


def _rows(morning: Morning, table: ReportTable | None, language: str = "en") -> list[dict[str, str]]:
    """One table of the kept report as a program reads it."""
    found = morning.reporter().kept.read(NAME, "csv", language, table)
    assert found is not None
    return list(csv.DictReader(found.decode("utf-8-sig").splitlines(), strict=True))


def test_a_kept_report_is_read_as_tables(morning: Morning) -> None:
    """Each a CSV of its own, of the data that are kept; without a name the one at a glance."""
    morning.task(DUE + MINUTE).turn()
    report = msgspec.json.decode(morning.reporter().folder.read(NAME, "report.json") or b"", type=DayReport)
    glance = {row["item"]: row["value"] for row in _rows(morning, None)}
    assert [glance[name] for name in ("opened", "orange", "blue")] == ["11", "1", "10"]
    assert glance["minutes_to_acknowledge"] == str(report.cases.acknowledge)
    assert [row["id"] for row in _rows(morning, "cases")] == [case.id for case in report.case_list]
    (crowd,) = (row for row in _rows(morning, "cases", "zh") if row["编号"] == "L001-crowd-20261124T060102")
    assert (crowd["地点"], crowd["最高级别"], crowd["立案时间"]) == ("弄1", "橙色", "2026-11-24T06:01:02+08:00")
    pages, unanswered = Counter[str](), Counter[str]()
    for row in _rows(morning, "silent"):
        pages[row["person"]] += int(row["pages"])
        unanswered[row["person"]] += int(row["unanswered"])
    assert pages == {"居委干部-01": 11, "志愿者-01": 10, "志愿者-02": 1}
    assert unanswered == {"居委干部-01": 10, "志愿者-01": 10, "志愿者-02": 1}
    lanes = {row["place"]: row for row in _rows(morning, "lanes")}
    assert [lanes["L001"][name] for name in ("most_people", "people_per_m2")] == ["417", "2.32"]
    assert (lanes["L002"]["most_people"], lanes["L002"]["minutes_unknown"]) == ("", "1440.0")
    assert lanes["L001"]["minutes_orange"] == f"{(report.lanes or ())[0].levels['orange'] / MINUTE:.1f}"
    street = next(row for row in _rows(morning, "vehicles") if row["kind"] == "street")
    assert (street["inward"], street["out_of_town"], street["before_inward"]) == ("5", "3", "")
    assert {row["prefix"][0] for row in _rows(morning, "provinces")} == {"苏", "皖", "粤"}
    for table in get_args(ReportTable):
        heads = [morning.reporter().kept.read(NAME, "csv", tongue, table) or b"" for tongue in ("zh", "en")]
        assert len({text.decode().splitlines()[0].count(",") for text in heads}) == 1, table


def test_a_kept_report_that_has_no_tables_says_so(morning: Morning) -> None:
    """Its data are no report, or one of long ago: no table comes of it; one that is not there is none."""
    morning.task(DUE + MINUTE).turn()
    for content in (b"\xff\0", b"{}", b'{"name": 1}'):
        (morning.directory / "reports" / NAME / "report.json").write_bytes(content)
        with pytest.raises(StoreError, match="no table can be made"):
            morning.reporter().kept.read(NAME, "csv", "zh")
    assert morning.reporter().kept.read("day-20200101", "csv", "zh") is None


def test_files_go_with_the_message(morning: Morning) -> None:
    """In its language: the page, and a CSV for each table; none of a damaged report, and none with other messages."""
    morning.task(DUE + MINUTE).turn()
    kept, sent = morning.reporter().kept, Sent()
    mail = Smtp(name="people", host="localhost", sender="a@example.org", attach=("html", "csv"))
    channel = with_files(sent, mail, kept)
    assert with_files(sent, msgspec.structs.replace(mail, attach=()), kept) is sent
    assert with_files(sent, MqttChannel(name="people"), kept) is sent
    messages = {one.language: one for one in messages_of(morning)}
    for message in messages.values():
        asyncio.run(channel.send(Entry(message, 1, False)))
    for language, entry in zip(messages, sent.entries, strict=True):
        files = {file.name: file for file in entry.attachments}
        assert set(files) == {f"{NAME}.html", *(f"{NAME}-{table}.csv" for table in get_args(ReportTable))}
        assert files[f"{NAME}.html"].content == kept.folder.read(NAME, f"{language}.html")
        assert files[f"{NAME}-cases.csv"].content == kept.read(NAME, "csv", language, "cases")
        assert {file.media_type for file in files.values()} == {"text/html", "text/csv"}
    other = msgspec.structs.replace(messages["zh"], event="alert:1")
    assert ReportFiles(kept, ("html", "csv")).files(other) == ()
    (morning.directory / "reports" / NAME / "report.json").write_bytes(b"{")
    assert [file.name for file in ReportFiles(kept, ("csv", "txt")).files(messages["en"])] == [f"{NAME}.txt"]
    shutil.rmtree(morning.directory / "reports")
    assert ReportFiles(kept, ("html", "csv")).files(messages["en"]) == ()

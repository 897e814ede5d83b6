"""What a report that is kept can be read as: a CSV for each table, and files that go with the message about it."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from typing import get_args

import msgspec
import pytest

from sensord.config.channels import MqttChannel, Smtp
from sensord.core.cases.reports import ReportTable
from sensord.core.instant import MINUTE
from sensord.drivers.dayreport import DayReport
from sensord.ports import Entry
from sensord.reportmessages import ReportFiles, ReportFiller, with_files
from sensord.store.reports import UnreadableReportError
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
    assert report.cases is not None
    assert glance["minutes_to_acknowledge"] == str(report.cases.acknowledge)
    assert [row["id"] for row in _rows(morning, "cases")] == [case.id for case in report.case_list]
    (crowd,) = (row for row in _rows(morning, "cases", "zh") if row["编号"] == "L001-crowd-20261124T060102")
    assert (crowd["地点"], crowd["最高级别"], crowd["立案时间"]) == ("小区1 弄1", "橙色", "2026-11-24T06:01:02+08:00")
    pages, unanswered = Counter[str](), Counter[str]()
    for row in _rows(morning, "silent"):
        pages[row["person"]] += int(row["pages"])
        unanswered[row["person"]] += int(row["unanswered"])
    assert pages == {"居委干部-01": 11, "志愿者-01": 1}
    assert unanswered == {"居委干部-01": 10, "志愿者-01": 1}
    lanes = {row["place"]: row for row in _rows(morning, "lanes")}
    assert [lanes["L001"][name] for name in ("most_people", "people_per_m2")] == ["417", "2.32"]
    assert (lanes["L002"]["most_people"], lanes["L002"]["minutes_unknown"]) == ("", "1440.0")
    levels = (report.lanes or ())[0].levels or {}
    assert lanes["L001"]["minutes_orange"] == f"{levels['orange'] / MINUTE:.1f}"
    street = next(row for row in _rows(morning, "vehicles") if row["kind"] == "street")
    assert (street["inward"], street["out_of_town"], street["before_inward"]) == ("5", "3", "")
    assert {row["prefix"][0] for row in _rows(morning, "provinces")} == {"苏", "皖", "粤"}
    for table in get_args(ReportTable):
        heads = [morning.reporter().kept.read(NAME, "csv", tongue, table) or b"" for tongue in ("zh", "en")]
        assert len({text.decode().splitlines()[0].count(",") for text in heads}) == 1, table


def test_a_kept_report_that_has_no_tables_says_so(morning: Morning) -> None:
    """Its data are no report, or one of long ago: no table comes of it; one that is not there is none."""
    morning.task(DUE + MINUTE).turn()
    for content in (b"{}", b'{"name": 1}', b'{"name":' + b"[" * 100_000):
        (morning.directory / "reports" / NAME / "report.json").write_bytes(content)
        with pytest.raises(UnreadableReportError, match="no table can be made"):
            morning.reporter().kept.read(NAME, "csv", "zh")
    assert morning.reporter().kept.read("day-20200101", "csv", "zh") is None


def _leaves(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all plain values; of a list those of its first."""
    if isinstance(data, dict | list):
        for key, one in data.items() if isinstance(data, dict) else list(enumerate(data))[:1]:
            yield from _leaves(one, (*path, key))
    else:
        yield path


def test_whatever_stands_in_its_data_tables_are_made_or_refused(morning: Morning) -> None:
    """Each value in turn is one that no report holds: nothing but the refusal that callers know comes of it."""
    morning.task(DUE + MINUTE).turn()
    file, kept = morning.directory / "reports" / NAME / "report.json", morning.reporter().kept
    whole, refused = file.read_bytes(), Counter[str]()
    for path in _leaves(json.loads(whole)):
        for odd in ("never", -(10**30)):
            data = json.loads(whole)
            inner = reduce(lambda found, key: found[key], path[:-1], data)
            inner[path[-1]] = odd
            file.write_bytes(json.dumps(data).encode())
            for table in ("summary", "cases", "lanes", "vehicles"):
                try:
                    kept.read(NAME, "csv", "zh", table)
                except UnreadableReportError as error:
                    refused[type(error.__cause__).__name__] += 1
    assert set(refused) >= {"ValidationError", "ValueError", "KeyError", "OverflowError"}


@pytest.mark.parametrize("content", [b"\xff\xfe broken", bytes(300), b""])
def test_a_damaged_report_does_not_hold_up_its_message(morning: Morning, content: bytes) -> None:
    """What is no text any more is not attached, nor told, nor shown; the rest is, and the message goes."""
    morning.task(DUE + MINUTE).turn()
    (message,) = (one for one in messages_of(morning) if one.language == "en")
    folder, kept = morning.directory / "reports" / NAME, morning.reporter().kept
    files, filler = ReportFiles(kept, ("txt", "csv", "md")), ReportFiller(kept.folder, lambda: DUE + MINUTE)
    (folder / "en.message").write_bytes(content)
    for form, file in (("txt", "en.txt"), ("csv", "report.json"), ("json", "report.json")):
        (folder / file).write_bytes(content)
        with pytest.raises(UnreadableReportError, match=f"its file {file} is damaged"):
            kept.read(NAME, form, "en")
    assert [file.name for file in files.files(message)] == [f"{NAME}.md"]
    assert filler.fill(message).text.endswith(f"sensord report show {NAME}")
    (folder / "en.message").unlink()
    (folder / "en.message").mkdir()  # what the disk does not give back
    assert filler.fill(message).text.endswith(f"sensord report show {NAME}")


def test_tables_that_can_be_made_go_with_the_message(morning: Morning) -> None:
    """One wrong word in the data costs the one table that has it."""
    morning.task(DUE + MINUTE).turn()
    file, messages = morning.directory / "reports" / NAME / "report.json", messages_of(morning)
    file.write_bytes(file.read_bytes().replace(b'"peak":"orange"', b'"peak":"mauve"'))
    found = {one.name for one in ReportFiles(morning.reporter().kept, ("csv",)).files(messages[0])}
    assert found == {f"{NAME}-{table}.csv" for table in get_args(ReportTable) if table != "cases"}


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

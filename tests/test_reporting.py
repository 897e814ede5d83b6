"""Lists and reports of what was: tables from the state database, as Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import io
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.commands.reporting import Lists
from sensord.config.load import load
from sensord.core.cases.case import Case, State
from sensord.core.cases.listing import Lister, Table
from sensord.core.cases.score import Score, mark
from sensord.core.cases.told import Told
from sensord.core.instant import DAY, HOUR, MINUTE, parse_instant
from sensord.core.level import Level
from sensord.core.place import Place, PlaceKind, Places
from sensord.core.site import Step
from sensord.drivers.tabular import Document, render
from sensord.store.state import StateStore

STREET = Path(__file__).resolve().parent / "config" / "street"
T0 = parse_instant("2026-01-05 10:00")


def _case(name: str, **changes: object) -> Case:
    values: dict[str, object] = {
        "id": name,
        "policy": "crowd",
        "place": "L1",
        "grid": "G01",
        "rule": "r",
        "state": State.CLOSED,
        "level": Level.NONE,
        "peak": Level.RED,
        "opened_at": T0,
        "code": f"31010604080{name:0>5}",
        "filed": 1,
        "closed_at": T0 + 30 * MINUTE,
        "acknowledged_at": T0 + 2 * MINUTE,
        "arrived_at": T0 + 9 * MINUTE,
        "reported_at": T0 + 20 * MINUTE,
        "cleared_at": T0 + 29 * MINUTE,
    }
    return Case(**{**values, **changes})  # type: ignore[arg-type]


def _told(answered: int = 0, there: int = 0, role: str = "cadre") -> Told:
    silent = [] if answered else ["day"]
    return Told(role, T0, 0, {"day": 1}, silent, 1, T0 + 1, acknowledged_at=answered, on_the_scene_at=there)


CASES = [
    _case("1", told={"居委干部-01": _told(T0 + 2 * MINUTE, T0 + 9 * MINUTE), "志愿者-01": _told(role="volunteer")}),
    _case("2", overdue=2, disagreed=True, reported_at=0, told={"居委干部-01": _told(T0 + 20 * MINUTE)}),
    _case("3", state=State.HANDLING, closed_at=0, grid="G02", peak=Level.YELLOW, told={"志愿者-02": _told()}),
]


def test_the_score_is_what_the_formula_says() -> None:
    """Two pages: one answered in time, one on the scene; both ended, one reported; one overdue and disputed (-4)."""
    marks = mark(CASES[:2], Score(), "cadre")
    assert (marks.pages, marks.acknowledged, marks.arrived, marks.ended, marks.reported) == (2, 0.5, 0.5, 1.0, 0.5)
    assert marks.points == 20 + 15 + 20 + 5 - 4
    assert mark([], Score()).points == 100
    assert mark(CASES[:2], Score(overdue=100)).points == 0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small street with three cases in its state database."""
    shutil.copytree(STREET, tmp_path / "street")
    path = tmp_path / "street" / "sensord.yaml"
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("state_dir:"))
    path.write_text(f"{text}\nstate_dir: {tmp_path / 'state'}\n")
    state = StateStore(load(path).resolve(str(tmp_path / "state")))
    state.apply(Step(1, T0, cases=CASES))
    state.close()
    return path


def test_lists_say_who_did_what(config: Path) -> None:
    """Each list has a line per case, page, or grid and role, with the words of the stages."""
    reporter = Lists(config, T0 + 60 * MINUTE, "zh")
    problems = reporter.listed("problems", None, None, "md")
    assert problems.count("3101060408") == 3
    assert "| 处置 |" in problems
    assert "报告与传感器不符" in problems
    tasks = reporter.listed("tasks", None, None, "csv")
    assert len(list(csv.reader(io.StringIO(tasks)))) == 1 + 4
    silent = reporter.listed("silent", None, None, "md")
    assert "| 志愿者-01 |" in silent
    assert "居委干部-01" not in silent
    score = reporter.listed("responsibilities", None, None, "csv")
    rows = {row[1]: row for row in csv.reader(io.StringIO(score))}
    assert rows["居委干部"][-1] == "56"


def test_reports_measure_and_list(config: Path) -> None:
    """A day's report has the medians, the cases by grid and level, and the lists; of the day before nothing."""
    reporter = Lists(config, T0 + 60 * MINUTE, "zh")
    for text in (reporter.daily("2026-01-05", "md"), reporter.latest("md")):
        assert "| 接单用时中位数（分钟） | 2.0 |" in text
        assert "| 疏散用时中位数（分钟） | 29.0 |" in text
        assert "| 志愿者-01 |" in text
    before = reporter.daily("2026-01-04", "md")
    assert "案件：没有数据（2026-01-05 10:00 之前的案件已到期删除，或从未有过）" in before
    assert "立案" not in before, "nobody was there to see anything: that is not none"
    assert "立案,\n" in reporter.daily("2026-01-04", "csv")


def test_what_is_deleted_is_not_nothing(config: Path) -> None:
    """A list, a score or a report that lacks cases for their age says so; with the default keeping none does."""
    reporter, deleted = Lists(config, T0 + DAY, "en"), "Cases that ended before 2026-01-05 10:30 were deleted"
    with closing(StateStore(config.parent.parent / "state")) as state:
        state.keeping.prune(T0 + HOUR, 0)
        for name in ("problems", "responsibilities"):
            assert deleted not in reporter.listed(name, "2026-01-05T10:00", None, "md")
        state.keeping.prune(T0 + HOUR, T0 + 30 * MINUTE)
    for name in ("problems", "tasks", "silent", "responsibilities"):
        assert deleted in reporter.listed(name, "2026-01-05T10:00", None, "md")
        assert deleted not in reporter.listed(name, "2026-01-05T10:30", None, "md")
    assert deleted in reporter.daily("2026-01-05", "txt")


def test_the_command_writes_each_form(config: Path, tmp_path: Path) -> None:
    """Text on the screen, HTML and CSV into a file; a wrong day is a wrong usage."""
    run = CliRunner().invoke
    asked = ["--config", str(config), "--day", "2026-01-05"]
    assert run(cli, ["report", "daily", *asked]).output.startswith("街道运行报告 2026-01-05")
    out = tmp_path / "report.html"
    assert run(cli, ["report", "daily", *asked, "--format", "html", "--output", str(out)]).exit_code == 0
    assert "<table>" in out.read_text(encoding="utf-8")
    assert (
        run(cli, ["list", "problems", "--config", str(config), "--from", "2026-01-01", "--format", "csv"]).exit_code
        == 0
    )
    glance = run(cli, ["report", "daily", *asked, "--format", "csv", "--language", "en"])
    assert list(csv.reader(glance.stdout.splitlines()))[:2] == [["item", "value"], ["opened", "3"]]
    cases = run(cli, ["report", "daily", *asked, "--format", "csv", "--language", "en", "--table", "cases"])
    assert [row["id"] for row in csv.DictReader(cases.stdout.splitlines())] == ["1", "2", "3"]
    assert run(cli, ["report", "latest", *asked[:2], "--format", "csv", "--table", "nothing"]).exit_code == 2
    assert run(cli, ["report", "daily", "--config", str(config), "--day", "soon"]).exit_code == 2
    assert run(cli, ["roster", "check", "--config", str(config), "--days", "1"]).exit_code in (0, 5)


def test_cells_are_escaped_for_where_they_go() -> None:
    """No cell breaks a table, runs as a script, or as a spreadsheet's formula."""
    hostile = "<script>|", "[x](javascript:1)", "a\\", "b\r\nc"
    document = Document(*("<b>", "en"), [Table("<i>", ("<u>", *"abc"), [hostile])], ["<img>"], ["<p>"])
    for form in ("html", "md"):
        assert not [one for one in ("<script>", "<b>", "<i>", "<u>", "<img>", "<p>\n") if one in render(document, form)]
    row = render(document, "md").splitlines()[-3]
    assert row == "| &lt;script>\\| | \\[x\\](javascript:1) | a\\\\ | b  c |"


def test_cells_stand_where_their_column_does() -> None:
    """A number to the right, also among words; a dash where the words are, or where the numbers are."""
    table = Table("t", ("name", "n", "from"), [("a", "1", "Anhui 3"), ("b", "-", "-"), ("c", "", "7")])
    page = render(Document("t", "en", [table]), "html")
    cells = re.findall(r"<td([^>]*)>([^<]*)</td>", page)
    right = [text for look, text in cells if "number" in look]
    assert right == ["1", "-", "", "7"]


@pytest.mark.parametrize(("tables", "found"), [(5, 0), (6, 6)])
def test_a_long_page_says_where_each_table_is(tables: int, found: int) -> None:
    """Every link leads to the heading of that name; a short page has none."""
    page = render(Document("t", "en", [Table(f"<{number}>", ("a",), []) for number in range(tables)]), "html")
    links = re.findall(r'<a href="#(t[0-9]+)">([^<]+)</a>', page)
    assert len(links) == found
    headings = re.findall(r'<h2 id="(t[0-9]+)">([^<]+)</h2>', page)
    assert [one for one in headings if one in links] == links
    assert len(headings) == tables


@pytest.mark.parametrize(
    ("place", "zh", "en"),
    [
        ("C1", "东里", "East"),
        ("C1-N", "东里 北门", "East north gate"),
        ("C1-S", "东里南门", "East, south gate"),
        ("C1-R", "东里 东里路门", "East East Road gate"),
        ("C1-2", "东里2号门", "East gate 2"),
        ("C1-M", "东里", "East"),
        ("L1", "东里 一弄", "East Lane 1"),
        ("L2", "东里内通道2", "East passage 2"),
        ("L3", "东里 东里路3弄", "East East Road, lane 3"),
        ("L4", "东里1号", "East Eastern lane"),
        ("L5", "2弄1 2弄10号", "2弄1 2弄10号"),
        ("L6", "六弄", "Lane 6"),
        ("gone", "gone", "gone"),
    ],
)
def test_gates_and_lanes_are_named_with_their_compound(place: str, zh: str, en: str) -> None:
    """Every compound has a north gate; one that says where it is says it once. What is no more keeps its id."""
    places = Places(
        (
            Place("C1", PlaceKind.COMPOUND, "东里", "East"),
            Place("C1-N", PlaceKind.GATE, "北门", "north gate", "C1"),
            Place("C1-S", PlaceKind.GATE, "东里南门", "East, south gate", "C1"),
            Place("C1-R", PlaceKind.GATE, "东里路门", "East Road gate", "C1"),
            Place("C1-2", PlaceKind.GATE, "东里2号门", "East gate 2", "C1"),
            Place("C1-M", PlaceKind.GATE, "东里", "East", "C1"),
            Place("C2", PlaceKind.COMPOUND, "2弄1"),
            Place("L1", PlaceKind.LANE, "一弄", "Lane 1", compound="C1"),
            Place("L2", PlaceKind.LANE, "东里内通道2", "East passage 2", compound="C1"),
            Place("L3", PlaceKind.LANE, "东里路3弄", "East Road, lane 3", compound="C1"),
            Place("L4", PlaceKind.LANE, "东里1号", "Eastern lane", compound="C1"),
            Place("L5", PlaceKind.LANE, "2弄10号", compound="C2"),
            Place("L6", PlaceKind.LANE, "六弄", "Lane 6"),
        ),
        (),
    )
    assert (places.name(place, "zh"), places.name(place, "en")) == (zh, en)


def test_both_languages_have_the_same_columns() -> None:
    """No table lacks a heading in either."""
    whole = load(STREET / "sensord.yaml").definition
    places = Places(whole.places, whole.devices)
    for name in ("problems", "tasks", "silent", "crowd"):
        tables = [getattr(Lister(whole, places, language), name)(CASES) for language in ("zh", "en")]
        assert [len(table.columns) for table in tables] == [len(row) for table in tables for row in table.rows[:1]]


@pytest.mark.parametrize("day", ["9999-12-31", "2200-01-02", "0001-01-01"])
@pytest.mark.parametrize(
    "asked", [["report", "daily", "--day"], ["report", "vehicles", "--day"], ["report", "vehicles", "--from"],
              ["list", "problems", "--from"], ["list", "tasks", "--to"]]
)  # fmt: skip
def test_a_day_at_the_end_of_the_calendar_is_a_wrong_usage(config: Path, asked: list[str], day: str) -> None:
    """It is said in the reader's language, wherever a day is taken."""
    done = CliRunner().invoke(cli, [*asked, day, "--config", str(config)])
    assert (done.exit_code, "1970" in done.output) == (2, True), done.output

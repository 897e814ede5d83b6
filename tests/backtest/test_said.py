"""Backtests for whoever types them: mistakes and what is missing are said, and what is printed can be used."""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner

from sensord.backtest.labels import read_incidents
from sensord.backtest.report import Question, answer
from sensord.backtest.run import Setup, run
from sensord.cli import cli
from sensord.errors import ConfigError
from sensord.source import Source

ROOT = Path(__file__).resolve().parents[2]


def test_the_printed_patch_applies(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the terminal shows it, however narrow; with it the false alarms are gone and the true cases are kept."""
    copytree(folder / "rules", tmp_path / "rules")
    text = (tmp_path / "rules" / "crowd.yaml").read_text("utf-8").replace("# people/m2", f"# people/m2 {'wide ' * 20}")
    (tmp_path / "rules" / "crowd.yaml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["backtest", "--recording", str(folder / "recording"), "--rules", "rules", "--suggest"]
    shown = CliRunner().invoke(cli, command, env={"SENSORD_LANGUAGE": "en", "COLUMNS": "60"})
    assert shown.exit_code == 0, shown.output
    patch = shown.output[shown.output.index("--- a/rules/crowd.yaml") :].rstrip("\n") + "\n"
    subprocess.run(["git", "apply"], input=patch.encode(), check=True)
    before, after = (
        answer(Setup.of(Source(folder / "recording")), Question(rules, None, folder / "labels.csv")).scores[0].total
        for rules in (folder / "rules", tmp_path / "rules")
    )
    assert (before.alerts, before.caught) == (9, 4)
    assert (after.alerts, after.caught, after.precision) == (4, 4, 1.0)


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    """Nothing asked, nothing to suggest, nothing recorded: a sentence says so, and no traceback."""
    command = ["backtest", "--recording", str(folder / "recording"), "--rules", str(folder / "strict")]
    english = {"SENSORD_LANGUAGE": "en"}
    plain = CliRunner().invoke(cli, [*command, "--from", "2023-11-15T07:40:00"], env=english)
    assert "Nothing to compare" in plain.output
    none = CliRunner().invoke(cli, [*command, "--from", "2023-11-15T07:40:00", "--suggest"], env=english)
    assert "No suggestion" in none.output
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    config = str(Path(__file__).resolve().parents[2] / "config" / "sensord.yaml")
    for asked_ in (["backtest", "--recording"], ["replay", "--format", "html", "--output", str(tmp_path / "page")]):
        refused = CliRunner().invoke(cli, [*asked_, str(empty), "--config", config], env=english)
        assert isinstance(refused.exception, ConfigError)
        assert "there is nothing to replay" in str(refused.exception)


def test_wrong_labels_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mistake of a file of incidents is said with its line, in the language of the terminal."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "zh")
    path = tmp_path / "wrong.csv"
    rows = (
        "nowhere,2026-01-01,2026-01-02,crowd,",
        "G1-L1,2026-01-02,2026-01-01,crowd,",
        "G1-L1,2026-01-01,2026-01-02,crowd,purple",
        "G1-L1,2026-01-01,2026-01-02,Crowd,",
        "G1-L1,2026-01-01,2026-01-02",
        "G1-L1,2026-01-01,,crowd,",
        "G1-L1,2026-01-01,2026-01-02,crowd_silence,",
        "G1-L1,2026-01-01T23:00:00,2026-01-03,crowd_silence,",
        "G1-L1,2026-01-01,2026-01-02,overstay,",
        "G1-L1,2026-01-01,2026-01-02,overstay,",
    )
    path.write_text("place,start,end,kind,level\n" + "\n".join(rows) + "\n", "utf-8")
    found = run(Setup.of(Source(folder / "recording")), [Setup.of(Source(folder / "recording")).candidate("x", None)])[
        0
    ]
    with pytest.raises(ConfigError) as refused:
        read_incidents(path, found)
    said = [(problem.line, problem.message) for problem in refused.value.problems]
    pieces = (
        (2, "没有场所 nowhere"),
        (3, "结束早于开始"),
        (4, "没有 purple 这个级别"),
        (5, "没有 Crowd 这种事件，可能是 crowd；有："),
        (6, "这一行没有 kind"),
        (7, "这一行没有 end"),
        (9, "与第 8 行的事件同处、同类且时间重叠"),
    )
    assert [line for line, _ in said] == [line for line, _ in pieces]
    assert all(piece in message for (_, message), (_, piece) in zip(said, pieces, strict=True))
    assert "crowd, crowd_silence, crowd_stuck" in said[3][1]


def test_a_value_that_is_no_rule_is_said_in_the_language_of_the_table(folder: Path, tmp_path: Path) -> None:
    """In the table of a sweep, and on the page."""
    page = tmp_path / "page.html"
    command = ["backtest", "--recording", str(folder / "recording"), "--rules", str(folder / "rules")]
    command += ["--sweep", "levels.yellow.above=1,6"]
    chinese = {"SENSORD_LANGUAGE": "zh", "COLUMNS": "200"}
    shown = CliRunner().invoke(cli, command, env=chinese)
    assert "red 的阈值（5）必须大于 yellow 的阈值（6）" in shown.output
    CliRunner().invoke(cli, [*command, "--format", "html", "--output", str(page)], env=chinese)
    assert "red 的阈值（5）必须大于 yellow 的阈值（6）" in page.read_text("utf-8")


def _hourly(path: Path, incidents: Path) -> None:
    """Write made-up counts of the days around each incident: ten thousand people while it lasts, hundreds otherwise."""
    zone, hour = ZoneInfo("Australia/Melbourne"), timedelta(hours=1)
    with incidents.open(encoding="utf-8") as file:
        days = [
            [datetime.fromisoformat(row[name]).replace(tzinfo=zone).astimezone(UTC) for name in ("start", "end")]
            for row in csv.DictReader(file)
        ]
    counts = {start + number * hour: 300 for start, _ in days for number in range(-24, 36)}
    counts |= {at: 10_000 for at in counts for start, end in days if start <= at < end}
    rows = [f"{at:%Y-%m-%dT%H:%M:%S}Z,Birrarung Marr,{count}" for at, count in sorted(counts.items())]
    path.write_bytes(gzip.compress("\n".join(["ts_utc,sensor,count", *rows, ""]).encode()))


def test_the_worked_example_of_the_handbook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, on counts of the same shape: the places that its labels name are found."""
    text = (ROOT / "docs" / "backtest.md").read_text("utf-8").replace("\\\n", " ")
    folder, command = re.findall(r"^```\ncd (\S+)\nsensord (backtest .*)\n```$", text, re.MULTILINE)[0]
    copytree(ROOT / folder, tmp_path / "example")
    monkeypatch.chdir(tmp_path / "example")
    words = command.split()
    _hourly(Path(words[words.index("--recording") + 1]), Path(words[words.index("--labels") + 1]))
    words[words.index("html")], words[words.index("report.html")] = "json", "report.json"
    shown = CliRunner().invoke(cli, words, env={"SENSORD_LANGUAGE": "en"}, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    scores = msgspec.json.decode(Path("report.json").read_bytes())["scores"]
    assert [(one["total"]["truths"], one["total"]["caught"]) for one in scores] == [(12, 12), (12, 12)]


def test_a_table_has_no_compound_in_the_names_of_its_places(tmp_path: Path) -> None:
    """The file is not a compound: nobody put one before the sensor's name."""
    table = tmp_path / "pedestrians.csv.gz"
    _hourly(table, ROOT / "config/examples/melbourne/backtest/incidents.csv")
    example = ROOT / "config/examples/melbourne"
    command = ["replay", str(table), "--mapping", str(example / "mapping.yaml"), "--rules", str(example / "rules.yaml")]
    shown = CliRunner().invoke(cli, command, env={"SENSORD_LANGUAGE": "en", "COLUMNS": "200"})
    assert "│ Birrarung Marr │" in shown.output


@pytest.mark.parametrize(
    ("said", "place", "refused"),
    [
        ("C1-N", "C1-N", ""),
        ("小区C1 北门", "C1-N", ""),
        ("Lane 1", "", "Lane 1 may be each of: 小区C1 Lane 1 (G1-L1), 小区C2 Lane 1 (G2-L1)"),
        ("小区C2 Lane 1", "G2-L1", ""),
        ("北门", "C1-N", ""),
        ("小区C1 北们", "", "there is no place 小区C1 北们; did you mean 小区C1 北门?"),
    ],
)
def test_a_place_is_called_by_its_id_or_by_a_name(
    said: str, place: str, refused: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own name, as ``places.yaml`` has it, will do when no other place has it."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    path = tmp_path / "labels.csv"
    path.write_text(f"place,start,end,kind\n{said},2026-01-01,2026-01-02,crowd\n", "utf-8")
    setup = Setup.of(Source(folder / "recording"))
    (outcome,) = run(setup, [setup.candidate("x", None)])
    if refused:
        with pytest.raises(ConfigError, match=re.escape(refused)):
            read_incidents(path, outcome)
    else:
        assert [one.place for one in read_incidents(path, outcome)] == [place]

"""``sensord replay``: journals, recorded messages and CSV time series go through the same core and print the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.data import shared
from tests.test_cli import sensord

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "config" / "examples"
MAPPING = """
stream: level
time: {column: when, zone: Asia/Shanghai}
device: {column: car_park}
fields: {value: free}
period: 10m
"""
RULES = """
rules:
  - id: full
    name: {zh: 停满, en: Full}
    stream: level
    by: device
    value: last(value)
    window: 10m
    levels: {yellow: {at_most: 5}}
    clear: {margin: 5}
    dispatch: parking
"""
SERIES = """when,car_park,free
2026-03-01 08:00:00,east,40
2026-03-01 08:10:00,east,4
2026-03-01 08:10:00,west,30
2026-03-01 08:20:00,east,3
2026-03-01 08:30:00,east,25
2026-03-01 08:40:00,east,26
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A small series with its mapping and rules."""
    texts = {"series.csv": SERIES, "mapping.yaml": MAPPING, "rules.yaml": RULES}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {name.partition(".")[0]: tmp_path / name for name in texts}


def replay(files: dict[str, Path], *options: str) -> str:
    """Replay the series and return what was printed."""
    arguments = ["--mapping", str(files["mapping"]), "--rules", str(files["rules"])]
    done = sensord("replay", files["series"], *arguments, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def transitions(text: str) -> list[tuple[str, str, float | None]]:
    """Return (change, key, value) of every transition among JSON lines."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [(one["change"], one["key"], one["value"]) for one in lines if "change" in one]


def test_a_series_becomes_alerts(files: dict[str, Path]) -> None:
    """The car park that is nearly full raises one alert and clears it; the other one says nothing."""
    text = replay(files, "--format", "json")
    assert transitions(text) == [("raised", "east-1", 4.0), ("cleared", "east-1", 25.0)]
    assert replay(files, "--format", "json") == text, "the same bytes in every run"


def test_the_table_says_when_where_and_how_bad(files: dict[str, Path]) -> None:
    """The table holds the window's end in the series' zone, the place, the change, the level and the value."""
    lines = replay(files).splitlines()
    (raised,) = [line for line in lines if "raised" in line]
    assert all(word in raised for word in ("2026-03-01 08:20:00", "Full", "east", "yellow", "4.00"))
    assert "6 readings (accepted 6), 2 changes of alerts, 1 cases closed" in lines[-1]


def test_a_column_that_is_not_there_is_named(files: dict[str, Path]) -> None:
    """A mapping that does not fit the file is refused with the file's name and the column."""
    files["mapping"].write_text(MAPPING.replace("free}", "spaces}"), encoding="utf-8")
    done = sensord("replay", files["series"], "--mapping", files["mapping"], "--rules", files["rules"])
    assert done.returncode != 0
    assert "spaces" in done.stderr
    assert "series.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cell_that_is_no_number_is_named(files: dict[str, Path]) -> None:
    """A broken cell is refused with file and line; nothing is guessed."""
    files["series"].write_text(SERIES.replace(",4\n", ",four\n"), encoding="utf-8")
    done = sensord("replay", files["series"], "--mapping", files["mapping"], "--rules", files["rules"])
    assert done.returncode != 0
    assert "series.csv:3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_of_a_scenario(tmp_path: Path) -> None:
    """A simulated crowd that was recorded raises and clears its alert, and tells people, when it is replayed."""
    recording = tmp_path / "lane.jsonl"
    made = sensord("simulate", "--scenario", "lane-crowd", "--duration", "300", "--record", recording)
    assert made.returncode == 0, made.stderr
    done = sensord("replay", recording, "--config", "config/sensord.yaml", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [change for change, key, _ in transitions(done.stdout) if key == "L001"] == [
        "raised",
        "escalated",
        "lowered",
        "cleared",
    ]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    receivers = {one["receiver"] for one in told if one.get("receiver") and one["case"].startswith("L001-")}
    assert receivers
    assert all("-G01-" in receiver or receiver.startswith("派出所") for receiver in receivers)


def test_two_years_of_pedestrians() -> None:
    """Melbourne's two years: the silent sensors are found, and both White Nights turn red."""
    source = shared("melbourne/pedestrian_hourly_2015_2016_4sensors.csv.gz")
    files = {"series": source, **{name: EXAMPLES / "melbourne" / f"{name}.yaml" for name in ("mapping", "rules")}}
    found = transitions(replay(files, "--format", "json"))
    assert ("raised", "Bourke-Street-Mall-North-2") in {(change, key) for change, key, _ in found}
    peaks = [value or 0.0 for change, key, value in found if change == "escalated" and key == "Birrarung-Marr-1"]
    assert sorted(peaks)[-2:] == [19_779.0, 20_700.0], "21 February 2015 and 20 February 2016"


def test_what_is_unusual_is_found_without_a_threshold(tmp_path: Path) -> None:
    """In eight weeks each counter learns its week; the White Night of 21 February 2015 is then unusual at its place."""
    source = shared("melbourne/pedestrian_hourly_2015_2016_4sensors.csv.gz")
    with gzip.open(source, "rt", encoding="utf-8") as rows:
        kept = [row for row in rows if row.startswith("sensor,") or row.split(",")[1] < "2015-02-23"]
    series = tmp_path / "weeks.csv"
    series.write_text("".join(kept), encoding="utf-8")
    files = {"series": series, "mapping": EXAMPLES / "melbourne" / "mapping.yaml"}
    found = transitions(replay(files | {"rules": EXAMPLES / "melbourne" / "unusual.yaml"}, "--format", "json"))
    assert ("escalated", "Birrarung-Marr-1", 8363.0) in found
    assert len([one for one in found if one[0] == "raised"]) < 12


def test_half_a_year_of_taxis() -> None:
    """New York's taxis: the marathon's night is too busy, the blizzard of 27 January 2015 the quietest day."""
    files = {"series": shared("nab/nyc_taxi.csv")}
    files |= {name: EXAMPLES / "nab" / f"{name}.yaml" for name in ("mapping", "rules")}
    lines = [json.loads(line) for line in replay(files, "--format", "json").splitlines()]
    raised = [(one["rule"], one["value"]) for one in lines if one.get("change") in ("raised", "escalated")]
    assert [value for rule, value in raised if rule == "very-busy"] == [39_197.0]
    assert min(value for rule, value in raised if rule == "very-quiet") == 7_681.0

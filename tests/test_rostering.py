"""The roster on the command line: the check, and duty plans there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from icalendar import Calendar

from sensord.commands.onduty import from_files, table
from sensord.commands.rostering import check, read, spans, to_csv, to_ics
from sensord.config.load import load
from sensord.core.instant import parse_instant
from sensord.errors import ConfigError, SensordError

ROOT = Path(__file__).resolve().parents[1]
STREET = ROOT / "tests" / "config" / "street"
NOW = parse_instant("2026-01-05 00:00")
_PLAN = """
shifts:
  day: {from: "08:00", to: "20:00"}
  night: {from: "20:00", to: "08:00"}
rotations:
  - {id: nights, shift: night, starts: "2026-01-05", every: 1, people: [志愿者-01, 志愿者-02]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small street with a duty plan: its cadre by day, the volunteers by turns at night."""
    for path in STREET.rglob("*.yaml"):
        copy = tmp_path / path.relative_to(STREET)
        copy.parent.mkdir(exist_ok=True)
        text = path.read_text(encoding="utf-8")
        if path.name == "roster.yaml":
            text = text.replace("role: cadre,", "role: cadre, shifts: [day],") + _PLAN
        copy.write_text(text, encoding="utf-8")
    return tmp_path / "sensord.yaml"


def test_the_shipped_roster_has_no_hole() -> None:
    """Every one of the 125 micro-grids is answered for at every minute of two weeks."""
    found, lines = check(ROOT / "config" / "sensord.yaml", 14, NOW)
    assert (found.micro_grids, found.holes) == (125, [])
    assert lines[-1] in ("没有空档", "no hole")


def test_holes_are_listed_with_place_and_time(config: Path) -> None:
    """Each night the micro-grids of the volunteer who is off have nobody."""
    found, lines = check(config, 2, NOW)
    assert found.holes
    assert any("2026-01-05 20:00 – 2026-01-06 08:00" in line for line in lines)


def test_an_export_comes_back_as_the_same_duty(config: Path, tmp_path: Path) -> None:
    """CSV and iCalendar hold the same stretches, and an import makes changes of them that the loader accepts."""
    made, zone = spans(config, 2, NOW)
    assert {one.person for one in made} == {"居委干部-01", "志愿者-01", "志愿者-02"}
    (tmp_path / "duty.csv").write_text(to_csv(made, zone), encoding="utf-8")
    (tmp_path / "duty.ics").write_bytes(to_ics(made, NOW))
    assert len(Calendar.from_ical((tmp_path / "duty.ics").read_bytes()).walk("VEVENT")) == len(made)
    lines = read(tmp_path / "duty.csv", config)
    assert read(tmp_path / "duty.ics", config) == lines
    assert lines.count("\n") == len(made) + 1
    roster = config.with_name("roster.yaml")
    roster.write_text(roster.read_text(encoding="utf-8") + lines, encoding="utf-8")
    assert len(load(config).definition.duty.changes) == len(made)


def test_without_a_daemon_the_files_say_who_is_on_duty(config: Path) -> None:
    """At noon the cadre; at night nobody at that post, and when the next one comes."""
    noon = {(post["role"], post["place"]): post for post in from_files(config, "", "2026-01-05 12:00")["posts"]}
    assert noon["cadre", "example"]["people"][0]["until"] == "2026-01-05T20:00:00+08:00"
    night = from_files(config, "L001", "2026-01-05 22:00")
    cadre = next(post for post in night["posts"] if post["role"] == "cadre")
    assert (cadre["people"], cadre["next"]) == ([], "2026-01-06T08:00:00+08:00")
    rows = [[str(cell) for cell in column.cells] for column in table(night).columns]
    assert "2026-01-06 08:00" in rows[5][rows[1].index("居委干部")]


@pytest.mark.parametrize(("place", "at"), [("none", None), ("", "soon")])
def test_a_place_or_a_time_that_is_none_is_said(config: Path, place: str, at: str | None) -> None:
    """Not an empty table."""
    with pytest.raises(SensordError, match=r"没有场所 none|soon 不是时间"):
        from_files(config, place, at)


def test_whole_days_of_nobody_are_holidays(config: Path, tmp_path: Path) -> None:
    """A public calendar's events become holidays."""
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:元旦\r\n"
        "DTSTART;VALUE=DATE:20260101\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    (tmp_path / "days.ics").write_text(text, encoding="utf-8", newline="")
    assert read(tmp_path / "days.ics", config) == 'holidays:\n  "2026-01-01": {name: "元旦"}\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("person,from,to\n某某,2026-01-01 08:00,2026-01-01 09:00\n", "nobody called 某某"),
        ("person,from,to\n志愿者-01,2026-01-01 09:00,2026-01-01 08:00\n", "is not after"),
        ("person,from,to\n志愿者-01,tomorrow,2026-01-01 08:00\n", "is not a time"),
        ("who,from,to\n", "no column person"),
    ],
)
def test_a_bad_line_is_named(config: Path, tmp_path: Path, text: str, fault: str) -> None:
    """Nothing of a file with mistakes is taken."""
    path = tmp_path / "duty.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=fault):
        read(path, config)


def test_repeating_events_are_refused(config: Path, tmp_path: Path) -> None:
    """They are what shifts and rotations are for."""
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:志愿者-01\r\n"
        "DTSTART:20260101T000000Z\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    (tmp_path / "r.ics").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ConfigError, match="RRULE"):
        read(tmp_path / "r.ics", config)

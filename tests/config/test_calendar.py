"""Tests of sensord.config.calendar where it meets the duty plan, and of its end."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensord.config.calendar import known_until, load_calendar
from sensord.config.lint import lint_calendar
from sensord.config.load import load
from sensord.core.instant import parse_instant
from sensord.core.people.duty import Duty, DutyTable, Shift
from sensord.core.schedule import Calendar

STREET = Path(__file__).parent / "street"
ROSTER = """
people:
  - {id: 居委干部-A, role: cadre, serves: G01, shifts: [office], contacts: [{channel: people, address: a}]}
  - {id: 志愿者-A, role: volunteer, serves: G01, shifts: [rest], contacts: [{channel: people, address: b}]}
shifts:
  office: {from: "08:00", to: "20:00", days: [workday]}
  rest: {from: "08:00", to: "20:00", days: [restday]}
holidays: {"2025-10-03": {name: 加班, work: true}}
"""
SHIFT = Duty(shifts=(Shift("office", 480, 1200, ("workday",)),))


@pytest.mark.parametrize(
    ("day", "cadre"),
    [
        ("2025-09-29", True),  # a Monday
        ("2025-10-01", False),  # National Day
        ("2025-10-03", True),  # the roster says that it is worked
        ("2025-10-11", True),  # a Saturday that is worked in exchange
        ("2025-10-12", False),  # a Sunday
    ],
)
def test_shifts_go_by_the_public_calendar(tmp_path: Path, day: str, cadre: bool) -> None:
    """Nobody has to copy public holidays into the roster; what the roster itself says of a day beats them."""
    folder = shutil.copytree(STREET, tmp_path / "street")
    (folder / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    definition = load(folder / "sensord.yaml").definition
    table = DutyTable(definition.duty, {one.id: one.shifts for one in definition.people}, definition.zone)
    at = parse_instant(f"{day}T12:00:00+08:00")
    assert (table.on_duty("居委干部-A", at), table.on_duty("志愿者-A", at)) == (cadre, not cadre)


def test_the_end_of_what_is_known_is_told_a_month_before() -> None:
    """Rules and shifts that go by public holidays are warned of the year that nobody has written down yet."""
    calendar = Calendar(holidays=("2030-12-31", "2031-01-01"), workdays=("2032-01-04",))
    assert known_until(calendar) == date(2031, 12, 31)
    assert not list(lint_calendar("sensord.yaml", calendar, [], SHIFT, date(2031, 11, 30)))
    (problem,) = lint_calendar("sensord.yaml", calendar, [], SHIFT, date(2031, 12, 1))
    assert problem.message == "public holidays are known until 2031-12-31, and rules or shifts go by them"
    weekdays = Duty(shifts=(Shift("office", 480, 1200, ("mon",)),))
    assert not list(lint_calendar("sensord.yaml", calendar, [], weekdays, date(2032, 6, 1)))


def test_a_configuration_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of the warnings of whoever loads the files then."""
    folder = shutil.copytree(STREET, tmp_path / "street")
    (folder / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    then = parse_instant("2099-01-01T00:00:00+08:00")
    monkeypatch.setattr("sensord.config.load.time", SimpleNamespace(time_ns=lambda: then))
    assert any("public holidays are known until" in one.message for one in load(folder / "sensord.yaml").warnings)


def test_a_year_that_the_site_writes_down_is_known(tmp_path: Path) -> None:
    """The site's own calendar file moves the end."""
    path = tmp_path / "calendar.yaml"
    path.write_text("holidays: [2031-01-01]\n")
    assert known_until(load_calendar(path)) == date(2031, 12, 31)
    assert known_until(load_calendar(None)) >= date(2026, 12, 31)

"""The list of open cases: who is under stress looks at its first line."""

from __future__ import annotations

from typing import Any

import pytest

from sensord.commands.opencases import lines


def case(name: str, level: str, opened_at: str) -> dict[str, Any]:
    """A case of the overview."""
    named = {"place_name": "一弄", "place_name_en": "Lane 1"}
    return {"id": name, "level": level, "state": "dispatched", "opened_at": f"2026-11-29T{opened_at}+08:00", **named}


CASES = [
    case("sensor", "blue", "22:00:00"),
    case("late", "red", "22:10:00"),
    case("calm", "none", "21:00:00"),
    case("early", "red", "22:05:00"),
]


@pytest.mark.parametrize(
    ("spoken", "first"),
    [
        ("zh", "early  红色  派遣  一弄  2026-11-29 22:05:00"),
        ("en", "early  red  dispatched  Lane 1  2026-11-29 22:05:00"),
    ],
)
def test_the_worst_comes_first_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, spoken: str, first: str
) -> None:
    """A hundred silent sensors do not push a red case out of sight."""
    monkeypatch.setenv("SENSORD_LANGUAGE", spoken)
    made = list(lines(CASES))
    assert made[0] == first
    assert [line.split()[0] for line in made] == ["early", "late", "sensor", "calm"]


def test_no_case_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an empty page."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "zh")
    assert list(lines([])) == ["没有未结案件"]

"""Every file in ``rejected/`` is refused, where and with the words that its last comments expect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensord.config.places import load_places
from sensord.errors import Problem
from tests.config.rejection import REJECTED, STREET, problems_of, street

_EXPECT = re.compile(r"^# expect: (\d+):(\d+): (.+)$", re.MULTILINE)
_FILES = sorted(REJECTED.glob("*.yaml"))


def _expected(path: Path) -> list[tuple[int, int, str]]:
    found = _EXPECT.findall(path.read_text(encoding="utf-8"))
    return [(int(line), int(column), fragment) for line, column, fragment in found]


def _said(problem: Problem) -> str:
    return f"{problem.message} ({problem.hint})"


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_rejected_file_says_what_is_wrong_and_where(path: Path) -> None:
    """Each fault is found at its line and column, in the expected words, and nothing else is found."""
    problems, expected = problems_of(path), _expected(path)
    assert expected, "the fixture says nothing about what to expect"
    assert [(problem.line, problem.column) for problem in problems] == [(line, col) for line, col, _ in expected]
    for problem, (_, _, fragment) in zip(problems, expected, strict=True):
        assert fragment in _said(problem)
        assert problem.severity == "error"
        assert problem.file == str(path)


def test_there_are_rejected_files() -> None:
    """An empty folder would pass the test above without testing anything."""
    assert len(_FILES) > 150


@pytest.mark.parametrize("name", ["sensord.yaml", "places.yaml", "roster.yaml", "dispatch.yaml", "rules/crowd.yaml"])
def test_the_street_behind_the_rejected_files_is_good(name: str) -> None:
    """What the rejected files are variations of loads without an error or a warning."""
    assert street().warnings == []
    assert (STREET / name).exists()


def test_a_good_file_is_not_rejected() -> None:
    """The helper that runs the rejected files returns nothing for a good one."""
    assert problems_of(STREET / "places.yaml") == []
    assert load_places(STREET / "places.yaml").warnings == []

"""A plate that somebody wrote into ``vehicles.yaml`` is in nothing that is said about the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.config.vehicles import load_vehicles
from sensord.errors import ConfigError
from sensord.phrasebook import chinese

PIECES = ("13579", "k135", "k 1", "357", "皖")

MISTAKES = {
    "for a pseudonym": "watch:\n  - {vehicle: 皖K13579, reason: x}\n",
    "for an entry": "watch: [皖K13579]\n",
    "for a key": "watch:\n  - 皖K13579: x\n",
    "for a key of the file": "皖K13579: 皖K13579\n",
    "as a prefix": "key_areas:\n  - {prefix: 皖K13579}\n",
    "in small letters": "key_areas:\n  - {prefix: 皖k13579}\n",
    "spaced": "watch:\n  - {vehicle: 皖K 13 579, reason: x}\n",
    "with a dot": "local: [皖K·13579]\n",
    "among words": "watch:\n  - {vehicle: the car 皖K13579 of yesterday whose driver fled, reason: x}\n",
    "cut off": f"watch:\n  - {{vehicle: {'-' * 33}皖K13579, reason: x}}\n",
    "escaped": 'watch:\n  - {vehicle: "\\u7696K13579", reason: x}\n',
    "without its province": "watch:\n  - {vehicle: K13579, reason: x}\n",
    "its digits only": "watch:\n  - {vehicle: 13579, reason: x}\n",
    "for a number": "floor: 13579\n",
    "for a switch": "tracking: 皖K13579\n",
    "for a duration": "tracking: {settle: 皖K13579}\n",
    "twice": "皖K13579: 1\n皖K13579: 2\n",
    "as an anchor": "local: &K13579 [沪]\n",
    "as an alias": "local: *K13579\n",
    "as a tag": "local: !K13579 [沪]\n",
    "unclosed": "local: [皖K13579\n",
    "behind a broken line": "local: [沪]\n皖K13579\nx: y\n",
}


@pytest.mark.parametrize("text", MISTAKES.values(), ids=MISTAKES)
def test_no_word_of_the_file_is_said(tmp_path: Path, text: str) -> None:
    """Only where it stands and what is wrong with it, in both languages."""
    path = tmp_path / "vehicles.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_vehicles(path, "Asia/Shanghai")
    for problem in caught.value.problems:
        for said in (problem.message, problem.hint, chinese(problem.message)):
            assert not [piece for piece in PIECES if piece in said], said
        assert problem.line > 0
        assert len(problem.message) > 8
    assert caught.value.__cause__ is None


def test_what_is_meant_is_still_said(tmp_path: Path) -> None:
    """Names of keys, durations and dates are no pieces of a plate."""
    path = tmp_path / "vehicles.yaml"
    path.write_text("wotch: []\ntracking: {settle: 5m, night: 02:30}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_vehicles(path, "Asia/Shanghai")
    assert [one.message for one in caught.value.problems] == [
        "unknown key 'wotch'",
        "tracking.night is not a full hour in quotes: \"03:00\": '02:30'",
    ]
    assert caught.value.problems[0].hint == "did you mean watch?"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('watch:\n  - {vehicle: "0123456789abcdef", reason: 皖K13579 肇事逃逸}\n', 2),
        ("key_areas:\n  - {prefix: 皖K, name: 皖K13579}\n", 2),
        ('watch:\n  - {vehicle: "0123456789abcdef", reason: 协查 2026-118}\n', 0),
    ],
)
def test_a_plate_in_a_reason_is_warned_of(tmp_path: Path, text: str, line: int) -> None:
    """Nobody reads it but whoever opens the file, and there it should not be, either."""
    path = tmp_path / "vehicles.yaml"
    path.write_text(text, encoding="utf-8")
    warnings = load_vehicles(path, "Asia/Shanghai").warnings
    assert [one.line for one in warnings] == [line] * bool(line)
    assert not [one for one in warnings if "13579" in str(one)]

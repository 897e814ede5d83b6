"""The alert ladder as transcripts: values over time, and the level expected after each."""

from __future__ import annotations

import numpy as np
import pytest

from sensord.core.instant import SECOND
from sensord.core.level import BY_WORD, Level
from sensord.core.rules.ladder import Ladder
from sensord.core.rules.rule import Clear, Comparison, LevelSpec
from tests.core.street import density_rule

SYMBOLS = {".": "none", "b": "blue", "y": "yellow", "o": "orange", "r": "red"}

TRANSCRIPTS = {
    # One value every ten seconds; "?" is unknown. Ladder: blue > 1, orange > 2 for 20 s, red > 4.
    "rises at once": ("0 1.5 1.5", ".bb", 0.0, 0),
    "threshold itself is not above": ("1 1 1.01", "..b", 0.0, 0),
    "for holds the rung back": ("3 3 3 3", "bboo", 0.0, 0),
    "a dip restarts for": ("3 3 1.5 3 3 3", "bbbbbo", 0.0, 0),
    "an unknown value restarts for": ("3 3 ? 3 3 3", "bbbbbo", 0.0, 0),
    "jumps over rungs": ("0 9 9", ".rr", 0.0, 0),
    "falls at once without hold": ("9 1.5 0", "rb.", 0.0, 0),
    "clear hold keeps the level": ("9 0 0 0 0", "rrr..", 0.0, 20),
    "a peak restarts the clear hold": ("9 0 0 9 0 0 0", "rrrrrr.", 0.0, 20),
    "unknown restarts the clear hold": ("9 0 0 ? 0 0 0", "rrrrrr.", 0.0, 20),
    "unknown never clears": ("9 ? ? ? ? ?", "rrrrrr", 0.0, 0),
    "within the margin nothing falls": ("1.5 0.8 0.8 0.4", "bbb.", 0.5, 0),
    "falls rung by rung": ("9 9 9 1.5 1.5 0", "rrrbb.", 0.0, 0),
    "falls only as far as the value": ("9 9 9 3 3 1.5", "rrroob", 0.0, 0),
    "each rung has its own clear clock": ("9 3 3 3 0 0 0", "rrrooo.", 0.0, 20),
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcripts(name: str) -> None:
    """Each transcript's levels come out as written."""
    values, wanted, margin, hold = TRANSCRIPTS[name]
    rungs = (LevelSpec(Level.BLUE, 1.0), LevelSpec(Level.ORANGE, 2.0, 20 * SECOND), LevelSpec(Level.RED, 4.0))
    rule = density_rule(levels=rungs, clear=Clear((margin,) * 3, hold * SECOND), comparison=Comparison.ABOVE)
    ladder, got = Ladder(rule, 1), []
    for number, word in enumerate(values.split()):
        known = word != "?"
        value = np.array([float(word) if known else np.nan])
        ladder.evaluate(number * 10 * SECOND, value, np.array([known]))
        got.append(Level(int(ladder.active[0])).word)
    assert got == [SYMBOLS[symbol] for symbol in wanted]
    assert all(word in BY_WORD or word == "none" for word in got)


@pytest.mark.parametrize(
    ("comparison", "values", "wanted"),
    [
        (Comparison.ABOVE, "0 1 2", ". . b"),
        (Comparison.AT_LEAST, "0 1 2", ". b b"),
        (Comparison.BELOW, "2 1 0", ". . b"),
        (Comparison.AT_MOST, "2 1 0", ". b b"),
    ],
)
def test_comparisons(comparison: Comparison, values: str, wanted: str) -> None:
    """Each comparison meets its threshold where its word says."""
    rule = density_rule(levels=(LevelSpec(Level.BLUE, 1.0),), clear=Clear((0.0,), 0), comparison=comparison)
    ladder, got = Ladder(rule, 1), []
    for number, word in enumerate(values.split()):
        ladder.evaluate(number * SECOND, np.array([float(word)]), np.array([True]))
        got.append(Level(int(ladder.active[0])).word)
    assert got == [SYMBOLS[symbol] for symbol in wanted.split()]

"""The score of the Numenta Anomaly Benchmark, as its paper defines it (Lavin and Ahmad, 2015, section II).

A detection in a labelled window is worth the more the earlier it comes; only the first in a window counts. A missed
window costs ``miss``. A detection outside costs ``false_alarm``, less when it comes shortly after a window. The first
15 % of a file (at most 750 rows) are for learning: detections there neither count nor cost. 0 is what a detector gets
that says nothing, 100 what a perfect one gets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROBATION, PROBATION_ROWS = 0.15, 750
_STEEP = 5.0
_FAR = 3.0
"""Three window widths after a window a detection costs in full."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a miss and a false alarm cost, in units of a perfect detection."""

    name: str
    miss: float
    false_alarm: float


PROFILES = (Profile("standard", 1.0, 0.11), Profile("low false positives", 1.0, 0.22), Profile("low misses", 2.0, 0.11))


@dataclass(frozen=True, slots=True)
class Marks:
    """One file's outcome: the first detection of each window (a row, None: missed), and the false alarms (rows)."""

    windows: tuple[tuple[int, int], ...]
    found: tuple[int | None, ...]
    false: tuple[int, ...]


def sigmoid(position: float) -> float:
    """Return 1 far before position 0 and -1 far after it."""
    return -1.0 if position > _FAR else 2.0 / (1.0 + math.exp(_STEEP * position)) - 1.0


def probation(rows: int) -> int:
    """How many rows at the beginning of a file do not count."""
    return min(int(PROBATION * rows), PROBATION_ROWS)


def mark(rows: int, windows: Sequence[tuple[int, int]], detections: Iterable[int]) -> Marks:
    """Sort detections (row numbers) into windows (first row, last row) and false alarms."""
    counted = sorted({row for row in detections if row >= probation(rows)})
    found = tuple(next((row for row in counted if first <= row <= last), None) for first, last in windows)
    false = tuple(row for row in counted if not any(first <= row <= last for first, last in windows))
    return Marks(tuple(windows), found, false)


def reward(window: tuple[int, int], row: int) -> float:
    """What the first detection in a window is worth: 1 at its first row, nearly 0 at its last."""
    first, last = window
    return sigmoid(-(last - row + 1) / (last - first + 1)) / sigmoid(-1.0)


def penalty(windows: Sequence[tuple[int, int]], row: int) -> float:
    """What a detection outside costs, as a share of the full cost (a negative number)."""
    before = [window for window in windows if window[1] < row]
    if not before:
        return -1.0
    first, last = before[-1]
    return sigmoid((row - last) / (last - first))


def raw(marks: Marks, profile: Profile) -> float:
    """The sum of rewards, misses and false alarms of a file."""
    score = sum(
        -profile.miss if row is None else reward(window, row)
        for window, row in zip(marks.windows, marks.found, strict=True)
    )
    return score + profile.false_alarm * sum(penalty(marks.windows, row) for row in marks.false)


def normalised(files: Sequence[Marks], profile: Profile) -> float:
    """The score of one or several files: 0 for saying nothing, 100 for perfection."""
    windows = sum(len(marks.windows) for marks in files)
    return (
        100.0 * (sum(raw(marks, profile) for marks in files) + profile.miss * windows) / ((1 + profile.miss) * windows)
    )

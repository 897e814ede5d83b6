"""The anomaly benchmark: its score against cases computed by hand, and the rule through the whole core."""

from __future__ import annotations

import json
import math

import pytest

from bench import nab
from bench.nab_score import PROFILES, Profile, mark, normalised, penalty, probation, raw, reward, sigmoid
from sensord.core.record import Group
from tests.support.data import shared

STANDARD = PROFILES[0]


@pytest.mark.parametrize(
    ("position", "value"), [(-1.0, 0.9866143), (-0.5, 0.8482836), (0.0, 0.0), (1.0, -0.9866143), (3.01, -1.0)]
)
def test_the_sigmoid_falls_from_one_to_minus_one(position: float, value: float) -> None:
    """2 / (1 + e^5y) - 1, computed by hand at five places; three windows away it is -1."""
    assert sigmoid(position) == pytest.approx(value, abs=1e-7)


def test_a_detection_is_worth_the_more_the_earlier() -> None:
    """In a window of ten rows: the first row 1, the sixth 0.8483 / 0.9866, the last 0.2449 / 0.9866."""
    window = (20, 29)
    assert reward(window, 20) == 1.0
    assert reward(window, 25) == pytest.approx(0.8482836 / 0.9866143)
    assert reward(window, 29) == pytest.approx((2 / (1 + math.exp(-0.5)) - 1) / 0.9866143)


def test_a_false_alarm_costs_less_just_after_a_window() -> None:
    """Before any window it costs all; half a width after one 0.8483 of it; four widths after one all again."""
    windows = [(20, 30), (100, 110)]
    assert penalty(windows, 5) == -1.0
    assert penalty(windows, 35) == pytest.approx(-0.8482836)
    assert penalty(windows, 70) == -1.0
    assert penalty(windows, 115) == pytest.approx(-0.8482836)


def test_only_the_first_detection_in_a_window_counts_and_probation_does_not() -> None:
    """Of a thousand rows the first 150 do not count, of ten thousand the first 750."""
    assert (probation(1000), probation(10_320)) == (150, 750)
    marks = mark(1000, [(200, 299), (400, 499)], [10, 149, 250, 260, 300])
    assert marks.found == (250, None)
    assert marks.false == (300,)


def test_a_file_computed_by_hand() -> None:
    """One window found in its first row, one missed, one false alarm at the start: (1 - 1 - 0.11 + 2) / 4."""
    marks = mark(1000, [(200, 299), (400, 499)], [160, 200])
    assert raw(marks, STANDARD) == pytest.approx(-0.11)
    assert normalised([marks], STANDARD) == pytest.approx(100 * 1.89 / 4)
    assert normalised([marks], PROFILES[1]) == pytest.approx(100 * 1.78 / 4)
    assert normalised([marks], PROFILES[2]) == pytest.approx(100 * (1 - 2 - 0.11 + 4) / 6)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_silence_scores_zero_and_perfection_a_hundred(profile: Profile) -> None:
    """As on the published leaderboard, whose null detector has 0 in every profile."""
    windows = [(200, 299), (400, 499)]
    assert normalised([mark(1000, windows, [])], profile) == 0.0
    assert normalised([mark(1000, windows, [200, 400])], profile) == pytest.approx(100.0)


def test_the_profiles_are_the_published_ones() -> None:
    """The costs are those of the benchmark's own file, and a true detection is worth one."""
    published = json.loads(shared("nab/profiles.json").read_text())
    costs = [one["CostMatrix"] for one in published.values()]
    assert [(one.miss, one.false_alarm) for one in PROFILES] == [(c["fnWeight"], c["fpWeight"]) for c in costs]
    assert {c["tpWeight"] for c in costs} == {1.0}
    leaderboard = json.loads(shared("nab/leaderboard_full_corpus.json").read_text())
    assert set(leaderboard["null"].values()) == {0.0}


@pytest.fixture(scope="module")
def files() -> list[nab.Series]:
    """The two shortest files in which something is to be found."""
    folder = shared("nab")
    return [one for one in nab.read(folder, nab.the_rule()) if one.name in ("speed_7578", "speed_t4013")]


def test_the_rule_finds_what_is_labelled(files: list[nab.Series]) -> None:
    """Learning online from the files alone, the rule finds at least five of six windows, with few false alarms."""
    marks = nab.run(files)
    assert sum(row is not None for one in marks for row in one.found) >= 5
    assert sum(len(one.false) for one in marks) <= 6


def test_nothing_is_seen_ahead(files: list[nab.Series]) -> None:
    """Without the second half of the file the detections in the first half are the same."""
    series = files[0]
    records = [record for group in series.groups for record in group.records][: len(series.at) // 2]
    half = nab.Series(series.name, series.at, [Group(1, tuple(records))], series.windows)
    assert nab.detections(half) == [row for row in nab.detections(series) if row < len(records) - 1]
    assert nab.detections(half)

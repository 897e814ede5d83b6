"""What a benchmark says of its targets, and how it ends."""

from __future__ import annotations

import pytest

from bench.targets import Targets


def test_a_benchmark_that_missed_a_target_ends_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Each target has its line; the end names what was missed."""
    targets = Targets()
    targets.at_most("start", 1.5, 1.0, "s")
    targets.at_least("drain", 7.0, 5.0)
    with pytest.raises(SystemExit, match="missed: start") as end:
        targets.end()
    assert end.value.code != 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["target MISSED: start: 1.5 s (at most 1 s)", "target met: drain: 7 (at least 5)"]


def test_a_benchmark_that_met_all_ends_well() -> None:
    """What is just at its target has met it."""
    targets = Targets()
    targets.at_most("start", 1.0, 1.0)
    targets.end()

"""The soak itself is run by hand, for hours; here it is only seen that it works."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import soak
from tests.faults.harness import Stage
from tests.faults.sensors import Speech


@pytest.mark.timeout(240)
@pytest.mark.parametrize("cause", [soak.shoot, soak.reload])
def test_a_short_soak_measures_and_judges(
    cause: Callable[[Stage], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some seconds with one kill, or in one life: samples are written, and nothing is lost."""
    monkeypatch.setattr(soak, "SAMPLE", 1.0)
    monkeypatch.setattr(soak, "PAUSE", 2.0)
    monkeypatch.setattr(soak, "STREET", Speech(lanes=100, every=1.0))
    assert soak.soak(tmp_path / "stage", 6 / 3600, 1, tmp_path / "soak.csv", [cause])
    with (tmp_path / "soak.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["rss_mib"]) > 10 and int(row["descriptors"]) > 5 for row in rows)
    assert [row["fault"] for row in rows if row["fault"]][:1] == [cause.__name__]


def test_in_one_life_no_fault_ends_the_daemon() -> None:
    """Only SIGKILL does among the faults."""
    assert set(soak.FAULTS) - set(soak.SURVIVED) == {soak.shoot}

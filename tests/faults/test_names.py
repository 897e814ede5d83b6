"""A receiver whose name cannot be resolved: its pages wait, and other channels do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.names import DENIES, WAYS, unresolved


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way] != DENIES])  # that is in ``make torture``
def test_a_receiver_without_a_name_gets_every_page_later(way: str, tmp_path: Path) -> None:
    """Through the system's own resolver: each page arrives once the name is back, and none is said to be a repeat."""
    rows = unresolved(tmp_path, range(1), 4, way)
    if not rows:
        pytest.skip("no name server can be had here")
    assert [(row.lost, row.doubled, row.invented) for row in rows] == [(0, 0, 0)], rows

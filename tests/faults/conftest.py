"""The stage that tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A running daemon on real parts, without a database, and sensors that speak."""
    with Stage(tmp_path, influx=False) as built:
        built.begin()
        yield built

"""What all tests of backtests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backtest.parts import labels, recording


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rules, a stricter candidate, a recording and labels."""
    made = recording(tmp_path_factory.mktemp("backtest"))
    (made / "strict").mkdir()
    text = (made / "rules" / "crowd.yaml").read_text("utf-8").replace("above: 1.0", "above: 2.0")
    (made / "strict" / "crowd.yaml").write_text(text, "utf-8")
    labels(made / "labels.csv")
    return made

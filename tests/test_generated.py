"""What is made from the code and kept in the repository is what the code makes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATED: dict[Path, Callable[[], str]] = runpy.run_path(str(ROOT / "scripts" / "generated.py"))["generated"]()


@pytest.mark.parametrize("name", GENERATED, ids=str)
def test_it_is_current(name: Path) -> None:
    """To renew them: ``make docs``."""
    assert (ROOT / name).read_text(encoding="utf-8") == GENERATED[name]()

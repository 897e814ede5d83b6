"""Public data sets for trying things on; they are no part of the project, and tests that use them skip without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared(name: str) -> Path:
    """Return a file of the data folder beside the checkout (or in ``SENSORD_DATA``); skips the test without it."""
    path = Path(os.environ.get("SENSORD_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        pytest.skip(f"{name} is not here: set SENSORD_DATA to the folder that holds it")
    return path

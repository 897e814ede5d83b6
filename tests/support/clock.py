"""Another time for a process that a test starts (libfaketime)."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def faketime() -> Path:
    """The library that shows a process another time; without it the test is skipped, and fails where all must run."""
    if not LIBRARIES:
        warnings.warn("the clock was not set for real: libfaketime is not installed", stacklevel=1)
        (pytest.fail if os.environ.get("CI") else pytest.skip)("libfaketime is not installed: run `make services`")
    return LIBRARIES[0]


def at(offset: str) -> dict[str, str]:
    """The environment of a process whose clock is off by ``offset`` from its start on: ``-40d``."""
    return {"LD_PRELOAD": str(faketime()), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

"""Whoever only looks at the state begins none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.errors import StoreError
from sensord.store.state import StateStore


def test_whoever_only_looks_begins_no_state(tmp_path: Path) -> None:
    """A list beside a lost state would make it look like a first start, and hide the loss."""
    with pytest.raises(StoreError, match="start the daemon, or restore a backup"):
        StateStore.existing(tmp_path)
    assert not list(tmp_path.iterdir())
    StateStore(tmp_path).close()
    StateStore.existing(tmp_path).close()

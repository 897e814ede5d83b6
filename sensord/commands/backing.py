"""``sensord backup`` and ``sensord restore``: the state directory that a configuration names, as a folder elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from sensord.config.load import load_bare
from sensord.store import backup
from sensord.store.backup import Manifest


def back_up(config: Path, folder: Path) -> Manifest:
    """Copy the state directory into a new folder; raises ``StoreError``."""
    loaded = load_bare(config)
    return backup.back_up(loaded.resolve(loaded.settings.state_dir), folder, time.time_ns())


def restore(config: Path, folder: Path) -> Manifest:
    """Put a backup into the state directory, which must be empty; raises ``StoreError``."""
    loaded = load_bare(config)
    return backup.restore(folder, loaded.resolve(loaded.settings.state_dir))

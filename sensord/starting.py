"""What a daemon starts with: its configuration, and how the files looked from which it was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sensord.config.connection import load_settings
from sensord.config.load import Loaded, load
from sensord.reload import Signature, signature


@dataclass(frozen=True, slots=True)
class Start:
    """What was loaded. ``seen`` are its files as they were before: a start may take minutes, and people edit."""

    config: Path
    loaded: Loaded
    seen: Signature


def prepare(config: Path) -> Start:
    """Load what a daemon starts with; raises ``ConfigError`` with every mistake."""
    seen = signature(config, load_settings(config))
    return Start(config, load(config, lenient=True), seen)

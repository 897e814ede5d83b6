"""Options that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from sensord.words import say

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_CONFIG = Path("config/sensord.yaml")


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--config``."""
    text = say("配置文件", "the configuration file")
    return click.option("--config", type=EXISTING, default=_CONFIG, show_default=True, help=text)(command)

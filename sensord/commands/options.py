"""Options that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensord.words import say

if TYPE_CHECKING:
    from sensord.revealing import Asker

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_CONFIG = Path("config/sensord.yaml")


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--config``."""
    text = say("配置文件", "the configuration file")
    return click.option("--config", type=EXISTING, default=_CONFIG, show_default=True, help=text)(command)


def plain_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--plain-plates``, ``--by`` and ``--reason``."""
    text = say("保留真实号牌；需要 --config、--by、--reason，并写入访问日志",
               "keep true plates; needs --config, --by, --reason, and is written to the access log")  # fmt: skip
    for name, told in {
        "--reason": say("理由", "the reason"),
        "--by": say("谁要（名册中的编号）", "who asks (an id of the roster)"),
    }.items():
        command = click.option(name, default=None, help=told)(command)
    return click.option("--plain-plates", is_flag=True, help=text)(command)


def asked_plain(plain_plates: bool, config: Path | None, by: str | None, reason: str | None) -> Asker | None:
    """Who asks for true plates, if somebody does; raises ``click.UsageError`` when part of it is missing."""
    if plain_plates:
        if config is None or by is None or reason is None:
            needs = "--plain-plates 需要 --config、--by 和 --reason", "--plain-plates needs --config, --by and --reason"
            raise click.UsageError(say(*needs))
        from sensord.revealing import Asker

        return Asker(by, reason)
    if by is not None or reason is not None:
        only = "--by 和 --reason 只用于 --plain-plates", "--by and --reason go with --plain-plates"
        raise click.UsageError(say(*only))
    return None

"""The commands about what is written down: who saw a plate (access log), who changed what (audit)."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

import click

from sensord.commands.options import config_option
from sensord.core.instant import format_instant
from sensord.errors import SensordError
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.registers import Registers
from sensord.words import say

_SPACES = re.compile(r"\s+")
_UNSEEN = ("Cc", "Cf", "Co", "Zl", "Zp")


@click.group(
    help=say(
        "访问日志（谁在何时为何看过号牌）和修改记录（谁改了什么）。",
        "The access log (who saw a plate, when and why) and the audit (who changed what).",
    )
)
def audit() -> None:
    """Hold the commands together."""


@audit.command("verify", help=say("核对两本记录的哈希链。", "Check the chains of both registers."))
@config_option
def verify(config: Path) -> None:
    """Check every line against the one before, and the end against the head."""
    directory = _state(config)
    registers = (("次访问", "accesses", AccessLog(directory)), ("次修改", "changes", AuditLog(directory)))
    for zh, en, register in registers:
        number, last, unfinished = register.verify()
        click.echo(say(f"完好：{number} {zh}，末尾 {last}", f"intact: {number} {en}, the last is {last}"))
        if unfinished:
            text = (
                "其后有一行因断电或崩溃没有写完，不算数",
                "after it a crash left a line unfinished: it does not count",
            )
            click.echo(f"{register.path.name}: {say(*text)}")
    Registers.of(directory).verify()


@audit.command(
    "renew",
    help=say(
        "访问日志丢失并已查明后，从现在的末尾重新记起；理由记入修改记录。",
        "After the access log was lost, and that was looked into: go on from its end of now; the audit keeps why.",
    ),
)
@click.option("--reason", required=True, help=say("为什么。", "Why."))
@config_option
def renew(config: Path, reason: str) -> None:
    """Write down where the access log ends, though the audit knows of more."""
    if not reason.strip():
        raise SensordError(say("需要理由", "a reason is needed"))
    Registers.of(_state(config)).note(format_instant(time.time_ns(), "UTC"), reason.strip()[:500])


@audit.command("list", help=say("列出访问记录。", "List the accesses."))
@config_option
def list_accesses(config: Path) -> None:
    """Print the accesses, oldest first."""
    for access in AccessLog(_state(config)).entries():
        account = access.account or "-"  # older lines have none
        _print(str(access.number), access.at, access.by, account, access.vehicle, access.via, access.reason)


@audit.command("changes", help=say("列出经接口、命令行的修改。", "List the changes over the API and by command."))
@config_option
def list_changes(config: Path) -> None:
    """Print the changes, oldest first."""
    for line in AuditLog(_state(config)).entries():
        change = line.change
        about = " ".join(f"{name}={text}" for name, text in change.about.items())
        _print(str(line.number), change.at, change.token, change.role, change.what, about)


def _print(*columns: str) -> None:
    """Print one line. What a person wrote into a column makes no other line or column."""
    click.echo("  ".join(_SPACES.sub(" ", "".join(map(_seen, column))) for column in columns).rstrip())


def _seen(character: str) -> str:
    """A character, or its code where it would not be seen (controls, changes of direction, ends of lines)."""
    unseen = unicodedata.category(character) in _UNSEEN
    return character.encode("unicode_escape").decode() if unseen else character


def _state(config: Path) -> Path:
    from sensord.config.load import load_bare

    loaded = load_bare(config)
    return loaded.resolve(loaded.settings.state_dir)

"""Tokens of the REST API, as the command line makes and lists them. Needs no running daemon."""

from __future__ import annotations

import time
from pathlib import Path

from sensord.api.tokens import LOCAL, ROLES, TokenStore
from sensord.config.load import load
from sensord.core.instant import format_instant, parse_duration
from sensord.errors import SensordError
from sensord.words import say


def _store(config: Path) -> TokenStore:
    loaded = load(config)
    return TokenStore(loaded.resolve(loaded.settings.state_dir))


def create(config: Path, name: str, role: str, expires: str | None) -> str:
    """Make a token and return its text; raises ``SensordError`` when the name is taken or the duration no duration."""
    if name == LOCAL:
        raise SensordError(say(f"{LOCAL} 是本机命令行专用的名称", f"{LOCAL} is the name of this machine's own token"))
    try:
        lives = parse_duration(expires) if expires else 0
    except ValueError as error:
        raise SensordError(str(error)) from error
    return _store(config).create(name, ROLES[role], time.time_ns(), lives=lives)


def listed(config: Path) -> list[str]:
    """Return a line per token: name, role, made when, good until when. Texts of tokens are kept nowhere."""
    loaded = load(config)
    zone, never = loaded.settings.timezone, say("长期有效", "no end")
    return [
        f"{token.name}  {token.role}  {format_instant(token.created_at, zone)}  "
        f"{format_instant(token.expires_at, zone) if token.expires_at else never}"
        for token in _store(config).all()
    ]


def revoke(config: Path, name: str) -> bool:
    """Take a token out of force; False when there is none of that name."""
    return _store(config).revoke(name)

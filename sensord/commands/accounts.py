"""Tokens of the REST API, as the command line makes and lists them. Needs no running daemon.

Who has got a token, and who has lost it, is in the audit like any other change.
"""

from __future__ import annotations

import time
from pathlib import Path

from sensord.api.tokens import LOCAL, ROLES, Role, TokenStore
from sensord.config.load import Loaded, load_bare
from sensord.core.instant import format_instant, parse_duration
from sensord.errors import SensordError
from sensord.ports import Change
from sensord.store.audit import AuditLog
from sensord.words import say


def _opened(config: Path) -> tuple[Loaded, TokenStore, AuditLog]:
    loaded = load_bare(config)
    state = loaded.resolve(loaded.settings.state_dir)
    return loaded, TokenStore(state), AuditLog(state)


def _changed(loaded: Loaded, what: str, **about: str) -> Change:
    at = format_instant(time.time_ns(), loaded.settings.timezone)
    return Change(at, LOCAL, Role.ADMIN.word, what, 0, about)


def create(config: Path, name: str, role: str, expires: str | None) -> str:
    """Make a token and return its text; raises ``SensordError`` when the name is taken or the duration no duration."""
    if name == LOCAL:
        raise SensordError(say(f"{LOCAL} 是本机命令行专用的名称", f"{LOCAL} is the name of this machine's own token"))
    try:
        lives = parse_duration(expires) if expires else 0
    except ValueError as error:
        raise SensordError(str(error)) from error
    loaded, store, audit = _opened(config)
    text = store.create(name, ROLES[role], time.time_ns(), lives=lives)
    audit.append(_changed(loaded, "token", name=name, role=role))
    return text


def listed(config: Path) -> list[str]:
    """Return a line per token: name, role, made when, good until when. Texts of tokens are kept nowhere."""
    loaded, store, _ = _opened(config)
    zone, never = loaded.settings.timezone, say("长期有效", "no end")
    return [
        f"{token.name}  {token.role}  {format_instant(token.created_at, zone)}  "
        f"{format_instant(token.expires_at, zone) if token.expires_at else never}"
        for token in store.all()
    ]


def revoke(config: Path, name: str) -> bool:
    """Take a token out of force; False when there is none of that name."""
    loaded, store, audit = _opened(config)
    revoked = store.revoke(name)
    if revoked:
        audit.append(_changed(loaded, "token revoked", name=name))
    return revoked

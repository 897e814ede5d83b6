"""Puts together what stands behind the routes that are not about live cases. Import it late: it imports FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from sensord.api.application import Office
from sensord.records import Records
from sensord.reload import Reloaded, Reloader
from sensord.reporting import Reporter
from sensord.store.audit import AuditLog
from sensord.store.history import History
from sensord.workshop import Workshop


def open_office(
    config: Path,
    reloader: Reloader,
    reload: Callable[[str], Awaitable[Reloaded]],
    history: History,
    reporter: Reporter,
    audit: AuditLog,
) -> Office:
    """Open the records and the workshop of a running daemon, with its ``audit``."""
    return Office(
        Records(lambda: reloader.loaded, history, reporter),
        Workshop(config, lambda: reloader.loaded, reload),
        audit,
    )

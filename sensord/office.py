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
) -> Office:
    """Open the records, the workshop and the audit of a running daemon."""
    loaded = reloader.loaded
    return Office(
        Records(lambda: reloader.loaded, history, reporter),
        Workshop(config, lambda: reloader.loaded, reload),
        AuditLog(loaded.resolve(loaded.settings.state_dir)),
    )

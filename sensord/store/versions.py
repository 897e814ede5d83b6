"""Which files of the state directory this program can read, looked at without opening them for work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sensord.store.dayfile import SCHEMA as JOURNAL
from sensord.store.rollups import SCHEMA as ROLLUPS
from sensord.store.sqlite import store_error, translated
from sensord.store.tables import STATE

_KNOWN = {schema.application_id: schema.version for schema in (JOURNAL, STATE, ROLLUPS)}


def refuse_newer(path: Path) -> None:
    """Raise ``StoreError`` for a database that a newer sensord wrote, or one that cannot be read at all."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with translated(path, "looking at it"), closing(sqlite3.connect(address, uri=True)) as found:
        kind, version = (found.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if version > _KNOWN.get(kind, version):
        raise store_error(
            f"{path}: was written by a newer sensord (file version {version}, this one knows {_KNOWN[kind]}); use that "
            "sensord, or a backup from before the upgrade"
        )

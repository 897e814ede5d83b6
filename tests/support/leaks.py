"""What holds a plate, in whatever form it is written: of a test that looks at everything that leaves the daemon."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

PLATES = ("皖K13579", "苏E24680", "沪AD12345", "粤B1234D", "沪A5432警")
SPELT = (*(f"皖K{separator}13579" for separator in "●—：:·\u200b_"), "临苏E24680", "BA13579", quote("皖K13579"))
"""How gateways and people write plates where none belongs."""


def files(state: Path) -> dict[str, bytes]:
    """The state directory but for the journal, and what is inside of its tables."""
    found = {
        str(path): path.read_bytes()
        for path in state.rglob("*")
        if path.is_file() and "journal" not in path.relative_to(state).parts
    }
    with closing(sqlite3.connect(state / "state.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found["state"] = repr([db.execute(f"SELECT * FROM {name}").fetchall() for name in tables]).encode()
        for (blob,) in [*db.execute("SELECT state FROM snapshots"), *db.execute("SELECT state FROM cursors")]:
            body = bytes(blob)
            found[f"saved state {len(found)}"] = zlib.decompress(body[9:]) if body[:4] == b"SNSD" else body
    return found


def recorded(home: Path, recordings: Iterable[str]) -> dict[str, bytes]:
    """Everything in some recordings, opened."""
    found = {}
    for path in (path for recording in recordings for path in Path(recording).rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".parquet":
            content = repr([column.cast("string").to_pylist() for column in pq.read_table(path).columns]).encode()
        found[str(path.relative_to(home))] = content
    assert any(name.endswith(".parquet") for name in found)
    assert any(name.endswith("messages.jsonl.gz") for name in found)
    return found


def forms(plate: str) -> list[bytes]:
    """How a plate might be written: as it is, without its province, escaped, in another encoding."""
    escapes = (plate.encode("unicode_escape"), json.dumps(plate)[1:-1].encode())
    return [plate.encode(), plate[1:].encode(), *escapes, plate.encode("utf-16-le"), plate.encode("gb18030")]


def leaks(found: dict[str, bytes]) -> list[str]:
    """Where a plate stands."""
    everything = {plate: forms(plate) for plate in (*PLATES, *SPELT)}
    return [
        what
        for what, content in found.items()
        if any(form in content for written in everything.values() for form in written)
    ]

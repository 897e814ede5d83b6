"""Reading what sensors of crowds said from the embedded roll-ups, which a daemon may be writing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sensord.core.instant import MILLISECOND
from sensord.ports import CrowdSlot
from sensord.store.rollups import FILE, SCHEMA, SLOTS
from sensord.store.sqlite import open_reader, translated

_MEASUREMENT, _COUNT = "crowd", "count"


class MeasuredReader:
    """Every method raises ``StoreError`` when the file cannot be read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    @property
    def kept(self) -> bool:
        """Whether there are roll-ups at all."""
        return self._path.exists()

    @property
    def seq(self) -> int:
        """The last journal group that is in the roll-ups; 0 when there is none."""
        with closing(open_reader(self._path, SCHEMA)) as connection, translated(self._path, "reading the position"):
            row = connection.execute("SELECT seq FROM cursor").fetchone()
        return int(row[0]) if row is not None else 0

    def crowds(self, start: int, end: int, slot: str) -> Iterator[tuple[str, list[CrowdSlot]]]:
        """Yield each device with its slots (``minute`` or ``hour``) that begin in [start, end), in order of time."""
        assert slot in SLOTS
        with closing(open_reader(self._path, SCHEMA)) as connection, translated(self._path, "reading roll-ups"):
            statement = "SELECT id, tags, field FROM series WHERE measurement = ?"
            of_device: dict[str, dict[int, str]] = {}
            for number, tags, field in connection.execute(statement, (_MEASUREMENT,)):
                of_device.setdefault(str(json.loads(tags)["device"]), {})[int(number)] = str(field)
            for device, fields in of_device.items():
                counts = [str(number) for number, field in fields.items() if field == _COUNT]
                rows = connection.execute(
                    f"SELECT slot, max(last_at), max(CASE WHEN series IN ({','.join(counts)}) THEN greatest END) "
                    f"FROM {slot} WHERE series IN ({','.join(map(str, fields))}) AND slot >= ? AND slot < ? "
                    "GROUP BY slot ORDER BY slot",
                    (start, end),
                )
                # What is below a millisecond counts readings (core/points.py); it is no time.
                yield device, [CrowdSlot(at, last // MILLISECOND * MILLISECOND, most) for at, last, most in rows]

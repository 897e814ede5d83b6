"""Plates expire: when the journal's keep has passed, no byte of one is left in the data folder, come what may.

The journal, the core, the state and the daemon's upkeep are the real ones, on real files; only time is made up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sensord.config.settings import Journal as Limits
from sensord.config.settings import Settings
from sensord.core.instant import DAY, HOUR, SECOND, parse_duration
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site
from sensord.errors import DamageError, StoreError
from sensord.store.dayfile import RECORDS, day_files, decode_group
from sensord.store.lost import Lost
from sensord.store.salvage import open_or_mend
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from sensord.upkeep import Upkeep
from tests.core.traffic import GATES, MONDAY, PLATES, passage, site
from tests.store.parts import overwrite
from tests.test_plates_stay import forms

SETTINGS = Settings(site="test", journal=Limits(keep="5d"))
KEEP = parse_duration(SETTINGS.journal.keep)
SHOWN = [plate for plate in PLATES if plate]
FIRST, SECOND_DAY = "journal-2025-11-24.db", "journal-2025-11-25.db"


class Box:
    """A data folder, and a daemon's parts that live in it from day to day."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.now = directory, MONDAY + 8 * HOUR
        self.core: Site = site()
        self.open()

    def open(self) -> None:
        """Start: what is damaged is set aside."""
        self.journal, _ = open_or_mend(self.directory / "journal", self.now)
        self.state = StateStore(self.directory)
        self.upkeep = Upkeep(
            self.directory, self.journal, self.state, SETTINGS, PrometheusMeter(), clock=lambda: self.now
        )

    def close(self) -> None:
        """End in good order."""
        self.journal.close()
        self.state.close()

    def take(self, *records: Record) -> None:
        """Journal a group, and do what comes of it."""
        seq = self.journal.append(records)
        self.state.apply(self.core.step(Group(seq, records)))

    def drive(self) -> None:
        """Every vehicle passes every gate, in small groups and in one that is large enough to be compressed."""
        for number, plate in enumerate(SHOWN):
            self.take(*(passage(gate, self.now + number * SECOND, plate) for gate in GATES))
        self.take(*(passage(GATES[0], self.now + 60 * SECOND, plate) for plate in SHOWN for _ in range(9)))

    def day(self) -> None:
        """The next day comes; nobody drives."""
        self.now += DAY
        self.take(Record(RecordKind.TICK, self.now))
        self.state.save_snapshot(self.journal.last_seq, self.core.snapshot())
        self.state.save_snapshot(self.journal.last_seq, self.core.snapshot())
        self.upkeep.journal()

    def until(self, instant: int) -> None:
        """Days go by, the last one before an instant."""
        while self.now + DAY < instant:
            self.day()

    def holding(self) -> set[str]:
        """The files below the folder in which a plate stands, be it packed."""
        return {path.name for path in self.directory.rglob("*") if path.is_file() and shows(path)}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A data folder in which two days of vehicles were journaled."""
    made = Box(tmp_path)
    made.drive()
    made.day()
    made.drive()
    yield made
    made.close()


def shows(path: Path) -> bool:
    """Whether a file holds a plate: in its bytes, or in a group that can be unpacked."""
    content = b"".join([path.read_bytes(), *unpacked(path)])
    return any(form in content for plate in SHOWN for form in forms(plate))


def unpacked(path: Path) -> Iterator[bytes]:
    """The payloads of the groups in a file that is a journal's, as far as it can be read."""
    if not path.name.startswith("journal-") or path.name.endswith(("-wal", "-shm")):
        return
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        for seq, blob in file.execute(f"SELECT seq, {RECORDS} FROM groups"):
            with suppress(DamageError):
                yield from (record.payload for record in decode_group(seq, blob, path)[0].records)


def test_after_the_keep_no_file_holds_a_plate(box: Box) -> None:
    """As long as the keep lasts the journal's days hold them, and nothing else does; then none is left."""
    box.until(box.now + KEEP)
    assert box.holding() == {FIRST, SECOND_DAY}
    box.day()
    assert box.holding() == {SECOND_DAY}
    box.day()
    assert box.holding() == set()
    assert len(day_files(box.directory / "journal")) == 6


def test_a_damaged_file_that_was_set_aside_expires_with_its_day(box: Box) -> None:
    """It was moved aside with its plates in it, late in its keep: it lives no longer for that."""
    began = box.now
    box.until(began + KEEP - 3 * DAY)
    box.close()
    overwrite(box.directory / "journal" / SECOND_DAY, 0, bytes(100))
    box.open()
    (aside,) = box.holding() - {FIRST}
    assert ".damaged-" in aside
    box.until(began + KEEP)
    assert box.holding() == {FIRST, aside}
    box.day()
    assert box.holding() == {aside}
    box.day()
    assert box.holding() == set()
    assert Lost.load(box.directory / "journal").stretches, "what is lost stays written down"


def test_a_log_without_its_file_expires(box: Box) -> None:
    """A crash between the deletion of a day's file and of its log leaves the log, which holds plates as well."""
    journal = box.directory / "journal"
    box.close()
    left = journal / "journal-2025-11-22.db-wal"
    left.write_bytes((journal / FIRST).read_bytes())
    box.open()
    box.until(MONDAY - DAY + KEEP)
    assert left.name in box.holding()
    box.day()
    assert left.name not in box.holding()


def test_a_state_that_was_set_aside_expires(box: Box) -> None:
    """It holds pseudonyms, which are personal all the same; the log of a database goes with it."""
    names = (f"{name}.damaged-{box.now}" for name in ("state.db", "rollups.db"))
    made = [box.directory / f"{name}{end}" for name in names for end in ("", "-wal")]
    for path in made:
        path.write_bytes(b"x")
    other = box.directory / "state.db.damaged-by-hand"
    other.write_bytes(b"x")
    box.until(box.now + KEEP)
    assert all(path.exists() for path in made)
    box.day()
    box.day()
    assert not any(path.exists() for path in made)
    assert other.exists(), "what people named is theirs"


def test_a_file_that_cannot_be_deleted_is_an_error_that_names_it(box: Box) -> None:
    """Nothing fails in silence: the committer logs it, and tries again at the next upkeep."""
    left = box.directory / "journal" / "journal-2025-01-01.db.damaged-1"
    left.mkdir()
    with pytest.raises(StoreError, match=left.name):
        box.day()

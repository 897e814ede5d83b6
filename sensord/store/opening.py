"""Opening what a daemon remembers, whatever its files look like: the journal, and the state that came of it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sensord.errors import StoreError
from sensord.ports import Meter
from sensord.store.ballast import give_last
from sensord.store.findings import Findings
from sensord.store.journal import Journal
from sensord.store.salvage import open_or_mend
from sensord.store.sqlite import store_error
from sensord.store.state import StateStore

HALF_RESTORED = "half-restored"
"""A file that lies in the state directory for as long as a backup is being put back there."""


class Stores(NamedTuple):
    """Both stores; what was found damaged about the journal, and why the state is a new one (empty: all is well).

    ``anew``: it is this start that began the new one; one before has else, and it is not made again yet.
    """

    journal: Journal
    state: StateStore
    damage: str
    lost: str
    anew: bool


def open_stores(directory: Path, zone: str, meter: Meter) -> Stores:
    """Open them; what is of no use is moved aside, never deleted. On a full disk the last of the ballast makes room.

    A journal that has lost its end keeps its state: cases stay open, and the journal goes on behind what the state has
    seen. Raises ``StoreError`` when nothing can be written, a newer sensord wrote the files, or a restore was cut off.
    """
    if (directory / HALF_RESTORED).exists():
        raise store_error(f"{directory}: a restore was cut off, and this is not the whole backup; restore it again")
    try:
        return _open(directory, zone, meter)
    except StoreError as error:
        if not (error.retryable and give_last(directory)):  # what we had opened is closed: there may be room again
            raise
        return _open(directory, zone, meter)


def _open(directory: Path, zone: str, meter: Meter) -> Stores:
    now = time.time_ns()
    journal, damage = open_or_mend(directory / "journal", now, zone=zone, meter=meter)
    try:
        after = max(now, journal.last_received_at + 1)
        journaled = journal.last_seq
        state, lost = StateStore.open_or_set_aside(
            directory, after, journaled, torn=bool(damage), time_of=lambda seq: _time_of(journal, seq)
        )
        state.copies.time_of = lambda seq: _time_of(journal, seq)
        if state.applied > journaled:
            found = Findings(journal.directory)
            found.add(f"groups {journaled + 1} to {state.applied} are lost: no file holds the end")
            damage = "; ".join(found.texts)
            journal.go_on_after(state.applied, state.applied_at, now)
    except BaseException:
        journal.close()
        raise
    return Stores(journal, state, damage, lost, bool(lost) and state.doubt == after)


def _time_of(journal: Journal, seq: int) -> int:
    """Journal time at a group (ns); 0 when it is not there."""
    reader = journal.reader()
    with closing(reader):
        groups = reader.read(seq - 1, 1)
    return groups[0].received_at if groups and groups[0].seq == seq else 0

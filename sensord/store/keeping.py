"""How long the state database keeps what came of the journal, and from when on it still knows.

Two limits: what tells of a vehicle or a person's words (alerts, stories of cases, messages, saved states of the core)
goes with the journal; what is but numbers and the ledger (cases that have ended, tallies, when cameras were blind)
stays for longer, so that a quarter can be reported, and held against the one before. How far is deleted is written down
before anything goes: what is gone is unknown, and must not read as nothing.
"""

from __future__ import annotations

from sensord.core.instant import DAY
from sensord.core.vehicles.tally import SLOT
from sensord.store.database import Database

NEWEST = "SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2"
"""The saved states from which a restart goes on: they stay, however old."""
MOST_DEAD_LETTERS = 100_000
"""So many are kept (about 30 MB); they are counted by reason all the same, and the messages are in the journal."""
_STORY = (
    ("transitions", "id", "at < ?"),
    ("case_events", "id", "at < ?"),
    ("holds", "rowid", "at < ?"),
    ("dead_letters", "rowid", "at < ?"),
    ("outbox", "key", "at < ? AND state IN ('sent', 'unclear', 'failed', 'skipped')"),
    ("snapshots", "seq", f"at < ? AND seq NOT IN ({NEWEST})"),
)
_ENDED = "closed_at > 0 AND closed_at < ?"
_FORGET = (
    "UPDATE cases SET json = CAST(json_set(json_remove(CAST(json AS TEXT), '$.fallbacks', '$.untold'), "
    "'$.vehicle', NULL) AS BLOB), vehicle = 0 "
    f"WHERE id IN (SELECT id FROM cases WHERE {_ENDED} AND vehicle = 1 LIMIT ?)"
)
_BEYOND_FORGETTING = "DELETE FROM cases WHERE closed_at > 0 AND closed_at < ? AND NOT json_valid(CAST(json AS TEXT))"
_SURPLUS = (
    "DELETE FROM dead_letters WHERE rowid IN (SELECT rowid FROM dead_letters ORDER BY seq, idx LIMIT "
    "min(?, max(0, (SELECT count(*) FROM dead_letters) - ?)))"
)
_FIRST_SEEN_AGAIN = "SELECT min(until) FROM blind WHERE until > 0 AND since > 0"
_TALLIES = (
    # A day of slots at a time: when the limit is lowered there are many.
    "DELETE FROM passages WHERE start < min(?1, (SELECT min(start) FROM passages) + ?2)",
    "DELETE FROM occupancy WHERE at < min(?1, (SELECT min(at) FROM occupancy) + ?2)",
    "DELETE FROM by_hand WHERE at < min(?1, (SELECT min(at) FROM by_hand) + ?2)",
    f"DELETE FROM blind WHERE since > 0 AND until BETWEEN 1 AND min(?1, ({_FIRST_SEEN_AGAIN}) + ?2)",
)


class Keeping:
    """Safe from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune(self, story: int, history: int, batch: int = 2000) -> int:
        """Delete what ended before the instants ``story`` and ``history`` (ns).

        A bounded number of rows per table; returns how many there were. Cases that ended before ``story`` lose their
        vehicle, those before ``history`` go, and such that cannot be read and so cannot forget anything.
        """
        self._mark("alerts", story)
        deleted = 0
        for table, identity, condition in _STORY:
            deleted += self._delete(table, identity, condition, story, batch)
        deleted += self._write("deleting what cannot forget its vehicle", _BEYOND_FORGETTING, story)
        deleted += self._write("forgetting vehicles", _FORGET, story, batch)
        return deleted + self._prune_history(history, batch)

    def prune_surplus(self, batch: int = 20_000) -> int:
        """Delete the oldest of too many dead letters, a bounded number; returns how many there were."""
        return self._write("deleting dead letters", _SURPLUS, batch, MOST_DEAD_LETTERS)

    def _prune_history(self, before: int, batch: int) -> int:
        slot = before // SLOT * SLOT
        self._mark("cases", before)
        self._mark("tallies", slot)
        deleted = self._delete("cases", "id", _ENDED, before, batch)
        return deleted + sum(self._write("deleting tallies", one, slot, DAY) for one in _TALLIES)

    def _mark(self, what: str, before: int) -> None:
        self._write("noting what is kept", f"UPDATE kept SET {what} = ?1 WHERE {what} < ?1", before)

    def _delete(self, table: str, identity: str, condition: str, before: int, batch: int) -> int:
        chosen = f"SELECT {identity} FROM {table} WHERE {condition} LIMIT ?"
        return self._write("deleting old rows", f"DELETE FROM {table} WHERE {identity} IN ({chosen})", before, batch)

    def _write(self, doing: str, statement: str, *values: int) -> int:
        with self._database.transaction(doing) as connection:
            return connection.execute(statement, values).rowcount

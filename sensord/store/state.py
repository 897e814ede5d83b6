"""The state database: what came of the journal. One transaction per step: outputs and position move together.

It can be rebuilt from the journal as far back as that is kept (``keeping`` says what outlives it); the journal cannot
be rebuilt from it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.notification import Hold, Notification
from sensord.core.instant import HOUR
from sensord.core.intake.reader import DeadLetter
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import SLOT, Occupancy, PassageCount
from sensord.decoders import json_decoder
from sensord.ports import Cursor, Saved
from sensord.store.copies import Copies
from sensord.store.damage import set_aside, set_aside_if_damaged
from sensord.store.database import Database, Questions
from sensord.store.history import History
from sensord.store.keeping import NEWEST, Keeping
from sensord.store.outbox import OutboxTable
from sensord.store.sqlite import store_error
from sensord.store.suspicion import Suspicion
from sensord.store.tables import STATE

FILE = "state.db"
FIRST_START = 1000
"""Groups: a daemon that has journaled so many has applied some, so a state that says otherwise is not its own."""
_ALWAYS = 1 << 62
"""An instant (ns) that is before nothing."""
_CASE = json_decoder(Case)
_PUT_ASIDE = """INSERT INTO dead_letters
SELECT ?1, (SELECT min(coalesce(min(idx), 0), 0) - 1 FROM dead_letters WHERE seq = ?1), ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM dead_letters WHERE at = ?2 AND topic = ?3 AND reason = ?4 AND detail = ?5)"""

log = structlog.get_logger()


class Outputs(Protocol):
    """What a step of the core hands over (``sensord.core.site.Step``)."""

    seq: int
    at: int
    transitions: list[Transition]
    events: list[CaseEvent]
    cases: list[Case]
    notifications: list[Notification]
    holds: list[Hold]
    dead: list[DeadLetter]
    passages: list[PassageCount]
    occupancy: list[Occupancy]
    blind: list[Blind]
    by_hand: list[ByHand]

    @property
    def told(self) -> Sequence[Transition | CaseEvent | Notification | Hold]:
        """All of these in the order in which one followed from the other."""
        ...


class StateStore:
    """Safe from any thread; each method is one transaction.

    ``on_outbox`` is called when new notifications are durable.
    """

    def __init__(self, directory: Path, *, doubt: int = 0) -> None:
        """``doubt`` (ns) is written into a new file with its tables, so that no crash comes in between."""
        begun = STATE._replace(statements=(*STATE.statements, f"UPDATE position SET doubt = {doubt}"))
        self._database = Database(directory / FILE, begun)
        self.copies = Copies(directory)
        # The watchdog depends on what the outbox is asked, and must not wait for a year of somebody's cases.
        self._questions = [Questions(directory / FILE, STATE, self._database.suspicion) for _ in range(2)]
        self.outbox = OutboxTable(self._database, self._questions[0])
        self.history, self.keeping = History(self._questions[1]), Keeping(self._database)
        self.on_outbox: Callable[[], None] = lambda: None
        self._applied = self._position("seq")

    @classmethod
    def existing(cls, directory: Path) -> StateStore:
        """The state that is there; raises ``StoreError`` where there is none: only a daemon begins one.

        One that anybody else began would look like that of a first start, and hide that the state was lost.
        """
        if not (directory / FILE).exists():
            raise store_error(f"{directory / FILE}: is not there; start the daemon, or restore a backup")
        return cls(directory)

    @classmethod
    def open_or_set_aside(
        cls,
        directory: Path,
        now: int,
        journaled: int,
        *,
        torn: bool = False,
        time_of: Callable[[int], int] = lambda _seq: 0,
    ) -> tuple[StateStore, str]:
        """Open the state; one that is of no use is moved aside (never deleted) and a new one begun.

        ``journaled`` is the journal's newest group; ``now`` is not before anything in it. Returns the store, and why
        it is a new one although there is a journal: damaged, gone, knowing nothing of it, or ahead of it (then it is
        another journal's, and would wait for it, blind; unless the journal is ``torn``: it has lost groups, and lets
        the state keep what came of them; so does one that ends early, and that ``time_of``, journal time at a group,
        shows to be ours). Empty: it goes on where it stopped. Raises ``StoreError`` for everything but damage.
        """
        path = directory / FILE
        there, aside = path.exists(), set_aside_if_damaged(path, STATE, now)
        if aside is not None and there:
            return cls(directory, doubt=now), f"the damaged state was moved to {aside}"
        if not there:
            known = bool(journaled or torn)
            return cls(directory, doubt=now if known else 0), "the state database was gone" if known else ""
        store = cls(directory)
        why = "" if torn else store._misfit(journaled, time_of)
        if not why:
            return store, "the state was lost, and is not made again yet" if store.applied_at < store.doubt else ""
        store.close()
        aside = set_aside(path, now, why)
        return cls(directory, doubt=now), f"the state was of another journal ({why}) and was moved to {aside}"

    def _misfit(self, journaled: int, time_of: Callable[[int], int]) -> str:
        """Why this cannot be what came of a journal that ends with that group; empty when it can."""
        if not self.applied and not self.doubt and journaled > FIRST_START:
            return f"it has applied nothing, the journal ends with {journaled}"
        if self.applied > journaled and not self._saw(journaled, time_of):
            return f"it has applied group {self.applied}, the journal ends with {journaled}"
        return ""

    def _saw(self, journaled: int, time_of: Callable[[int], int]) -> bool:
        """Whether a journal is the one that was applied: it has the group of a saved state, at the same instant."""
        statement = "SELECT seq, at FROM snapshots WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
        rows = self._database.rows("comparing with the journal", statement, (journaled,))
        return any(time_of(seq) == at for seq, at in rows)

    @property
    def suspicion(self) -> Suspicion:
        """What has shown to be damaged since the start."""
        return self._database.suspicion

    @property
    def lost(self) -> bool:
        """Whether the file has been moved, deleted or replaced under us."""
        return self._database.lost

    def _position(self, column: str) -> int:
        doing = "reading the position"
        rows = self._database.rows(doing, f"SELECT {column} FROM position")
        return self.suspicion.read(doing, lambda: int(rows[0][0]))

    # -- the core's outputs ------------------------------------------------------------------------------------------

    @property
    def applied(self) -> int:
        """The last journal group whose outputs are written down."""
        return self._applied

    @property
    def applied_at(self) -> int:
        """Journal time at the last group whose outputs are written down (ns)."""
        return self._position("at")

    @property
    def doubt(self) -> int:
        """Decisions before this instant (ns) may have been told of by a daemon whose state was lost; 0: none."""
        return self._position("doubt")

    def apply(self, step: Outputs, *, send_since: int = 0, doubt_until: int = 0) -> None:
        """Write a step's outputs and its position; a step at or before the position is ignored.

        Notifications decided before ``send_since`` (ns) are written down, but not sent; those before ``doubt_until``
        may have been sent by a daemon whose state was lost, and say so.
        """
        if step.seq <= self._applied:
            return
        with self._database.transaction("applying a step") as connection:
            _write(connection, step, send_since, doubt_until)
            _tally(connection, step)
            if not self._applied:  # nobody knows what there was before the first of them
                connection.execute("UPDATE kept SET cases = max(cases, ?)", (step.at,))
            connection.execute("UPDATE position SET seq = ?, at = ?", (step.seq, step.at))
        self._applied = step.seq
        if step.notifications:
            self.on_outbox()

    def adopt(self, steps: Sequence[Outputs]) -> None:
        """Write down what steps before the position say of cases that nobody knows, to be told as possibly repeated."""
        with self._database.transaction("writing down cases") as connection:
            for step in steps:
                _write(connection, step, 0, _ALWAYS)

    def begin(self, cases: Sequence[Case], at: int) -> None:
        """Begin with the cases of a core that has come to the instant ``at`` (ns): all else before it is unknown."""
        with self._database.transaction("beginning in the middle") as connection:
            _write_cases(connection, cases)
            connection.execute(
                "UPDATE kept SET tallies = max(tallies, ?1), cases = max(cases, ?2), alerts = max(alerts, ?2)",
                ((at // SLOT + 1) * SLOT, at),
            )

    def between(self, after: int, upto: int) -> list[Transition | CaseEvent]:
        """Return transitions and case events of groups ``after < seq <= upto``, in order."""
        return [change for _, change in self.history.changes(after, upto)]

    def decisions(self) -> bytes:
        """Return what was decided, group by group, as JSON lines: the bytes that ``Step.decisions`` gave."""
        found: list[tuple[int, int, int, bytes]] = []
        for rank, table in enumerate(("transitions", "case_events", "outbox", "holds")):
            rows = self._database.rows("reading decisions", f"SELECT seq, ord, json FROM {table}")
            found += [(seq, number, rank, text) for seq, number, text in rows]
        return b"".join(text + b"\n" for *_, text in sorted(found))

    # -- snapshots of the core ---------------------------------------------------------------------------------------

    def save_snapshot(self, seq: int, state: bytes) -> None:
        """Save the core's state after group ``seq``, the last that was applied.

        The one before is kept for a restart, and the first of every hour for those who look back.
        """
        with self._database.transaction("saving the core's state") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO snapshots SELECT ?, at, ?, ? FROM position", (seq, zlib.crc32(state), state)
            )
            connection.execute(
                f"DELETE FROM snapshots WHERE seq NOT IN ({NEWEST}) AND EXISTS (SELECT 1 FROM snapshots AS older "
                "WHERE older.seq < snapshots.seq AND older.at / ? = snapshots.at / ?)",
                (HOUR, HOUR),
            )
        self.copies.outgrow(seq)

    def saved(self) -> Iterator[Saved]:
        """Yield the saved states whose checksum holds, the newest first, and the copies beside the database with them.

        Of those in the database never more than one is in memory. A copy may be ahead of this state.
        """
        doing, one = "loading the core's state", "SELECT at, crc, state FROM snapshots WHERE seq = ?"
        copies = self.copies.found()
        for (seq,) in self._database.rows(doing, "SELECT seq FROM snapshots ORDER BY seq DESC"):
            while copies and copies[0].seq > seq:
                yield copies.pop(0)
            for at, crc, state in self._database.rows(doing, one, (seq,)):
                if isinstance(state, bytes) and zlib.crc32(state) == crc:
                    yield Saved(int(seq), int(at), bytes(state))
                else:
                    log.error("a saved state of the core is damaged; trying the one before", seq=seq)
        yield from copies

    @property
    def snapshot_seq(self) -> int:
        """The group of the older of the two newest snapshots: a restart needs the journal from there on.

        0 when there is none.
        """
        statement = f"SELECT coalesce(min(seq), 0) FROM ({NEWEST})"
        return int(self._database.rows("looking at snapshots", statement)[0][0])

    # -- cursors of the journal's other readers ----------------------------------------------------------------------

    def load(self, name: str) -> Cursor | None:
        """Return the saved cursor of a consumer, or None."""
        statement = "SELECT seq, checkpoint, state FROM cursors WHERE name = ?"
        rows = self._database.rows("loading a cursor", statement, (name,))
        return Cursor(int(rows[0][0]), int(rows[0][1]), bytes(rows[0][2])) if rows else None

    def save(self, name: str, cursor: Cursor) -> None:
        """Save a cursor; the state is written only when its checkpoint has moved."""
        with self._database.transaction("saving a cursor") as connection:
            moved = connection.execute(
                "UPDATE cursors SET seq = ? WHERE name = ? AND checkpoint = ?", (cursor.seq, name, cursor.checkpoint)
            )
            if not moved.rowcount:
                values = (name, cursor.seq, cursor.checkpoint, cursor.state)
                connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)", values)

    # -- cases -------------------------------------------------------------------------------------------------------

    def put_aside(self, seq: int, letters: Sequence[DeadLetter]) -> None:
        """See :class:`sensord.ports.DeadLetters`. They are no records of the group: their numbers are below zero."""
        rows = [(seq, one.received_at, one.topic, one.reason, one.detail) for one in letters]
        with self._database.transaction("writing down a dead letter") as connection:
            connection.executemany(_PUT_ASIDE, rows)

    def cases(self, ended_since: int | None = None) -> list[Case]:
        """Return the open cases, and those that ended at or after an instant (ns; None: no others), oldest first.

        Raises ``DamageError`` when one is not what was written: without it nobody would know of a case that is open.
        """
        doing = "reading cases"
        statement = "SELECT json FROM cases WHERE closed_at = 0 OR closed_at >= ? ORDER BY opened_at, id"
        rows = self._database.rows(doing, statement, (ended_since,))
        return [self.suspicion.read(doing, _CASE.decode, text) for (text,) in rows]

    def close(self) -> None:
        """Checkpoint and close."""
        for questions in self._questions:
            questions.close()
        self._database.close()


def _write(connection: sqlite3.Connection, step: Outputs, send_since: int, doubt_until: int) -> None:
    encode, seq = msgspec.json.encode, step.seq
    # The order in which one decision followed from the other, over all tables.
    place = {id(one): number for number, one in enumerate(step.told)}
    _insert(
        connection,
        "transitions",
        [(one.id, seq, place[id(one)], one.at, encode(one)) for one in step.transitions],
    )
    _write_cases(connection, step.cases)
    _insert(
        connection,
        "case_events",
        [(one.id, seq, place[id(one)], one.at, one.case, encode(one)) for one in step.events],
    )
    _insert(connection, "holds", [(seq, place[id(one)], one.at, encode(one)) for one in step.holds])
    _insert(
        connection,
        'outbox (key, seq, ord, at, "case", channel, level, json, state, due, possibly_repeated)',
        [
            (
                one.key,
                seq,
                place[id(one)],
                one.at,
                one.case,
                one.channel,
                int(one.level),
                encode(one),
                "pending" if one.at >= send_since else "skipped",
                one.at,
                one.at < doubt_until,
            )
            for one in step.notifications
        ],
    )
    _insert(
        connection,
        "dead_letters",
        [(seq, one.index, one.received_at, one.topic, one.reason, one.detail) for one in step.dead],
    )


def _write_cases(connection: sqlite3.Connection, cases: Sequence[Case]) -> None:
    encode = msgspec.json.encode
    connection.executemany(
        "INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                one.id,
                one.opened_at,
                one.closed_at,
                encode(one, order="deterministic"),
                one.vehicle is not None,
                one.code,
            )
            for one in cases
        ],
    )


def _tally(connection: sqlite3.Connection, step: Outputs) -> None:
    """Add up who passed (a count that is there already grows), who was inside, by hand too, and when nobody saw."""
    connection.executemany(
        "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(one.start, one.gate, one.direction, one.sort, one.province, one.energy, one.count) for one in step.passages],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO occupancy VALUES (?, ?, ?, ?)",
        [(one.at, one.compound, one.inside, one.unsure) for one in step.occupancy],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO blind VALUES (?, ?, ?)", [(one.device, one.since, one.until) for one in step.blind]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO by_hand VALUES (?, ?, ?, ?)",
        [(one.at, one.compound, one.before, one.inside) for one in step.by_hand],
    )


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows. One whose identity is taken is left out and said: a step that never fits would stop us for good."""
    if not rows:
        return
    marks = ", ".join("?" * len(rows[0]))
    statement = f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO NOTHING"
    missing = len(rows) - connection.executemany(statement, rows).rowcount
    if missing:
        log.error("an identity was used twice; what came first stays", table=table.partition(" ")[0], left_out=missing)

"""The outbox: decided notifications on their way to people. Every change is durable before a method returns.

::

    pending ──claim──> sending ──done──> sent
       ^                  │ └────fail──> failed (also when its channel is gone)
       └──retry/repeat────┘ └leave_open─> unclear (answered in a way that may mean either: no receipt)
          or recover                     skipped (decided too long ago, while the state database was lost)

A row that is *sending* when the daemon starts was in the hands of a process that died: whether it was delivered is
unknown, so it is sent again, marked as possibly repeated, under the same key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from sensord.core.cases.notification import Notification
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.record import Delivery, Receipt
from sensord.decoders import json_decoder
from sensord.ports import Entry
from sensord.store.database import Database, Questions

PUT_OFF = 5 * MINUTE
"""So long a row that cannot be read is passed over, until it is looked at again (ns)."""
_NOTIFICATION = json_decoder(Notification)
_UNSETTLED = "state IN ('pending', 'sending')"
"""As in the index that finds them."""


class OutboxTable:
    """Implements ``ports.Outbox`` and ``ports.Settled``. Whole tables are looked at by ``questions`` only."""

    def __init__(self, database: Database, questions: Questions) -> None:
        self._database, self._questions = database, questions
        self._channels: dict[str, int] = {}

    def claim(self, channel: str, now: int, limit: int, at_least: Level = Level.NONE, worked: int = 0) -> list[Entry]:
        """Take due rows of a channel that was at work for ``worked`` ns, the highest level first, then the oldest.

        One that is not what was written stays, holds nobody up, and makes the file suspect.
        """
        doing = "claiming notifications"
        with self._database.transaction(doing) as connection:
            rows = connection.execute(
                "SELECT CAST(key AS BLOB), CAST(json AS BLOB), attempts, possibly_repeated, "
                "CASE attempts WHEN 0 THEN ? ELSE since END, unclear FROM outbox "
                "WHERE channel = ? AND state = 'pending' AND due <= ? AND level >= ? "
                "ORDER BY level DESC, at, seq, ord LIMIT ?",
                (worked, channel, now, int(at_least), limit),
            ).fetchall()
            entries = self._database.suspicion.readable(doing, _entry, rows)
            taken = [(entry.since, entry.notification.key) for entry in entries]
            connection.executemany(
                "UPDATE outbox SET state = 'sending', attempts = attempts + 1, since = ? WHERE key = ?", taken
            )
            damaged = {row[0] for row in rows}.difference(key.encode() for _, key in taken)
            connection.executemany(
                "UPDATE outbox SET due = ?1 WHERE channel = ?2 AND state = 'pending' AND due <= ?3 "
                "AND CAST(key AS BLOB) = ?4",
                [(now + PUT_OFF, channel, now, key) for key in damaged],
            )
        return entries

    def done(self, key: str, now: int, receipt: str) -> None:
        """Record that the receiver took it."""
        self._settle(key, "sent", now, receipt, "")

    def fail(self, key: str, now: int, error: str) -> None:
        """Record that it will never be delivered on this channel."""
        self._settle(key, "failed", now, "", error)

    def retry(self, key: str, due: int, error: str) -> None:
        """Record a failure that is known not to have delivered; try again at ``due``."""
        with self._database.transaction("putting a notification off") as connection:
            connection.execute(
                "UPDATE outbox SET state = 'pending', due = ?, error = ? WHERE key = ? AND state = 'sending'",
                (due, error[:500], key),
            )

    def repeat(self, key: str, due: int, error: str) -> None:
        """Record an answer that may mean either, and count it; send again at ``due``, as possibly repeated."""
        with self._database.transaction("repeating a notification") as connection:
            connection.execute(
                "UPDATE outbox SET state = 'pending', due = ?, error = ?, possibly_repeated = 1, unclear = unclear + 1 "
                "WHERE key = ? AND state = 'sending'",
                (due, error[:500], key),
            )

    def leave_open(self, key: str, now: int, error: str) -> None:
        """Record that it is sent no more, and that nobody knows whether it was delivered."""
        self._settle(key, "unclear", now, "", error)

    def let_go(self, channel: str, now: int, limit: int, spared: Collection[str]) -> int:
        """Make the first rows due that wait, the highest level first, then the oldest; returns how many still wait."""
        waiting = "channel = ? AND state = 'pending' AND key NOT IN (SELECT value FROM json_each(?))"
        keys = msgspec.json.encode(list(spared)).decode()
        with self._database.transaction("letting notifications go") as connection:
            connection.execute(
                "UPDATE outbox SET due = ? WHERE due > ? AND key IN "
                f"(SELECT key FROM outbox WHERE {waiting} ORDER BY level DESC, at, seq, ord LIMIT ?)",
                (now, now, channel, keys, limit),
            )
            later = connection.execute(f"SELECT count(*) FROM outbox WHERE {waiting} AND due > ?", (channel, keys, now))
            return int(later.fetchone()[0])

    def _settle(self, key: str, state: str, now: int, receipt: str, error: str) -> None:
        with self._database.transaction("settling a notification") as connection:
            connection.execute(
                "UPDATE outbox SET state = ?, settled_at = ?, receipt = ?, error = ? WHERE key = ?",
                (state, now, receipt[:500], error[:500], key),
            )

    def next_due(self, channel: str, at_least: Level = Level.NONE) -> int | None:
        """The earliest instant at which a row of the channel, of at least that level, is due, or None."""
        statement = "SELECT min(due) FROM outbox WHERE channel = ? AND state = 'pending' AND level >= ?"
        rows = self._database.rows("looking at the outbox", statement, (channel, int(at_least)))
        due: int | None = rows[0][0]
        return due

    def recent(self, channel: str, since: int) -> list[int]:
        """When the channel last ended sends, since an instant."""
        statement = "SELECT settled_at FROM outbox WHERE channel = ? AND settled_at >= ?"
        return [int(at) for (at,) in self._database.rows("looking at the outbox", statement, (channel, since))]

    def worked(self, channel: str) -> int:
        """For how long (ns) the channel has been at work, as far as it was written down; 0: nothing was."""
        statement = (
            "SELECT max(0, coalesce((SELECT worked FROM work WHERE channel = ?1), 0), "
            f"coalesce((SELECT max(since) FROM outbox WHERE channel = ?1 AND {_UNSETTLED}), 0))"
        )
        return int(self._database.rows("looking at the outbox", statement, (channel,))[0][0])

    def work(self, channel: str, worked: int) -> None:
        """Write down for how long (ns) the channel has been at work."""
        with self._database.transaction("noting how long a channel was at work") as connection:
            connection.execute("INSERT OR REPLACE INTO work VALUES (?, ?)", (channel, worked))

    def unreported(self, limit: int) -> list[Receipt]:
        """Outcomes that were not ticked off yet, the oldest notifications first."""
        statement = (
            "SELECT key, state FROM outbox WHERE reported = 0 AND state IN ('sent', 'failed') ORDER BY at LIMIT ?"
        )
        rows = self._database.rows("looking for outcomes", statement, (limit,))
        return [Receipt(str(key), Delivery.SENT if state == "sent" else Delivery.FAILED) for key, state in rows]

    def reported(self, keys: Sequence[str]) -> None:
        """Tick off outcomes that the journal holds."""
        with self._database.transaction("ticking off outcomes") as connection:
            connection.executemany("UPDATE outbox SET reported = 1 WHERE key = ?", [(key,) for key in keys])

    def recover(self, now: int) -> int:
        """Give back what a process that died had claimed, marked as possibly repeated; returns how many."""
        with self._database.transaction("recovering the outbox") as connection:
            return connection.execute(
                "UPDATE outbox SET state = 'pending', possibly_repeated = 1, due = ? WHERE state = 'sending'", (now,)
            ).rowcount

    def give_up(self, running: Collection[str], now: int) -> dict[str, int]:
        """Fail what waits for other channels than those that run; returns how many these are, by channel."""
        names = msgspec.json.encode(list(running)).decode()
        with self._database.transaction("giving notifications up") as connection:
            rows = connection.execute(
                "UPDATE outbox SET state = 'failed', settled_at = ?, error = 'this channel is gone' "
                f"WHERE {_UNSETTLED} AND channel NOT IN (SELECT value FROM json_each(?)) "
                "RETURNING CAST(channel AS BLOB)",
                (now, names),
            ).fetchall()
        return Counter(bytes(channel).decode(errors="replace") for (channel,) in rows)

    def waiting(self) -> dict[str, int]:
        """Count the notifications that are not settled, by channel (channels that ever had one)."""
        return self._unsettled(f"SELECT channel, count(*) FROM outbox WHERE {_UNSETTLED} GROUP BY channel")

    def oldest(self) -> dict[str, int]:
        """When (ns) the oldest page that is not settled was decided, by channel; 0: none is. Reports are no pages."""
        return self._unsettled(f"SELECT channel, min(at) FROM outbox WHERE {_UNSETTLED} AND level > 0 GROUP BY channel")

    def _unsettled(self, statement: str) -> dict[str, int]:
        """A number for each channel that ever had a notification, 0 where none waits; asked once a second."""
        if not self._channels:  # a look at all of them, and one is enough: later ones wait at first
            rows = self._questions.rows("looking at the outbox", "SELECT DISTINCT channel FROM outbox")
            self._channels = {str(channel): 0 for (channel,) in rows}
        found = {str(one): int(number) for one, number in self._questions.rows("looking at the outbox", statement)}
        self._channels |= dict.fromkeys(found, 0)
        return self._channels | found

    def totals(self) -> dict[str, int]:
        """Count notifications: ``sent``, ``unclear``, ``pending`` (with those being sent) and ``failed``."""
        statement = "SELECT state, count(*) FROM outbox GROUP BY state"
        found = {str(state): int(count) for state, count in self._questions.rows("counting", statement)}
        pending = found.get("pending", 0) + found.get("sending", 0)
        return {**{state: found.get(state, 0) for state in ("sent", "unclear", "failed")}, "pending": pending}


def _entry(key: bytes, text: bytes, attempts: int, again: int, since: int, unclear: int) -> Entry:
    """Make what a worker is handed; raises what a row of another shape makes it raise."""
    notification = _NOTIFICATION.decode(text)
    if notification.key.encode() != key:
        raise KeyError("the row holds the notification of another key")
    return Entry(notification, attempts + 1, bool(again), since=int(since), unclear=int(unclear))

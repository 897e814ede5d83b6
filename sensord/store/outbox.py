"""The outbox: decided notifications on their way to people. Every change is durable before a method returns.

::

    pending ──claim──> sending ──done──> sent
       ^                  │ └────fail──> failed
       └──retry/recover───┘              skipped (decided too long ago, while the state database was lost)

A row that is *sending* when the daemon starts was in the hands of a process that died: whether it was delivered is
unknown, so it is sent again, marked as possibly repeated, under the same key.
"""

from __future__ import annotations

import msgspec

from sensord.core.notification import Notification
from sensord.ports import Entry
from sensord.store.sqlite import Database

_NOTIFICATION = msgspec.json.Decoder(Notification)


class OutboxTable:
    """Implements ``ports.Outbox``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, channel: str, now: int, limit: int) -> list[Entry]:
        """Take due rows of a channel, the highest level first, then the oldest."""
        with self._database.transaction("claiming notifications") as connection:
            rows = connection.execute(
                "SELECT key, json, attempts, possibly_repeated FROM outbox WHERE channel = ? AND state = 'pending' "
                "AND due <= ? ORDER BY level DESC, at, seq, ord LIMIT ?",
                (channel, now, limit),
            ).fetchall()
            connection.executemany(
                "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE key = ?",
                [(row[0],) for row in rows],
            )
        return [Entry(_NOTIFICATION.decode(text), attempts + 1, bool(again)) for _, text, attempts, again in rows]

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

    def _settle(self, key: str, state: str, now: int, receipt: str, error: str) -> None:
        with self._database.transaction("settling a notification") as connection:
            connection.execute(
                "UPDATE outbox SET state = ?, settled_at = ?, receipt = ?, error = ? WHERE key = ?",
                (state, now, receipt[:500], error[:500], key),
            )

    def next_due(self, channel: str) -> int | None:
        """The earliest instant at which a row of the channel is due, or None."""
        statement = "SELECT min(due) FROM outbox WHERE channel = ? AND state = 'pending'"
        due: int | None = self._database.rows("looking at the outbox", statement, (channel,))[0][0]
        return due

    def recover(self, now: int) -> int:
        """Give back what a process that died had claimed, marked as possibly repeated; returns how many."""
        with self._database.transaction("recovering the outbox") as connection:
            return connection.execute(
                "UPDATE outbox SET state = 'pending', possibly_repeated = 1, due = ? WHERE state = 'sending'", (now,)
            ).rowcount

    def waiting(self) -> dict[str, int]:
        """Count the notifications that are not settled, by channel (channels that ever had one)."""
        statement = "SELECT channel, sum(state IN ('pending', 'sending')) FROM outbox GROUP BY channel"
        return {str(channel): int(count) for channel, count in self._database.rows("counting", statement)}

    def totals(self) -> dict[str, int]:
        """Count notifications: ``sent``, ``pending`` (with those being sent) and ``failed``."""
        statement = "SELECT state, count(*) FROM outbox GROUP BY state"
        found = {str(state): int(count) for state, count in self._database.rows("counting", statement)}
        pending = found.get("pending", 0) + found.get("sending", 0)
        return {"sent": found.get("sent", 0), "pending": pending, "failed": found.get("failed", 0)}

"""When a channel that failed is tried again: what it put off, and for how long it is let alone when it asks for rest.

Once it delivers after an outage, what was put off is tried now, and waits no longer. It is let go step by step, a few
messages for each that is delivered: a receiver that fails again after all stops that by itself. What fails meanwhile
waits for its own turn: it may be the only message that cannot arrive.

A receiver that asks for rest (``Retry-After``, a code that speaks of the rate) has it, but it may be well before that:
a page that it held would be late by all of it. So pages look in, the worst sooner; one a minute of all, for a service
shuts out whoever knocks too often. A message that is delivered ends the rest.
"""

from __future__ import annotations

from bisect import insort

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level

OUTAGE = 10 * SECOND
"""What failed for a shorter time than this waits but for seconds."""
LONGEST_WISH = HOUR
"""For so long (ns) a receiver can put off what is no page."""


def patience(level: Level) -> int:
    """For how long (ns) a message of this level lets a receiver rest before it looks whether that is well again."""
    if level is Level.RED:
        return MINUTE
    return 5 * MINUTE if level > Level.NONE else LONGEST_WISH


class Recovery:
    """What is known of one channel; instants are Unix time in ns. A new process takes it that the channel was away.

    ``failed`` holds the keys of messages that failed while what waits is being let go.
    """

    def __init__(self) -> None:
        self.failed = set[str]()
        self._failing_since: int | None = 0
        self._delivered_at = 0
        self._catching_up = False
        self._asked_at = self._rests_until = self._ended_at = 0
        self._looks = list[int]()

    def fail(self, key: str, began: int, now: int) -> None:
        """Take the failure of an attempt that ``began`` then."""
        if began < self._delivered_at:
            return  # it says how things were before
        if self._failing_since is None:
            self._failing_since = now
        if self._catching_up:
            self.failed.add(key)

    def rest(self, level: Level, now: int, wish: float) -> tuple[int, bool]:
        """Take the ``wish`` (seconds) of a receiver for rest.

        Returns when to try a message of this level again, and whether that is before the rest is over: to look in.
        """
        ends = now + min(round(wish * SECOND), LONGEST_WISH)
        self._asked_at, self._rests_until = now, max(self._rests_until, ends)
        self._looks = [look for look in self._looks if look > now]
        found = now + patience(level)
        for look in self._looks:
            if abs(look - found) < MINUTE:
                found = look + MINUTE
        if found >= ends:
            return ends, False
        insort(self._looks, found)
        return found, True

    def deliver(self, began: int, now: int) -> bool:
        """Take the delivery of an attempt that ``began`` then; returns whether more of what waits may go out now."""
        away = self._failing_since is not None and now - self._failing_since >= OUTAGE
        rested = self._end_rest(began, now)
        if away:
            self.failed.clear()
        self._catching_up = self._catching_up or away or rested
        self._failing_since, self._delivered_at = None, now
        return self._catching_up and now >= self._rests_until

    def _end_rest(self, began: int, now: int) -> bool:
        """End the rest if it was asked for before the attempt; not twice a minute: others may have no rest at all."""
        if began < self._asked_at or now >= self._rests_until or now - self._ended_at < MINUTE:
            return False
        self._rests_until, self._ended_at = 0, now
        self._looks.clear()
        return True

    def finish(self) -> None:
        """Nothing waits any more."""
        self._catching_up = False
        self.failed.clear()

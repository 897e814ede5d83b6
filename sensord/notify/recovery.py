"""Whether a channel that failed delivers again: then what was put off is tried now, and waits no longer.

It is let go step by step, a few messages for each that is delivered: a receiver that fails again after all stops that
by itself. What fails meanwhile waits for its own turn: it may be the only message that cannot arrive.
"""

from __future__ import annotations

from sensord.core.instant import SECOND

OUTAGE = 10 * SECOND
"""What failed for a shorter time than this waits but for seconds."""


class Recovery:
    """What is known of one channel; instants are Unix time in ns. A new process takes it that the channel was away.

    ``failed`` holds the keys of messages that failed while what waits is being let go.
    """

    def __init__(self) -> None:
        self.failed = set[str]()
        self._failing_since: int | None = 0
        self._delivered_at = self._closed_until = 0
        self._catching_up = False

    def fail(self, key: str, began: int, now: int, wish: float) -> None:
        """Take the failure of an attempt that ``began`` then; ``wish``: seconds for which the receiver wants rest."""
        self._closed_until = max(self._closed_until, now + round(wish * SECOND))
        if began < self._delivered_at:
            return  # it says how things were before
        if self._failing_since is None:
            self._failing_since = now
        if self._catching_up:
            self.failed.add(key)

    def deliver(self, now: int) -> bool:
        """Take a delivery; returns whether more of what waits may go out now."""
        if self._failing_since is not None and now - self._failing_since >= OUTAGE:
            self._catching_up = True
            self.failed.clear()
        self._failing_since, self._delivered_at = None, now
        return self._catching_up and now >= self._closed_until

    def finish(self) -> None:
        """Nothing waits any more."""
        self._catching_up = False
        self.failed.clear()

"""How fast one channel may speak: at most so many messages in any sixty seconds, whatever piles up.

The core decides, on the journal's time, what is worth a message of its own and what goes into a digest; this guard
counts what is really attempted, for the core does not know when a backlog after an outage goes out, nor of repeats, and
a service shuts out a robot that says too much (DingTalk for ten minutes, red alerts and all). What is over the limit
waits in the outbox, where red comes first.

It counts the time that really passes: the journal's goes at twice that speed while it catches up with the host's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sensord.core.instant import MINUTE


class Pace:
    """Remembers the attempts of the last minute; instants are ns of a clock that only goes forward.

    ``before`` are those of an earlier run.

    A third is kept for red: however long the queue of the rest is, a red message finds room.
    """

    def __init__(self, per_minute: int, before: Iterable[int] = ()) -> None:
        self._most = {True: per_minute, False: per_minute - per_minute // 3}
        self._attempts = deque(sorted(before), maxlen=per_minute)

    def free(self, now: int, *, red: bool) -> int:
        """How many messages, red or others, may go out at ``now``."""
        attempts = self._attempts
        while attempts and now - attempts[0] >= MINUTE:
            attempts.popleft()
        return max(0, self._most[red] - len(attempts))

    def opens(self, now: int, *, red: bool) -> int:
        """The instant at which the next message may go out."""
        return now if self.free(now, red=red) else self._attempts[-self._most[red]] + MINUTE

    def take(self, now: int) -> None:
        """Count one attempt."""
        self._attempts.append(now)

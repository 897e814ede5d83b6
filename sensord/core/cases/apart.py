"""One case's failure is its own (see ``core/failure.py``): events are handed to cases one by one.

So is one person's: whoever else is to hear of an event hears of it, though the word to one cannot be made.

What was done until it failed holds: people may have been told. What the case book derives from its state is made anew
then, as by a restart, so that the same follows in every replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sensord.core.failure import Failures, Part


class Apart:
    """Keeps the handling of one event apart from all others; ``broken`` once something has failed."""

    def __init__(self) -> None:
        self.broken = False

    @contextmanager
    def handling(self, what: str, at: int, failures: Failures) -> Iterator[None]:
        """Handle one event, or tell one person: about ``what`` (the id of a case or an alert), at an instant (ns)."""
        done = False
        with failures.apart(Part.CASE, what, at):
            yield
            done = True
        self.broken |= not done

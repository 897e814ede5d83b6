"""One case's failure is its own (see ``core/failure.py``): events are handed to cases one by one.

What was done until it failed holds: people may have been told. What the case book derives from its state is made anew
then, as by a restart, so that the same follows in every replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sensord.core.cases.story import Story
from sensord.core.failure import Part


class Apart:
    """Keeps the handling of one event apart from all others; ``broken`` once something has failed."""

    def __init__(self) -> None:
        self.broken = False

    @contextmanager
    def handling(self, what: str, at: int, story: Story) -> Iterator[None]:
        """Handle one event, about ``what`` (the id of a case or an alert), at an instant (ns)."""
        done = False
        with story.failures.apart(Part.CASE, what, at):
            yield
            done = True
        self.broken |= not done

"""One case's failure is its own: whatever goes wrong while one event is handled, the rest of the street is told.

A mistake of ours that raises while an alert, an answer or something due is handled would end the daemon, and do so
again at each start, for what raised it is in the journal: nobody would hear of any crowd. So it is caught where events
are handed to cases, one by one, and the story carries it. What was done until then holds: people may have been told.
What the case book derives from its state is made anew then, as by a restart, so that the same follows in every replay.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from sensord.core.cases.story import Failure, Story


class Apart:
    """Keeps the handling of one event apart from all others; ``broken`` once something has failed."""

    def __init__(self) -> None:
        self.broken = False

    @contextmanager
    def handling(self, what: str, at: int, story: Story) -> Iterator[None]:
        """Handle one event, about ``what`` (the id of a case or an alert), at an instant (ns)."""
        try:
            yield
        except MemoryError:  # says how the process stands, and nothing of the case: a replay would not raise it
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is: it must not keep people from hearing of others
            self.broken = True
            trace = "".join(traceback.format_tb(error.__traceback__))
            story.fail(Failure(what, at, type(error).__name__, trace))

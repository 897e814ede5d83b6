"""Making, before an upgrade, what the core of the new version goes on from: the old daemon runs on meanwhile.

A saved state of the core has a form, and another version may have another: then it must step the journal to know what
it knew. Of a long journal that takes longer than anybody may wait in silence, so it is done beforehand, beside the
daemon, which goes on meanwhile; the start then steps what has come since. What is done is kept every minute: whoever is
interrupted goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sensord.core.definition import Definition
from sensord.core.vehicles.pseudonym import Secrets
from sensord.drivers.restoring import REACH, States, restore
from sensord.ports import JournalReader, Saved

KEPT_INTERVAL = 60.0
"""Seconds of work that a kill may cost."""
READ_GROUPS = 256
CLOSE = 1000
"""So few groups are left to the start, which steps them in a second: a daemon that is busy is not run after."""


class Journal(JournalReader, Protocol):
    """A journal that another process writes."""

    def refresh(self) -> None:
        """Look for groups that were committed since."""
        ...


class Preparation:
    """A core on its way through the journal. ``position`` is the group that it has come to, ``first`` where it began.

    ``end`` is the last group that the daemon had applied when that was last looked at. ``needless``: a start goes on
    from a state that was lived, without this.
    """

    def __init__(
        self,
        journal: Journal,
        states: States,
        secrets: Secrets,
        assumed: Definition | None,
        keep: Callable[[Saved], None],
    ) -> None:
        """``assumed`` holds where the journal's own definition is not known. ``keep`` takes what is made."""
        self._journal, self._states, self._keep = journal, states, keep
        restored = restore(journal, states, secrets, assumed, at_leisure=True)
        self._site, self._again = restored.site, restored.again
        self.first = self.position = max(restored.position, journal.first_seq - 1)
        self.end = states.applied
        self.needless = restored.lived and self.end - restored.position <= REACH

    def run(self, go_on: Callable[[int], bool]) -> bool:
        """Step up to what the daemon has applied; returns whether it came there. What is done is kept either way.

        ``go_on`` hears how many groups were stepped, and says whether to go on.
        """
        going_on = self._step(go_on)
        while going_on and (applied := self._states.applied) - self.end > CLOSE:
            self._journal.refresh()
            self.end = applied
            going_on = self._step(go_on)
        return going_on

    def _step(self, go_on: Callable[[int], bool]) -> bool:
        kept_at, going_on = time.monotonic(), True
        while going_on and self.position < self.end and (groups := self._journal.read(self.position, READ_GROUPS)):
            for group in groups:
                if group.seq > self.end:
                    break
                step = self._site.step(group)
                self._again.note(step, self._site.book.open)
                self.position = group.seq
            going_on = go_on(self.position - self.first)
            if time.monotonic() - kept_at >= KEPT_INTERVAL:
                kept_at = time.monotonic()
                self._save()
            if groups[-1].seq > self.end:
                break
        if self.position > self.first:
            self._save()
        return going_on

    def _save(self) -> None:
        saved = Saved(self.position, self._site.engine.now, self._site.snapshot(), self._again.packed())
        self._keep(saved)

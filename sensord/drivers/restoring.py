"""What a core goes on from at a start: the newest saved state that can be read, else the journal's beginning.

Saved states are in the state database, and copies of them beside it. Where the database was lost, what was decided
before may or may not have been told: a copy serves that is older than these decisions, so that they are made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import structlog

from sensord.core.definition import Definition
from sensord.core.instant import MINUTE
from sensord.core.site import Site
from sensord.core.vehicles.pseudonym import Secrets
from sensord.errors import SnapshotError
from sensord.ports import JournalReader, Saved

IN_DOUBT = 10 * MINUTE
"""After a loss of the state database, decisions of so recent a past are sent (again), marked as possibly repeated;
older ones are only written down."""
REACH = 100_000
"""So many groups are stepped in one or two minutes: a loss of which the journal holds no more is made good whole."""

log = structlog.get_logger()


class States(Protocol):
    """Where saved states are, and how far the one who goes on from them has to come."""

    @property
    def applied(self) -> int:
        """The last group whose outputs are written down."""
        ...

    @property
    def doubt(self) -> int:
        """Decisions before this instant (ns) may have been told of by a daemon whose state was lost; 0: none."""
        ...

    def saved(self) -> Iterator[Saved]:
        """Yield the saved states that are whole, the newest first."""
        ...


class Restored(NamedTuple):
    """A site that has come to a group (0: to none yet). ``assumes``: its definition is not the journal's."""

    site: Site
    position: int
    assumes: bool = False


def restore(journal: JournalReader, states: States, secrets: Secrets, assumed: Definition | None) -> Restored:
    """Find what to go on from."""
    lost = not states.applied and states.doubt
    for saved in _after_a_loss(journal, states) if lost else states.saved():
        if saved.seq > states.applied and not lost:
            continue
        try:
            site = Site.restored(saved.state, secrets, lenient=True)
        except SnapshotError as error:
            log.error("a saved state cannot be restored; trying the one before", seq=saved.seq, why=str(error))
        else:
            return Restored(site, saved.seq)
    return Restored(Site(assumed, secrets, lenient=True), 0, assumes=assumed is not None)


def _after_a_loss(journal: JournalReader, states: States) -> Iterator[Saved]:
    """The copies: those before all that is in doubt, then the older ones; none when the journal is soon stepped."""
    if journal.last_seq - journal.first_seq < REACH:
        return
    copies = list(states.saved())
    before = [saved for saved in copies if saved.at <= states.doubt - IN_DOUBT]
    yield from before
    yield from (saved for saved in reversed(copies) if saved not in before)

"""What a core goes on from at a start: the newest saved state that can be read, else what the journal holds.

Saved states are in the state database, and copies of them beside it. Where the database was lost, what was decided
before may or may not have been told: a copy serves that is older than these decisions, so that they are made again.

Nobody is told of anything while more than some minutes are stepped, so no more are: without a saved state that is near
enough, and with a journal that is too long, the core begins anew with the journal's last hours. It knows nothing older
then, as if the journal began there: today's definition is taken for the one of then, and what was open before is void.
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
"""So many groups are stepped in one or two minutes: of a journal that holds no more all is stepped, and a saved state
may be so far back."""
LAST = 50_000
"""With so many groups the core begins anew: of a busy street three quarters of an hour, of a quiet one half a day."""

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
    """A site that has come to a group (0: to none yet). ``assumes``: its definition is not the journal's.

    ``begun`` is the group with which it begins anew; 0: it does not.
    """

    site: Site
    position: int
    assumes: bool = False
    begun: int = 0


def restore(journal: JournalReader, states: States, secrets: Secrets, assumed: Definition | None) -> Restored:
    """Find what to go on from; ``assumed`` holds where the journal's own definition is not known."""
    lost = not states.applied and states.doubt
    end = journal.last_seq if lost else states.applied
    for saved in _after_a_loss(journal, states) if lost else states.saved():
        if saved.seq > states.applied and not lost:
            continue
        if end - saved.seq > REACH:
            log.error("a saved state is too far back", seq=saved.seq, end=end)
            continue
        try:
            site = Site.restored(saved.state, secrets, lenient=True)
        except SnapshotError as error:
            log.error("a saved state cannot be restored; trying the one before", seq=saved.seq, why=str(error))
        else:
            return Restored(site, saved.seq)
    if end - journal.first_seq > REACH:
        begun = end - LAST + 1
        log.error(
            "no saved state can be read; the core begins anew with the journal's last hours", first=begun, end=end
        )
        return Restored(Site(assumed, secrets, lenient=True), begun - 1, assumed is not None, begun)
    torn = assumed if journal.first_seq > 1 else None
    return Restored(Site(torn, secrets, lenient=True), 0, torn is not None)


def _after_a_loss(journal: JournalReader, states: States) -> Iterator[Saved]:
    """The copies: those before all that is in doubt, then the older ones; none when the journal is soon stepped."""
    if journal.last_seq - journal.first_seq < REACH:
        return
    copies = list(states.saved())
    before = [saved for saved in copies if saved.at <= states.doubt - IN_DOUBT]
    yield from before
    yield from (saved for saved in reversed(copies) if saved not in before)

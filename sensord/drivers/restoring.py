"""What a core goes on from at a start: the newest saved state that can be read, else what the journal holds.

Saved states are in the state database, and copies of them beside it. Where the database was lost, what was decided
before may or may not have been told: a copy serves that is older than these decisions, so that they are made again.

Nobody is told of anything while more than some minutes are stepped, so no more are: without a saved state that is near
enough, and with a journal that is too long, the core begins anew with the journal's last hours. It knows nothing older
then, as if the journal began there: today's definition is taken for the one of then, and what was open before is void.
An upgrade that changes the form of what is saved need not come to that (``preparing.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple, Protocol

import structlog

from sensord.core.definition import Definition
from sensord.core.instant import MINUTE
from sensord.core.restorable import is_restorable
from sensord.core.site import Site
from sensord.core.vehicles.pseudonym import Secrets
from sensord.drivers.again import Again
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
    """A site that has come to a group (0: to none yet), and what it has decided ``again``.

    ``lived``: all that it had decided before is written down. ``begun`` is the group with which it begins anew; 0: it
    does not.
    """

    site: Site
    position: int
    again: Again
    lived: bool = False
    begun: int = 0


def restore(
    journal: JournalReader,
    states: States,
    secrets: Secrets,
    assumed: Definition | None,
    *,
    at_leisure: bool = False,
) -> Restored:
    """Find what to go on from; ``assumed`` holds where the journal's own definition is not known.

    ``at_leisure``: nobody waits for alerts, so any number of groups may then have to be stepped.
    """
    reach = inf if at_leisure else REACH
    lost = not states.applied and states.doubt
    end = journal.last_seq if lost else states.applied
    for saved in _after_a_loss(journal, states) if lost else states.saved():
        if saved.seq > states.applied and not lost:
            continue
        if end - saved.seq > reach:
            log.error("a saved state is too far back", seq=saved.seq, end=end)
            continue
        try:
            site = Site.restored(saved.state, secrets, lenient=True)
            again = Again.of(saved.decided) if saved.decided else Again()
        except SnapshotError as error:
            if not at_leisure:  # whoever has the time is here because of that
                log.error("a saved state cannot be restored; trying the one before", seq=saved.seq, why=str(error))
        else:
            return Restored(site, saved.seq, again, not saved.decided)
    if end - journal.first_seq > reach:
        begun = end - LAST + 1
        log.error(
            "no saved state can be read; the core begins anew with the journal's last hours (before an upgrade, "
            "'sensord prepare' of the new version keeps what was)",
            first=begun,
            end=end,
        )
        return Restored(
            Site(assumed, secrets, lenient=True), begun - 1, Again(assumes=assumed is not None), begun=begun
        )
    torn = assumed if journal.first_seq > 1 else None
    return Restored(Site(torn, secrets, lenient=True), 0, Again(assumes=torn is not None))


def unprepared(journal: JournalReader, states: States) -> int:
    """So many groups must be stepped to know what was before a start; 0: few enough for the start itself.

    Of a state that was not lost. What is saved is tried, the newest first.
    """
    end = states.applied
    restorable = (saved.seq for saved in states.saved() if saved.seq <= end and is_restorable(saved.state))
    groups = end - next(restorable, journal.first_seq)
    return groups if groups > REACH else 0


def _after_a_loss(journal: JournalReader, states: States) -> Iterator[Saved]:
    """The copies: those before all that is in doubt, then the older ones; none when the journal is soon stepped."""
    if journal.last_seq - journal.first_seq < REACH:
        return
    copies = list(states.saved())
    before = [saved for saved in copies if saved.at <= states.doubt - IN_DOUBT]
    yield from before
    yield from (saved for saved in reversed(copies) if saved not in before)

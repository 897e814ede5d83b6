"""What a stretch of journal did to the cases, in the order in which one thing followed from the other."""

from __future__ import annotations

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.decisions import Decisions, Happened
from sensord.core.outcome import Outcome


class Failure(msgspec.Struct, frozen=True):
    """Something that could not be handled as it should, at an instant (ns): a mistake of ours.

    ``what`` is the id of a case or an alert, ``why`` an exception's type or what cannot be, ``trace`` the lines of code
    that led there. None of them quotes anybody, so there is no plate in them.
    """

    what: str
    at: int
    why: str
    trace: str = ""


class Story:
    """What a stretch of journal did to the cases; filled by the book, read by the site.

    ``told`` holds transitions, events, notifications and holds together, in the order in which one followed from the
    other. ``failures`` are mistakes of ours; whatever follows from them is the same in every replay.
    """

    def __init__(self) -> None:
        self.told: list[Happened] = []
        self.transitions: list[Transition] = []
        self.events: list[CaseEvent] = []
        self.changed: dict[str, Case] = {}
        self.decisions = Decisions(self.told)
        self.outcomes: list[Outcome] = []
        self.failures: list[Failure] = []

    def tell(self, change: Transition | CaseEvent) -> None:
        """An alert changed, or a case moved."""
        self.told.append(change)
        if isinstance(change, Transition):
            self.transitions.append(change)
        else:
            self.events.append(change)

    def fail(self, failure: Failure) -> None:
        """Something could not be handled as it should. In our own tests this raises."""
        self.failures.append(failure)

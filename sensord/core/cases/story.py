"""What a stretch of journal did to the cases, in the order in which one thing followed from the other."""

from __future__ import annotations

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.decisions import Decisions, Happened
from sensord.core.failure import Failures
from sensord.core.outcome import Outcome


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
        self.failures = Failures()
        self.decisions = Decisions(self.told, self.failures)
        self.outcomes: list[Outcome] = []

    def go_on(self, then: Story) -> None:
        """Take what came then."""
        self.told += then.told
        self.transitions += then.transitions
        self.events += then.events
        self.changed |= then.changed
        self.decisions.notifications += then.decisions.notifications
        self.decisions.holds += then.decisions.holds
        self.outcomes += then.outcomes
        self.failures += then.failures

    def tell(self, change: Transition | CaseEvent) -> None:
        """An alert changed, or a case moved."""
        self.told.append(change)
        if isinstance(change, Transition):
            self.transitions.append(change)
        else:
            self.events.append(change)

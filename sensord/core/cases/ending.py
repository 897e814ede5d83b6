"""How a case ends: once it has been calm for long enough and nobody's word is awaited, or when it is void."""

from __future__ import annotations

from sensord.core.cases.apart import Apart
from sensord.core.cases.case import ENDED, Case, Due, Happening, allows
from sensord.core.cases.notification import Reason
from sensord.core.cases.story import Story
from sensord.core.cases.telling import Telling
from sensord.core.cases.untold import LONGEST_UNTOLD, late_ways

TOLD_LATE = 1
"""The number of ``Due.SETTLE`` of a case that was over before people heard of it: no report of theirs is awaited."""


class Ending(Telling):
    """Ends cases; whoever decides what happens builds on it. ``just_ended`` are those that the book has yet to move."""

    just_ended: list[Case]
    _apart: Apart

    def settle(self, case: Case, at: int, story: Story, told_late: int = 0) -> None:
        """Close a case that has been clear for long enough, when nobody's report is awaited.

        Second ways to people who heard of it only when it was over are waited for: else nobody might ever hear of it.
        """
        if case.alerts or not case.cleared_at or at < self.calm_at(case) or self.awaits_shift(case, at):
            return
        when_clear = self.policy(case).close == "when_clear" and not case.unwatched
        if not (when_clear or case.claimed or not case.told or (told_late and not case.unwatched)):
            return
        last = late_ways(case)
        if last <= at or case.claimed:
            by = case.reported_by if case.claimed and not when_clear else "unwatched" if case.unwatched else "sensors"
            self.end(case, Happening.CLOSE, at, by, story)
        elif (last, Due.SETTLE, told_late) not in case.pending:
            self.schedule(case, last, Due.SETTLE, told_late)

    def calm_at(self, case: Case) -> int:
        """From when on a report ends the case in which nothing alarms: a while later, if sensors can deny it."""
        return case.cleared_at + (0 if case.unwatched else self.policy(case).agree_for)

    def give_up(self, case: Case, at: int, story: Story) -> None:
        """End a case that has been calm for long, and of which nobody reports."""
        if self.awaits_shift(case, at):
            self.schedule(case, case.cleared_at + LONGEST_UNTOLD, Due.GIVE_UP)
        elif (last := late_ways(case)) > at:
            self.schedule(case, last, Due.GIVE_UP)
        else:
            self.end(case, Happening.CLOSE, at, "unreported", story)

    def end(self, case: Case, how: Happening, at: int, by: str, story: Story, note: str = "", via: str = "") -> None:
        """Close or void a case, and tell those who were told."""
        self.remute(case, at)
        if how is Happening.CLOSE and not allows(case.state, how):
            # It was given back after the alarm was over: whoever has it now has nothing left but to verify.
            self.happen(case, Happening.ALL_CLEAR, at, by, story)
        case.closed_at, case.closed_by = at, by
        event = self.happen(case, how, at, by, story, case.level, note, via)
        reason = Reason.CASE_CLOSED if how is Happening.CLOSE else Reason.CASE_VOID
        self.dispatcher.ended(case, event, reason, story.decisions)
        for due, number in [(due, str(number)) for due, kind, number in case.pending if kind is Due.FALLBACK]:
            with self._apart.handling(case.id, at, story.failures):
                others = self.dispatcher.hand_on(case, case.fallbacks[number], due) if number in case.fallbacks else []
                story.changed.update((other.id, other) for other in others)
        _let_go(case)
        self.index.remove(case)
        self.just_ended.append(case)

    def pick_up(self, at: int) -> None:
        """After a failure: a case that was to end has ended, and one that is calm will."""
        for case in list(self.index.open.values()):
            if case.state in ENDED:
                _let_go(case)
                self.index.remove(case)
                self.just_ended += [] if case in self.just_ended else [case]
            elif not case.alerts and not any(due is Due.GIVE_UP for _, due, _ in case.pending):
                case.cleared_at = case.cleared_at or at
                self.schedule(case, at + self.policy(case).unreported_after, Due.GIVE_UP)


def _let_go(case: Case) -> None:
    """Nothing is awaited any more; and what speaks of vehicles must not outlive the journal with the case."""
    case.pending, case.fallbacks, case.untold, case.standing, case.calls, case.deadline = [], {}, [], [], [], 0

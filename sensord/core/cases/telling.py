"""When people are told of a case: at once, or later when it is muted or nobody is on duty; whom is the dispatcher's.

What could not be told is on the case (``untold``) and is looked at again; then each is told by itself.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from sensord.core.cases.builtin import PREFIX
from sensord.core.cases.case import ENDED, Answer, Case, CaseEvent, Due, Happening, State, Subject, about, subject
from sensord.core.cases.caseindex import CaseIndex
from sensord.core.cases.mute import Mutes
from sensord.core.cases.notification import Reason
from sensord.core.cases.opening import HAS_LEFT, NOT_REACHED
from sensord.core.cases.rounds import furthest, lapse
from sensord.core.cases.stages import Stages
from sensord.core.cases.story import Story
from sensord.core.cases.untold import LONGEST_UNTOLD, drop, note, outrun, owe, owes
from sensord.core.instant import to_datetime
from sensord.core.people.roster import Roster
from sensord.core.rules.rule import Rule
from sensord.core.stream import Stream


class Telling(Stages):
    """Tells of cases, and of single alerts in them; whoever decides what happens builds on it."""

    roster: Roster
    mutes: Mutes
    index: CaseIndex
    rules: Mapping[str, Rule]

    def another_of(self, rule: str) -> tuple[Happening, Reason]:
        """How it is said that another alert of a rule joins a case that stands as high already."""
        known = self.rules.get(rule)
        if known is not None and known.each and known.stream is Stream.VISIT:
            return Happening.ANOTHER_VEHICLE, Reason.ANOTHER_VEHICLE
        if rule.startswith(PREFIX):
            return Happening.ANOTHER_TROUBLE, Reason.ANOTHER_TROUBLE
        return Happening.ANOTHER_ALERT, Reason.ANOTHER_ALERT

    def dispatch(self, case: Case, event: CaseEvent, reason: Reason, story: Story) -> None:
        """Tell whom the plan names; a muted case, or one for which nobody is on duty, is looked at again."""
        at, decisions, own = event.at, story.decisions, subject(case)
        muted = self.muted(case, at)
        if muted is not None:
            case.muted = muted[0].value
            self.dispatcher.muted(case, event, muted[0], decisions)
            owe(case, own)
            self.look_again_at(case, muted[1])
            return
        case.muted = ""
        self.unschedule(case, Due.RECHECK)
        if self.dispatcher.rose(case, event, reason, decisions):
            note(case, own)
            if case.alerts or case.unwatched:
                self._await_duty(case, at)
            if case.state is State.FILED:
                self.happen(case, Happening.DISPATCH, at, case.owner or "sensord", story)
        else:
            self._untold(case, own, at)
        self._tell_untold(case, at, story, but=own)

    def step_due(self, case: Case, at: int, number: int, story: Story) -> None:
        """A step of the plan has come due; it may be the first by which anybody hears of the case."""
        self.remute(case, at)
        event = self.happen(case, Happening.STEP_DUE, at, f"step {number + 1}", story)
        if self.dispatcher.step_due(case, event, number, story.decisions) and case.state is State.FILED:
            note(case, subject(case))
            self._await_duty(case, at)
            self.happen(case, Happening.DISPATCH, at, case.owner or "sensord", story)

    def tell_of(self, case: Case, one: Subject, event: CaseEvent, reason: Reason, story: Story) -> None:
        """Tell of one alert by its own level and rule; how the case itself stands is told as before."""
        of = about(case, one)
        muted = self.muted(of, event.at)
        if muted is not None:
            self.dispatcher.muted(of, event, muted[0], story.decisions)
            owe(case, one)
            self.look_again_at(case, muted[1])
        elif self.dispatcher.rose(case, event, reason, story.decisions, of):
            note(case, one)
        else:
            self._untold(case, one, event.at)

    def _untold(self, case: Case, one: Subject, at: int) -> None:
        """Nobody was told: the next shift is, unless the plan tells nobody of that level, or only when it lasts."""
        if self.dispatcher.speaks(case, one.level):
            owe(case, one)
            self._await_duty(case, at)
        else:
            drop(case, one)

    def _tell_untold(self, case: Case, at: int, story: Story, but: Subject | None = None) -> None:
        """Tell of what could not be told when it came, ``but`` of what was just tried; what is muted waits on."""
        for one in [untold for untold in case.untold if but is None or not untold.same(but)]:
            muted = self.muted(about(case, one), at)
            if outrun(case, one, self.rules.get(one.rule)):
                drop(case, one)
            elif muted is not None:
                self.look_again_at(case, muted[1])
            elif self.dispatcher.can_tell(about(case, one), at):
                event = self.happen(case, Happening.STEP_DUE, at, "told late", story)
                reason = self.another_of(one.rule)[1] if case.told else Reason.CASE_OPENED
                reason = reason if one.level else Reason.VERIFYING_ASKED
                self.tell_of(case, one, event, reason, story)
            else:
                self._await_duty(case, at)

    def muted(self, case: Case, at: int) -> tuple[Reason, int] | None:
        """Why nobody is told of the case now, and when to look again; None when it is not muted."""
        return self.mutes.of_case(case, self.rules.get(case.rule), at)

    def look_again_at(self, case: Case, at: int) -> None:
        """Look at the case again at ``at``, or sooner when something else is waited for, too."""
        sooner = min([at, *(when for when, due, _ in case.pending if due is Due.RECHECK)])
        self.unschedule(case, Due.RECHECK)
        self.schedule(case, sooner, Due.RECHECK)

    def _await_duty(self, case: Case, at: int) -> None:
        """Look again when it can change who is told."""
        look = self.dispatcher.next_look(at)
        if look is not None:
            self.look_again_at(case, look)

    def remute(self, case: Case, at: int) -> None:
        """See whether a case that was told is muted by now, so that its reminders are held."""
        muted = self.muted(case, at)
        if muted is not None and not case.muted:
            case.muted = muted[0].value
            self.look_again_at(case, muted[1])

    def tell_over(self, case: Case, moved: Container[str], at: int, story: Story) -> None:
        """What people were told, and still alarms or must be verified, they hear anew who are reached in another way.

        What was said over the old one may have been lost with it. What was asked of them they are asked anew, and what
        that says of the case is not said besides.
        """
        stands = bool(case.alerts or case.unwatched)
        for name in [name for name in _of_nothing_left(case) if name in moved]:
            self.dispatcher.await_no_call(case, name)
            if stands:
                self._call_given_up(case, name, str(case.events), at, story)
            else:
                self.given_up(case, name, str(case.events), at, story)
        people = [name for name in _of_nothing_left(case) if name in moved]
        if not (people and stands):
            return
        self.remute(case, at)
        of = self.mutes.beside(case, at) if case.muted else case
        if of is not None and owes(case, subject(of)):
            return  # nobody has heard of it yet: whoever can hears as the case is looked at again
        if of is not None:
            event = self.happen(case, Happening.STEP_DUE, at, "reached another way", story)
            for name in self.dispatcher.anew(case, event, people, story.decisions, of):
                self.given_up(case, name, "", at, story)
        elif not case.alerts:
            owe(case, subject(case))  # nothing else speaks when the mute ends
            story.changed[case.id] = case

    def tell_on(self, case: Case, changed: Container[str], at: int, story: Story) -> None:
        """Some ways of these have changed: what was lost with one of them was given up.

        Who may have heard what they were told last has, or may yet; but not what was asked of them before.
        """
        nothing_left = _of_nothing_left(case)
        for name, _ in case.ledger:
            if name in changed and name in nothing_left:
                self.given_up(case, name, str(case.events), at, story)
            elif name in changed:
                self._call_given_up(case, name, str(case.events), at, story)

    def given_up(self, case: Case, name: str, event: str, at: int, story: Story) -> None:
        """What somebody was to be told by an event (its number, or a digest) was given up.

        Who has a way left for which nothing waits hears over that. Of whom nothing is left, or from whom that is kept,
        who is told in their stead, at once; with nobody, the next is. While a report that it is over waits for the
        sensors, nobody is, before they deny it; and what is muted is told when the mute ends. Likewise with whoever was
        to verify a case that was given back as it was over.
        """
        if case.state in ENDED:
            return
        self._call_given_up(case, name, event, at, story)
        asked = None if case.claimed else self.dispatcher.asked_to_verify(case, name, event)
        stands = bool(case.alerts or case.unwatched or asked)
        wayless = stands and self.dispatcher.is_wayless(case, name, at)
        if not stands or not (wayless or (not case.claimed and self.dispatcher.is_unreached(case, name))):
            return
        self.remute(case, at)
        of = self.mutes.beside(case, at) if case.muted else case
        if of is None and not case.alerts:
            owe(case, subject(case))  # nothing else speaks when the mute ends
            story.changed[case.id] = case
        if of is None or owes(case, subject(of)):
            return
        if wayless:
            told = self.happen(case, Happening.STEP_DUE, at, "second way", story)
            if self.dispatcher.by_what_is_left(case, told, name, story.decisions, of) or case.claimed:
                return
        people = self.dispatcher.in_stead(case, of, name, at)
        if not people and self.dispatcher.is_known(case, at):
            return
        told = self.happen(case, Happening.STEP_DUE, at, NOT_REACHED, story, note=name)
        if asked is not None:
            asked.events.append(told.id.rpartition(":")[2])
        heard = self.dispatcher.tell_in_stead(case, told, people, name, story.decisions, of)
        if not (heard or self.dispatcher.is_known(case, at)):
            self._untold(case, subject(of), at)

    def given_up_before(self, case: Case, at: int, story: Story) -> None:
        """A report that it is over stood while pages were given up, and stands no more."""
        for name, _ in case.ledger:
            self.given_up(case, name, "", at, story)

    def _call_given_up(self, case: Case, name: str, event: str, at: int, story: Story) -> None:
        """What supervisors were told or asked by an event goes over what is left to its receiver, else to others."""
        for call in self.dispatcher.given_up_calls(case, name, event):
            self.remute(case, at)
            if self.dispatcher.can_call(case, name, at):
                told = self.happen(case, Happening.STEP_DUE, at, "second way", story)
                if self.dispatcher.call_again(case, call, told, name, story.decisions):
                    continue
            people = self.dispatcher.pass_on(case, call, name, at)
            if people or not self.dispatcher.is_heard(case, call, at):
                told = self.happen(case, Happening.STEP_DUE, at, NOT_REACHED, story, note=name)
                self.dispatcher.tell_call(case, call, told, people, name, story.decisions)

    def recheck(self, case: Case, at: int, story: Story) -> None:
        """A mute may have ended, a shift may have changed: tell, if there still is something to tell, and somebody."""
        if not case.alerts:
            case.muted = ""
            self._tell_untold(case, at, story)
            if case.unwatched and case.told and not case.claimed and not owes(case, subject(case)):
                if self.dispatcher.stays(case, at):
                    self._await_duty(case, at)
                elif self.dispatcher.can_tell(case, at):
                    event = self.happen(case, Happening.STEP_DUE, at, "hand-over", story)
                    self.dispatch(case, event, Reason.VERIFYING_ASKED, story)
                else:
                    self._await_duty(case, at)
            return
        muted = self.muted(case, at)
        anew = muted is None and (bool(case.muted) or self._is_unheard(case, at))
        if muted is not None:
            case.muted = muted[0].value
            self.look_again_at(case, muted[1])
        of = self.mutes.beside(case, at) if case.muted else case
        owed = of is not None and owes(case, subject(of))  # that is told as itself
        self._hand_over(case, None if anew or owed else of, at, story)
        self._await_duty(case, at)
        if anew:
            reason = Reason.MUTE_ENDED if case.muted else Reason.CASE_OPENED
            event = self.happen(case, Happening.STEP_DUE, at, "looked again", story)
            self.dispatch(case, event, reason, story)
        else:
            self._tell_untold(case, at, story)

    def _is_unheard(self, case: Case, at: int) -> bool:
        """Whether nobody has heard of the case itself, and somebody of its plan can by now."""
        filed = case.state is State.FILED and self.dispatcher.speaks(case, case.level)
        return (filed or owes(case, subject(case))) and self.dispatcher.can_tell(case, at)

    def _hand_over(self, case: Case, of: Case | None, at: int, story: Story) -> None:
        """A shift has changed: whoever has answered and left has not, and who comes on duty is told.

        ``of`` is the case as far as people may be told of it now; None: not at all. While a report that it is over
        waits for the sensors, so does this; and what is calm already is nobody's to take over.
        """
        if case.claimed or case.state is State.FILED or not case.told:
            return
        left, before = self.dispatcher.left(case, at), case.answer
        said = furthest(case, left)
        lapse(case, left)
        self.index.disengage(case, left)
        lapsed = case.answer < before
        people = [] if of is None else self.dispatcher.incoming(case, of, left if lapsed else (), at)
        if not (lapsed or people):
            return
        said = said if lapsed else furthest(case, case.told)
        how = Happening.HAND_OVER if lapsed and case.answer is Answer.NONE else Happening.STEP_DUE
        note = "" if said is None else f"{said[1]} {to_datetime(said[2], self.zone):%m-%d %H:%M:%S} {said[0]}"
        event = self.happen(case, how, at, HAS_LEFT if lapsed else "hand-over", story, note=note)
        if of is None:
            self.dispatcher.begin_anew(case, at)
        else:
            self.dispatcher.hand_over(case, event, people, story.decisions, of, anew=lapsed)

    def awaits_shift(self, case: Case, at: int) -> bool:
        """Whether a case that is over stays open, so that the next shift hears of it: for a day at most."""
        waits = any(due is Due.RECHECK for _, due, _ in case.pending)
        over = not case.alerts and not case.muted and at < case.cleared_at + LONGEST_UNTOLD
        return over and waits and bool(case.untold)

    def supervise(self, case: Case, event: CaseEvent, reason: Reason, story: Story) -> bool:
        """Tell the supervisors, unless the case is muted; returns whether any of them can be reached."""
        self.remute(case, event.at)
        if case.muted:
            self.dispatcher.muted(case, event, Reason(case.muted), story.decisions)
            return False
        return self.dispatcher.supervise(case, event, reason, story.decisions)


def _of_nothing_left(case: Case) -> list[str]:
    """Who was told of the case, and has nothing left of what they were told last: all has failed, or is lost."""
    return [name for name, told in case.ledger if not told.over]

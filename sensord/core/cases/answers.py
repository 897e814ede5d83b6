"""What people do about cases: the verbs, each with what it needs and what it changes.

Rules: answers are idempotent (saying the same thing twice changes nothing and is accepted), and an answer to a case
that has ended is kept in its story. Extending, returning and voiding are approvals: who may not approve asks, and the
supervisors hear it, or whoever approves; with neither in reach they are told so. A note says why, where somebody
will want to know.
"""

from __future__ import annotations

from sensord.core.cases.case import ENDED, Answer, Case, Due, Happening, State, allows
from sensord.core.cases.caseflow import Flow
from sensord.core.cases.caseindex import ENGAGING
from sensord.core.cases.mute import Silence
from sensord.core.cases.notification import Reason
from sensord.core.cases.numbering import unused
from sensord.core.cases.rounds import PROGRESS, hear, is_there
from sensord.core.cases.story import Story
from sensord.core.cases.told import OPERATOR, Told
from sensord.core.cases.verdict import Answered, Verdict, accepted, refused
from sensord.core.instant import DAY, HOUR
from sensord.core.outcome import Outcome
from sensord.core.record import ANSWERS, Action, Scope, Verb

__all__ = ["Answers", "Outcome"]

LONGEST_SILENCE = 30 * DAY
LONGEST_EXTENSION = 366 * DAY
MOST_SILENCES, MOST_SCOPED = 1000, 500
"""Silences in force at a time, and names in the scope of one."""
MOST_TOLD, MOST_EVENTS = 200, 10_000
"""People in the ledger of a case before strangers to the roster get no more lines, and events of a case before what
changes nothing (a request, an answer after its end) is no longer kept."""
_KNOWN = ", ".join(verb.value for verb in Verb)


class Answers:
    """Takes actions."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def act(self, action: Action, case: Case | None, at: int, story: Story, counted: Answered | None) -> Answered:
        """Do what the action says, or say why not; ``counted`` is the answer to a count of vehicles."""
        try:
            verb = Verb(action.verb)
        except ValueError:
            return refused(Verdict.UNKNOWN_VERB, name=_KNOWN)
        if verb is Verb.SILENCE:
            return self._silence(action, at)
        if verb is Verb.UNSILENCE:
            return self._unsilence(action, at, story)
        if verb is Verb.COUNT:
            may = self._may_silence(action)
            wrong = Verdict.UNKNOWN_COMPOUND if may else Verdict.NEEDS_APPROVER  # nobody follows vehicles, or no right
            return counted if may and counted is not None else refused(wrong, verb=verb.value, name=action.case)
        if case is None:
            return refused(Verdict.UNKNOWN_CASE)
        return self._about(verb, action, case, at, story)

    def _about(self, verb: Verb, action: Action, case: Case, at: int, story: Story) -> Answered:
        """Do what the action says about a case."""
        if len(case.told) >= MOST_TOLD and action.by not in case.told and action.by not in self._flow.roster.by_id:
            return refused(Verdict.TOO_MANY_STRANGERS)
        if case.state in ENDED:
            return self._late(action, case, at, story)
        if case.state is State.ACCEPTED:
            self._flow.file(case, at, story)
        if action.by in case.told:
            case.told[action.by].spoke_at = at
        if verb in ANSWERS:
            return self._answer(verb, action, case, at, story)
        if verb is Verb.CLOSE:
            return self._close(action, case, at, story)
        return self._approve(verb, action, case, at, story)

    def _late(self, action: Action, case: Case, at: int, story: Story) -> Answered:
        """Keep what somebody said after the end."""
        if case.events >= MOST_EVENTS:
            return refused(Verdict.TOO_MANY_LATE, stage=case.state)
        self._flow.happen(case, Happening.LATE_ANSWER, at, action.by, story, None, _words(action), action.via)
        return accepted(Verdict.KEPT, stage=case.state)

    def _answer(self, verb: Verb, action: Action, case: Case, at: int, story: Story) -> Answered:
        progress, told = PROGRESS[verb], self._told(action, case, at)
        if not hear(case, told, verb, at):
            return accepted(Verdict.NOTED_BEFORE)
        case.answer = max(case.answer, progress)
        if not case.acknowledged_at:
            case.acknowledged_at, case.acknowledged_by = at, action.by
        if is_there(verb) and not case.arrived_at:
            case.arrived_at, case.arrived_by = at, action.by
        if action.by in self._flow.roster.by_id and not case.lead:
            case.owner = action.by
        if verb in ENGAGING:
            self._flow.index.engage(action.by, case)
        event = self._flow.happen(case, Happening(verb.value), at, action.by, story, None, action.note, action.via)
        if verb is Verb.NEED_HELP:
            self._flow.dispatcher.help_needed(case, event, story.decisions)
        if progress is Answer.DISPERSED:
            return self._report(verb, action, case, at, story)
        return accepted(Verdict.NOTED)

    def _report(self, verb: Verb, action: Action, case: Case, at: int, story: Story) -> Answered:
        case.claimed, case.false_alarm = True, verb is Verb.FALSE_ALARM
        case.reported_by = action.by
        case.reported_at = case.reported_at or at
        if not case.alerts:
            self._flow.settle(case, at, story)
            return accepted(Verdict.NOTED if case.unwatched else Verdict.SENSORS_AGREE)
        if not any(due is Due.AGREE for _, due, _ in case.pending):  # saying it again gives no more time
            self._flow.schedule(case, at + self._flow.policy(case).agree_within, Due.AGREE)
        return accepted(Verdict.SENSORS_GIVEN_TIME, level=case.level)

    def _told(self, action: Action, case: Case, at: int) -> Told:
        """The ledger's line of whoever speaks; somebody who was never told gets one."""
        person = self._flow.roster.by_id.get(action.by)
        role = person.role if person is not None else OPERATOR
        return case.told.setdefault(action.by, Told(role, at, len(case.told)))

    def _close(self, action: Action, case: Case, at: int, story: Story) -> Answered:
        """A supervisor, or an operator, reports that it is over: that settles it as soon as any report would."""
        if not self._may_close(action, case):
            return refused(Verdict.NOT_YOURS_TO_CLOSE)
        if case.alerts:
            return refused(Verdict.STILL_ALARMING, level=case.level)
        if not allows(case.state, Happening.CLOSE):
            return refused(Verdict.WRONG_STAGE, verb=Verb.CLOSE.value, stage=case.state)
        if case.claimed and case.reported_by == action.by:
            return accepted(Verdict.NOTED_BEFORE)
        self._told(action, case, at)
        case.claimed, case.reported_by, case.reported_at = True, action.by, case.reported_at or at
        if at >= self._flow.calm_at(case):
            self._flow.end(case, Happening.CLOSE, at, action.by, story, action.note, action.via)
            return accepted(Verdict.CLOSED)
        self._flow.happen(case, Happening.ASK, at, action.by, story, None, _words(action), action.via)
        return accepted(Verdict.CLOSES_AFTER_CALM)

    def _may_close(self, action: Action, case: Case) -> bool:
        """Whether a supervisor of the plan, or somebody who may silence."""
        person = self._flow.roster.by_id.get(action.by)
        supervises = person is not None and person.role in self._flow.policy(case).supervisors
        return supervises or self._may_silence(action)

    # -- approvals ---------------------------------------------------------------------------------------------------

    def _approve(self, verb: Verb, action: Action, case: Case, at: int, story: Story) -> Answered:
        happening = Happening(verb.value)
        if not allows(case.state, happening):
            return refused(Verdict.WRONG_STAGE, verb=verb.value, stage=case.state)
        if not action.note:
            return refused(Verdict.NEEDS_NOTE, verb=verb.value)
        if not self._may_approve(action):
            if case.events >= MOST_EVENTS:
                return refused(Verdict.TOO_MUCH_ASKED, verb=verb.value)
            event = self._flow.happen(case, Happening.ASK, at, action.by, story, None, _words(action), action.via)
            if verb is Verb.RETURN and action.by in self._flow.roster.by_id and action.by not in case.asked_back:
                case.asked_back.append(action.by)
            if self._flow.supervise(case, event, Reason.APPROVAL_ASKED, story):
                return accepted(Verdict.ASKED, verb=verb.value)
            return refused(Verdict.NOBODY_TO_ASK, verb=verb.value)
        if verb is Verb.VOID:
            self._flow.end(case, happening, at, action.by, story, action.note, action.via)
            return accepted(Verdict.VOIDED)
        return (self._extend if verb is Verb.EXTEND else self._return)(action, case, at, story)

    def _may_approve(self, action: Action) -> bool:
        """Whether the action is a supervisor's, or an operator's account's.

        Accounts are not on the roster; the API checks their right. Over MQTT and links nobody checks it.
        """
        person = self._flow.roster.by_id.get(action.by)
        if person is None:
            return _let_in(action)
        return person.role in self._flow.approving

    def _extend(self, action: Action, case: Case, at: int, story: Story) -> Answered:
        until = action.until or max(case.deadline, at) + (self._flow.limit(case) or HOUR)
        if not at < until <= at + LONGEST_EXTENSION:
            return refused(Verdict.BAD_DEADLINE)
        case.extended += 1
        _decide(case)
        self._flow.happen(case, Happening.EXTEND, at, action.by, story, None, action.note, action.via)
        self._flow.set_deadline(case, until)
        return accepted(Verdict.EXTENDED)

    def _return(self, action: Action, case: Case, at: int, story: Story) -> Answered:
        """The case is given back, by those who asked to, else for its owner: it is dispatched again, to others."""
        for given_back in case.asked_back or [case.owner]:
            if given_back and given_back not in case.returned:
                case.returned.append(given_back)
        case.owner = case.lead = ""
        _decide(case)
        self._flow.begin_round(case)
        self._flow.unschedule(case, Due.AGREE)
        event = self._flow.happen(case, Happening.RETURN, at, action.by, story, None, action.note, action.via)
        reason = Reason.CASE_RETURNED if case.alerts else Reason.VERIFYING_ASKED
        self._flow.dispatch(case, event, reason, story)
        self._flow.dispatcher.own(case, at, ())
        return accepted(Verdict.RETURNED)

    def _may_silence(self, action: Action) -> bool:
        """Whether somebody whom the API or the operating system has let in, or whose role approves."""
        return _let_in(action) or self._may_approve(action)

    # -- silences ----------------------------------------------------------------------------------------------------

    def _silence(self, action: Action, at: int) -> Answered:
        if action.scope is None or action.scope == type(action.scope)():
            return refused(Verdict.SILENCE_WITHOUT_SCOPE)
        if not self._may_silence(action):
            return refused(Verdict.NEEDS_APPROVER, verb=Verb.SILENCE.value)
        if not action.note:
            return refused(Verdict.NEEDS_NOTE, verb=Verb.SILENCE.value)
        wrong = self._wrong_scope(action.scope)
        if wrong is not None:
            return wrong
        if not at < action.until <= at + LONGEST_SILENCE:
            return refused(Verdict.SILENCE_BAD_END)
        self._flow.mutes.forget(at)
        name = action.case or unused(f"silence-{at}", self._flow.mutes.silences)
        if name in self._flow.mutes.silences:
            return accepted(Verdict.NOTED_BEFORE)
        if len(self._flow.mutes.silences) >= MOST_SILENCES:
            return refused(Verdict.TOO_MANY_SILENCES, most=MOST_SILENCES)
        self._flow.mutes.silences[name] = Silence(name, action.scope, at, action.until, action.by, action.note)
        return accepted(Verdict.SILENCED, name=name)

    def _wrong_scope(self, scope: Scope) -> Answered | None:
        """What is wrong with what a silence names: too much, or what there is not."""
        named = (scope.places, scope.rules, scope.policies, scope.people, scope.labels)
        if sum(map(len, named)) > MOST_SCOPED:
            return refused(Verdict.SILENCE_TOO_WIDE, most=MOST_SCOPED)
        strangers = self._flow.unknown_in(scope)
        return refused(Verdict.SILENCE_OF_NOTHING, name=strangers[0]) if strangers else None

    def _unsilence(self, action: Action, at: int, story: Story) -> Answered:
        if not self._may_silence(action):
            return refused(Verdict.NEEDS_APPROVER, verb=Verb.UNSILENCE.value)
        if self._flow.mutes.silences.pop(action.case, None) is None:
            return refused(Verdict.UNKNOWN_SILENCE)
        self._flow.look_again(at, story)
        return accepted(Verdict.UNSILENCED)


def _let_in(action: Action) -> bool:
    return action.via == "cli" or action.via.startswith("api:")


def _decide(case: Case) -> None:
    """Somebody who may has decided: nobody need hear any more what was asked."""
    case.calls = [call for call in case.calls if call.reason is not Reason.APPROVAL_ASKED]


def _words(action: Action) -> str:
    return f"{action.verb}: {action.note}" if action.note else action.verb

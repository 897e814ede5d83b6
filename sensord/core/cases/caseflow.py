"""How a case moves: what alerts and time do to it.

Answers of people are in ``answers``; the table is in ``case``, what a stage is and awaits in ``stages``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import partial

from sensord.core.alert import Change, Transition
from sensord.core.cases.agenda import DIGEST, Agenda, Desk
from sensord.core.cases.apart import Apart
from sensord.core.cases.builtin import built_in
from sensord.core.cases.case import Case, CaseEvent, Due, Happening, State, Subject, about, subject
from sensord.core.cases.caseindex import CaseIndex, Group
from sensord.core.cases.damping import Damped, Damper
from sensord.core.cases.digester import Digester
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.ending import TOLD_LATE
from sensord.core.cases.message import Names
from sensord.core.cases.mute import Mutes
from sensord.core.cases.notification import Reason
from sensord.core.cases.numbering import FILED, next_code, unused
from sensord.core.cases.receipts import Receipts
from sensord.core.cases.rounds import begin, refute
from sensord.core.cases.standing import fall, highest, leave, speak_of, stand
from sensord.core.cases.story import Story
from sensord.core.cases.untold import fell, is_news, outrun, over, owe
from sensord.core.definition import Definition
from sensord.core.instant import to_datetime
from sensord.core.level import Level
from sensord.core.people.roster import Roster
from sensord.core.place import PlaceKind
from sensord.core.record import Scope

MOST_LINKS = 50


class Flow(Receipts):
    """Moves the open cases through their table, and asks the dispatcher to tell people."""

    def __init__(
        self,
        definition: Definition,
        names: Names,
        agenda: Agenda,
        damped: Damped,
        codes: dict[str, int],
        apart: Apart,
        ended: Mapping[str, Case],
    ) -> None:
        super().__init__(definition, agenda)
        self._apart = apart
        self._definition, self._places, self.names = definition, names.places, names
        self.rules = {rule.id: rule for rule in (*definition.rules, *built_in(definition))}
        self.damped, self.codes = damped, codes
        self.index = CaseIndex(lambda: self.mutes.inhibiting, self._group)
        self.roster = Roster(definition.staff, names.places, definition.duty, definition.zone)
        running, sources = self.roster.table.running, self.index.sources
        self.mutes = Mutes(names.places, definition.maintenance, definition.inhibitions, running, sources, self.rules)
        unlimited = frozenset(role.id for role in definition.roles if role.unlimited)
        damper = Damper(definition.damping, unlimited, damped)
        known = self.index.engaged, self.index.open, ended
        desk = Desk(self.schedule, lambda at, outlet: agenda.add(at, DIGEST, 0, outlet), *known, apart)
        self.dispatcher = Dispatcher(definition, names, self.rules, self.roster, self.mutes, damper, desk)
        self.digester = Digester(damper, desk, self.roster, self.dispatcher)
        self.just_ended: list[Case] = []
        self.remembered: tuple[Container[str], ...] = ()
        self.approving = frozenset(role.id for role in definition.roles if role.approves)

    def adopt(self, case: Case) -> None:
        """Take a case in: a new one, or one of a state that is restored."""
        self.index.add(case)
        for at, due, number in case.pending:
            self._agenda.add(at, due, number, case.id)

    def _group(self, case: Case) -> Group | None:
        policy = self.dispatcher.policy(case)
        if not policy.link or case.place not in self._places.by_id:
            return None
        above = self._places.above(case.place, PlaceKind(policy.link))
        return None if above is None else (policy.category or policy.id, above)

    # -- what alerts do ----------------------------------------------------------------------------------------------

    def raised(self, transition: Transition, story: Story) -> None:
        """An alert was raised or rose: it has a case, joins the open one of its place and plan, or opens one."""
        alert = f"{transition.rule}:{transition.key}"
        case = self.index.of_alert(alert) or self._case_of(transition)
        case.alerts[alert] = transition.level
        case.unwatched = [one for one in case.unwatched if one != alert]
        stand(case, subject(transition))
        self.index.hold(alert, case)
        level, previous = max(case.alerts.values()), case.level
        relapse = bool(case.cleared_at)
        if level <= previous and not relapse:
            what = self.another_of(transition.rule)
            if what[0] is not Happening.ANOTHER_ALERT or self._is_news(case, transition):
                self._another(case, transition, what, story)
            story.changed[case.id] = case
            return
        speak_of(case, subject(transition))
        case.level, case.peak = level, max(case.peak, level)
        if relapse:
            self._relapse(case, transition, story)
        else:
            self._rise(case, transition, previous, story)

    def _case_of(self, transition: Transition) -> Case:
        """The open case of an alert's place and of its rule's plan, or a new one."""
        policy = self.rules[transition.rule].dispatch
        return self.index.at(transition.place, policy) or self._open(transition, policy)

    def _is_news(self, case: Case, transition: Transition) -> bool:
        """Whether people do not know it yet; of one silent device they do while all of its place are.

        Nor is it news that a level is coming at which the case stands already.
        """
        rule, told = self.rules[transition.rule], self.rules.get(case.rule)
        if outrun(case, subject(transition), rule):
            return False
        if rule.each:
            return True
        silent = told is not None and bool(told.absent and rule.absent)
        if silent and transition.level < case.level and subject(case).alert in case.alerts:
            return False
        return is_news(case, transition)

    def another(self, transition: Transition, story: Story) -> None:
        """An active alert goes on with another vehicle: whoever is told of the case hears of that one, too.

        Where the alert's case is void, the word of a vehicle before this one, this one opens another case.
        """
        case = self.index.of_alert(f"{transition.rule}:{transition.key}")
        if case is None:
            self.raised(transition, story)
        else:
            stand(case, subject(transition))
            self._another(case, transition, self.another_of(transition.rule), story)

    def _another(self, case: Case, transition: Transition, what: tuple[Happening, Reason], story: Story) -> None:
        """The case stands where it stood, and people hear of what this alert is about all the same.

        One that is muted by itself keeps nobody from hearing of the case.
        """
        one = subject(transition)
        aside = transition.level < case.level or self.muted(about(case, one), transition.at) is not None
        if not aside:
            speak_of(case, one)
        event = self.happen(case, what[0], transition.at, transition.id, story)
        if case.state is State.ACCEPTED:
            owe(case, one)
        elif aside:
            self.tell_of(case, one, event, what[1], story)
        else:
            self.dispatch(case, event, what[1], story)

    def _open(self, transition: Transition, policy: str) -> Case:
        moment = to_datetime(transition.at, self._definition.zone).strftime("%Y%m%dT%H%M%S")
        name = f"{transition.place}-{policy}-{moment}"
        case = Case(
            id=unused(name, *self.remembered),
            policy=policy,
            place=transition.place,
            grid=self._places.above(transition.place, PlaceKind.GRID) or "",
            rule=transition.rule,
            state=State.ACCEPTED,
            level=Level.NONE,
            peak=Level.NONE,
            opened_at=transition.at,
            since=transition.at,
        )
        self.adopt(case)
        return case

    def _rise(self, case: Case, transition: Transition, previous: Level, story: Story) -> None:
        event = self.happen(case, Happening.LEVEL_ROSE, transition.at, transition.id, story, previous)
        wait = self.dispatcher.policy(case).wait
        if case.state is State.ACCEPTED:
            owe(case, subject(transition))
            if not wait or case.level is Level.RED:
                self.file(case, transition.at, story)
            elif not previous:
                self.schedule(case, transition.at + wait, Due.FILE)
            return
        if case.claimed and case.state is State.VERIFYING:
            self._disagree(case, transition.at, story)
        self.dispatch(case, event, Reason.LEVEL_ROSE, story)

    def _relapse(self, case: Case, transition: Transition, story: Story) -> None:
        """The alarm came back before the case was closed: people must answer, and report, anew."""
        case.cleared_at = 0
        for due in (Due.SETTLE, Due.GIVE_UP, Due.AGREE):
            self.unschedule(case, due)
        self.begin_round(case)
        event = self.happen(case, Happening.RELAPSE, transition.at, transition.id, story, Level.NONE)
        self.dispatch(case, event, Reason.CASE_RELAPSED, story)

    def lowered(self, transition: Transition, story: Story) -> None:
        """An alert fell, cleared or was withdrawn, or is watched no longer."""
        alert = f"{transition.rule}:{transition.key}"
        case = self.index.of_alert(alert)
        if case is None:
            return
        if transition.level is Level.NONE:
            case.alerts.pop(alert)
            if self._unseen(transition):
                case.unwatched, case.withdrawn = [*case.unwatched, alert], transition.change is Change.WITHDRAWN
            leave(case, alert)
            self.index.release(alert, case)
            kept = partial(self._kept, case, transition.at)
            over(case, alert, transition.at, kept)
        else:
            case.alerts[alert] = transition.level
            fell(case, fall(case, subject(transition)))
        previous, case.level = case.level, max(case.alerts.values(), default=Level.NONE)
        case.begun = min(case.begun, case.level)
        if not case.alerts:
            self._all_clear(case, transition, previous, story)
            return
        if case.level < previous or alert == subject(case).alert:
            speak_of(case, highest(case, transition.at))
        if case.level < previous:
            self.happen(case, Happening.LEVEL_FELL, transition.at, transition.id, story, previous)
        else:
            story.changed[case.id] = case

    def _unseen(self, transition: Transition) -> bool:
        """Whether an alert has ended though nobody saw that it is over: its rule's hours have, or its rule is gone."""
        gone = transition.change is Change.WITHDRAWN and self.rules[transition.rule].lasting
        return gone or transition.change is Change.UNWATCHED

    def _kept(self, case: Case, at: int, one: Subject) -> bool:
        """Whether only the want of somebody on duty has kept an alert from being told."""
        return case.state is not State.ACCEPTED and self.muted(about(case, one), at) is None

    def _all_clear(self, case: Case, transition: Transition, previous: Level, story: Story) -> None:
        at, policy = transition.at, self.dispatcher.policy(case)
        waits = case.state is State.ACCEPTED
        if waits and not case.unwatched:
            self.end(case, Happening.VOID, at, transition.id, story)
            return
        if waits:
            self._take_in(case, at, story)  # it may have gone on, and lasted
        case.cleared_at = at
        how = Happening.UNWATCHED if case.unwatched else Happening.ALL_CLEAR
        event = self.happen(case, how, at, transition.id, story, previous)
        self.unschedule(case, Due.AGREE)
        self.schedule(case, at + policy.unreported_after, Due.GIVE_UP)
        if case.unwatched and (case.told or waits) and not case.claimed:
            self.dispatch(case, event, Reason.VERIFYING_ASKED, story)
        elif policy.agree_for and not case.unwatched:
            self.schedule(case, at + policy.agree_for, Due.SETTLE)
        else:
            self.settle(case, at, story)

    # -- what time does ----------------------------------------------------------------------------------------------

    def due(self, name: str, at: int, due: Due, number: int, story: Story) -> None:
        """Something that a case awaited has come due; what has been settled meanwhile is passed over."""
        case = self.index.open.get(name)
        if case is None or (at, due, number) not in case.pending:
            return
        case.pending.remove((at, due, number))
        if due is Due.FILE:
            self.file(case, at, story)
        elif due is Due.STEP:
            self.step_due(case, at, number, story)
        elif due is Due.FALLBACK and str(number) in case.fallbacks:
            self._fall_back(case, at, number, story)
        elif due is Due.LIMIT and not self.awaits_shift(case, at) and not self._rests(case):
            case.overdue += 1
            event = self.happen(case, Happening.OVERDUE, at, f"{case.state.value} took too long", story)
            self.supervise(case, event, Reason.OVERDUE, story)
        elif due is Due.AGREE and case.alerts and case.claimed:
            self._disagree(case, at, story)
            self.given_up_before(case, at, story)  # where the level rises instead all are told anew
        elif due is Due.SETTLE:
            self.settle(case, at, story, number)
        elif due is Due.RECHECK:
            self._recheck(case, at, story)
        elif due is Due.GIVE_UP and not case.alerts:
            self.give_up(case, at, story)

    def _fall_back(self, case: Case, at: int, number: int, story: Story) -> None:
        """A second way is taken; where a silence keeps it from somebody, it may have been the last one."""
        way = case.fallbacks[str(number)]
        self.remute(case, at)
        event = self.happen(case, Happening.STEP_DUE, at, "second way", story)
        others = self.dispatcher.fall_back(case, event, number, story.decisions)
        story.changed.update((other.id, other) for other in others)
        if way.person in case.told and way.channel in case.told[way.person].failed:
            self.given_up(case, way.person, way.event, at, story)

    def _rests(self, case: Case) -> bool:
        """Whether a case is filed, and its plan has nobody told of its level, or not yet: nobody is late with it."""
        return case.state is State.FILED and not self.dispatcher.speaks(case, case.level)

    def file(self, case: Case, at: int, story: Story) -> None:
        """File a case, and dispatch it."""
        event = self._take_in(case, at, story)
        self.dispatch(case, event, Reason.CASE_OPENED, story)

    def _take_in(self, case: Case, at: int, story: Story) -> CaseEvent:
        """A case gets its code, and its links."""
        self.unschedule(case, Due.FILE)
        case.code = self._code(case, at)
        case.filed = self.codes[FILED] = self.codes.get(FILED, 0) + 1
        event = self.happen(case, Happening.FILE, at, case.code or "sensord", story)
        self.dispatcher.own(case, at, ())
        self._link(case, at, story)
        return event

    def _code(self, case: Case, at: int) -> str:
        category = self.category(case)
        if category is None:
            return ""
        year = to_datetime(at, self._definition.zone).year
        return next_code(self.codes, self._definition.district, category, year)

    def _link(self, case: Case, at: int, story: Story) -> None:
        """Tie the case to the oldest open one nearby: they may be one event."""
        oldest = self.index.neighbour(case)
        if oldest is not None and len(oldest.links) < MOST_LINKS:
            case.links.append(oldest.id)
            oldest.links.append(case.id)
            self.happen(case, Happening.LINK, at, oldest.id, story)
            story.changed[oldest.id] = oldest

    def _recheck(self, case: Case, at: int, story: Story) -> None:
        """Tell what can be told by now; what was over before anybody could be told is over for whoever hears of it."""
        past, known = not case.alerts and bool(case.untold), bool(case.told)
        self.recheck(case, at, story)
        if past:  # of what people knew before it was over their report is awaited, as ever
            self.settle(case, at, story, 0 if known else TOLD_LATE)

    def look_again(self, at: int, story: Story) -> None:
        """A silence was lifted, a contact works again, the roster is another: look at all that somebody may be told of.

        One that waits to be filed is told by then.
        """
        taken_in = [case for case in self.index.open.values() if case.state is not State.ACCEPTED]
        for case in [case for case in taken_in if case.alerts or case.unwatched or case.muted or case.untold]:
            with self._apart.handling(case.id, at, story.failures):
                self.unschedule(case, Due.RECHECK)
                self._recheck(case, at, story)

    def begin(self, moved: Container[str], lost: Container[str], at: int, story: Story) -> None:
        """A definition comes into force: who has ``moved`` hears anew, and, if need be, who has ``lost`` some way."""
        for case in list(self.index.open.values()):
            with self._apart.handling(case.id, at, story.failures):
                self.tell_over(case, moved, at, story)
                self.tell_on(case, lost, at, story)
        self.look_again(at, story)

    def _disagree(self, case: Case, at: int, story: Story) -> None:
        """A person said that it is over, and the sensors do not agree: all goes on as without it, and supervised."""
        case.disagreed = True
        refute(case)
        self.unschedule(case, Due.AGREE)
        self.dispatcher.resume(case, at)
        self.look_again_at(case, at)  # a shift may have changed while the report stood
        event = self.happen(case, Happening.DISAGREE, at, "sensors", story)
        self.supervise(case, event, Reason.DISAGREEMENT, story)

    def unknown_in(self, scope: Scope) -> list[str]:
        """The names in the scope of a silence that this definition does not know; of labels, those of no rule."""
        policies = {policy.id for policy in self._definition.policies}
        known: list[tuple[Iterable[str], Container[str]]] = [
            (scope.places, self._places.by_id),
            (scope.rules, self.rules),
            (scope.policies, policies),
            (scope.people, self.roster.by_id),
        ]
        labels = {label for rule in self.rules.values() for label in rule.labels.items()}
        unlabelled = [f"{name}={word}" for name, word in scope.labels.items() if (name, word) not in labels]
        return [name for names, there in known for name in names if name not in there] + unlabelled

    def begin_round(self, case: Case) -> None:
        """Whatever people said is of the past: nobody is on the way any more, and all may answer anew."""
        begin(case)
        self.index.disengage(case)

"""The case book: alerts, answers and receipts in; cases and their stories out; dispatch asks it what to tell whom.

Everything happens at a journal instant, in order: before anything at ``t``, everything that came due at or before
``t``. A case's id is its place, its policy and the second it was opened, so it is the same in every run and every
shard; its code is counted, and so is the same in every run of the whole street.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensord.core.alert import Change, Transition
from sensord.core.cases import contacts
from sensord.core.cases.agenda import CHECK, DIGEST, REPORT, Agenda
from sensord.core.cases.answers import Answers, Outcome
from sensord.core.cases.apart import Apart
from sensord.core.cases.bookstate import BookState
from sensord.core.cases.builtin import UNREACHED, change_alert, lowest, trouble_rule, used_plans, withdraw
from sensord.core.cases.case import Case, Due, Happening
from sensord.core.cases.caseflow import Flow
from sensord.core.cases.damping import Entry
from sensord.core.cases.digester import A_DIGEST
from sensord.core.cases.mute import Silence
from sensord.core.cases.notice import Notice, Trouble, Used
from sensord.core.cases.notification import Reason, event_number
from sensord.core.cases.numbering import count_on, counters_of
from sensord.core.cases.replan import Replan
from sensord.core.cases.reporter import A_REPORT, Reporter
from sensord.core.cases.story import Story
from sensord.core.cases.titles import names_of, titles_gone
from sensord.core.cases.told import Sent
from sensord.core.cases.verdict import Answered, Verdict, refused
from sensord.core.cases.watch import RETRY, hole_transitions, named, tried_again
from sensord.core.definition import Definition
from sensord.core.instant import DAY, to_datetime
from sensord.core.level import Level
from sensord.core.people.coverage import cover
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Action, Delivery, Receipt

__all__ = ["BookState", "CaseBook", "Outcome", "Story"]

REMEMBERED = 3 * DAY
"""So long are closed cases remembered, for answers that come late and receipts."""
MOST_REMEMBERED = 2000
_NAMES = {DIGEST: A_DIGEST, CHECK: "the look at the roster", REPORT: A_REPORT}
"""What is due and belongs to no case."""
RECORD_LOST = "record lost"
"""Why a case is void whose opening was in groups that the journal has lost."""


class CaseBook:
    """Holds the cases.

    It changes only by ``transition``, ``notice``, ``action``, ``receipt``, ``advance`` and ``abandon``, each with an
    instant that never falls.
    """

    def __init__(self, definition: Definition, places: Places, state: BookState | None = None) -> None:
        self._definition, self._places, self._apart = definition, places, Apart()
        self._taken: dict[str, int] = {}
        self._build(state or BookState())

    def _build(self, state: BookState) -> None:
        """Make everything of a state: one that was saved, or our own."""
        definition, self._watched, self._agenda = self._definition, state.watched, Agenda()
        self.ended: dict[str, Case] = {case.id: case for case in state.ended}
        self._titles, names = state.titles, names_of(definition, self._places, state.titles)
        self._flow = Flow(definition, names, self._agenda, state.damped, state.codes, self._apart, self.ended)
        self._flow.roster.undeliverable = {(person, channel) for person, channel, _ in state.watched.failed}
        self._flow.mutes.silences = {silence.id: silence for silence in state.silences}
        self._answers = Answers(self._flow)
        self._reporter = Reporter(definition, self._places, self._flow.roster, self._agenda, self._watched, self._apart)
        self._flow.remembered = (self.ended, self._taken)
        for case in state.open:
            self._flow.adopt(case)
        for case in sorted(state.open, key=lambda case: case.filed):
            if case.filed:
                self._flow.index.neighbour(case)
        for key, outlet in state.damped.outlets.items():
            if outlet.due:
                self._agenda.add(outlet.due, DIGEST, 0, key)
        if state.watched.check_at:
            self._agenda.add(state.watched.check_at, CHECK, 0, "")
        for plan, due in state.watched.reports.items():
            self._agenda.add(due, REPORT, 0, plan)

    @property
    def open(self) -> dict[str, Case]:
        """The cases that have not ended, by id."""
        return self._flow.index.open

    @property
    def silences(self) -> list[Silence]:
        """The silences in force or to come."""
        return list(self._flow.mutes.silences.values())

    @property
    def undeliverable(self) -> list[tuple[str, str, int]]:
        """Contacts that do not deliver: person, channel, since when (ns)."""
        return list(self._watched.failed)

    def muted(self, alert: str, at: int) -> Reason | None:
        """Why nobody is told at ``at`` (ns) of an active alert (``rule:key``), whatever else its case is about."""
        alone = self._flow.index.alone(alert)
        muted = None if alone is None else self._flow.muted(alone, at)
        return None if muted is None else muted[0]

    def find(self, name: str) -> Case | None:
        """The case of that id or code, open or ended lately."""
        found = self._by_id(name)
        if found is None and name.isdigit():
            found = next((case for case in self._known() if case.code == name), None)
        return found

    def _by_id(self, name: str) -> Case | None:
        return self.open.get(name) or self.ended.get(name)

    def _known(self) -> Iterator[Case]:
        yield from self.open.values()
        yield from self.ended.values()

    def state(self) -> BookState:
        """Everything that later decisions depend on."""
        flow, cases = self._flow, (list(self.open.values()), list(self.ended.values()))
        return BookState(*cases, flow.codes, self.silences, flow.damped, self._watched, self._titles)

    def handed_over(self, to: Definition, at: int, story: Story) -> BookState:
        """The state for the book of a definition that comes into force at ``at``: open cases go on by its plans."""
        replan = Replan(self._definition, to, at)
        for case in self.open.values():
            with self._apart.handling(case.id, at, story.failures):
                story.changed.update({case.id: case} if replan.put(case) else {})
        self._settle_ended(at, story)
        self._titles = titles_gone(self._flow.names, to, self._known(), self._flow.damped)
        return self.state()

    # -- what happens ------------------------------------------------------------------------------------------------

    def begin(self, at: int, before: Definition, story: Story) -> None:
        """A definition comes into force at ``at``: contacts that were changed are trusted anew, the roster checked.

        Whoever has no contact of before any more hears anew of what they were told of.
        """
        now = self._definition
        changed, lost, moved = contacts.changed(before, now), contacts.lost(before, now), contacts.moved(before, now)
        contacts.note(moved, lost, self._known())
        people = {person for person, _ in changed}
        for case in self.ended.values():  # before others end, of which people hear over what they have now
            with self._apart.handling(case.id, at, story.failures):
                self._flow.say_end_anew(case, people, lost, at, story)
        for person, channel, _ in [one for one in self._watched.failed if one[:2] in changed]:
            self._contact(person, channel, failed=False, at=at, story=story)
        self._flow.begin(moved, {person for person, _ in lost} - moved, at, story)
        self._settle_ended(at, story)
        self._look_through(at)
        self._reporter.begin(at)

    def transition(self, transition: Transition, story: Story) -> None:
        """Take one change of an alert."""
        self.advance(transition.at, story)
        self._take(transition, story)

    def _take(self, transition: Transition, story: Story) -> None:
        story.tell(transition)
        with self._apart.handling(f"{transition.rule}:{transition.key}", transition.at, story.failures):
            if transition.rises:
                self._flow.raised(transition, story)
            elif transition.change is Change.ANOTHER:
                self._flow.another(transition, story)
            else:
                self._flow.lowered(transition, story)
        self._settle_ended(transition.at, story)

    def notice(self, notice: Notice, at: int, story: Story) -> None:
        """Take a trouble of the daemon itself, unless it is known; without a street nobody could be told."""
        self.advance(at, story)
        self._taken.clear()
        for case in notice.orphans:
            with self._apart.handling(case.id, at, story.failures):
                self._end_orphan(case, at, story)
        self._settle_ended(at, story)
        street = next((place.id for place in self._places.places if place.kind is PlaceKind.STREET), None)
        if street is not None:
            rule, key = trouble_rule(notice.trouble), notice.trouble.value
            self._built_in(rule, key, street, lowest(rule) if notice.active else Level.NONE, at, story)
        self._settle_ended(at, story)

    def used(self, written: Iterable[Case], now: int) -> Used | None:
        """What of these cases, which are written down, shows that identities are taken of which we do not know.

        A case that we do not know counts when it has begun after ``now``, where we stand: it could begin once more.
        """
        events, counters = dict[str, int](), dict[str, int]()
        for case in written:
            known = self._by_id(case.id)
            if known.events < case.events if known is not None else case.opened_at > now:
                events[case.id] = case.events
            year = to_datetime(case.opened_at, self._definition.zone).year
            count_on(counters, counters_of(case.code, case.filed, year))
        codes = self._flow.codes
        counters = {name: count for name, count in counters.items() if count > codes.get(name, 0)}
        return Used(events, counters) if events or counters else None

    def count_on(self, used: Used, story: Story) -> None:
        """Count on from where a lost past has stopped, lest something gets an identity that something else has had.

        What came due in that past comes due again, and is told again: better twice than never. The notice follows.
        """
        count_on(self._flow.codes, used.counters)
        for name, events in used.events.items():
            case = self._by_id(name)
            if case is None:
                self._taken[name] = events
            else:
                case.events = max(case.events, events)
                story.changed[name] = case

    def _end_orphan(self, case: Case, at: int, story: Story) -> None:
        """Void a case whose opening the journal has lost, and say so to those who were told; what goes on is a new one.

        Its place may have gone, too: nobody else could ever end it.
        """
        if case.id in self.open or case.id in self.ended:
            return
        for alert in list(case.alerts):
            del case.alerts[alert]  # of another past; the same alert may belong to a new case by now
        self._flow.end(case, Happening.VOID, at, RECORD_LOST, story)

    def troubled(self, trouble: Trouble) -> bool:
        """Whether a trouble of the daemon itself is active."""
        return f"{trouble_rule(trouble)}:{trouble.value}" in self._watched.alerts

    def _built_in(self, rule: str, key: str, place: str, level: Level, at: int, story: Story) -> None:
        change = change_alert(self._watched.alerts, rule, key, place, level, at)
        if change is not None:
            self._take(named(self._watched, change), story)

    def action(self, action: Action, at: int, story: Story, counted: Answered | None = None) -> bool:
        """Take what a person did; what the state machine does not allow is refused and said. Returns whether it holds.

        ``counted`` is what has come of vehicles that somebody counted, if the person may.
        """
        self.advance(at, story)
        case = self.find(action.case)
        answered = refused(Verdict.FAILED)
        with self._apart.handling(case.id if case is not None else "an action", at, story.failures):
            answered = self._answers.act(action, case, at, story, counted)
        name, said = case.id if case is not None else action.case, answered.sentence
        about = name, action.verb, action.by, action.via, at
        story.outcomes.append(Outcome(*about, answered.accepted, answered.verdict.value, said("zh"), said("en")))
        self._settle_ended(at, story)
        return answered.accepted

    def receipt(self, receipt: Receipt, at: int, story: Story) -> None:
        """Take what became of a message: the ledger's line of its receiver, and whether the contact works."""
        self.advance(at, story)
        parts = receipt.key.rsplit(":", 3)
        if len(parts) != 4:
            return
        name, event, person, channel = parts
        entries = self._flow.damped.told_by(receipt.key) or [Entry(name, person, event_number(event))]
        about = [(self._by_id(one.case), one.receiver, Sent(event, channel, one.number)) for one in entries]
        told = [(case, who, sent) for case, who, sent in about if case is not None and who in case.told]
        for case, who, sent in told:
            with self._apart.handling(case.id, at, story.failures):
                self._flow.receipt(case, who, sent, receipt.delivery, at, story)
        if receipt.delivery is Delivery.FAILED:
            last = [(case, who) for case, who, sent in told if not case.told[who].is_past(sent)]
            if last or not told:
                self._contact(person, channel, failed=True, at=at, story=story)
            for case, who in last:
                with self._apart.handling(case.id, at, story.failures):
                    self._flow.given_up(case, who, event, at, story)
        elif any(one[:2] == (person, channel) for one in self._watched.failed):
            # It was the channel's fault, or may have been: whoever failed on it is trusted again.
            self._trust([one for one in self._watched.failed if one[1] == channel], at, story)
            if self._watched.holes:  # some may have been holes for the want of these
                self._look_through(at)
        self._settle_ended(at, story)

    def _trust(self, failed: list[tuple[str, str, int]], at: int, story: Story) -> None:
        for person, channel, _ in failed:
            self._contact(person, channel, failed=False, at=at, story=story)
        if failed:
            self._flow.look_again(at, story)

    def _contact(self, person: str, channel: str, *, failed: bool, at: int, story: Story) -> None:
        """A contact works, or does not: remember it, and say it."""
        known = any(one[:2] == (person, channel) for one in self._watched.failed)
        someone = self._flow.roster.by_id.get(person)
        there = someone is not None and any(contact.channel == channel for contact in someone.contacts)
        if failed == known or (failed and not there):
            return
        if failed:
            self._watched.failed.append((person, channel, at))
        else:
            self._watched.failed = [one for one in self._watched.failed if one[:2] != (person, channel)]
        self._flow.roster.undeliverable = {one[:2] for one in self._watched.failed}
        level, place = (lowest(UNREACHED) if failed else Level.NONE), (someone.serves if someone is not None else "")
        self._built_in(UNREACHED, f"{person}:{channel}", place, level, at, story)

    def advance(self, to: int, story: Story) -> None:
        """Let everything that is due at or before ``to`` happen, each at its own instant."""
        while (entry := self._agenda.next(to)) is not None:
            at, kind, number, owner = entry
            with self._apart.handling(_NAMES.get(kind, owner), at, story.failures):
                self._do(at, kind, number, owner, story)
            self._settle_ended(at, story)

    def _do(self, at: int, kind: int, number: int, owner: str, story: Story) -> None:
        """Do what is due. Each first settles when it is due again: one that fails does not come at once for ever."""
        if kind == DIGEST:
            self._flow.digester.send(owner, at, story)
        elif kind == CHECK:
            self._check(at, story)
        elif kind == REPORT:
            self._reporter.send(owner, at, story)
        else:
            self._flow.due(owner, at, Due(kind), number, story)

    def _look_through(self, at: int) -> None:
        self._watched.check_at = at
        self._agenda.add(at, CHECK, 0, "")

    def _check(self, at: int, story: Story) -> None:
        """Look through the coming days for holes, and forget failures that are old enough to try again."""
        watched, duty = self._watched, self._definition.duty
        if at != watched.check_at:
            return
        self._look_through(self._flow.roster.table.next_check(at))
        self._trust([one for one in watched.failed if at - one[2] >= RETRY], at, story)
        holes = []
        if duty.check_days:
            plans, roster = used_plans(self._definition), self._flow.roster
            failed = tried_again(watched, roster.table)
            holes = cover(roster, self._places, plans, at, at + duty.check_days * DAY, failed).holes
        for change in hole_transitions(watched, holes, self._flow.roster.table, at):
            self._take(named(watched, change), story)

    def abandon(self, places: set[str], at: int, story: Story) -> None:
        """Void the cases of places that exist no more; what the engine raised there is withdrawn after."""
        for change in withdraw(self._watched.alerts, places, at):
            self._take(named(self._watched, change), story)
        for case in [case for case in self.open.values() if case.place not in places]:
            with self._apart.handling(case.id, at, story.failures):
                self._flow.end(case, Happening.VOID, at, "definition", story)
        self._settle_ended(at, story)

    def _settle_ended(self, at: int, story: Story) -> None:
        """Move the cases that have ended from the open ones to the remembered ones; forget the oldest.

        After a failure all that follows from the state is made anew.
        """
        broken, self._apart.broken = self._apart.broken, False
        if broken:
            self._flow.pick_up(at)
        self._remember(at)
        if broken:
            self._build(self.state())

    def _remember(self, at: int) -> None:
        if not self._flow.just_ended:
            return
        for case in self._flow.just_ended:
            self.ended[case.id] = case
        self._flow.just_ended.clear()
        while self.ended:
            oldest = next(iter(self.ended.values()))
            if len(self.ended) <= MOST_REMEMBERED and oldest.closed_at > at - REMEMBERED:
                break
            del self.ended[oldest.id]

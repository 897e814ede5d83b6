"""Random interleavings of alerts, answers, receipts, silences, definitions, time and restarts, against the promises.

A test run tries a few dozen; ``make interleavings`` thousands.
"""

from __future__ import annotations

import os
import sys

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sensord.core.cases.case import Case, CaseEvent, Due, Happening, State
from sensord.core.cases.casebook import Story
from sensord.core.cases.notification import Hold, Notification, Reason
from sensord.core.cases.untold import late_ways
from sensord.core.instant import DAY, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.record import Scope, Verb
from tests.core.desk import Desk
from tests.core.machinestreet import DEFINITIONS, PEOPLE, on_duty, whole
from tests.core.street import START

_REPORTS = (Happening.DISPERSED, Happening.FALSE_ALARM)
_OVERTURNS = (Happening.DISAGREE, Happening.RETURN, Happening.RELAPSE)
"""After these, what was reported before counts no more."""
_TOLD = (Happening.FILE, Happening.LEVEL_ROSE, Happening.RELAPSE, Happening.RETURN)
"""Of these people hear, or it is said why not."""
_PLACES = ("G1-L1", "G1-L2", "G2-L1")
_SECOND = st.integers(0, 90)


def _judge_holds(story: Story) -> None:
    """Whoever is off duty is held back from digests, and from the end of what they know nothing of; nobody is asked."""
    ends = {event.id for event in story.events if event.happening in (Happening.CLOSE, Happening.VOID)}
    for hold in story.decisions.holds:
        if hold.reason is Reason.HELD_OFF_DUTY and not hold.key and not _says_end_anew(hold.event):
            assert hold.event in ends, "somebody off duty was looked for instead of somebody on duty"


def _says_end_anew(event: str) -> bool:
    """Whether somebody hears the end over what is left to them, for it has failed over the rest."""
    return event.rpartition(":")[2].startswith("over-")


class Cases(RuleBasedStateMachine):
    """Two desks are told the same; one of them is restarted all the time. What they decide must be the same."""

    @initialize()
    def begin(self) -> None:
        """Open both desks."""
        self.desk, self.twin, self.now = Desk(whole()), Desk(whole()), 0
        self.keys: list[str] = []
        self.waiting: set[str] = set()
        self.reported: set[str] = set()
        self.sent: list[Notification] = []
        self.ends: list[CaseEvent] = []
        self.silences: list[tuple[int, int, Scope]] = []
        self.wide: tuple[int, Level] = (0, Level.NONE)
        self._both("redefine", 0, whole())

    def _both(self, do: str, seconds: int, *args: object, **more: object) -> None:
        self.now += seconds
        story: Story = getattr(self.desk, do)(self.now, *args, **more)
        other: Story = getattr(self.twin, do)(self.now, *args, **more)
        assert story.told == other.told
        assert story.outcomes == other.outcomes
        self._judge(story, silenced=args[0] == "silence" if args else False)

    def _judge(self, story: Story, *, silenced: bool) -> None:
        flow = self.desk.book._flow
        self._judge_ends(story)
        for note in story.decisions.notifications:
            if self._is_end(note):
                continue
            assert on_duty(note.receiver, note.at), "told while off duty"
            assert not self._silenced(note), f"told while silenced: {note}"
            assert not self._inhibited(note), f"told while inhibited: {note}"
            case = self.desk.book.find(note.case)
            said = note.reason not in (Reason.DIGEST, Reason.HELP_NEEDED) and note.at == self._time
            # What fell at the same instant, after it was told, may be silenced as it is now.
            if said and not silenced and case is not None and not case.closed_at and note.level is case.level:
                muted = flow.mutes.of_case(case, flow.rules.get(case.rule), note.at)
                # What inhibits it may have come at the same instant, after it was told.
                assert muted is None or muted[0] is Reason.HELD_INHIBITED, f"told while muted: {note}"
        self.sent += story.decisions.notifications
        self.keys += [note.key for note in story.decisions.notifications]
        assert len(self.keys) == len(set(self.keys)), "told twice under one key"
        for one in story.told:
            if isinstance(one, Notification):
                self.waiting -= {one.key, *one.covers}
            elif isinstance(one, Hold) and one.reason is Reason.HELD_OFF_DUTY:
                self.waiting.discard(one.key)
            elif isinstance(one, Hold) and one.key:
                self.waiting.add(one.key)
        spoke = {one.event for one in story.told if isinstance(one, Notification | Hold)}
        _judge_holds(story)
        for event in story.events:
            looked_again = event.cause == "looked again"
            if (event.happening in _TOLD and event.state is not State.ACCEPTED) or looked_again:
                assert event.id in spoke, f"a page was lost: {event}"
                self._has_steps(event)
            self._follow(event)

    def _is_end(self, note: Notification) -> bool:
        """Whether a message, or a digest by all that it covers, says that cases have ended: that is theirs who know."""
        ends = {one.id for one in self.ends}
        events = {key.rsplit(":", 2)[0] for key in note.covers or (note.key,)}
        return {event for event in events if not _says_end_anew(event)} <= ends

    def _judge_ends(self, story: Story) -> None:
        """Each end is said, or waits for a digest, to everybody who was told before and is on the roster, once."""
        self.ends += (ended := [one for one in story.events if one.happening in (Happening.CLOSE, Happening.VOID)])
        roster = {person.id for person in self.desk.definition.people}
        told = [*self.sent, *story.decisions.notifications]
        for event in ended:
            about = (one for one in told if one.case == event.case and one.event != event.id and not one.covers)
            asked = {one.receiver for one in about}
            hears = [one.receiver for one in story.decisions.notifications if one.event == event.id]
            waits = {one.receiver for one in story.decisions.holds if one.event == event.id and one.key}
            assert asked & roster <= {*hears, *waits}, f"an end was swallowed: {event}"

    def _has_steps(self, event: CaseEvent) -> None:
        """What a plan says of later is on the list of a case that was filed just now."""
        case = self.desk.book.open.get(event.case)
        if case is None or case.muted or event.happening is not Happening.FILE or event.at != self._time:
            return
        steps = next(plan.steps for plan in self.desk.definition.policies if plan.id == case.policy)
        later = {number for number, step in enumerate(steps) if step.after and case.level >= step.at_least}
        assert later <= {number for _, due, number in case.pending if due is Due.STEP}, "a step would never come"

    def _silenced(self, note: Notification) -> bool:
        """Whether an operator asked for quiet about it, and that was before; calls for help are told all the same."""
        if note.reason in (Reason.DIGEST, Reason.HELP_NEEDED):
            return False  # what a digest holds was decided before
        return any(
            start < note.at < until
            and note.level <= scope.up_to
            and note.place.startswith(scope.places or "")
            and (not scope.policies or note.policy in scope.policies)
            and (not scope.people or note.receiver in scope.people)
            for start, until, scope in self.silences
        )

    def _inhibited(self, note: Notification) -> bool:
        """Whether the crowd of the whole grid stood before it, at least as bad, was not silenced, and not voided."""
        since, level = self.wide
        if not any(case.place == "G1" and case.policy == "crowd" for case in self.desk.book.open.values()):
            return False
        quiet = any(scope.places and start <= note.at <= until for start, until, scope in self.silences)
        lesser = note.place.startswith("G1-L") and note.policy == "crowd" and note.level <= Level.ORANGE
        told_later = note.reason in (Reason.DIGEST, Reason.HELP_NEEDED)
        return lesser and not quiet and not told_later and level >= max(Level.ORANGE, note.level) and since < note.at

    def _follow(self, event: CaseEvent) -> None:
        """Keep account of whose case has a report that stands: it does not end as one that nobody reported on.

        The crowd of the whole grid inhibits nothing once its case is void, until it moves.
        """
        if event.happening is Happening.VOID and (event.place, event.policy) == ("G1", "crowd"):
            self.wide = (sys.maxsize, self.wide[1])
        if event.happening in _REPORTS or (event.happening is Happening.ASK and event.note.startswith("close")):
            self.reported.add(event.case)
        elif event.happening in _OVERTURNS:
            self.reported.discard(event.case)
        elif event.happening is Happening.CLOSE and event.case in self.reported:
            assert event.cause != "unreported", "a report was swallowed"

    @property
    def _time(self) -> int:
        return START + self.now * SECOND

    @rule(
        seconds=_SECOND,
        which=st.sampled_from(("density", "crowd-sum", "visitors", "key-area")),
        place=st.sampled_from(_PLACES),
        level=st.sampled_from(Level),
    )
    def alert(self, seconds: int, which: str, place: str, level: Level) -> None:
        """An alert moves to a level."""
        self._both("alert", seconds, level, which, "G1" if which == "crowd-sum" else place)
        if which == "crowd-sum" and level is not self.wide[1]:
            self.wide = (self._time, level)

    @rule(seconds=_SECOND, nth=st.integers(0, 5))
    def turn(self, seconds: int, nth: int) -> None:
        """An alert that stands is over; one that is over comes back."""
        if self.desk.levels:
            which, place = list(self.desk.levels)[nth % len(self.desk.levels)]
            self.alert(seconds, which, place, Level.NONE if self.desk.levels[which, place] else Level.YELLOW)

    @rule(seconds=_SECOND, place=st.sampled_from(_PLACES))
    def another(self, seconds: int, place: str) -> None:
        """An alert on vehicles goes on with another one, perhaps in a case of a higher level, or after a void one."""
        level = self.desk.levels.get(("visitors", place), Level.NONE)
        if level is not Level.NONE:
            self._both("another", seconds, level, "visitors", place)
            held = {alert for case in self.desk.book.open.values() for alert in case.alerts}
            assert f"visitors:{place}" in held, "a vehicle was told to nobody"

    @rule(seconds=_SECOND, verb=st.sampled_from(("return", "void", "extend")), nth=st.integers(0, 5))
    def approve(self, seconds: int, verb: str, nth: int) -> None:
        """Somebody who may gives a case back, or ends it, at whatever stage it is."""
        known = list(self.desk.book.open)
        if known:
            self._both("act", seconds, verb, "值班员-1", known[nth % len(known)], note="原因")

    @rule(
        seconds=_SECOND,
        verb=st.sampled_from([verb.value for verb in Verb if "silence" not in verb.value]),
        by=st.sampled_from([*(person.id for person in PEOPLE), "operator"]),
        nth=st.integers(0, 5),
        note=st.sampled_from(("", "原因")),
    )
    def act(self, seconds: int, verb: str, by: str, nth: int, note: str) -> None:
        """Somebody does something about some case, open or ended."""
        known = [*self.desk.book.open, *self.desk.book.ended]
        name = known[nth % len(known)] if known else "none"
        self._both("act", seconds, verb, by, name, note=note)
        if verb in _REPORTS and name in self.desk.book.open:
            case = self.desk.book.open[name]
            assert case.claimed, "a report was swallowed"

    @rule(seconds=_SECOND, place=st.sampled_from(_PLACES))
    def give_back(self, seconds: int, place: str) -> None:
        """Vehicles have gone, the case is given back, and others come."""
        self.alert(seconds, "visitors", place, Level.NONE)
        cases = [one for one in self.desk.book.open.values() if (one.place, one.policy) == (place, "vehicle")]
        if cases:
            self._both("act", seconds, "return", "值班员-1", cases[0].id, note="原因")
            self.alert(seconds, "visitors", place, Level.YELLOW)

    @rule(
        seconds=_SECOND,
        scope=st.sampled_from(
            (
                Scope(places=("G1",)),
                Scope(policies=("vehicle",), up_to=Level.RED),
                Scope(people=("派出所-1",), up_to=Level.RED),
            )
        ),
        minutes=st.integers(1, 20),
    )
    def silence(self, seconds: int, scope: Scope, minutes: int) -> None:
        """An operator silences something."""
        until = self._time + minutes * MINUTE + seconds * SECOND
        self._both("act", seconds, "silence", "operator", "", scope=scope, note="施工", until=until, via="cli")
        self.silences.append((self._time, until, scope))

    @rule(seconds=_SECOND, nth=st.integers(0, 5))
    def unsilence(self, seconds: int, nth: int) -> None:
        """An operator lifts a silence."""
        names = [one.id for one in self.desk.book.silences]
        if not names:
            return
        lifted = self.desk.book._flow.mutes.silences[names[nth % len(names)]]
        by_now = self._time + seconds * SECOND
        self.silences = [
            (start, min(until, by_now) if (start, scope) == (lifted.start, lifted.scope) else until, scope)
            for start, until, scope in self.silences
        ]
        self._both("act", seconds, "unsilence", "operator", lifted.id, via="cli")

    @rule(seconds=_SECOND, nth=st.integers(0, len(DEFINITIONS) - 1))
    def redefine(self, seconds: int, nth: int) -> None:
        """Another definition comes into force, amid open cases."""
        self._both("redefine", seconds, DEFINITIONS[nth])

    @rule(seconds=_SECOND, nth=st.integers(0, 50), delivery=st.sampled_from(("sent", "delivered", "seen", "failed")))
    def receipt(self, seconds: int, nth: int, delivery: str) -> None:
        """A channel says what became of a message."""
        if self.sent:
            self._both("receipt", seconds, self.sent[nth % len(self.sent)].key, delivery)

    @rule(seconds=st.integers(1, 7200))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self._both("wait", seconds)

    @rule()
    def restart(self) -> None:
        """One of the desks is made again from its bytes."""
        self.twin.restart()

    @invariant()
    def promises(self) -> None:
        """No case without an owner; none ended that alarms; ledgers and levels fit."""
        if not hasattr(self, "desk"):
            return
        for case in self.desk.book.open.values():
            assert case.owner or case.state is State.ACCEPTED
            assert case.level == max(case.alerts.values(), default=Level.NONE)
            assert bool(case.alerts) == (case.cleared_at == 0)
            assert case.claimed == (case.id in self.reported), (
                "an overturned report counts, or one that stands does not"
            )
            assert case.state not in (State.CLOSED, State.VOID)
            self._awaits(case)

    def _awaits(self, case: Case) -> None:
        """No case is forgotten: what is to happen by itself is on its list."""
        listed = {due for _, due, _ in case.pending}
        assert case.alerts or case.state is State.ACCEPTED or Due.GIVE_UP in listed, "nothing would end it"
        calm = not case.alerts and case.state is not State.ACCEPTED
        unheard = case.untold and Due.RECHECK in listed  # all have given it back: whoever comes next hears of it
        late = late_ways(case) > self._time and Due.SETTLE in listed  # told as it was over: a second way is awaited
        assert not (calm and case.policy == "crowd") or unheard or late, "the sensors suffice, and it goes on"
        settling = calm and case.policy == "vehicle" and self._time < case.cleared_at + MINUTE
        assert not settling or Due.SETTLE in listed, "it would not be closed when it has been calm for long enough"
        assert not (case.alerts and case.muted) or Due.RECHECK in listed, "nobody would hear when the mute ends"
        told_later = not listed.isdisjoint((Due.RECHECK, Due.STEP))  # a plan may begin with a step that waits
        assert not (case.alerts and case.state is State.FILED) or told_later, "nobody would ever hear of it"
        ways = {str(number) for _, due, number in case.pending if due is Due.FALLBACK}
        assert set(case.fallbacks) <= ways, "a second way would never be taken"

    def teardown(self) -> None:
        """Calm comes, and time: every case ends, and every message that waited has been told."""
        if not hasattr(self, "desk"):
            return
        for which, place in list(self.desk.levels):
            self._both("alert", 1, Level.NONE, which, place)
            if which == "crowd-sum":
                self.wide = (self._time, Level.NONE)
        self._both("wait", 4 * DAY // SECOND)
        assert not self.desk.book.open, list(self.desk.book.open.values())
        assert not self.waiting, self.waiting


TestCases = Cases.TestCase
TestCases.settings = settings(max_examples=int(os.environ.get("SENSORD_EXAMPLES", "60")), stateful_step_count=40)

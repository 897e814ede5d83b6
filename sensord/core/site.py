"""The whole pure core of one site (a subdistrict): a journal group in, everything that follows from it out.

``Site.step`` is what live running, replay, backtest and a distributed engine all call. Its state is bytes; stepping
on from a restored state is the same as never having stopped.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from copy import copy
from functools import partial

import msgspec

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.casebook import BookState, CaseBook, Outcome, Story
from sensord.core.cases.notice import Notice, decode_notice
from sensord.core.cases.notification import Hold, Notification
from sensord.core.counting import taken, weighed
from sensord.core.definition import Definition, decode_definition
from sensord.core.failure import Failure, Part
from sensord.core.intake.intake import Decoded, Intake
from sensord.core.intake.reader import DeadLetter
from sensord.core.record import Action, Group, Receipt, Record, RecordKind, Verb, kinds
from sensord.core.rules.engine import Engine
from sensord.core.rules.probe import Probe
from sensord.core.shared import places_of
from sensord.core.snapshot import seal, unseal
from sensord.core.vehicles.blind import Blind, Blindness
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.news import news
from sensord.core.vehicles.pseudonym import Pseudonymiser, Secrets
from sensord.core.vehicles.spaces import Spaces
from sensord.core.vehicles.tally import Occupancy, PassageCount, count_passages, quarter
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.trackerstate import load, save
from sensord.decoders import msgpack_decoder
from sensord.errors import PlateKeyError, SnapshotError

APART = frozenset((RecordKind.DEFINITION, RecordKind.NOTICE))
"""Records that are taken by themselves."""
_UNFIT = (LookupError, ValueError, TypeError, ArithmeticError)
"""What building raises when parts of a definition, or of a state, do not fit each other."""
BAD_DEFINITION = "bad_definition"
_Counts = Counter[tuple[str, str]]


class Step(msgspec.Struct):
    """What one journal group (or several in a row) brought. ``at`` is journal time after it.

    ``cases`` are the changed cases in full; ``counts`` is keyed by (stream, outcome); ``gaps``, ``filled`` and
    ``leaps`` are those of ``Decoded``. Reports on vehicles are made of ``passages``, ``occupancy``, ``blind`` and
    ``by_hand``. ``definition``: a new one came into force. ``told`` holds transitions, events, notifications and holds
    together, in the order in which one followed from the other: the same however the journal is cut into groups.
    ``failures`` are mistakes of ours in single parts, all others go on; they are no part of the decisions.
    """

    seq: int
    at: int
    transitions: list[Transition] = []
    events: list[CaseEvent] = []
    cases: list[Case] = []
    notifications: list[Notification] = []
    holds: list[Hold] = []
    outcomes: list[Outcome] = []
    dead: list[DeadLetter] = []
    counts: dict[tuple[str, str], int] = {}
    gaps: Counter[str] = msgspec.field(default_factory=Counter)
    filled: Counter[str] = msgspec.field(default_factory=Counter)
    leaps: Counter[str] = msgspec.field(default_factory=Counter)
    passages: list[PassageCount] = []
    occupancy: list[Occupancy] = []
    blind: list[Blind] = []
    by_hand: list[ByHand] = []
    definition: bool = False
    told: list[Transition | CaseEvent | Notification | Hold] = []
    failures: list[Failure] = []

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing to write down (but the position)."""
        decided, counted = self.told or self.cases, self.passages or self.occupancy or self.blind or self.by_hand
        return not (decided or counted or self.dead or self.definition)

    def decisions(self) -> bytes:
        """Return transitions, events, notifications and holds as JSON lines: the same bytes in every replay."""
        return b"".join(msgspec.json.encode(one) + b"\n" for one in self.told)


class _Body(msgspec.Struct, array_like=True):
    """A site's snapshot: the definition in force and the state of its parts."""

    definition: bytes
    engine: bytes
    intake: bytes
    vehicles: bytes
    book: BookState
    spaces: bytes
    blindness: bytes = b""


_BODY = msgpack_decoder(_Body)


class Site:
    """Steps through the journal. Without a definition it waits for the journal to bring one.

    ``secrets`` are the site keys by name, those of every definition in the journal: the same keys give the same
    outcome. A definition whose keys are missing or others raises ``PlateKeyError``: without them, what was decided
    on vehicles cannot be repeated. One that is ``lenient``, as the running daemon's must be, goes on with vehicles
    sorted and not told apart, for people must hear of crowds; ``unkeyed`` then says why.
    """

    def __init__(
        self, definition: Definition | None = None, secrets: Secrets | None = None, *, lenient: bool = False
    ) -> None:
        self._secrets: Secrets = {} if secrets is None else secrets
        self._lenient, self.unkeyed = lenient, ""
        self._probe: Probe | None = None
        self._build(definition or Definition("", (), (), ()))

    def _build(self, definition: Definition) -> None:
        """Build everything, then take it: a definition that contradicts itself leaves us as we were."""
        pseudonymiser, unkeyed = self._pseudonymiser(definition)
        places = places_of(definition)
        intake = Intake(definition, places, pseudonymiser)
        tracker = Tracker(definition, places, on=pseudonymiser is not None)
        engine = Engine(definition, places, followed=tracker.on)
        engine.others = tracker.lengths.others
        book = CaseBook(definition, places)
        self.definition, self.places = definition, places
        self.intake, self.tracker, self.engine, self.book = intake, tracker, engine, book
        self.spaces, self.blindness = Spaces(definition, places), Blindness(places, on=tracker.on)
        self.engine.probe, self.unkeyed = self._probe, unkeyed

    def _pseudonymiser(self, definition: Definition) -> tuple[Pseudonymiser | None, str]:
        """What tells vehicles apart, if anything does, and why it cannot although it should."""
        if not definition.plate_keys:
            return None, ""
        try:
            return Pseudonymiser(definition.plate_keys, definition.tracking.overlap, self._secrets), ""
        except PlateKeyError as error:
            if not self._lenient:
                raise
            return None, str(error)

    def watch(self, probe: Probe | None) -> None:
        """Let a probe look on from here on, across new definitions, too."""
        self._probe = self.engine.probe = probe

    def step(self, group: Group) -> Step:
        """Take one journal group. Never raises for bad input: that becomes dead letters.

        It is cut where a replay cuts it, which hands us each record that is taken by itself in a group of its own.
        """
        step = Step(group.seq, group.received_at)
        story, counts = Story(), _Counts()
        start = 0
        for index, record in () if APART.isdisjoint(kinds(group.records)) else enumerate(group.records):
            if record.kind not in APART:
                continue
            if record.kind == RecordKind.DEFINITION:
                self._until(record, group.records[start:index], start, step, story, counts)
                self._collect(counts)  # the tracker will be another one
                self._redefine(record, step, story)
            else:
                notice = _read_notice(index, record, step)
                if notice is not None and notice.used is not None:
                    self.book.count_on(notice.used, story)  # before what came due since then is decided
                self._until(record, group.records[start:index], start, step, story, counts)
                if notice is not None:
                    self.book.notice(notice, record.received_at, story)
            start = index + 1
            self._stretch((), start, record.received_at, step, story, counts)
        if start < len(group.records):
            self._stretch(group.records[start:], start, group.received_at, step, story, counts)
        return self._closed(step, story, counts)

    def take(self, seq: int, decoded: Decoded) -> Step:
        """Take what was decoded before (read from columns, or shared by several sites); the same as stepping it.

        Its devices are positions in this site's registry. The intake is not asked.
        """
        step, story = Step(seq, decoded.batch.now), Story()
        self._decoded(decoded, decoded.batch.now, step, story)
        return self._closed(step, story, Counter(decoded.counts))

    def _closed(self, step: Step, story: Story, counts: _Counts) -> Step:
        """Put what happened to the cases, and what was counted, into the step."""
        step.transitions, step.events, step.outcomes = story.transitions, story.events, story.outcomes
        step.notifications, step.holds, step.told = story.decisions.notifications, story.decisions.holds, story.told
        step.failures = story.failures
        step.cases = [msgspec.structs.replace(case) for case in story.changed.values()]
        self._collect(counts)
        step.counts = dict(+counts)
        changed = step.occupancy or step.definition or step.by_hand
        if self.tracker.on and (changed or any(name == "visit" for name, _ in step.counts)):
            step.occupancy += self.tracker.inside(quarter(step.at))
        return step

    def _collect(self, counts: _Counts) -> None:
        """Take what the tracker has counted since this was last done."""
        counts.update(self.tracker.counts)
        self.tracker.counts.clear()

    def _until(
        self, record: Record, before: Sequence[Record], first: int, step: Step, story: Story, counts: _Counts
    ) -> None:
        """Feed the records before one that is taken by itself, then let the time until then pass."""
        if before:
            self._stretch(before, first, before[-1].received_at, step, story, counts)
        self._stretch((), first, record.received_at, step, story, counts)

    def _stretch(
        self, records: Sequence[Record], first: int, now: int, step: Step, story: Story, counts: _Counts
    ) -> None:
        """Decode records under one definition and feed them, stopping at each action."""
        decoded = self.intake.decode(tuple(records), now, first)
        counts.update(decoded.counts)
        self._decoded(decoded, now, step, story)

    def _decoded(self, decoded: Decoded, now: int, step: Step, story: Story) -> None:
        step.dead += decoded.dead
        step.gaps, step.filled = step.gaps + decoded.gaps, step.filled + decoded.filled
        step.leaps += decoded.leaps
        story.failures += decoded.failures
        done = 0
        for position, at, action in decoded.actions:
            self._feed(decoded.batch.cut(done, position, at), step, story)
            if isinstance(action, Receipt):
                self.book.receipt(action, at, story)
            elif action.verb == Verb.COUNT:
                self._count(action, at, step, story)
            else:
                self.book.action(action, at, story)
            done = position
        self._feed(decoded.batch.cut(done, len(decoded.batch), now) if done else decoded.batch, step, story)

    def _count(self, action: Action, at: int, step: Step, story: Story) -> None:
        """Somebody has counted the vehicles inside a compound; when taking that fails, vehicles are followed anew."""
        if not self.book.action(action, at, story, weighed(action, at, self.tracker)):
            return
        said: Batch | None = None
        with story.failures.apart(Part.VEHICLES, "tracker", at):
            by_hand, said = taken(action, at, self.tracker, self.spaces, self.engine)
            step.by_hand.append(by_hand)
        if said is None:
            self._follow_anew(at, step)
        else:
            self._judge(said, story)

    def _feed(self, batch: Batch, step: Step, story: Story) -> None:
        self._judge(self._followed(batch, step, story), story)

    def _judge(self, batch: Batch, story: Story, rule: str = "") -> None:
        """Let rules (or one rule) look at readings, and cases follow from that."""
        changed = self.engine.feed(batch, partial(self._beside, batch, story), rule)
        self._hear_engine(story)
        for transition in changed:
            self.book.transition(transition, story)
        with story.failures.apart(Part.VEHICLES, "spaces", batch.now):
            self.spaces.observe(batch)
        self.book.advance(batch.now, story)

    def _hear_engine(self, story: Story) -> None:
        """Take what failed in the engine since this was last done."""
        story.failures += self.engine.failures
        self.engine.failures.clear()

    def _beside(self, batch: Batch, story: Story, transition: Transition, position: int) -> Transition:
        with story.failures.apart(Part.VEHICLES, "spaces", transition.at):
            return self.spaces.beside(batch, transition, position)
        return transition  # without them

    def _followed(self, batch: Batch, step: Step, story: Story) -> Batch:
        """The batch with what is to be said of vehicles; when that fails they are followed anew, and crowds go on."""
        with story.failures.apart(Part.VEHICLES, "tracker", batch.now):
            step.blind += self.blindness.take(batch)
            seen = self.tracker.take(batch)
            step.passages += count_passages(seen, self.places)
            step.occupancy += self.tracker.occupancy
            self.tracker.occupancy.clear()
            return seen
        self._follow_anew(batch.now, step)
        return batch

    def _follow_anew(self, at: int, step: Step) -> None:
        """Forget all vehicles, as if there had been no site keys for a moment: who is inside is not known for long."""
        step.blind += self.blindness.begin_anew(at)
        before, self.spaces = self.spaces, Spaces(self.definition, self.places)
        self.spaces.carry_over(before, anew=True)
        self.tracker = Tracker(self.definition, self.places, on=self.tracker.on)
        self.tracker.begin(at)
        self.engine.follow_anew(at)

    def _redefine(self, record: Record, step: Step, story: Story) -> None:
        """Put a new definition into force. Where a mistake of ours keeps it from that, all is as it was before it."""
        at, kept, then = record.received_at, b"", Story()
        with story.failures.apart(Part.STATE, "snapshot", at):
            kept = self.snapshot()
        try:
            self._put_in_force(record, step, then)
        except Exception as error:  # whatever it is: it must not keep people from hearing of the rest
            if not kept or isinstance(error, PlateKeyError):
                raise
            story.failures.caught(Part.DEFINITION, "definition", at, error)
            step.dead.append(DeadLetter(0, at, "", BAD_DEFINITION, type(error).__name__))
            vars(self).update(vars(Site.restored(kept, self._secrets, lenient=self._lenient)) | {"_probe": self._probe})
            self.engine.probe = self._probe
            known = self.book.ended | self.book.open
            story.changed = {name: known.get(name, case) for name, case in story.changed.items()}
        else:
            story.go_on(then)

    def _put_in_force(self, record: Record, step: Step, story: Story) -> None:
        """Let another definition hold, if it is one; whatever it leaves unchanged goes on without a seam."""
        was, intake = copy(self), self.intake.save()
        # Afterwards nobody may be followed, or some compounds be gone.
        inside = was.tracker.inside(quarter(record.received_at)) if was.tracker.on else []
        try:
            self._build(decode_definition(record.payload))
        except (msgspec.DecodeError, RecursionError, *_UNFIT) as error:
            step.dead.append(DeadLetter(0, record.received_at, "", BAD_DEFINITION, str(error)[:200]))
            return
        self.intake.restore(intake)
        self.tracker.carry_over(was.tracker, record.received_at)
        self.tracker.begin(record.received_at)
        self.spaces.carry_over(was.spaces, anew=self.tracker.on != was.tracker.on)
        self.blindness.carry_over(was.blindness, record.received_at)
        changed = self.engine.carry_over(was.engine, record.received_at)
        self._hear_engine(story)
        was.book.abandon(set(self.places.by_id), record.received_at, story)
        for transition in (one for one in changed if not one.rises):
            was.book.transition(transition, story)
        state = was.book.handed_over(self.definition, record.received_at, story)
        self.book = CaseBook(self.definition, self.places, state)
        self.book.begin(record.received_at, was.definition, story)
        for transition in (one for one in changed if one.rises):
            self.book.transition(transition, story)  # the book before may know neither its rule nor its place
        fresh = list[tuple[str, Batch]]()
        with story.failures.apart(Part.VEHICLES, "tracker", record.received_at):
            fresh += news(self.tracker, was.tracker, record.received_at)
        for rule, batch in fresh:
            self._judge(batch, story, rule)
        step.occupancy, step.definition = step.occupancy + inside, True

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        definition, vehicles = self.definition.encode(), save(self.tracker)
        intake, spaces, blindness = self.intake.save(), self.spaces.save(), self.blindness.save()
        return seal(_Body(definition, self.engine.snapshot(), intake, vehicles, self.book.state(), spaces, blindness))

    @classmethod
    def restored(cls, state: bytes, secrets: Secrets | None = None, *, lenient: bool = False) -> Site:
        """Build a site from a snapshot; raises ``SnapshotError`` when it is damaged or of another version."""
        try:
            body = _BODY.decode(unseal(state))
            site = cls(decode_definition(body.definition), secrets, lenient=lenient)
            site.engine.restore(body.engine)
            site.intake.restore(body.intake)
            load(site.tracker, body.vehicles)
            site.spaces.restore(body.spaces)
            site.blindness.restore(body.blindness)
            site.book = CaseBook(site.definition, site.places, body.book)
        except (msgspec.DecodeError, RecursionError, zlib.error, *_UNFIT) as error:
            raise SnapshotError(f"the snapshot cannot be read: {error}") from error
        return site


def action_record(action: Action, received_at: int) -> Record:
    """Make the journal record of an operator's action."""
    return Record(RecordKind.ACTION, received_at, "", msgspec.json.encode(action))


def receipt_record(receipt: Receipt, received_at: int) -> Record:
    """Make the journal record of what became of a message."""
    return Record(RecordKind.RECEIPT, received_at, "", msgspec.json.encode(receipt))


def _read_notice(index: int, record: Record, step: Step) -> Notice | None:
    """A trouble of the daemon itself; one that cannot be read is a dead letter."""
    try:
        return decode_notice(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        step.dead.append(DeadLetter(index, record.received_at, "", "bad_notice", str(error)[:200]))
        return None


def notice_record(notice: Notice, received_at: int) -> Record:
    """Make the journal record of a trouble of the daemon itself."""
    return Record(RecordKind.NOTICE, received_at, "", msgspec.json.encode(notice))


def definition_record(definition: Definition, received_at: int) -> Record:
    """Make the journal record of a definition that comes into force."""
    return Record(RecordKind.DEFINITION, received_at, "", definition.encode())

"""A whole stream, drawn from a seed as it is lived through: what people answer depends on what they were told.

Some wild hours (readings, silence, troubles, reloads, commands, receipts), then calm: every device speaks, all is
empty, everybody answers, and days pass.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import msgspec

from sensord.core.cases.notice import Notice, Trouble
from sensord.core.cases.notification import Notification
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device
from sensord.core.record import Action, Delivery, Group, Receipt, Record, RecordKind, Scope, Verb
from sensord.core.site import Site, Step, action_record, definition_record, notice_record, receipt_record
from sensord.core.stream import Stream
from tests.core import traffic, wholestreet
from tests.core.wholechanges import changed
from tests.core.wholestreet import START

WILD, CALM, LONG = 45 * MINUTE, 30 * MINUTE, 100 * HOUR
ANSWERS = [verb.value for verb in Verb if verb not in (Verb.SILENCE, Verb.UNSILENCE, Verb.COUNT)]
_CROWDS = (3, 3, 20, 60, 120, 400)

Draw = Callable[[], Record | None]


class Life:
    """One stream: its records, and what a site made of them that took each in a group of its own."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = self.began = START + self.dice.randrange(3) * HOUR
        self.ends = self.began + WILD
        self.site, self.records, self.steps = Site(None, traffic.SECRETS), list[Record](), list[Step]()
        self.definition: Definition = wholestreet.definition()
        self._agenda: list[tuple[int, int, Draw]] = []
        self._number, self._seq = count(), count(1)
        self._crowd = dict.fromkeys(wholestreet.LANES, 3)
        self._silent: dict[str, int] = {}
        self._take(definition_record(self.definition, self.now))
        self._begin()

    def lived(self) -> Life:
        """The whole of it."""
        while self._agenda and self._agenda[0][0] < self.ends:
            at, _, draw = heappop(self._agenda)
            self.now = max(at, self.now)
            record = draw()
            if record is not None:
                self._take(record)
        self._agenda.clear()
        self._calm()
        return self

    def _begin(self) -> None:
        for device in self.definition.devices:
            self._again(device.period, lambda name=device.id: self._speak(name))  # type: ignore[misc]
        for every, draw in (
            (MINUTE, self._vehicle),
            (90 * SECOND, lambda: Record(RecordKind.TICK, self.now)),
            (4 * MINUTE, self._somebody),
            (5 * MINUTE, self._reload),
            (10 * MINUTE, self._trouble),
            (15 * MINUTE, self._silence),
            (7 * MINUTE, self._count),
            (10 * MINUTE, self._garbage),
            (8 * MINUTE, self._fall_silent),
        ):
            self._again(every, draw)

    def _again(self, every: int, draw: Draw) -> None:
        """Let something be drawn again and again; now and then at the very instant of what came before."""

        def once() -> Record | None:
            self._again(every, draw)
            return draw()

        wait = int(every * self.dice.uniform(0.5, 1.3))
        self._at(wait - wait % SECOND if self.dice.random() < 0.3 else wait, once)

    def _at(self, after: int, draw: Draw) -> None:
        heappush(self._agenda, (self.now + after, next(self._number), draw))

    def _take(self, record: Record) -> None:
        step = self.site.step(Group(next(self._seq), (record,)))
        self.records.append(record)
        self.steps.append(step)
        for note in step.notifications:
            self._hear(note)

    # -- what devices say --------------------------------------------------------------------------------------------

    def _speak(self, name: str) -> Record | None:
        device = next((one for one in self.definition.devices if one.id == name), None)
        if device is None or self._silent.get(name, 0) > self.now:
            return None
        late = self.dice.choice((0, 0, 0, 0, 1, 3, 40)) * SECOND
        return self._message(device, self._content(device), late)

    def _content(self, device: Device) -> dict[str, object]:
        dice = self.dice
        if device.stream is Stream.CROWD:
            if dice.random() < 0.15:
                self._crowd[device.place] = dice.choice(_CROWDS)
            return {"count": self._crowd.get(device.place, 3) + dice.randrange(4)}
        if device.stream is Stream.LEVEL:
            return {"value": dice.choice((0, 1, 3, 20))}
        if device.stream is Stream.REPORT:
            return {"severity": dice.choice(("blue", "yellow", "orange", "red"))}
        return {"battery": 80}

    def _message(self, device: Device, body: dict[str, object], late: int = 0) -> Record:
        kind = "status" if "battery" in body else device.stream.word
        place = self._compound(device.place)
        text = json.dumps({**body, "at": (self.now - late) / 1e6}, ensure_ascii=False).encode()
        return Record(RecordKind.MESSAGE, self.now, f"t/{place}/{kind}/{device.id}", text)

    def _compound(self, place: str) -> str:
        found = next((one for one in self.definition.places if one.id == place), None)
        return (found.compound if found is not None else None) or place[:2]

    def _vehicle(self) -> Record | None:
        """A vehicle at some gate, read once or more often, perhaps wrongly."""
        dice = self.dice
        cameras = [one for one in self.definition.devices if one.stream is Stream.PLATE]
        if not cameras:
            return None
        device, plate = dice.choice(cameras), dice.choice(traffic.PLATES)
        if plate and dice.random() < 0.15:
            plate = plate.replace(dice.choice(plate), dice.choice("08B5S2Z"))
        body: dict[str, object] = {"plate": plate, "direction": dice.choice(("in", "in", "out")), "confidence": 0.95}
        for _ in range(dice.choice((0, 0, 1, 2))):
            doubt = {**body, "confidence": dice.choice((0.4, 0.7, 0.85, 0.99))}
            self._at(dice.choice((0, SECOND // 2, 2 * SECOND)), lambda doubt=doubt: self._message(device, doubt))  # type: ignore[misc]
        return self._message(device, body, dice.choice((0, 0, 0, 1, 40)) * SECOND)

    def _fall_silent(self) -> None:
        device = self.dice.choice(self.definition.devices)
        self._silent[device.id] = self.now + self.dice.choice((5, 20, 60)) * MINUTE

    def _garbage(self) -> Record:
        topic, body = self.dice.choice(
            (
                ("t/C1/crowd/crowd-C1-L1", b"{"),
                ("t/C1/crowd/nobody", b'{"count": 3}'),
                ("t/C1/plate/cam-C1-N", b'{"plate": 7}'),
                ("t/commands/by/nobody/none", b'{"verb": "acknowledge"}'),
            )
        )
        return Record(RecordKind.MESSAGE, self.now, topic, body, duplicate=self.dice.random() < 0.5)

    # -- what people and the daemon say ------------------------------------------------------------------------------

    def _hear(self, note: Notification) -> None:
        """A channel says what becomes of a message, and the receiver may answer."""
        dice = self.dice
        for delivery in dice.choice(((), ("sent",), ("failed",), ("sent", "delivered", "seen"), ("failed", "sent"))):
            receipt = Receipt(note.key, Delivery(delivery))
            self._at(dice.randrange(90) * SECOND, lambda one=receipt: receipt_record(one, self.now))  # type: ignore[misc]
        if dice.random() < 0.4:
            action = Action(dice.choice(ANSWERS), note.case, note.receiver, "link", dice.choice(("", "因故")))
            self._at(dice.randrange(400) * SECOND, lambda: self._act(action))

    def _act(self, action: Action) -> Record:
        """What somebody does, by a link or by a command over MQTT."""
        if action.verb == Verb.EXTEND:
            action = msgspec.structs.replace(action, until=self.now + 30 * MINUTE)
        if self.dice.random() < 0.7:
            return action_record(action, self.now)
        said = {"verb": action.verb, "note": action.note, "until": action.until}
        topic = f"t/commands/by/{action.by}/{action.case}"
        return Record(RecordKind.MESSAGE, self.now, topic, json.dumps(said).encode())

    def _somebody(self) -> Record:
        """Anybody says anything about any case, open, ended or never there."""
        book = self.site.book
        case = self.dice.choice([*book.open, *book.ended, "none"])
        by = self.dice.choice([*(person.id for person in self.definition.people), "operator"])
        return self._act(Action(self.dice.choice(ANSWERS), case, by, "cli", self.dice.choice(("", "因故"))))

    def _silence(self) -> Record:
        """Something is silenced, or a silence is lifted."""
        silences = self.site.book.silences
        if silences and self.dice.random() < 0.5:
            return action_record(Action("unsilence", self.dice.choice(silences).id, "operator"), self.now)
        scope = self.dice.choice(
            (
                Scope(("C1",)),
                Scope(("G1",), up_to=Level.YELLOW),
                Scope(rules=("watched",)),
                Scope(policies=("vehicle",), up_to=Level.RED),
                Scope(people=("派出所-1",), up_to=Level.RED),
            )
        )
        until = self.now + self.dice.choice((1, 10, 60)) * MINUTE
        name = f"s{self.dice.randrange(3)}"
        return action_record(Action("silence", name, "operator", "cli", "施工", until, scope), self.now)

    def _count(self) -> Record:
        """Somebody counts the vehicles in a compound, or makes a slip of the pen."""
        where, vehicles = self.dice.choice(("C1", "C1", "C2", "C3", "L1")), self.dice.choice((0, 1, 2, 3, 5, 9, 50, -1))
        return action_record(Action("count", where, "operator", vehicles=vehicles, at=self.now), self.now)

    def _trouble(self) -> Record:
        trouble = self.dice.choice(tuple(Trouble))
        return notice_record(Notice(trouble, self.dice.random() < 0.5), self.now)

    def _reload(self) -> Record:
        self.definition = changed(self.dice, self.definition)
        return definition_record(self.definition, self.now)

    # -- calm --------------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """Troubles and silences are over, every device speaks for a while, everybody answers; then days pass."""
        for trouble in Trouble:
            self._take(notice_record(Notice(trouble, active=False), self.now))
        for silence in self.site.book.silences:
            self._take(action_record(Action("unsilence", silence.id, "operator"), self.now))
        for minute in range(CALM // MINUTE):
            self._all_speak(even=minute % 2 == 0)
            if minute % 10 == 9:
                self._all_answer()
        for _ in range(LONG // (4 * HOUR)):
            self._pass(4 * HOUR)
            self._all_answer()

    def _pass(self, time: int) -> None:
        self.now += time
        self._take(Record(RecordKind.TICK, self.now))

    def _all_speak(self, *, even: bool) -> None:
        body: dict[Stream, dict[str, object]] = {Stream.CROWD: {"count": 3}, Stream.LEVEL: {"value": 20}}
        for device in self.definition.devices:
            if even or device.stream is Stream.CROWD:
                self.now += SECOND
                self._take(self._message(device, body.get(device.stream, {"battery": 80})))
        self._pass(MINUTE - SECOND * 20)

    def _all_answer(self) -> None:
        for case in [one for one in self.site.book.open.values() if not one.alerts]:
            by = next(iter(case.told), "operator")
            self._take(action_record(Action("dispersed", case.id, by), self.now))

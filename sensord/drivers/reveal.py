"""From a pseudonym back to the plate: read from the journal, for as long as that keeps it, and from nowhere else.

Nothing here is for logs or for storing. Whoever calls writes the access down first (``sensord.ports.AccessRegister``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import takewhile
from typing import NamedTuple, Protocol

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import HOUR
from sensord.core.intake.codec import CODECS, Context
from sensord.core.intake.topic import TopicTemplate
from sensord.core.reading import Topic
from sensord.core.record import Group, Record, RecordKind
from sensord.core.stream import Stream
from sensord.core.token import number
from sensord.core.vehicles.plate import recognise
from sensord.core.vehicles.pseudonym import Pseudonymiser, Secrets
from sensord.errors import DecodeError, StoreError
from sensord.ports import AccessRegister, JournalReader

_KEPT_EVERY = 2 * HOUR
"""One saved state an hour is kept as long as the journal: within so long after its beginning there is one."""


class SearchableJournal(JournalReader, Protocol):
    """A journal as it is now, which says where it begins; it is closed after each question."""

    @property
    def first_seq(self) -> int:
        """The oldest kept group's ``seq``; 0 when there is none."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class Found(NamedTuple):
    """A reading of the vehicle: the plate in its one form, the device that saw it, when its message arrived (ns)."""

    plate: str
    device: str
    at: int


class Held(NamedTuple):
    """The definition that was in force after the journal's group ``seq``."""

    seq: int
    definition: Definition


class _Terms:
    """How cameras' messages were to be read under a definition: their topics, and the codec that each speaks."""

    def __init__(self, definition: Definition) -> None:
        self._topics = TopicTemplate(definition.topics)
        self._codecs = {device.id: device.codec for device in definition.devices}
        self._context = Context.of(definition.zone, definition.devices)

    def read(self, record: Record) -> tuple[str, list[str]]:
        """The camera that a record is of, and the plates that it shows; "" and none for any other."""
        parts = self._topics.parts(record.topic) if record.kind == RecordKind.MESSAGE else None
        if parts is None or parts.get("kind") != Stream.PLATE.word:
            return "", []
        device = parts["device"]
        topic = Topic(parts.get("compound", ""), Stream.PLATE, device)
        try:
            readings = CODECS[self._codecs.get(device, "native")](topic, record.payload, self._context)
        except DecodeError:
            return device, []
        seen = (one.plate for one in readings if one.plate is not None)
        return device, [recognise(one.text, one.colour).text for one in seen]


class Revealer:
    """Finds plates in the journal that ``open_journal`` opens; safe from any thread.

    ``definition`` is the one in force: its keys are tried, ``zone`` is its time zone. Which topics were cameras' and
    which codec each spoke is told by the definition of that time: the journal has it where it changed, and ``saved``
    knows one that was in force at or before an instant (ns), if any is kept.
    """

    def __init__(
        self,
        open_journal: Callable[[], SearchableJournal],
        definition: Definition,
        secrets: Secrets,
        saved: Callable[[int], Held | None] = lambda _: None,
    ) -> None:
        self._open, self._saved = open_journal, saved
        self._now = _Terms(definition)
        self.zone = definition.zone
        self._who = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, secrets)

    def at(self, vehicle: str, seen_at: int) -> str:
        """Return the plate behind a pseudonym from the message that arrived at ``seen_at`` (ns); "" when it is gone."""
        token = number(vehicle)
        with closing(self._open()) as journal:
            upto = takewhile(lambda record: record.received_at <= seen_at, _records(_from(journal, seen_at)))
            shown = [one for one in upto if one.received_at == seen_at and one.kind == RecordKind.MESSAGE]
            plate = self._among(shown, self._now, token)
            return plate or (self._among(shown, self._then(journal, seen_at), token) if shown else "")

    def everywhere(self, vehicle: str) -> Iterator[Found]:
        """Yield every kept reading of the vehicle, oldest first: the whole journal is read for it."""
        token = number(vehicle)
        with closing(self._open()) as journal:
            ways: list[_Terms] = []
            for record in _records(_all(journal)):
                ways = ways or self._at_the_beginning(record.received_at)
                if record.kind == RecordKind.DEFINITION:
                    definition = _definition(record)
                    ways = ways if definition is None else [_Terms(definition)]
                for terms in ways:
                    if plate := self._plate(record, terms, token):
                        yield Found(plate, terms.read(record)[0], record.received_at)
                        break

    def _at_the_beginning(self, at: int) -> list[_Terms]:
        """How messages may have been read before the first definition that the journal still holds."""
        held = self._saved(at + _KEPT_EVERY)
        return [self._now, *([] if held is None else [_Terms(held.definition)])]

    def _then(self, journal: SearchableJournal, at: int) -> _Terms:
        """How messages were read at an instant (ns)."""
        held = self._saved(at)
        definition = None if held is None else held.definition
        records = _records(_all(journal, 0 if held is None else held.seq))
        for record in takewhile(lambda record: record.received_at <= at, records):
            if record.kind == RecordKind.DEFINITION:
                definition = _definition(record) or definition
        return self._now if definition is None else _Terms(definition)

    def _among(self, records: Iterable[Record], terms: _Terms, token: int) -> str:
        return next((plate for record in records if (plate := self._plate(record, terms, token))), "")

    def _plate(self, record: Record, terms: _Terms, token: int) -> str:
        """The plate of a camera's message when it is that vehicle's, under whichever key."""
        return next((plate for plate in terms.read(record)[1] if plate and token in self._who.every(plate)), "")


def _definition(record: Record) -> Definition | None:
    """The definition of a record; None for one that cannot be read: it never came into force."""
    try:
        return decode_definition(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _records(groups: Iterable[Group]) -> Iterator[Record]:
    return (record for group in groups for record in group.records)


def _all(journal: SearchableJournal, after: int = 0) -> Iterator[Group]:
    """Yield every group after ``after``."""
    while groups := journal.read(after):
        yield from groups
        after = groups[-1].seq


def _from(journal: SearchableJournal, instant: int) -> Iterator[Group]:
    """Yield the groups from the first on that may hold a record of this instant."""
    low, high = journal.first_seq, journal.last_seq
    while low < high:
        middle = (low + high) // 2
        groups = journal.read(middle - 1, 1)
        if groups and groups[0].received_at < instant:
            low = middle + 1
        else:
            high = middle
    after = low - 1
    while groups := journal.read(after, 8):
        yield from groups
        after = groups[-1].seq


class MaskFiller:
    """Puts the mask of a plate in its place: for channels that others may listen to, such as topics of a broker."""

    def concerns(self, notification: Notification) -> bool:
        """Whether the message is about vehicles."""
        return notification.vehicle is not None or bool(notification.vehicles)

    def fill(self, notification: Notification) -> Notification:
        """Return the message as its receiver may read it."""
        text = notification.text
        if notification.vehicle is not None:
            text = text.replace(PLATE, self._shown(notification, notification.vehicle))
        for vehicle in notification.vehicles:
            text = text.replace(PLATE, self._shown(notification, vehicle), 1)
        return msgspec.structs.replace(notification, text=text)

    def _shown(self, _notification: Notification, vehicle: Vehicle) -> str:
        return vehicle.mask


class PlateFiller(MaskFiller):
    """Puts the plate into a message for those who may see it, when it is delivered, and writes that down first.

    A plate that the journal no longer holds, or that cannot be written down, is shown masked. ``revealer`` makes one
    for the definition in force.
    """

    def __init__(self, revealer: Callable[[], Revealer], register: AccessRegister) -> None:
        self._revealer, self._register = revealer, register

    def _shown(self, notification: Notification, vehicle: Vehicle) -> str:
        """The plate of one vehicle, once that is written down; else its mask."""
        with contextlib.suppress(StoreError):
            revealer = self._revealer()
            if plate := revealer.at(vehicle.id, vehicle.seen_at):
                self._register.sent(msgspec.structs.replace(notification, vehicle=vehicle), revealer.zone)
                return plate
        return vehicle.mask

"""From a pseudonym back to the plate: read from the journal, for as long as that keeps it, and from nowhere else.

Nothing here is for logs or for storing. Whoever calls writes the access down first (``sensord.ports.AccessRegister``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple, Protocol

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.definition import Definition
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


class Revealer:
    """Finds plates in the journal that ``open_journal`` opens; safe from any thread.

    ``definition`` says which topics are cameras' and which codec each speaks; ``zone`` is its time zone.
    """

    def __init__(self, open_journal: Callable[[], SearchableJournal], definition: Definition, secrets: Secrets) -> None:
        self._open = open_journal
        self._topics = TopicTemplate(definition.topics)
        self._codecs = {device.id: device.codec for device in definition.devices}
        self.zone = definition.zone
        self._context = Context.of(definition.zone, definition.devices)
        self._who = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, secrets)

    def at(self, vehicle: str, seen_at: int) -> str:
        """Return the plate behind a pseudonym from the message that arrived at ``seen_at`` (ns); "" when it is gone."""
        token = number(vehicle)
        with closing(self._open()) as journal:
            for group in _from(journal, seen_at):
                for record in group.records:
                    if record.received_at > seen_at:
                        return ""
                    if record.received_at == seen_at and (plate := self._plate(record, token)):
                        return plate
        return ""

    def everywhere(self, vehicle: str) -> Iterator[Found]:
        """Yield every kept reading of the vehicle, oldest first: the whole journal is read for it."""
        token, after = number(vehicle), 0
        with closing(self._open()) as journal:
            while groups := journal.read(after):
                for record in (record for group in groups for record in group.records):
                    if plate := self._plate(record, token):
                        yield Found(plate, (self._topics.parts(record.topic) or {})["device"], record.received_at)
                after = groups[-1].seq

    def _plate(self, record: Record, token: int) -> str:
        """The plate of a camera's message when it is that vehicle's, under whichever key."""
        parts = self._topics.parts(record.topic) if record.kind == RecordKind.MESSAGE else None
        if parts is None or parts.get("kind") != Stream.PLATE.word:
            return ""
        device = parts["device"]
        topic = Topic(parts.get("compound", ""), Stream.PLATE, device)
        try:
            readings = CODECS[self._codecs.get(device, "native")](topic, record.payload, self._context)
        except DecodeError:
            return ""
        for reading in readings:
            seen = reading.plate
            plate = recognise(seen.text, seen.colour).text if seen is not None else ""
            if plate and token in self._who.every(plate):
                return plate
        return ""


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

"""Takes persons out of recorded messages: plates become made-up ones, free texts and reporters disappear.

A made-up plate keeps province, city letter and length, and so its class; one true plate always becomes the same
made-up one under one key, so counts, pairs and repeats stay what they were. What does not stay: two readings of one
plate that differ in a character become two unrelated plates. A plate in a topic or in a device's name is blotted out:
it named no device, and names none; so is one in a text of the definition (names, messages, runbooks), and in whatever
people, gateways and notices said: those are put together anew from what is known of them. A message that is no proper
native message might hold anything, so only its size is kept: it was a dead letter, and it stays one (``not_json``).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator

import msgspec

from sensord.core.cases.notice import Notice
from sensord.core.definition import Definition, decode_definition
from sensord.core.intake.codec.context import Colours, Context
from sensord.core.intake.codec.native import DECODERS, Message, Plate, Report
from sensord.core.intake.plainjson import refuse_depth, refuse_repeated_keys
from sensord.core.intake.spoken import Command, counted_at
from sensord.core.intake.topic import TopicTemplate
from sensord.core.record import Action, Receipt, Record, RecordKind
from sensord.core.stream import BY_WORD, Stream
from sensord.core.vehicles.blot import without_plates
from sensord.core.vehicles.plate import Plate as Recognised
from sensord.core.vehicles.plate import PlateRead, PlateTable, recognise
from sensord.core.vehicles.pseudonym import MADE_UP_KEYS
from sensord.core.vehicles.tracking import LONGEST_PREFIX, PlateAreas
from sensord.decoders import json_decoder
from sensord.errors import DecodeError

_TEXTS = frozenset(("name", "name_en", "ask", "message", "labels", "runbook", "major", "minor"))
"""Where people write what they like in a definition; the rest are identifiers, which other parts name."""
_COMMAND: msgspec.json.Decoder[object] = json_decoder(Command)
_SPOKEN: dict[int, msgspec.json.Decoder[object]] = {
    RecordKind.ACTION: json_decoder(Action),
    RecordKind.RECEIPT: json_decoder(Receipt),
    RecordKind.NOTICE: json_decoder(Notice),
}
"""How what is no camera's or sensor's is read, by the record's kind."""
_REMARK = "***"
"""In the place of a remark: what needs one (a silence, an approval) stays what it was."""
_SERIAL = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_DIGITS = "0123456789"
_TRIES = 64
_SURE = 1.0


class Pseudonyms:
    """Made-up plates under a key (bytes that nobody keeps, or that a site keeps to compare recordings)."""

    def __init__(self, key: bytes, areas: PlateAreas, colours: Colours) -> None:
        self._key, self._table, self._colours = key, PlateTable(areas), colours

    def message(self, true: Plate, device: str, at: int) -> Plate:
        """Return a device's message with a made-up plate, its colour in a word that means the same everywhere."""
        if true.plate is None:
            return msgspec.structs.replace(true, color=true.color and without_plates(true.color))
        colour = self._colours.get(device, {}).get(true.color or "", true.color or "")
        plate, colour = self.plate(PlateRead(true.plate, _SURE, colour=colour), at)
        return msgspec.structs.replace(true, plate=plate, color=without_plates(colour) or None)

    def plate(self, true: PlateRead, at: int) -> tuple[str, str]:
        """Return the made-up plate of a true one, and its colour, which may have stood in front of it.

        It has the same class at ``at`` (ns), the same prefix, and the same kinds of characters.
        """
        plate = recognise(true.text, true.colour)
        plain, colour = plate.text, true.colour or plate.colour
        sort = self._table.classify(plain, _SURE, at)
        if sort == "none":
            return plain, colour
        for attempt in range(_TRIES):
            made = self._make(plate, attempt)
            if made != plain and self._table.classify(made, _SURE, at) == sort:
                return made, colour
        return "?" * len(plain), colour

    def _make(self, plate: Recognised, attempt: int) -> str:
        digest = hmac.new(self._key, f"{attempt} {plate.text}".encode(), hashlib.sha256).digest()
        kept, rest = plate.head, plate.text.removeprefix(plate.head)
        made = "".join(
            (_DIGITS if one.isdigit() else _SERIAL[:24] if one.isascii() and one.isalpha() else one)[
                digest[place] % (10 if one.isdigit() else 24 if one.isascii() and one.isalpha() else 1)
            ]
            for place, one in enumerate(rest)
        )
        return kept + made


def anonymise(records: Iterable[Record], key: bytes | None) -> Iterator[Record]:
    """Yield the records without persons in them; see the module's text for what stays the same.

    Without a ``key`` cameras' messages, site keys and the watch list stay as they are, and only the rest goes.
    """
    pseudonyms = None if key is None else Pseudonyms(key, PlateAreas(), {})
    template = TopicTemplate(Definition("", (), (), ()).topics)
    for record in records:
        if record.kind == RecordKind.DEFINITION:
            definition = _without_persons(decode_definition(record.payload))
            definition = definition if key is None else _without_plates(definition)
            colours = Context.of(definition.zone, definition.devices).colours
            pseudonyms = None if key is None else Pseudonyms(key, definition.plates, colours)
            template = TopicTemplate(definition.topics)
            yield msgspec.structs.replace(record, payload=definition.encode())
        elif record.kind == RecordKind.MESSAGE:
            yield _cleaned(record, template, pseudonyms)
        elif record.kind in _SPOKEN:
            yield _said(record, _SPOKEN[record.kind])
        else:
            yield record


def _without_persons(definition: Definition) -> Definition:
    """People stay as roles; their telephone numbers and addresses go, and remarks on maintenance."""
    people = tuple(
        msgspec.structs.replace(
            person,
            contacts=tuple(msgspec.structs.replace(contact, address="") for contact in person.contacts),
        )
        for person in definition.people
    )
    maintenance = tuple(msgspec.structs.replace(one, note="") for one in definition.maintenance)
    return msgspec.structs.replace(definition, people=people, maintenance=maintenance)


def _without_plates(definition: Definition) -> Definition:
    """Vehicles that were followed are followed on, under the key for made-up plates; the watch list goes.

    So do areas that are plates, or all but (earlier versions took them), and plates in texts.
    """
    definition = decode_definition(msgspec.json.encode(_blotted(msgspec.json.decode(definition.encode()))))
    keys = MADE_UP_KEYS if definition.plate_keys else ()
    areas = tuple(area for area in definition.plates.key if len(area.prefix) <= LONGEST_PREFIX)
    local = tuple(prefix for prefix in definition.plates.local if len(prefix) <= LONGEST_PREFIX)
    plates = msgspec.structs.replace(definition.plates, local=local, key=areas, watch=())
    return msgspec.structs.replace(definition, plates=plates, plate_keys=keys)


def _blotted(part: object, *, text: bool = False) -> object:
    """A part of a definition, as plain values, with no plate in what people wrote; all of a part that is ``text``."""
    if isinstance(part, str):
        return without_plates(part) if text else part
    if isinstance(part, list | tuple):
        return [_blotted(one, text=text) for one in part]
    if isinstance(part, dict):
        bare = {without_plates(name) if text else name: one for name, one in part.items()}
        return {name: _blotted(one, text=text or name in _TEXTS) for name, one in bare.items()}
    return part


def _cleaned(record: Record, template: TopicTemplate, pseudonyms: Pseudonyms | None) -> Record:
    parts = template.parts(record.topic) or {}
    kind, device = parts.get("kind", ""), parts.get("device", "")
    if pseudonyms is not None:  # a gateway may take the plate for the camera's name
        record = msgspec.structs.replace(record, topic=without_plates(record.topic))
    if kind not in BY_WORD:
        return _said(record, _COMMAND)
    if pseudonyms is None and kind == Stream.PLATE.word:
        return record
    try:
        message = DECODERS[BY_WORD[kind]].decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _blank(record)
    payload = _encoded(message, BY_WORD[kind], pseudonyms, device, record.received_at)
    return msgspec.structs.replace(record, payload=payload)


def _encoded(message: Message, stream: Stream, pseudonyms: Pseudonyms | None, device: str, at: int) -> bytes:
    if message.device:
        message = msgspec.structs.replace(message, device=without_plates(message.device))
    if stream is Stream.PLATE:
        assert isinstance(message, Plate)
        assert pseudonyms is not None
        message = pseudonyms.message(message, device, at)
    elif stream is Stream.REPORT:
        assert isinstance(message, Report)
        message = msgspec.structs.replace(message, text="", by="", code=without_plates(message.code))
    known = msgspec.to_builtins(message)
    needed = {"plate"} if stream is Stream.PLATE else set()
    return msgspec.json.encode({name: value for name, value in known.items() if value is not None or name in needed})


def _said(record: Record, decoder: msgspec.json.Decoder[object]) -> Record:
    """What somebody did, or what became of it, from known fields alone: a remark is only said to have been there."""
    try:
        refuse_depth(record.payload)
        told = decoder.decode(record.payload)
        refuse_repeated_keys(record.payload)
        if isinstance(told, Command):
            told = msgspec.structs.replace(told, at=told.at if counted_at(told, "UTC") else None)
    except (msgspec.DecodeError, DecodeError, UnicodeDecodeError, RecursionError):
        return _blank(record)
    if isinstance(told, Command | Action) and told.note:
        told = msgspec.structs.replace(told, note=_REMARK)
    bare = _blotted(msgspec.to_builtins(told), text=True)
    return msgspec.structs.replace(record, payload=msgspec.json.encode(bare))


def _blank(record: Record) -> Record:
    return msgspec.structs.replace(record, payload=b"!" * max(len(record.payload), 1))

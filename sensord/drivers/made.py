"""Made-up messages of devices, for rule tests: native messages on the topics that the configuration gives them."""

from __future__ import annotations

import msgspec

from sensord.config.pattern import Item
from sensord.config.ruletest import Sent
from sensord.core.definition import Definition
from sensord.core.instant import MILLISECOND
from sensord.core.intake.topic import TopicTemplate
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import Stream
from sensord.core.vehicles.plate import PlateTable
from sensord.core.vehicles.tracking import PlateAreas

_LETTERS = "ABCDEFGHJK"
_PROVINCES = "苏浙皖赣鲁豫鄂湘粤闽"


class Messages:
    """Writes messages as devices would send them."""

    def __init__(self, definition: Definition, start: int) -> None:
        self._start = start
        self._places = Places(definition.places, definition.devices)
        self._topic = TopicTemplate(definition.topics)
        self._plates = definition.plates
        self._vehicles = 0

    def record(self, sent: Sent) -> Record:
        """Make the record of a message that arrives at its instant."""
        device = self._places.devices[self._places.device_index[sent.device]]
        compound = self._places.above(device.place, PlaceKind.COMPOUND) or device.place
        body: dict[str, Item] = dict(sent.body)
        if sent.stream is Stream.PLATE:
            self._vehicles += 1
            body |= _vehicle(str(body.get("plate", "local")), self._vehicles, self._plates, self._start + sent.at)
        if sent.stamp is not None:
            body["at"] = (self._start + sent.stamp) / MILLISECOND
        topic = self._topic.fill(compound=compound, kind=sent.stream.word, device=device.id)
        return Record(RecordKind.MESSAGE, self._start + sent.at, topic, msgspec.json.encode(body))


def _vehicle(word: str, count: int, areas: PlateAreas, at: int) -> dict[str, Item]:
    """A made-up vehicle of a class: ``class#n`` is always the same one, a plain class another one each time."""
    sort, _, number = word.partition("#")
    if sort in ("none", "unread"):
        return {"plate": None} if sort == "none" else {"plate": _made(areas, "local", 1, at), "confidence": 0.1}
    return {"plate": _made(areas, sort, _numbered(number) if number else count, at)}


def _numbered(text: str) -> int:
    """Turn what stands after ``#`` into a number, the same in every run."""
    return int.from_bytes(text.encode()[-6:], "big")


def _made(areas: PlateAreas, sort: str, number: int, at: int) -> str:
    """Write a plate of mainland form (GA 36-2018) that means no vehicle and is of a class at the instant ``at``.

    No two differ by one digit only.
    """
    serial = f"{number * 61_813 % 100_000:05d}"
    table = PlateTable(areas)
    keys = [area.prefix for area in areas.key]
    prefixes = [*areas.local, *keys, *(f"{province}{letter}" for province in _PROVINCES for letter in _LETTERS)]
    for prefix in prefixes:
        whole = prefix if len(prefix) > 1 else f"{prefix}A"
        plate = whole + serial[len(whole) - 2 :] if sort != "special" else f"{whole[:2]}{serial[1:]}警"
        if table.classify(plate, 1.0, at) == sort:
            return plate
    raise ValueError(f"no plate is of the class {sort} with the prefixes of vehicles.yaml")

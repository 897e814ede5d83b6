"""What a camera's own numbers for colours mean: written with the camera, and known wherever its messages are read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from sensord.core.instant import SECOND
from sensord.core.intake.reader import Reader
from sensord.core.place import Places
from sensord.core.record import Record
from sensord.core.stream import PLATE_CLASS
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.drivers.reveal import Revealer
from sensord.store.journal import Journal
from sensord.store.reader import DirectoryReader
from tests.core.traffic import KEYS, MONDAY, SECRETS, definition, devices, passage, token

PLATE, HYPHENED = "苏E24680", "苏E-24680"
"""Blue it can only be that plate; in another colour it may be a green one with a character unread."""
COLOURED = definition(
    devices=tuple(
        msgspec.structs.replace(one, colours=(("1", "blue"), ("2", "green"))) if one.id == "cam-C1-N" else one
        for one in devices()
    )
)


def seen(gate: str, colour: str, at: int) -> Record:
    """A camera reads the hyphened plate, and says its colour in its own way."""
    record = passage(gate, at, HYPHENED)
    return msgspec.structs.replace(record, payload=json.dumps(json.loads(record.payload) | {"color": colour}).encode())


def test_a_cameras_numbers_mean_what_is_written_with_it() -> None:
    """Other numbers of it mean nothing, and so do numbers of another camera; words mean themselves."""
    reader = Reader(COLOURED, Places(COLOURED.places, COLOURED.devices), Pseudonymiser(KEYS, 0, SECRETS))
    said = [("C1-N", "1"), ("C1-N", "2"), ("C1-N", "3"), ("C1-S", "1"), ("C1-N", "blue"), ("C1-S", "蓝")]
    read = reader.read([seen(*one, MONDAY + place * SECOND) for place, one in enumerate(said)])
    sorts = [PLATE_CLASS.words[code] for code in read.labels["class"].tolist()]
    assert sorts == ["out_of_town", "unread", "unread", "unread", "out_of_town", "out_of_town"]


def test_such_a_plate_is_revealed(tmp_path: Path) -> None:
    """The journal is read with the same meaning of the numbers."""
    journal = Journal(tmp_path / "journal")
    journal.append([seen("C1-N", "1", MONDAY)])
    journal.close()
    found = Revealer(lambda: DirectoryReader(tmp_path / "journal"), COLOURED, SECRETS)
    assert found.at(word(token(PLATE)), MONDAY) == PLATE

"""Back from a pseudonym to a plate: out of the journal only, for as long as that keeps it, and never unwritten."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from sensord.core.alert import Vehicle
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.tracking import PlateKey
from sensord.drivers.reveal import Held, MaskFiller, PlateFiller, Revealer
from sensord.errors import StoreError
from sensord.store.access import AccessLog
from sensord.store.journal import Journal
from sensord.store.reader import DirectoryReader
from tests.core.street import grouped
from tests.core.traffic import KEYS, MONDAY, PLATES, SECRETS, definition, passage, site, token

TRUE = "苏E24680"
PLATES_SEEN = [plate for plate in PLATES if plate is not None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of three days, one passage an hour, ten groups a day."""
    journal = Journal(tmp_path / "journal", zone="Asia/Shanghai")
    for hour in range(72):
        at = MONDAY + hour * HOUR
        plate = PLATES_SEEN[hour % len(PLATES_SEEN)]
        journal.append([Record(RecordKind.TICK, at - SECOND), passage("C1-N", at, plate)])
    journal.close()
    return tmp_path


def revealer(folder: Path, **changes: object) -> Revealer:
    """A revealer on the journal."""
    return Revealer(lambda: DirectoryReader(folder / "journal"), definition(**changes), SECRETS)


def test_a_plate_is_found_where_it_was_seen(folder: Path) -> None:
    """By its pseudonym and the arrival of its message; another instant or another pseudonym finds nothing."""
    at = MONDAY + PLATES_SEEN.index(TRUE) * HOUR
    found = revealer(folder)
    assert found.at(word(token(TRUE)), at) == TRUE
    assert found.at(word(token(TRUE)), at + 1) == ""
    assert found.at(word(token("沪A12345")), at) == ""
    assert found.at(word(token(TRUE)), MONDAY - DAY) == ""
    assert found.at(word(token(TRUE)), MONDAY + 30 * DAY) == ""


def test_everywhere_a_vehicle_was_seen(folder: Path) -> None:
    """The whole journal is read; the readings come oldest first."""
    found = list(revealer(folder).everywhere(word(token(TRUE))))
    assert {(one.plate, one.device) for one in found} == {(TRUE, "cam-C1-N")}
    assert [one.at for one in found] == [MONDAY + hour * HOUR for hour in range(72) if hour % 8 == 3]


MOVED = "street/{compound}/{kind}/{device}"
"""Where cameras publish from the second day on."""


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A journal in which cameras' topics change twice: the definition of its first day has gone with its beginning."""
    journal = Journal(tmp_path / "journal", zone="Asia/Shanghai")
    journal.append([passage("C1-N", MONDAY, TRUE)])
    for at, topics in ((MONDAY + HOUR, MOVED), (MONDAY + 2 * HOUR, "elsewhere/{compound}/{kind}/{device}")):
        shown = passage("C1-N", at + SECOND, TRUE)
        topic = topics.format(compound="C1", kind="plate", device="cam-C1-N")
        journal.append([definition_record(definition(topics=topics), at), replace(shown, topic=topic)])
    journal.close()
    return tmp_path


@pytest.mark.parametrize("hour", [0, 1, 2])
def test_a_plate_is_found_though_the_topics_have_changed_since(moved: Path, hour: int) -> None:
    """Messages are read as they were when they came, by the definitions in the journal and by what was saved."""
    held = Held(0, definition())
    now = definition(topics="elsewhere/{compound}/{kind}/{device}")
    found = Revealer(lambda: DirectoryReader(moved / "journal"), now, SECRETS, lambda _: held)
    vehicle, at = word(token(TRUE)), MONDAY + hour * HOUR + (SECOND if hour else 0)
    assert found.at(vehicle, at) == TRUE
    assert [one.at for one in found.everywhere(vehicle)][hour] == at
    assert {one.device for one in found.everywhere(vehicle)} == {"cam-C1-N"}


def test_a_saved_state_is_where_the_search_for_the_definition_begins(moved: Path) -> None:
    """What was in force before it is none of its business: the journal is not read again from its start."""
    now = definition(topics="nowhere/{compound}/{kind}/{device}")
    found = Revealer(
        lambda: DirectoryReader(moved / "journal"), now, SECRETS, lambda _: Held(2, definition(topics=MOVED))
    )
    assert found.at(word(token(TRUE)), MONDAY + HOUR + SECOND) == TRUE
    assert found.at(word(token(TRUE)), MONDAY + 2 * HOUR + SECOND) == TRUE


def test_a_pseudonym_of_a_former_key_is_still_revealed(folder: Path) -> None:
    """Rotation does not cut off the journal: every key of the ring is tried."""
    second = PlateKey("k2", MONDAY + DAY, check_value(SECRETS["k2"]))
    newer = Pseudonymiser((second,), 0, SECRETS).identify(TRUE, MONDAY).token
    found = revealer(folder, plate_keys=(*KEYS, second))
    at = MONDAY + PLATES_SEEN.index(TRUE) * HOUR
    assert found.at(word(token(TRUE)), at) == found.at(word(newer), at) == TRUE


def test_after_its_keeping_a_plate_is_gone(folder: Path) -> None:
    """Pruning unlinks the day's file: the plate is in no file of the journal, and cannot be revealed any more."""
    unique, at = "桂F97531", MONDAY + 12 * HOUR
    extra = Journal(folder / "other", zone="Asia/Shanghai")
    extra.append([passage("C1-N", at, unique)])
    for day in (1, 2, 40):
        extra.append([passage("C1-N", MONDAY + day * DAY, TRUE)])

    def holding() -> list[Path]:
        return [path for path in (folder / "other").rglob("*") if path.is_file() and _holds(path, unique)]

    def found() -> str:
        return Revealer(lambda: DirectoryReader(folder / "other"), definition(), SECRETS).at(word(token(unique)), at)

    assert found() == unique
    extra.close()
    assert holding()
    extra = Journal(folder / "other", zone="Asia/Shanghai")
    extra.prune(30 * DAY, MONDAY + 41 * DAY, extra.last_seq + 1)
    assert not holding()
    assert found() == ""
    extra.close()
    assert not holding()


def _holds(path: Path, plate: str) -> bool:
    raw = path.read_bytes()
    wanted = plate.encode()
    if wanted in raw:
        return True
    places = (place for place in range(len(raw)) if raw[place : place + 1] == b"\x78")
    for place in places:  # blobs are compressed
        try:
            if wanted in zlib.decompressobj().decompress(raw[place:]):
                return True
        except zlib.error:
            continue
    return False


def notification(seen_at: int, plate: str = TRUE) -> Notification:
    """What the core decides for the police on a passage."""
    following, notices = site(), list[Notification]()
    for group in grouped([passage("C1-N", seen_at, plate)], [1]):
        notices += following.step(group).notifications
    return next(one for one in notices if one.role == "police")


def test_a_message_to_the_police_gets_its_plate_on_the_way_out(folder: Path) -> None:
    """The stored message holds a mark; what is delivered holds the plate, and the access is written down."""
    at = MONDAY + PLATES_SEEN.index(TRUE) * HOUR
    stored, log = notification(at), AccessLog(folder)
    filled = PlateFiller(lambda: revealer(folder), log).fill(stored)
    assert TRUE in filled.text
    assert TRUE not in msgspec.json.encode(stored).decode()
    assert PLATE not in filled.text
    (access,) = log.entries()
    assert access.at.endswith("+08:00"), "like every other access"
    assert (access.by, access.vehicle, access.via, access.case) == (
        "派出所-1",
        word(token(TRUE)),
        "people",
        stored.case,
    )


def test_each_mark_of_a_digest_becomes_its_own_plate(folder: Path) -> None:
    """Two vehicles, the second of which the journal does not know: a plate, then a mask; one access is written down."""
    at = MONDAY + PLATES_SEEN.index(TRUE) * HOUR
    stored, log = notification(at), AccessLog(folder)
    assert stored.vehicle is not None
    unknown = msgspec.structs.replace(stored.vehicle, id=word(token("桂F97531")), mask="桂F·**531")
    pair = (stored.vehicle, unknown)
    digest = msgspec.structs.replace(stored, text=f"{PLATE}、{PLATE}", vehicle=None, vehicles=pair)
    filler = PlateFiller(lambda: revealer(folder), log)
    assert filler.concerns(digest)
    assert filler.fill(digest).text == f"{TRUE}、桂F·**531"
    assert [access.vehicle for access in log.entries()] == [word(token(TRUE))]


def test_on_a_channel_that_many_hear_a_plate_is_masked(folder: Path) -> None:
    """Also for those who may see plates, and whether or not the journal holds it."""
    stored = notification(MONDAY + PLATES_SEEN.index(TRUE) * HOUR)
    assert MaskFiller().concerns(stored)
    filled = MaskFiller().fill(stored)
    assert "苏E·**680" in filled.text
    assert not any(word in filled.text for word in (TRUE, PLATE))


def test_what_cannot_be_revealed_or_written_down_stays_masked(folder: Path) -> None:
    """A plate that the journal no longer holds, or an access that cannot be written down, is a mask."""
    at = MONDAY + PLATES_SEEN.index(TRUE) * HOUR
    gone = PlateFiller(lambda: revealer(folder), AccessLog(folder)).fill(notification(MONDAY + 61 * SECOND))
    assert "苏E·**680" in gone.text

    class Full:
        def sent(self, notification: Notification, zone: str) -> None:
            raise StoreError("the disk is full")

    masked = PlateFiller(lambda: revealer(folder), Full()).fill(notification(at))
    assert "苏E·**680" in masked.text
    assert TRUE not in masked.text
    assert isinstance(masked.vehicle, Vehicle)

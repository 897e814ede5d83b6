"""One message that brings a mistake of ours about keeps no other from being read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sensord.core.batch import CLOCK_SUSPECT
from sensord.core.failure import Part
from sensord.core.instant import SECOND
from sensord.core.intake import rows
from sensord.core.intake.codec.native import decode_together
from sensord.core.intake.memory import Memories
from sensord.core.intake.reader import Reader
from sensord.core.place import Device
from sensord.core.record import Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.core.vehicles.sighting import Identifier
from tests.core.street import START, definition, devices, grouped, message
from tests.core.test_intake import intake

pytestmark = pytest.mark.usefixtures("in_service")
CROWD, CAMERA = devices()[0], devices()[4]
NOW = START + 60 * SECOND
PLATE = "沪A12345"


class MistakeError(Exception):
    """What nobody has thought of."""


def crowd(number: int, count: int = 7, device: Device = CROWD) -> Record:
    """A reading, by its number."""
    return message(device, START + number * SECOND // 10, {"count": count, "boot": 1, "seq": number})


def many(culprit: int = 11) -> list[Record]:
    """Readings of which one shows 666 people, with an answer among them."""
    answer = Record(RecordKind.MESSAGE, START + SECOND, "t/commands/by/居委干部-1/none", b'{"verb":"acknowledge"}')
    read = [crowd(number, 666 if number == culprit else number + 1) for number in range(24)]
    return [*read[:10], answer, *read[10:]]


def failing(whole: Callable[..., Any], wrong: Callable[..., bool]) -> Callable[..., Any]:
    """The same, but that it fails where something is so."""

    def half(*args: Any) -> Any:
        if wrong(*args):
            raise MistakeError(PLATE)
        return whole(*args)

    return half


def test_only_the_culprit_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded together or alone, whatever cannot be is a dead letter; all others count, in their order."""
    alone = failing(rows._of_one, lambda _route, payload, _context: b"666" in payload)
    together = failing(decode_together, lambda _stream, payloads, *_: any(b"666" in one for one in payloads))
    monkeypatch.setattr(rows, "_of_one", alone)
    monkeypatch.setattr(rows, "decode_together", together)
    out = intake().decode(many(), NOW, 5)
    assert out.batch.fields["count"].tolist() == [number + 1 for number in range(24) if number != 11]
    assert [(place, action.verb) for place, _, action in out.actions if hasattr(action, "verb")] == [
        (10, "acknowledge")
    ]
    (letter,) = out.dead
    assert (letter.index, letter.topic, letter.reason, letter.detail) == (
        5 + 12,
        "t/C1/crowd/crowd-0",
        "internal",
        "MistakeError",
    )
    last = out.failures[-1]
    assert (last.part, last.what, last.why) == (Part.MESSAGE, "t/C1/crowd/crowd-0", "MistakeError")
    assert all("in half" in one.trace and PLATE not in str(one) for one in out.failures)


def test_what_cannot_be_decoded_together_is_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, and it is known."""
    monkeypatch.setattr(rows, "decode_together", failing(decode_together, lambda *_: True))
    out = intake().decode(many(), NOW)
    assert len(out.batch) == 24
    assert not out.dead
    assert [failure.what for failure in out.failures] == ["crowd"]


def test_a_plate_that_cannot_be_sorted_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its payload nor what the mistake says of it is kept."""
    wrong = failing(Identifier.see, lambda _self, read, _at: read.text == PLATE)
    monkeypatch.setattr(Identifier, "see", wrong)
    seen = [
        message(CAMERA, START + number, {"plate": plate, "direction": "in"})
        for number, plate in enumerate(("苏E24680", PLATE, "皖K12345"))
    ]
    out = intake().decode(seen, NOW)
    assert len(out.batch) == 2
    assert [(letter.index, letter.reason) for letter in out.dead] == [(1, "internal")]
    assert "A12345" not in f"{out.dead}{out.failures}"


def test_what_can_only_not_be_read_together_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all of them are set aside, and what people say goes on."""
    monkeypatch.setattr(Reader, "_labels", failing(Reader._labels, lambda _self, read, _at: len(read) > 20))
    records = [*many(), Record(RecordKind.ACTION, NOW, "", b'{"verb":"close","case":"none","by":"x"}')]
    out = intake().decode(records, NOW)
    assert len(out.batch) == 0
    assert {letter.reason for letter in out.dead} == {"internal"}
    assert [place for place, *_ in out.actions] == [0]


def test_a_strangers_topic_is_told_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold anything."""
    monkeypatch.setattr("sensord.core.intake.reader.unknown_topic", failing(str, lambda *_: True))
    out = intake().decode([crowd(1), Record(RecordKind.MESSAGE, START, f"a/{PLATE}", b""), crowd(2)], NOW)
    assert len(out.batch) == 2
    assert [(letter.topic, letter.reason) for letter in out.dead] == [("", "internal")]
    assert "A12345" not in f"{out.dead}{out.failures}"


@pytest.mark.parametrize("others", [3, 60], ids=["one by one", "many at once"])
def test_a_device_of_which_nothing_can_be_remembered_is_heard(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reading counts as of its arrival, and the device is new to us; others are judged as ever."""
    more = tuple(Device(f"more-{number}", CROWD.stream, CROWD.place, 10 * SECOND) for number in range(others))
    whole = definition(devices=(*devices(), *more))
    site = Site(whole)

    def step(number: int) -> list[Record]:
        at = START + number * SECOND
        lag = SECOND * 3 // 2 if number == 4 else SECOND  # half a second more than the clock explains
        body: dict[str, object] = {"count": 7, "boot": 1, "seq": number, "at": (at - lag) / 1e6}
        return [message(device, at, body) for device in (CROWD, *more)]

    for number in (1, 2, 3):
        site.step(grouped(step(number), [500])[0])
    wrong = failing(Memories._learn, lambda _self, one, _judged: one.device == 0)
    with monkeypatch.context() as patch:
        patch.setattr(Memories, "_learn", wrong)
        patch.setattr(Memories, "_usual", lambda self, rows, arrivals, _judged: arrivals.device[rows] < 0)
        out = site.intake.decode(step(4), START + 4 * SECOND)
    assert [(failure.part, failure.what) for failure in out.failures] == [(Part.MESSAGE, "crowd-0")]
    assert len(out.batch) == 1 + others
    assert out.batch.flags.tolist() == [CLOCK_SUSPECT, *([0] * others)]
    assert out.batch.event_at.tolist() == [START + 4 * SECOND, *([START + 7 * SECOND // 2] * others)]
    again = site.intake.decode(step(5), START + 5 * SECOND)
    assert not again.failures
    assert len(again.batch) == 1 + others


def test_the_site_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the dead letter, in the same step; the same records give the same, however they are cut."""
    monkeypatch.setattr(rows, "_of_one", failing(rows._of_one, lambda _route, payload, _context: b"666" in payload))
    monkeypatch.setattr(rows, "FEW", 500)
    records = [definition_record(definition(), START), *many()]

    def run(size: int) -> tuple[list[str], bytes]:
        site = Site()
        steps = [site.step(group) for group in grouped(records, [size])]
        assert [letter.reason for step in steps for letter in step.dead] == ["internal"]
        assert [failure.what for step in steps for failure in step.failures] == ["t/C1/crowd/crowd-0"]
        return [str(step.counts) for step in steps if size == 500], site.snapshot()

    assert run(1)[1] == run(7)[1] == run(500)[1]


def test_a_lack_of_memory_is_no_messages_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how the process stands."""

    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(rows, "_of_one", short)
    with pytest.raises(MemoryError):
        intake().decode([crowd(1)], NOW)

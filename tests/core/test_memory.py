"""Many devices at once: readings judged together are judged as one by one, whatever else is in the group."""

from __future__ import annotations

import json
import random
from itertools import cycle

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.intake.intake import Decoded, Intake
from sensord.core.intake.memory import MANY
from sensord.core.intake.repeats import LEAP
from sensord.core.intake.rows import FEW
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import Stream
from tests.core.street import START

DEVICES = 2 * MANY
PERIOD = 10 * SECOND
ROUNDS = 40
GARBAGE = (b"", b"{", b"[]", b'{"count": -1}', b'{"at": 1}', b'{"count": 1, "at": 1e300}', b'{"count": 1e400}', b"\xff")


def street() -> Definition:
    """Lanes with a sensor each; every seventh place has no known area."""
    street = Place("street", PlaceKind.STREET, "街道")
    grid, compound = (
        Place("G1", PlaceKind.GRID, "网格", parent="street"),
        Place("C1", PlaceKind.COMPOUND, "小区", parent="G1"),
    )
    lanes = [
        Place(f"L{n}", PlaceKind.LANE, f"{n}弄", parent="G1", compound="C1", area_m2=None if n % 7 == 0 else 10.0 + n)
        for n in range(DEVICES)
    ]
    streams = (Stream.CROWD, Stream.CROWD, Stream.CROWD, Stream.LEVEL, Stream.PLATE)
    devices = [Device(f"d-{n}", streams[n % len(streams)], f"L{n}", PERIOD) for n in range(DEVICES)]
    return Definition(
        "Asia/Shanghai", (street, grid, compound, *lanes), tuple(devices), (), topics="t/{compound}/{kind}/{device}"
    )


def content(device: Device, chance: random.Random) -> dict[str, object]:
    """What a device measures."""
    if device.stream is Stream.PLATE:
        return {"plate": f"沪A1234{chance.randrange(10)}", "direction": chance.choice(("in", "out"))}
    if device.stream is Stream.LEVEL:
        return {"value": chance.random()}
    return {name: chance.randrange(9) for name in chance.sample(("count", "enter", "exit"), chance.randint(1, 3))}


def sent(seed: int) -> list[Record]:
    """Minutes of readings of many devices, each with a way of its own of going wrong, now and then."""
    chance, whole = random.Random(seed), street()
    skew = {device.id: chance.choice((0, 0, 0, 30, -300, 200_000, -START // SECOND)) for device in whole.devices}
    step = {device.id: chance.choice((1, 1, 1, 1, 10 * LEAP)) for device in whole.devices}
    seq, boot, records = dict.fromkeys(skew, 0), dict.fromkeys(skew, 1), list[Record]()
    for number in range(ROUNDS):
        for device in whole.devices:
            at = START + number * PERIOD + chance.randrange(PERIOD)
            if chance.random() < 0.02:
                boot[device.id], seq[device.id] = boot[device.id] + 1, 0
            seq[device.id] += step[device.id]
            seq[device.id] += 0 if chance.random() < 0.95 else chance.choice((2, 2, 2 * LEAP, -2 * LEAP))
            seq[device.id] = max(seq[device.id], 0)
            if chance.random() < 0.02:
                skew[device.id] += chance.choice((-40, 40))
            stamp = (at // 1_000_000 - chance.randrange(500)) + 1000 * skew[device.id]
            message: dict[str, object] = {"boot": boot[device.id], "seq": seq[device.id], "at": stamp} | content(
                device, chance
            )
            nothing = chance.random() < 0.05
            for way in ("at", "boot", "seq"):
                if nothing or chance.random() < 0.02:
                    del message[way]
            if chance.random() < 0.02:
                message["device"] = chance.choice((device.id, "d-0"))
            if chance.random() < 0.02:
                message["at"] = chance.choice(
                    ("2023-11-14T22:15:00Z", "2023-11-14T22:15:00", "9999-12-31T00:00:00Z", "soon")
                )
            payload = chance.choice(GARBAGE) if chance.random() < 0.02 else json.dumps(message).encode()
            kind = "status" if chance.random() < 0.02 else device.stream.word
            payload = b'{"battery": 50, "seq": 7}' if kind == "status" else payload
            late = chance.random() < 0.03
            record = Record(
                RecordKind.MESSAGE,
                at + (chance.randrange(1, 60) * SECOND if late else 0),
                f"t/C1/{kind}/{device.id}",
                payload,
            )
            records += arrivals(record, at, chance)
            if chance.random() < 0.01:
                records.append(Record(RecordKind.ACTION, at, "", b'{"verb": "close", "case": "x", "by": "y"}'))
    return sorted(records, key=lambda record: record.received_at)


def arrivals(record: Record, at: int, chance: random.Random) -> list[Record]:
    """A message as it arrives: now and then ahead of its turn at ``at``, too, or twice, or in its turn no more."""
    ahead = [msgspec.structs.replace(record, received_at=at, ahead=True)] if chance.random() < 0.05 else []
    turns = (0, 1) if ahead else (1,)  # the broker may have dropped what waited
    again = [msgspec.structs.replace(record, duplicate=chance.random() < 0.5)] if chance.random() < 0.05 else []
    return ahead + [record] * (1 if again else chance.choice(turns)) + again


def run(records: list[Record], *sizes: int) -> tuple[list[str], dict[tuple[str, str], int], int, bytes]:
    """Decode in groups of these sizes, in turn; return all that came of it, row by row, and the state at the end."""
    whole = street()
    intake, told = Intake(whole, Places(whole.places, whole.devices)), list[object]()
    rows, counts, gaps = 0, dict[tuple[str, str], int](), 0
    start, size = 0, cycle(sizes)
    while group := records[start : start + next(size)]:
        out = intake.decode(tuple(group), group[-1].received_at, start)
        told += readings(out) + [(letter.index, letter.reason) for letter in out.dead]
        told += [(rows + before, at) for before, at, _ in out.actions]
        rows, gaps = rows + len(out.batch), gaps + 1000 * out.gaps.total() + out.filled.total()
        gaps += 10**12 * out.leaps.total()
        for key, amount in out.counts.items():
            counts[key] = counts.get(key, 0) + amount
        start += len(group)
    return sorted(map(repr, told)), counts, gaps, intake.save()


def readings(out: Decoded) -> list[object]:
    """The rows of a batch, every column that a row has something in."""
    batch = out.batch
    columns = {name: np.asarray(column, np.float64) for name, column in {**batch.fields, **batch.labels}.items()}
    whole = (batch.stream, batch.device, batch.event_at, batch.received_at, batch.flags)
    some = [
        sorted(
            (name, column[row].item())
            for name, column in columns.items()
            if not np.isnan(column[row]) and column[row] != -1
        )
        for row in range(len(batch))
    ]
    return list(zip(*(column.tolist() for column in whole), some, strict=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_group_of_many_devices_is_one_reading_after_the_other(seed: int) -> None:
    """Groups too small for it, just big enough, and big: the same readings, refusals, counts, and the same state."""
    records = sent(seed)
    alone = run(records, min(FEW, MANY) - 1)
    assert {outcome for _, outcome in alone[1]} == {"accepted", "late", "duplicate", "clock_suspect"}
    for size in (MANY + 9, 1_000, len(records)):
        assert run(records, size) == alone


def test_what_came_ahead_and_never_in_its_turn_is_forgotten_at_its_successors() -> None:
    """The broker has dropped it: its successor is no usual reading, for it takes the memory of it away."""
    chance, whole = random.Random(1), street()

    def said(seq: int, at: int, *, ahead: bool = False) -> list[Record]:
        return [
            Record(
                RecordKind.MESSAGE,
                START + at * SECOND,
                f"t/C1/{device.stream.word}/{device.id}",
                json.dumps(
                    {"boot": 1, "seq": seq, "at": START // 1_000_000 + 1000 * seq} | content(device, chance)
                ).encode(),
                ahead=ahead,
            )
            for device in whole.devices
        ]

    records = said(1, 1) + said(2, 2) + said(4, 4, ahead=True) + said(5, 5) + said(3, 20)
    alone = run(records, 1)
    assert run(records, len(records)) == alone


ODD = (
    *GARBAGE,
    b'{"count": 1}, {"count": 2}',
    b'{"count": 1}],[{"count": 2}',
    b"1],[2",
    b'{"count": 1}]',
    b'[{"count": 1}',
    b'{"count": 1},',
    b'{"count": 1} x',
    b'{"count": NaN}',
    b'{"count": 1, "count": 2}',
    b'{"count": 1, "c\\u006funt": 2}',
    b'{"count": null, "count": 2, "seq": 3}',
    b'{"count": 1, "x": {"y": [1, "a:b"]}, "seq": 5, "boot": 1}',
    b'{"count": 1, "x": "\xff"}',
    b'{"count": 1.0, "at": "1969-01-01T00:00:00Z"}',
    b'\xef\xbb\xbf{"count": 1}',
    b' \n{"count": 1, "boot": 9007199254740992, "seq": 9007199254740992}\r\n',
    b'{"count": 1, "at": -9223372036854, "value": 3, "battery": 5}',
    b'{"value": 1e308, "count": 1, "at": 4611686018427387, "battery": -0.0}',
    b'{"value": -1e-320, "count": 1, "device": "d-3", "battery": 100}',
)
"""Whole payloads that are odd in one way or another; the streams of numbers read some of them."""


@given(
    odd=st.lists(
        st.tuples(st.integers(0, 2 * DEVICES), st.integers(0, DEVICES - 1), st.booleans(), st.sampled_from(ODD)),
        max_size=12,
    ),
    sizes=st.lists(st.integers(1, 2 * DEVICES), min_size=1, max_size=3),
)
@settings(max_examples=40)
def test_odd_messages_among_good_ones_are_read_as_by_themselves(
    odd: list[tuple[int, int, bool, bytes]], sizes: list[int]
) -> None:
    """Wherever they stand, however the journal is cut: nothing slips through, and no neighbour is spoilt."""
    chance, whole = random.Random(1), street()
    payloads = [
        (
            device,
            device.stream.word,
            json.dumps({"boot": 1, "seq": number, "at": START // 1_000_000} | content(device, chance)).encode(),
        )
        for number in range(2)
        for device in whole.devices
    ]
    for place, number, status, payload in sorted(odd, reverse=True):
        device = whole.devices[number]
        payloads.insert(place, (device, "status" if status else device.stream.word, payload))
    records = [
        Record(RecordKind.MESSAGE, START + SECOND + at, f"t/C1/{kind}/{device.id}", payload)
        for at, (device, kind, payload) in enumerate(payloads)
    ]
    assert run(records, *sizes) == run(records, 1)

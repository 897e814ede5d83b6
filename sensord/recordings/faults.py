"""Breaks devices on purpose: takes a stream of records in order and yields what would have arrived from broken ones.

The same records, faults and seed give the same bytes; what no fault hits passes as it is. Only native JSON messages can
be changed inside; others can still be lost, doubled, delayed or replaced.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from sensord.config.faults import Fault
from sensord.core.instant import HOUR, MILLISECOND, SECOND
from sensord.core.record import Record, RecordKind
from sensord.recordings.transform import Change, edited, shifted_stamp

_RUBBISH = (b"", b"{", b"\xff\xfe\x00", b"null", b'{"count":-1}', b'{"count":1e400}', b"[" * 400, b"hello")
_IDENTITY = {"device", "at", "boot", "seq", "direction", "plate", "color", "severity", "confidence"}
"""What a frozen or zeroed sensor still says truly."""


class _Device:
    """What is remembered of one device: its dice, its last values, counters after a reboot, what it stores."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.values: dict[str, Any] = {}
        self.boots: dict[int, int] = {}
        self.stored = 0


class Injector:
    """Applies faults to records; ``origin`` is the instant (ns) that the faults' starts count from."""

    def __init__(self, faults: Sequence[Fault], seed: int, origin: int) -> None:
        self._faults, self._seed, self._origin = faults, seed, origin
        self._devices: dict[str, _Device] = {}
        self._late: list[tuple[int, int, Record]] = []
        self._count = 0

    def apply(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield what arrives, in order of arrival."""
        for record in records:
            while self._late and self._late[0][0] <= record.received_at:
                yield heapq.heappop(self._late)[2]
            for arriving in self._one(record):
                if arriving.received_at > record.received_at:
                    self._delay(arriving)
                else:
                    yield arriving
        while self._late:
            yield heapq.heappop(self._late)[2]

    def _delay(self, record: Record) -> None:
        self._count += 1
        heapq.heappush(self._late, (record.received_at, self._count, record))

    def _one(self, record: Record) -> list[Record]:
        if record.kind != RecordKind.MESSAGE:
            return [record]
        name, since = record.topic.rpartition("/")[2], record.received_at - self._origin
        mine = [(number, fault) for number, fault in enumerate(self._faults) if self._concerns(fault, name)]
        if not mine:
            return [record]
        device = self._devices.get(name) or self._devices.setdefault(name, _Device(Random(f"{self._seed} {name}")))
        records = [record]
        for number, fault in mine:
            records = [made for one in records for made in self._break(device, number, fault, name, since, one)]
        return records

    @staticmethod
    def _concerns(fault: Fault, name: str) -> bool:
        return fault.devices is None or name in fault.devices

    def _break(self, device: _Device, number: int, fault: Fault, name: str, since: int, record: Record) -> list[Record]:
        active = fault.hits(name, since)
        if fault.kind == "reboot":
            return [_changed(record, _rebooted(device, number, since >= fault.start))]
        if fault.kind == "stuck":
            return [_changed(record, _stuck(device, active))]
        if fault.kind == "covered" and b'"plate"' not in record.payload:
            return [record]
        if not active or (fault.share < 1.0 and device.dice.random() >= fault.share):
            return [record]
        if fault.kind in _CHANGES:
            return [_changed(record, _CHANGES[fault.kind](fault, since))]
        return self._delivered(device, fault, record)

    def _delivered(self, device: _Device, fault: Fault, record: Record) -> list[Record]:
        """What becomes of a message on its way."""
        match fault.kind:
            case "duplicates":
                return [record, record]
            case "disorder":
                return [_arriving(record, record.received_at + device.dice.randrange(abs(fault.by) + 1))]
            case "backlog":
                # Drains at ten messages a second, once the line is back.
                device.stored += 1
                return [_arriving(record, self._origin + fault.end + device.stored * SECOND // 10)]
            case "garbage":
                return [msgspec.structs.replace(record, payload=device.dice.choice(_RUBBISH))]
        return []  # an outage, or a covered lens


def _arriving(record: Record, at: int) -> Record:
    return msgspec.structs.replace(record, received_at=at)


def _changed(record: Record, change: Change) -> Record:
    return msgspec.structs.replace(record, payload=edited(record.payload, change))


def _stuck(device: _Device, active: bool) -> Change:
    """Repeat the values of the last message before the fault."""

    def change(body: dict[str, Any]) -> None:
        if active and device.values:
            body.update({name: value for name, value in device.values.items() if name in body})
        elif not active:
            device.values = {name: value for name, value in body.items() if name not in _IDENTITY}

    return change


def _rebooted(device: _Device, number: int, after: bool) -> Change:
    """Count from 0 again, with the next boot number."""

    def change(body: dict[str, Any]) -> None:
        boot, seq = body.get("boot"), body.get("seq")
        if not after or not isinstance(boot, int) or not isinstance(seq, int):
            return
        first = device.boots.setdefault(number, seq)
        body["boot"], body["seq"] = boot + 1, max(seq - first, 0)

    return change


def _zeroed(_fault: Fault, _since: int) -> Change:
    def change(body: dict[str, Any]) -> None:
        for name, value in body.items():
            if name not in _IDENTITY and isinstance(value, int | float):
                body[name] = 0

    return change


def _drifted(fault: Fault, since: int) -> Change:
    extra = fault.per_hour * (since - fault.start) / HOUR

    def change(body: dict[str, Any]) -> None:
        value = body.get(fault.field)
        if isinstance(value, int | float):
            body[fault.field] = max(round(value + extra), 0) if isinstance(value, int) else value + extra

    return change


def _wrong_clock(fault: Fault, _since: int) -> Change:
    return shifted_stamp(fault.by // MILLISECOND * MILLISECOND)


_CHANGES = {"zeros": _zeroed, "drift": _drifted, "clock": _wrong_clock}

"""Points for time-series stores: from journal groups and from what was decided on them. Pure.

Measurements are ``crowd``, ``plate``, ``level``, ``report``, ``status`` (readings), ``alert`` (transitions) and
``case`` (case events). Tags are few and known beforehand: device, place, grid, compound, and the labels of the
stream. A plate has a class and a direction here, and nothing else.

A point's time is its event time to the millisecond; the rest of the nanoseconds counts readings, so that two readings
of one series in one millisecond stay two points, and writing a point again overwrites the same point.
"""

from __future__ import annotations

import zlib
from itertools import repeat

import msgspec
import numpy as np

from sensord.core.alert import Transition
from sensord.core.batch import CLOCK_SUSPECT, Batch
from sensord.core.cases.case import CaseEvent
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import MILLISECOND
from sensord.core.intake.intake import Intake
from sensord.core.place import PlaceKind
from sensord.core.point import Point
from sensord.core.record import Group, RecordKind
from sensord.core.shared import places_of
from sensord.core.snapshot import seal, unseal
from sensord.core.stream import LABELS, Stream
from sensord.decoders import msgpack_decoder
from sensord.errors import SnapshotError

_WORDS = [stream.word for stream in Stream]
"""The measurements of readings, by a stream's number."""


class _State(msgspec.Struct, array_like=True):
    """What points of later groups depend on."""

    definition: bytes
    intake: bytes


_STATE = msgpack_decoder(_State)


class Points:
    """Makes points, group by group; the same groups give the same points."""

    def __init__(self, assumed: Definition | None = None) -> None:
        """``assumed`` holds until the journal brings a definition: one that has lost its beginning brings none."""
        self._first = assumed or Definition("", (), (), ())
        self._define(self._first)

    def _define(self, definition: Definition) -> None:
        places = places_of(definition)
        intake = Intake(definition, places)
        self._definition, self._places, self._intake = definition, places, intake
        self._tags = [self._device_tags(index) for index in range(len(definition.devices))]

    def _device_tags(self, index: int) -> dict[str, str]:
        device = self._places.devices[index]
        return {"device": device.id, **self._place_tags(device.place)}

    def _place_tags(self, place: str) -> dict[str, str]:
        path = self._places.path(place) if place in self._places.by_id else {}
        kinds = (PlaceKind.GRID, PlaceKind.COMPOUND)
        return {"place": place} | {kind.value: path[kind] for kind in kinds if kind in path}

    def state(self) -> bytes:
        """Return everything that points of later groups depend on."""
        return seal(_State(self._definition.encode(), self._intake.save()))

    def restore(self, state: bytes) -> None:
        """Continue from what :meth:`state` gave; an empty state is the beginning. Raises ``SnapshotError``."""
        if not state:
            self._define(self._first)
            return
        try:
            saved = _STATE.decode(unseal(state))
            self._define(decode_definition(saved.definition))
            self._intake.restore(saved.intake)
        except (msgspec.DecodeError, RecursionError, LookupError, ValueError, TypeError, zlib.error) as error:
            raise SnapshotError(f"the snapshot cannot be read: {error}") from error

    def points(self, group: Group, changes: list[Transition | CaseEvent]) -> list[Point]:
        """Return the points of one group and of what the core decided on it."""
        points: list[Point] = []
        start = 0
        for index, record in enumerate(group.records):
            if record.kind == RecordKind.DEFINITION:
                points += self._of_records(group, start, index)
                self._redefine(record.payload)
                start = index + 1
        points += self._of_records(group, start, len(group.records))
        for change in changes:
            points.append(self._of_transition(change) if isinstance(change, Transition) else self._of_event(change))
        return points

    def _redefine(self, text: bytes) -> None:
        intake = self._intake.save()
        try:
            self._define(decode_definition(text))
        except (msgspec.DecodeError, RecursionError, LookupError, ValueError, TypeError):
            return  # the core made a dead letter of it and goes on with what was in force; so do we
        self._intake.restore(intake)

    def _of_records(self, group: Group, start: int, stop: int) -> list[Point]:
        before = self._intake.readings
        batch = self._intake.decode(group.records[start:stop], group.received_at).batch
        numbers = np.arange(before, before + len(batch))
        ats = batch.event_at // MILLISECOND * MILLISECOND + numbers % MILLISECOND
        words, tags = [_WORDS[stream] for stream in batch.stream.tolist()], self._all_tags(batch)
        return list(map(Point, words, tags, _all_fields(batch), ats.tolist()))

    def _all_tags(self, batch: Batch) -> list[dict[str, str]]:
        """The tags of each reading; readings of one device share theirs while no label tells them apart."""
        tags = [self._tags[device] for device in batch.device.tolist()]
        if batch.spot is not None:
            for row in np.flatnonzero(batch.spot >= 0).tolist():
                tags[row] = tags[row] | self._place_tags(self._places.places[int(batch.spot[row])].id)
        for name, codes in batch.labels.items():
            words = LABELS[name].words
            if LABELS[name].tag:
                for row in np.flatnonzero(codes >= 0).tolist():
                    tags[row] = tags[row] | {name: words[codes[row]]}
        return tags

    def _of_transition(self, transition: Transition) -> Point:
        fields: dict[str, float | int | str | bool] = {"code": int(transition.level), "samples": transition.samples}
        if transition.value is not None:
            fields["value"] = transition.value
        if transition.threshold is not None:
            fields["threshold"] = transition.threshold
        tags = {"rule": transition.rule, "key": transition.key, "change": transition.change.value}
        tags |= {"level": transition.level.word} | self._place_tags(transition.place)
        return Point("alert", tags, fields, transition.at)

    def _of_event(self, event: CaseEvent) -> Point:
        tags = {"policy": event.policy, "happening": event.happening.value, "state": event.state.value}
        tags |= self._place_tags(event.place)
        fields: dict[str, float | int | str | bool] = {"case": event.case, "code": int(event.level)}
        return Point("case", tags, fields, event.at)


def _all_fields(batch: Batch) -> list[dict[str, float | int | str | bool]]:
    """The fields of each reading, those that it has."""
    names, columns = list(batch.fields), [column.tolist() for column in batch.fields.values()]
    rows = zip(*columns, strict=True) if columns else repeat((), len(batch))
    fields: list[dict[str, float | int | str | bool]] = [dict(zip(names, row, strict=True)) for row in rows]
    for name, column in batch.fields.items():
        for row in np.flatnonzero(np.isnan(column)).tolist():
            del fields[row][name]
    for row in np.flatnonzero(batch.flags & CLOCK_SUSPECT).tolist():
        fields[row]["clock_suspect"] = True
    for one in fields:
        if not one:
            one["alive"] = True
    return fields

"""Points for time-series stores: none overwrites another, the same groups give the same, nonsense changes none."""

from __future__ import annotations

import msgspec

from sensord.core.instant import MILLISECOND
from sensord.core.points import Points
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import definition_record
from tests.core.street import START, definition

CROWD = "t/C1/crowd/crowd-0"


def readings(seq: int, *counts: int) -> Group:
    """Readings of one sensor that all arrive, and count, at one instant."""
    return Group(seq, tuple(Record(RecordKind.MESSAGE, START + 1, CROWD, b'{"count":%d}' % count) for count in counts))


def made(*groups: Group) -> Points:
    """Points of a street, after some groups."""
    points = Points()
    points.points(Group(0, (definition_record(definition(), START),)), [])
    for group in groups:
        points.points(group, [])
    return points


def test_two_readings_of_a_series_in_one_millisecond_are_both_kept() -> None:
    """Same tags, same millisecond, another nanosecond: the number of the reading, which a repeat gives again."""
    group = readings(1, 5, 6, 7)
    found = made().points(group, [])
    assert len({(point.measurement, tuple(point.tags.items()), point.at) for point in found}) == 3
    assert {point.at // MILLISECOND for point in found} == {START // MILLISECOND}
    assert made().points(group, []) == found


def test_a_saved_decoder_goes_on_as_if_nothing_had_been() -> None:
    """From its state, another gives the same points for what follows: a repeated write overwrites itself."""
    before = made(readings(1, 5, 6))
    after = Points()
    after.restore(before.state())
    assert after.points(readings(2, 7), []) == before.points(readings(2, 7), [])


def test_a_definition_that_contradicts_itself_changes_nothing() -> None:
    """As in the core: what was in force goes on."""
    points = made()
    bad = msgspec.structs.replace(definition(), places=definition().places[2:])
    assert points.points(Group(1, (definition_record(bad, START),)), []) == []
    assert points.points(readings(2, 7), []) == made().points(readings(2, 7), [])

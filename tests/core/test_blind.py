"""When cameras saw nothing: by event time, known by arrival, the same however the journal is cut, across restarts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.place import Device
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.stream import Stream
from sensord.core.vehicles.blind import Blind
from tests.core.traffic import START, definition, devices, lived, passage, ticks, wild

ALLOWED = 3 * MINUTE
"""Three periods of a camera."""
WEST, EAST = "cam-C1-N", "cam-C3-N"
DEFINED = START - 5 * MINUTE
HEARD = [(-1, -5), (-5, 0)]
"""Nobody looked before the definition came, and until the camera was heard at the start."""


def alive(camera: str, at: int, stamp: int = 0) -> Record:
    """A camera's sign of life; its clock says ``stamp`` (ns), or the same."""
    payload = b'{"uptime": 1, "at": %d}' % ((stamp or at) // 1_000_000)
    return Record(RecordKind.MESSAGE, at, f"t/{camera[4:6]}/status/{camera}", payload)


def said(records: list[Record], sizes: list[int], restart_every: int = 0) -> list[Blind]:
    """What was said of cameras, under a definition that comes before."""
    first = definition_record(definition(rules=()), DEFINED)
    return [one for step in lived([first, *records], sizes, restart_every) for one in step.blind]


def of(camera: str, found: list[Blind]) -> list[tuple[int, int]]:
    """One camera's stretches, in minutes after the start; -1: it was never heard before, or is blind still."""
    stretches = {one.since: one.until for one in found if one.device == camera}
    return [
        tuple((edge - START) // MINUTE if edge else -1 for edge in one)  # type: ignore[misc]
        for one in sorted(stretches.items())
    ]


def every_minute(camera: str, *spans: tuple[int, int]) -> list[Record]:
    """Signs of life a minute apart, in stretches [from, to) of minutes."""
    return [alive(camera, START + minute * MINUTE) for begin, end in spans for minute in range(begin, end)]


def journal(*records: Record, until: int = 60) -> list[Record]:
    """Records and a tick a minute, half a minute off, in order of arrival."""
    return sorted([*records, *ticks(START + until * MINUTE, START + MINUTE // 2)], key=lambda one: one.received_at)


def test_a_camera_is_blind_from_its_deadline_on() -> None:
    """Until it is heard again; who was never heard is blind since ever, and nobody forgets that."""
    found = said(journal(*every_minute(WEST, (0, 10), (20, 61))), [1])
    assert of(WEST, found) == [*HEARD, (12, 20)]
    assert of(EAST, found) == [(-1, -5), (-5, -1)]


def test_silence_is_said_when_it_begins() -> None:
    """As soon as time shows it, not only when it is over."""
    found = said(journal(*every_minute(WEST, (0, 10))), [1])
    assert of(WEST, found) == [*HEARD, (12, -1)]


def test_a_backlog_shows_what_was_seen() -> None:
    """What was stored while the line was down comes late: then the camera was not blind at all."""
    stored = [alive(WEST, START + 30 * MINUTE + minute, START + minute * MINUTE) for minute in range(10, 30)]
    found = said(journal(*every_minute(WEST, (0, 10), (31, 61)), *stored), [1])
    assert [stretch for stretch in of(WEST, found) if stretch[0] != stretch[1]] == HEARD


def test_a_backlog_with_a_hole_shows_the_hole() -> None:
    """What lies between stored readings was not seen, whenever they came."""
    stored = [
        alive(WEST, START + 30 * MINUTE + minute, START + minute * MINUTE)
        for minute in (*range(10, 15), *range(22, 30))
    ]
    found = said(journal(*every_minute(WEST, (0, 10), (31, 61)), *stored), [1])
    assert [stretch for stretch in of(WEST, found) if stretch[0] != stretch[1]] == [*HEARD, (17, 22)]


def test_readings_are_signs_of_life_and_what_the_core_derives_is_none() -> None:
    """A vehicle shows that the camera sees; a visit that ends in the core's mind shows nothing."""
    drives = [passage("C1-N", START + 2 * minute * MINUTE, "沪A12345", "in") for minute in range(10)]
    found = said(journal(*drives, until=4 * 60), [1])
    assert of(WEST, found) == [*HEARD, (21, -1)]


@pytest.mark.parametrize("size", [1, 7, 500, 20_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_does_not_matter_how_the_journal_is_cut(seed: int, size: int) -> None:
    """Groups of 1, 7, 500 and 20,000 records say the same in the same order."""
    found = said(wild(seed), [size])
    assert found == said(wild(seed), [1])
    assert len(found) > 20


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=8), restart=st.integers(1, 9))
@settings(max_examples=3)
def test_any_cut_and_any_restart(sizes: list[int], restart: int) -> None:
    """Nor when the daemon is restarted."""
    records = sorted([*wild(3, 1), *ticks(START + HOUR)], key=lambda one: one.received_at)
    assert said(records, sizes, restart) == said(records, [1])


def test_a_new_definition_goes_on() -> None:
    """A camera that stays is followed on; a new one is blind until it is heard; one that is gone is forgotten."""
    new = Device("cam-new", Stream.PLATE, "C2-N", MINUTE)
    changed = definition(devices=(*(one for one in devices() if one.id != EAST), new))
    at = START + 10 * MINUTE
    before, after = every_minute(WEST, (0, 10)), every_minute(WEST, (10, 20))
    found = said(journal(*before, definition_record(changed, at - SECOND), *after, until=20), [5])
    assert of(WEST, found) == HEARD
    assert of("cam-new", found) == [(-1, 9), (9, -1)]


def test_a_camera_that_moves_begins_anew() -> None:
    """It saw nothing of its new place before, and is blind there until it is heard."""
    moved = definition(devices=tuple(replace(one, place="C1-S") if one.id == WEST else one for one in devices()))
    at = START + 10 * MINUTE
    drives = every_minute(WEST, (0, 30))
    found = said(journal(*drives, definition_record(moved, at + SECOND), until=30), [5])
    assert of(WEST, found) == [(-1, 10), (-5, 0), (10, 11)], "what was said of the former place lies before"
    assert found == said(journal(*drives, definition_record(moved, at + SECOND), until=30), [1], restart_every=3)

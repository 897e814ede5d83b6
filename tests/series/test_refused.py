"""What a database refuses: all others are written, and people can see what and why, as long as that says something."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from sensord.core.point import Point
from sensord.errors import DeliveryError
from sensord.series.refused import MOST_ALIKE, MOST_KINDS, MOST_SAID, STRETCH, Refused
from sensord.store.journal import Journal
from sensord.store.past import Past
from sensord.store.sqlite import store_error
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import until
from tests.series.parts import (
    START,
    Applied,
    Aside,
    JsonPoints,
    MemorySink,
    Pulse,
    feeding,
    journal_points,
    some_points,
)


async def test_only_the_poison_is_lost(journal: Journal) -> None:
    """A refused batch is halved down to its bad points: they are counted and named, all others are written."""
    points, sink, meter, pulse, dead = some_points(200), MemorySink(), PrometheusMeter(), Pulse(), Aside()
    poison = [points[0], points[77], points[78], points[199]]
    sink.poison = {point.at for point in poison}
    journal_points(journal, points)
    with capture_logs() as logs:
        async with feeding(sink, journal.reader(), Applied(20), JsonPoints(), meter, pulse=pulse, dead=dead):
            await until(lambda: sink.cursor is not None and sink.cursor.seq == 20)
    assert not any(pulse.attempts), "a database that looks at points and refuses them is there"
    assert pulse.beats >= len(sink.asked), "a refusal far away is a sign of life as well: there may be thousands"
    assert sorted(sink.points.values(), key=lambda point: point.at) == [p for p in points if p not in poison]
    assert meter.value("sink_points_total", sink="memory", outcome="refused") == len(poison)
    refused = [entry for entry in logs if entry["event"] == "point refused"]
    assert [entry["tags"] for entry in refused] == [point.tags for point in poison]
    assert not any("fields" in entry for entry in refused)
    assert [(letter.topic, letter.received_at, letter.reason) for _, letter in dead.letters] == [
        ("sink-memory/crowd", point.at, "refused_point") for point in poison
    ]
    assert dead.letters[0][1].detail.startswith("bad point: device=camera-0, place=临汾路 99弄, east=1, count=0, ")


async def test_a_refused_point_is_a_dead_letter_without_plates(journal: Journal, tmp_path: Path) -> None:
    """It stands among those of the messages, once however often it is refused, cut off, without a plate."""
    sink, note = MemorySink(), dict[str, float | int | str | bool](note="京A12345", value=7, rest="x" * 500)
    poison = Point("level", {"device": "g-1"}, note, START)
    sink.poison = {START}
    journal_points(journal, [poison, *some_points(20)[1:]])
    with closing(StateStore(tmp_path)) as state:
        for _ in range(2):
            sink.cursor = None
            async with feeding(sink, journal.reader(), Applied(2), JsonPoints(), PrometheusMeter(), dead=state):
                await until(lambda: sink.cursor is not None and sink.cursor.seq == 2)
        (letter,) = Past(tmp_path).dead_letters(10)
    assert (letter.received_at, letter.topic, letter.reason) == (START, "sink-memory/level", "refused_point")
    assert letter.detail.startswith("bad point: device=g-1, note=***, value=7, rest=xxx")
    assert len(letter.detail) == MOST_SAID


async def test_a_dead_letter_that_cannot_be_written_holds_nothing_up(journal: Journal) -> None:
    """While the disk is full the point is refused and counted all the same, and the others are written."""
    points, sink, meter = some_points(20), MemorySink(), PrometheusMeter()
    sink.poison, dead = {points[3].at, points[17].at}, Aside(store_error("state.db: the disk is full", retryable=True))
    journal_points(journal, points)
    async with feeding(sink, journal.reader(), Applied(2), JsonPoints(), meter, dead=dead, batch=10):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 2)
    assert (len(sink.points), meter.value("sink_points_total", sink="memory", outcome="refused")) == (18, 2)
    assert [letter.received_at for _, letter in dead.letters] == [points[17].at]
    assert meter.value("sink_failures_total", sink="memory") == 0


async def test_points_refused_for_ever_are_kept_by_the_first(journal: Journal) -> None:
    """All are counted; the first of a kind are logged and dead letters, written together, and then one line ends it."""
    points, sink, meter, dead = some_points(200), MemorySink(), PrometheusMeter(), Aside()
    sink.poison = {point.at for point in points}
    journal_points(journal, points)
    with capture_logs() as logs:
        async with feeding(sink, journal.reader(), Applied(20), JsonPoints(), meter, dead=dead):
            await until(lambda: sink.cursor is not None and sink.cursor.seq == 20)
    assert meter.value("sink_points_total", sink="memory", outcome="refused") == 200
    assert [letter.received_at for _, letter in dead.letters] == [point.at for point in points[:MOST_ALIKE]]
    assert dead.writes == 1
    assert [entry["event"] for entry in logs].count("point refused") == MOST_ALIKE
    assert [entry["event"] for entry in logs].count("more such points are only counted for an hour") == 1


async def test_each_kind_of_refusal_is_kept_and_again_after_an_hour() -> None:
    """By measurement and what the database says, but for what it says of the one point; kinds are bounded, too."""
    seconds, dead = 0.0, Aside()
    refused = Refused("memory", dead, PrometheusMeter(), structlog.get_logger(), lambda: seconds)

    async def kept(points: int, *kinds: tuple[str, str]) -> int:
        before = len(dead.letters)
        for number in range(points):
            for measurement, why in kinds:
                point = Point(measurement, {}, {"value": 1}, START + number)
                refused.note(point, DeliveryError(why.format(number)))
        await refused.put_aside(1)
        return len(dead.letters) - before

    kinds = ("crowd", "is type float, dropped={}"), ("level", "is type float, dropped={}"), ("crowd", "too old: {}")
    assert await kept(100, *kinds) == 3 * MOST_ALIKE
    seconds = STRETCH - 1
    assert await kept(100, *kinds) == 0
    seconds = STRETCH
    assert await kept(100, *kinds) == 3 * MOST_ALIKE
    named = [chr(code) for code in range(0x4E00, 0x4E00 + 1000)]
    assert await kept(1, *(("crowd", name) for name in named)) == MOST_KINDS - 3 + MOST_ALIKE

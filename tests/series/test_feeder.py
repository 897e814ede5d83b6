"""The feeder, on a real journal: what it reads, what it writes, and what it does when the sink does not want it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from sensord.core.alert import Change, Transition
from sensord.core.level import Level
from sensord.core.record import Record, RecordKind
from sensord.errors import DeliveryError, SnapshotError, StoreError
from sensord.ports import Cursor
from sensord.series import feeder
from sensord.series.feeder import QUIET_GROUPS, Feeder
from sensord.store.journal import Journal
from sensord.store.sqlite import store_error
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


async def test_everything_arrives_once_and_the_cursor_follows(journal: Journal) -> None:
    """Batches are cut at whole groups, hold no more than asked plus a group, and together are the journal."""
    points, sink = some_points(1234), MemorySink()
    journal_points(journal, points)
    changes = Applied(journal.last_seq)
    async with feeding(sink, journal.reader(), changes, JsonPoints(), PrometheusMeter()):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == journal.last_seq)
    assert list(sink.points.values()) == points
    assert sum(sink.sizes) == len(points)
    assert max(sink.sizes) < 50 + 10
    assert sink.cursor is not None
    assert sink.cursor.seq == 124


async def test_it_waits_for_the_core(journal: Journal) -> None:
    """Groups that the core has not applied are not read, and they are as soon as it has."""
    points, sink, changes = some_points(100), MemorySink(), Applied(4)
    journal_points(journal, points)
    async with feeding(sink, journal.reader(), changes, JsonPoints(), PrometheusMeter()):
        await until(lambda: len(sink.points) >= 40)
        assert sink.cursor == Cursor(4, 4, b"40")
        changes.applied = journal.last_seq
        await until(lambda: len(sink.points) == 100)


async def test_a_sink_that_gets_no_further_shows_while_something_waits(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down, or without a group that should be there; not while it has everything, however long nothing comes."""
    now, sink, applied = [1000.0], MemorySink(), Applied()
    monkeypatch.setattr("sensord.series.feeder.time", SimpleNamespace(monotonic=lambda: now[0]))
    sink.failures = [DeliveryError("down")] * 1_000_000
    meter, pulse = PrometheusMeter(), Pulse()
    async with feeding(sink, journal.reader(), applied, JsonPoints(), meter, pulse=pulse) as followed:
        unproven = [followed.unproven]
        now[0] += 3600
        await until(lambda: followed.stalled == 0)
        assert [*unproven, followed.unproven] == [True, False], "until it has moved, or has everything"
        journal_points(journal, some_points(10))
        applied.applied = journal.last_seq
        await until(lambda: len(sink.asked) > 1)
        now[0] += 3600
        asked = len(sink.asked)
        await until(lambda: len(sink.asked) > asked + 1)
        assert followed.stalled == 3600
        sink.failures.clear()
        await until(lambda: followed.stalled == 0)
        applied.applied += 1
        await until(lambda: meter.value("sink_lag_groups", sink="memory") == 1)
        now[0] += 3600
        beats = pulse.beats
        await until(lambda: pulse.beats > beats + 10)
        assert followed.stalled == 3600


class Pressed:
    """As the test says."""

    pressed = True


async def test_it_gives_way_while_more_comes_in_than_is_taken(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed, it writes one batch and rests; when that is over it goes on without a pause until all is there."""
    pressure, rests, sink = Pressed(), list[float](), MemorySink()
    journal_points(journal, some_points(1000))

    async def rest(_feeder: feeder.Feeder, seconds: float) -> None:
        rests.append(seconds)
        if seconds == feeder.PRESSED:
            assert sum(sink.sizes) <= 60 * len(rests)
            pressure.pressed = len(rests) < 3
        await asyncio.sleep(0)

    monkeypatch.setattr(feeder.Feeder, "_pause", rest)
    applied = Applied(journal.last_seq)
    async with feeding(sink, journal.reader(), applied, JsonPoints(), PrometheusMeter(), pressure=pressure):
        await until(lambda: len(sink.points) == 1000)
    assert rests[:3] == 3 * [feeder.PRESSED]
    assert feeder.PRESSED not in rests[3:]


async def test_changes_come_with_their_group(journal: Journal) -> None:
    """What the core decided on a group is handed to the decoder with that group, in order."""
    changes = [_transition(number) for number in range(3)]
    journal_points(journal, some_points(30))
    source, sink = JsonPoints(), MemorySink()
    applied = Applied(3, {1: [changes[0]], 3: [changes[1], changes[2]]})
    async with feeding(sink, journal.reader(), applied, source, PrometheusMeter()):
        await until(lambda: len(sink.points) == 30)
    assert source.changes == changes


def _transition(number: int) -> Transition:
    return Transition(
        id=f"t{number}",
        rule="crowd",
        version="1",
        key="lane-99",
        place="lane-99",
        change=Change.RAISED,
        level=Level.RED,
        previous=Level.NONE,
        at=START,
        end=START,
        value=1.0,
        threshold=1.0,
        samples=1,
    )


async def test_a_restart_goes_on_from_the_cursor(journal: Journal) -> None:
    """A new feeder with a fresh decoder restores its state and writes only what is new."""
    points, sink = some_points(200), MemorySink()
    journal_points(journal, points[:100])
    async with feeding(sink, journal.reader(), Applied(10), JsonPoints(), PrometheusMeter()):
        await until(lambda: len(sink.points) == 100)
    journal_points(journal, points[100:])
    async with feeding(sink, journal.reader(), Applied(20), JsonPoints(), PrometheusMeter()):
        await until(lambda: len(sink.points) == 200)
    assert sum(sink.sizes) == 200
    assert sink.cursor is not None
    assert sink.cursor.seq == 20


async def test_a_crash_decodes_from_the_checkpoint_and_writes_from_the_cursor(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder's state is saved every few groups only; what lies between is decoded again, not written again."""
    monkeypatch.setattr(feeder, "CHECKPOINT_GROUPS", 7)
    points, sink, source = some_points(300), MemorySink(), JsonPoints()
    journal_points(journal, points)
    async with feeding(sink, journal.reader(), Applied(19), JsonPoints(), PrometheusMeter(), batch=10):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 19)
    assert sink.cursor == Cursor(19, 15, b"150")
    assert {cursor.checkpoint for cursor in sink.asked} == {1, 8, 15}
    async with feeding(sink, journal.reader(), Applied(30), source, PrometheusMeter(), batch=10):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 30)
    assert (source.made, sum(sink.sizes)) == (300, 300)
    assert list(sink.points.values()) == points


async def test_a_sink_that_is_down_is_tried_until_it_is_up(journal: Journal) -> None:
    """Nothing is lost or skipped, every refusal is counted, and Retry-After is waited for."""
    points, sink, meter, pulse = some_points(100), MemorySink(), PrometheusMeter(), Pulse()
    sink.failures = [*[DeliveryError("down")] * 5, DeliveryError("throttled", retry_after=0.3)]
    journal_points(journal, points)
    with capture_logs() as logs:
        async with feeding(sink, journal.reader(), Applied(10), JsonPoints(), meter, pulse=pulse):
            await until(lambda: len(sink.points) == 100)
    assert list(sink.points.values()) == points
    assert meter.value("sink_retries_total", sink="memory") == 6
    waits = [entry["seconds"] for entry in logs if entry["event"] == "write failed; trying again"]
    assert len(waits) == 6
    assert max(waits[:5]) < 0.3 <= waits[5]
    assert pulse.attempts[:7] == ["down"] * 5 + ["throttled", ""]


async def test_the_cursor_stays_while_a_batch_is_bisected(journal: Journal) -> None:
    """A crash in the middle of a bisection repeats the batch: the halves are written at the old cursor."""
    points, sink = some_points(100), MemorySink()
    journal_points(journal, points)
    sink.poison = {points[90].at}
    async with feeding(sink, journal.reader(), Applied(10), JsonPoints(), PrometheusMeter(), batch=100):
        await until(lambda: sink.cursor == Cursor(10, 10, b"100"))
    assert set(sink.asked[1:-1]) == {Cursor(0, 0, b"")}
    assert len(sink.asked) > 3


async def test_a_bug_in_the_decoder_loses_nothing(journal: Journal) -> None:
    """A decoder that raises sends the feeder back to its cursor; it comes through without a hole or a double."""
    points, sink, source, meter = some_points(300), MemorySink(), JsonPoints(), PrometheusMeter()
    journal_points(journal, points)
    source.fail_at = 17
    async with feeding(sink, journal.reader(), Applied(30), source, meter):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 30)
    assert list(sink.points.values()) == points
    assert meter.value("sink_failures_total", sink="memory") == 1


async def test_a_cursor_that_cannot_be_saved_is_tried_again(journal: Journal) -> None:
    """A full disk under the cursor is a fault of our own: the feeder starts again and gets through."""
    points, sink = some_points(50), MemorySink()
    sink.failures = [store_error("state.db: the disk is full", retryable=True)]
    journal_points(journal, points)
    async with feeding(sink, journal.reader(), Applied(5), JsonPoints(), PrometheusMeter()):
        await until(lambda: len(sink.points) == 50)


async def test_a_file_that_must_not_be_touched_again_ends_the_feeder(journal: Journal) -> None:
    """After a failed sync only another process can tell what the disk has: with the feeder the daemon ends."""
    sink = MemorySink()
    sink.failures = [store_error("rollups.db: writing failed (disk I/O error)")]
    journal_points(journal, some_points(50))
    ends = Feeder(sink, journal.reader(), Applied(5), JsonPoints(), PrometheusMeter(), Pulse(), Aside())
    with pytest.raises(StoreError, match="disk I/O error"):
        await asyncio.wait_for(ends.run(), 20)


async def test_silence_moves_the_cursor_now_and_then(journal: Journal) -> None:
    """Ticks make no points, but a cursor that never moved would make restarts ever longer."""
    sink = MemorySink()
    for number in range(QUIET_GROUPS):
        journal.append([Record(RecordKind.TICK, START + number)])
    changes = Applied(QUIET_GROUPS - 1)
    meter = PrometheusMeter()
    async with feeding(sink, journal.reader(), changes, JsonPoints(), meter):
        await until(lambda: meter.registry.get_sample_value("sensord_sink_lag_groups", {"sink": "memory"}) == 0.0)
        assert sink.cursor is None
        changes.applied = QUIET_GROUPS
        await until(lambda: sink.cursor == Cursor(QUIET_GROUPS, QUIET_GROUPS - 1, b"0"))


@pytest.mark.parametrize(("had", "missed"), [(1, 1.0), (2, None)])
async def test_a_journal_that_was_pruned_too_early_is_noticed(journal: Journal, had: int, missed: float | None) -> None:
    """Groups that are gone before the sink had them are counted; not those that it had, but would decode again."""
    sink, meter = MemorySink(), PrometheusMeter()
    sink.cursor = Cursor(had, 1, b"10")
    journal_points(journal, some_points(20))
    day = 86_400_000_000_000
    journal.append([Record(RecordKind.TICK, START + day)])
    journal.prune(0, START + 3 * day, 3)
    async with feeding(sink, journal.reader(), Applied(3), JsonPoints(), meter):
        await until(lambda: meter.registry.get_sample_value("sensord_sink_lag_groups", {"sink": "memory"}) == 0.0)
    assert meter.registry.get_sample_value("sensord_sink_missed_groups_total", {"sink": "memory"}) == missed


class Newer(JsonPoints):
    """A decoder that reads no state of an older version."""

    def restore(self, state: bytes) -> None:
        """Refuse what the older one wrote."""
        if state.startswith(b"old"):
            raise SnapshotError("the snapshot has version 1")
        super().restore(state)


async def test_a_decoder_of_another_version_begins_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is decoded from its beginning, a piece at a time, and only what is new is written."""
    monkeypatch.setattr(feeder, "CHECKPOINT_GROUPS", 7)
    points, sink, source, meter = some_points(300), MemorySink(), Newer(), PrometheusMeter()
    sink.cursor = Cursor(20, 20, b"old")
    journal_points(journal, points)
    async with feeding(sink, journal.reader(), Applied(30), source, meter):
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 30)
    assert list(sink.points.values()) == points[200:]
    assert source.made == 300
    assert [cursor.checkpoint for cursor in sink.asked[:3]] == [0, 7, 14]
    assert all(cursor.seq >= 20 for cursor in sink.asked)
    assert meter.value("sink_failures_total", sink="memory") == 0


async def test_a_sink_beyond_the_journal_goes_on_at_its_end(journal: Journal) -> None:
    """An older journal was put back: what it gets from now on is written, what the sink had is not written again."""
    points, sink, meter = some_points(200), MemorySink(), PrometheusMeter()
    sink.cursor = Cursor(886, 880, b"8800")
    journal_points(journal, points[:100])
    changes = Applied(10)
    async with feeding(sink, journal.reader(), changes, JsonPoints(), meter):
        await until(lambda: sink.cursor == Cursor(10, 0, b""))
        journal_points(journal, points[100:])
        changes.applied = 20
        await until(lambda: sink.cursor is not None and sink.cursor.seq == 20)
    assert list(sink.points.values()) == points[100:]
    assert meter.value("sink_resets_total", sink="memory") == 1

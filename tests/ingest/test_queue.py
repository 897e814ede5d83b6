"""The queue of arrivals: order, bounds, closing."""

from __future__ import annotations

import threading

import pytest

from sensord.core.record import Record, RecordKind
from sensord.errors import UnavailableError
from sensord.ingest.queue import OVERHEAD, OWN_LIMIT, Arrival, ArrivalQueue, Lane


def _arrival(number: int, size: int = 0, lane: Lane = Lane.READINGS) -> Arrival:
    return Arrival(Record(RecordKind.MESSAGE, number, "", b"x" * size), 1, number, 1, lane=lane)


def _mids(arrivals: list[Arrival]) -> list[int]:
    return [arrival.mid for arrival in arrivals]


def test_everything_that_waits_is_taken_at_once_in_order() -> None:
    """The consumer gets one list, and its bytes are free again."""
    queue = ArrivalQueue(1 << 20)
    for number in range(5):
        assert queue.put(_arrival(number, 100))
    assert queue.size == 5 * (OVERHEAD + 100)
    assert _mids(queue.take(100, 0)) == [0, 1, 2, 3, 4]
    assert queue.size == 0


def test_a_group_is_limited_by_records_and_by_bytes() -> None:
    """What does not fit waits for the next turn; a single large arrival still is taken."""
    queue = ArrivalQueue(1 << 20)
    for number in range(5):
        queue.put(_arrival(number, 1000))
    assert _mids(queue.take(2, 0)) == [0, 1]
    assert _mids(queue.take(100, 0, max_bytes=1)) == [2]
    assert _mids(queue.take(100, 0)) == [3, 4]


def test_an_empty_queue_gives_an_empty_list_after_the_timeout() -> None:
    """Silence is not an error."""
    assert ArrivalQueue(1 << 20).take(10, 0.01) == []


def test_a_full_queue_makes_its_producer_wait() -> None:
    """The bound is in bytes, crossed by one arrival at most; taking lets the producer go on."""
    queue = ArrivalQueue(2 * OVERHEAD)
    assert [queue.put(_arrival(1)), queue.has_room()] == [True, True]
    assert [queue.put(_arrival(2)), queue.has_room()] == [True, False]
    assert not queue.wait_for_room(0.01)
    producer = threading.Thread(target=queue.put, args=(_arrival(3),))
    producer.start()
    producer.join(0.05)
    assert producer.is_alive()
    assert queue.size == 2 * OVERHEAD
    assert _mids(queue.take(1, 0)) == [1]
    producer.join(10)
    assert not producer.is_alive()
    assert _mids(queue.take(10, 0)) == [2, 3]
    assert queue.wait_for_room(0)


def test_an_arrival_wakes_the_consumer() -> None:
    """The consumer does not wait for its timeout."""
    queue = ArrivalQueue(1 << 20)
    taken: list[Arrival] = []
    consumer = threading.Thread(target=lambda: taken.extend(queue.take(10, 60)))
    consumer.start()
    queue.put(_arrival(1))
    consumer.join(10)
    assert _mids(taken) == [1]


def test_closing_wakes_everybody_and_keeps_what_waits() -> None:
    """A blocked producer hears that its arrival was not taken; the consumer still gets the rest."""
    queue = ArrivalQueue(OVERHEAD)
    queue.put(_arrival(1))
    accepted: list[bool] = []
    producer = threading.Thread(target=lambda: accepted.append(queue.put(_arrival(2))))
    producer.start()
    queue.close()
    producer.join(10)
    assert accepted == [False]
    assert queue.wait_for_room(0)
    assert not queue.put(_arrival(3))
    assert _mids(queue.take(10, 60)) == [1]
    assert queue.take(10, 60) == []


def test_an_action_that_finds_no_room_is_refused() -> None:
    """An operator is told instead of waiting for ever, and it was not taken; readings do not stand in its way."""
    queue = ArrivalQueue(OVERHEAD)
    queue.put(_arrival(1))
    for number in range(OWN_LIMIT):
        queue.submit(Record(RecordKind.ACTION, number), 0.01)
    with pytest.raises(UnavailableError, match="does not keep up"):
        queue.submit(Record(RecordKind.ACTION, 1), 0.01)
    queue.close()
    with pytest.raises(UnavailableError, match="stopping"):
        queue.submit(Record(RecordKind.ACTION, 1), 0.01)
    assert len(queue.take_urgent(0)) == OWN_LIMIT
    assert _mids(queue.take(10, 0)) == [1]


def test_our_own_records_go_first() -> None:
    """What a person does is not kept waiting behind a heap of readings."""
    queue = ArrivalQueue(1 << 20)
    for number in range(5):
        queue.put(_arrival(number))
    queue.submit(Record(RecordKind.ACTION, 1), 1)
    assert [arrival.future is not None for arrival in queue.take(2, 0)] == [True, False]


def test_a_heap_of_readings_holds_nothing_else_up() -> None:
    """Commands go before sightings and these before readings; a heap of sightings leaves readings half of a group."""
    queue = ArrivalQueue(1 << 20)
    for number in range(10):
        queue.put(_arrival(number))
        queue.put(_arrival(100 + number, lane=Lane.SIGHTINGS))
    queue.put(_arrival(200, lane=Lane.COMMANDS))
    assert _mids(queue.take(6, 0)) == [200, 100, 101, 102, 0, 1]
    assert _mids(queue.take(6, 0)) == [103, 104, 105, 2, 3, 4]


def test_each_lane_has_its_own_room() -> None:
    """Readings that fill theirs leave room for a command, and a flood of commands is bounded, too."""
    queue = ArrivalQueue(8 * OVERHEAD)
    while queue.has_room():
        queue.put(_arrival(1))
    assert queue.has_room(Lane.COMMANDS)
    queue.put(_arrival(2, lane=Lane.COMMANDS))
    assert not queue.has_room(Lane.COMMANDS)
    assert queue.has_room(Lane.SIGHTINGS)


def test_a_submitted_action_cannot_be_cancelled() -> None:
    """It may be journaled by then; a cancelled future would also stop the committer when it resolves it."""
    future = ArrivalQueue(1 << 20).submit(Record(RecordKind.ACTION, 1), 1)
    assert not future.cancel()
    assert not future.cancelled()


def test_gathering_ends_with_enough_and_with_what_people_wait_for() -> None:
    """Two readings are not enough for three; a third is, and so is a command, an action, or the end."""
    for last in (
        _arrival(3),
        _arrival(3, lane=Lane.COMMANDS),
        Arrival(Record(RecordKind.ACTION, 3), lane=Lane.OWN),
        None,
    ):
        queue = ArrivalQueue(1 << 20)
        queue.put(_arrival(1))
        queue.put(_arrival(2))
        gathering = threading.Thread(target=queue.gather, args=(3, 3600.0))
        gathering.start()
        gathering.join(0.05)
        assert gathering.is_alive()
        if last is None:
            queue.close()
        elif last.lane is Lane.OWN and last.record is not None:
            queue.submit(last.record, 1)
        else:
            queue.put(last)
        gathering.join(10)
        assert not gathering.is_alive()

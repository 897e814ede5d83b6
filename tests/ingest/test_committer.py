"""The journal's thread against a journal in memory: order, ticks, a full disk, the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError, UnavailableError
from sensord.ingest.committer import AGAIN, WORKER, Committer, Reserve
from sensord.ingest.queue import OWN_LIMIT, Arrival, Lane
from tests.ingest.bench import Bench, FullRoom
from tests.ingest.support import SILENT, disk_full, message
from tests.support import wait_until


def _acknowledged(bench: Bench, number: int) -> bool:
    return len(bench.acknowledged) == number


def test_what_waits_becomes_one_group(bench: Bench, start: Callable[..., Committer]) -> None:
    """Everything queued before the thread runs is one commit, acknowledged afterwards, in order."""
    for number in range(3):
        bench.queue.put(message(b"m%d" % number, mid=number))
    start()
    wait_until(lambda: len(bench.acknowledged) == 3)
    assert bench.acknowledged == [(1, 0), (1, 1), (1, 2)]
    assert [[record.payload for record in group] for group in bench.journal.groups] == [[b"m0", b"m1", b"m2"]]
    assert bench.committed_at_ack == [1]
    assert bench.meter.value("messages_committed_total") == 3
    assert bench.meter.value("groups_committed_total") == 1
    assert bench.meter.value("journal_seq") == 1


def test_what_trickles_in_gathers_until_it_is_enough(bench: Bench, start: Callable[..., Committer]) -> None:
    """However long each waits for the next, three are one group; and the end waits for nothing."""
    committer = start(gather=SILENT)
    for number in range(3):
        assert bench.journal.groups == []
        bench.queue.put(message(b"m%d" % number, mid=number))
        wait_until(lambda: bench.queue.gathering, what="it gathers")
    wait_until(lambda: len(bench.acknowledged) == 3)
    bench.queue.put(message(b"last", mid=3))
    committer.stop()
    assert [len(group) for group in bench.journal.groups] == [3, 1]


@pytest.mark.parametrize("lane", [Lane.OWN, Lane.COMMANDS])
def test_what_people_wait_for_is_not_gathered(bench: Bench, start: Callable[..., Committer], lane: Lane) -> None:
    """An action and a command are committed at once, with the readings that wait."""
    start(gather=SILENT)
    bench.queue.put(message(b"m", mid=1))
    if lane is Lane.OWN:
        assert bench.queue.submit(Record(RecordKind.ACTION, 1), 1).result(10) == 1
    else:
        bench.queue.put(Arrival(Record(RecordKind.MESSAGE, 1, "c", b"{}"), 1, 2, 1, lane=lane))
    wait_until(lambda: bench.acknowledged)
    assert [len(group) for group in bench.journal.groups] == [2]


def test_nothing_is_acknowledged_before_the_commit(bench: Bench, start: Callable[..., Committer]) -> None:
    """While the journal is busy neither acknowledgements nor futures move."""
    bench.journal.gate.clear()
    bench.queue.put(message(b"m"))
    future = bench.queue.submit(Record(RecordKind.ACTION, 1, "", b"{}"), 1)
    start()
    bench.journal.entered.wait(10)
    assert bench.acknowledged == []
    assert not future.done()
    bench.journal.gate.set()
    assert future.result(10) == 1
    wait_until(lambda: bench.acknowledged != [])


def test_an_action_resolves_with_its_group(bench: Bench, start: Callable[..., Committer]) -> None:
    """The number is the group's that holds it."""
    start()
    assert bench.queue.submit(Record(RecordKind.ACTION, 1), 1).result(10) == 1
    assert bench.queue.submit(Record(RecordKind.ACTION, 2), 1).result(10) == 2
    assert bench.meter.value("messages_committed_total") == 0


def test_an_arrival_without_a_record_is_acknowledged_in_its_turn(bench: Bench, start: Callable[..., Committer]) -> None:
    """A refused message costs no journal row; alone it makes no group at all."""
    for arrival in (message(b"a", mid=1), Arrival(None, 1, 2, 1), message(b"b", mid=3)):
        bench.queue.put(arrival)
    start()
    wait_until(lambda: len(bench.acknowledged) == 3)
    assert bench.acknowledged == [(1, 1), (1, 2), (1, 3)]
    bench.queue.put(Arrival(None, 1, 4, 1))
    wait_until(lambda: len(bench.acknowledged) == 4)
    assert len(bench.journal.groups) == 1


def test_silence_is_journaled_as_ticks(bench: Bench, start: Callable[..., Committer]) -> None:
    """One tick an interval, each a group of its own, stamped by the clock."""
    instants = iter(range(1000, 2000))
    start(tick_interval=0.02, clock=lambda: next(instants))
    wait_until(lambda: len(bench.journal.ticks) >= 3)
    assert [record.received_at for record in bench.journal.ticks[:3]] == [1000, 1001, 1002]
    assert all(len(group) == 1 for group in bench.journal.groups)


def test_messages_take_the_place_of_ticks(bench: Bench, start: Callable[..., Committer]) -> None:
    """Within an interval after a group no tick is journaled: none comes while the interval is long."""
    start(tick_interval=SILENT)
    for number in range(20):
        bench.queue.put(message(b"m", mid=number))
        wait_until(partial(_acknowledged, bench, number + 1))
    assert bench.journal.ticks == []


def test_a_full_disk_holds_everything_up_until_there_is_space(bench: Bench, start: Callable[..., Committer]) -> None:
    """The group is tried again, nothing else is taken meanwhile, and the worker shows that it lives."""
    bench.journal.errors = [disk_full() for _ in range(5)]
    bench.journal.gate.clear()
    bench.queue.put(message(b"first", mid=1))
    committer = start()
    bench.journal.entered.wait(10)
    bench.queue.put(message(b"second", mid=2))
    bench.journal.gate.set()
    wait_until(lambda: len(bench.acknowledged) == 2)
    assert bench.journal.payloads == [b"first", b"second"]
    assert bench.meter.value("journal_refusals_total") == 5
    assert bench.meter.value("journal_blocked") == 0
    assert bench.beats.count[WORKER] >= 5
    assert committer.alive
    assert not committer.blocked


def test_while_the_disk_is_full_it_says_so(bench: Bench, start: Callable[..., Committer]) -> None:
    """The state is visible, and nothing is acknowledged."""
    bench.journal.errors = [disk_full() for _ in range(100_000)]
    bench.queue.put(message(b"m"))
    committer = start()
    wait_until(lambda: committer.blocked)
    assert bench.meter.value("journal_blocked") == 1
    assert bench.acknowledged == []
    bench.journal.errors.clear()
    wait_until(lambda: bench.acknowledged == [(1, 1)])


def test_commands_go_on_while_the_disk_is_full(bench: Bench, start: Callable[..., Committer]) -> None:
    """They are journaled and acknowledged from the space that was kept back; the readings before them wait."""
    full = FullRoom()
    bench.queue.put(message(b"a reading", mid=1))
    committer = start(room=full)
    wait_until(lambda: committer.blocked)
    bench.queue.put(message(b"a command", mid=7, lane=Lane.COMMANDS))
    wait_until(lambda: bench.acknowledged == [(1, 7)])
    assert bench.journal.payloads == [b"a command"]
    full.has_space = True
    wait_until(lambda: bench.acknowledged == [(1, 7), (1, 1)])


def test_the_newest_readings_go_on_while_the_disk_is_full(bench: Bench, start: Callable[..., Committer]) -> None:
    """From the space that was kept back, as long as it lasts; then they are let go, and counted, and none is kept."""
    full = FullRoom()
    full.left = 1 << 20
    bench.queue.put(message(b"a reading", mid=1))
    committer = start(room=full)
    wait_until(lambda: committer.blocked)
    bench.queue.put(message(b"now", mid=2, lane=Lane.FRESH))
    wait_until(lambda: bench.journal.payloads == [b"now"])
    full.left = 0
    wait_until(lambda: not committer.reserve.left)
    bench.queue.put(message(b"too late", mid=3, lane=Lane.FRESH))
    wait_until(lambda: bench.meter.value("fresh_messages_total", what="no_space") == 1)
    full.has_space = True
    wait_until(lambda: (1, 1) in bench.acknowledged)
    assert bench.journal.payloads == [b"now", b"a reading"]


def test_readings_of_now_that_the_disk_refuses_are_not_kept(bench: Bench, start: Callable[..., Committer]) -> None:
    """They would be stale when there is space again, and they come in their turn."""
    full = FullRoom()
    full.left = 1 << 20
    bench.journal.errors = [disk_full() for _ in range(100_000)]
    bench.queue.put(message(b"now", mid=2, lane=Lane.FRESH))
    start(room=full)
    wait_until(lambda: bench.meter.value("fresh_messages_total", what="no_space") == 1)
    bench.journal.errors.clear()
    full.has_space = True
    bench.queue.put(message(b"later", mid=3))
    wait_until(lambda: bench.acknowledged == [(1, 3)])
    assert bench.journal.payloads == [b"later"]


def test_what_waits_is_bounded_when_the_disk_takes_nothing_at_all(
    bench: Bench, start: Callable[..., Committer]
) -> None:
    """Not even commands are taken on top of those that were refused: their lane fills, and so does that of actions."""
    bench.journal.errors = [disk_full() for _ in range(100_000)]
    bench.queue.put(message(b"first", mid=1, lane=Lane.COMMANDS))
    start()
    wait_until(lambda: bench.journal.attempts >= 2)
    actions = [bench.queue.submit(Record(RecordKind.ACTION, 1), 0) for _ in range(OWN_LIMIT)]
    bench.queue.put(message(b"x" * (1 << 18), mid=2, lane=Lane.COMMANDS))
    bench.queue.put(message(b"now", mid=3, lane=Lane.FRESH))
    wait_until(lambda: bench.meter.value("fresh_messages_total", what="no_space") == 1)
    assert not bench.queue.has_room(Lane.COMMANDS)
    with pytest.raises(UnavailableError):
        bench.queue.submit(Record(RecordKind.ACTION, 1), 0)
    bench.journal.errors.clear()
    wait_until(lambda: bench.acknowledged[-1:] == [(1, 2)])
    assert all(action.done() for action in actions)
    assert bench.journal.payloads == [b"first", b"x" * (1 << 18)]


def test_how_long_the_reserve_lasts_is_told_from_what_was_used() -> None:
    """Half of it in a minute: another minute. Used up, it must be there again for good before it counts."""
    now = 0.0
    reserve = Reserve(lambda: now)
    reserve.look(4 * AGAIN)
    assert (reserve.left, reserve.seconds) == (4 * AGAIN, 0.0)
    now = 60.0
    reserve.look(2 * AGAIN)
    assert reserve.seconds == 60.0
    seen = list[int]()
    for left in (0, AGAIN - 1, AGAIN):
        reserve.look(left)
        seen.append(reserve.left)
    assert seen == [0, 0, AGAIN]


def test_a_group_is_in_the_order_of_arrival(bench: Bench, start: Callable[..., Committer]) -> None:
    """Whatever lanes its records waited in: what came first counts first."""
    for number, lane in enumerate((Lane.READINGS, Lane.COMMANDS, Lane.SIGHTINGS)):
        bench.queue.put(message(b"m%d" % number, mid=number, lane=lane))
    start()
    wait_until(lambda: len(bench.acknowledged) == 3)
    assert [[record.payload for record in group] for group in bench.journal.groups] == [[b"m0", b"m1", b"m2"]]


def test_a_tick_that_finds_the_disk_full_is_not_kept(bench: Bench, start: Callable[..., Committer]) -> None:
    """When space comes back there is one fresh tick, not a row of stale ones."""
    instants = iter(range(1000, 9000))
    bench.journal.errors = [disk_full() for _ in range(3)]
    committer = start(tick_interval=0.02, clock=lambda: next(instants))
    wait_until(lambda: len(bench.journal.ticks) == 1)
    assert bench.journal.ticks[0].received_at == 1003
    wait_until(lambda: not committer.blocked)


@pytest.mark.parametrize("error", [StoreError("journal-2026-05-01.db: disk I/O error"), ValueError("a mistake")])
def test_any_other_error_ends_the_thread(bench: Bench, start: Callable[..., Committer], error: Exception) -> None:
    """Nothing is acknowledged, waiting actions fail, later ones are refused, and the death is counted."""
    bench.journal.errors = [error]
    bench.journal.gate.clear()
    bench.queue.put(message(b"m"))
    committer = start()
    bench.journal.entered.wait(10)
    future = bench.queue.submit(Record(RecordKind.ACTION, 1), 1)
    bench.journal.gate.set()
    wait_until(lambda: not committer.alive)
    assert committer.error is error
    assert bench.acknowledged == []
    with pytest.raises(StoreError, match="not recorded"):
        future.result(10)
    with pytest.raises(UnavailableError):
        bench.queue.submit(Record(RecordKind.ACTION, 1), 1)
    assert bench.meter.value("worker_failures_total", worker=WORKER) == 1


def test_the_action_in_the_failing_group_fails_too(bench: Bench, start: Callable[..., Committer]) -> None:
    """Its caller must not wait for ever."""
    cause = StoreError("disk I/O error")
    bench.journal.errors = [cause]
    future = bench.queue.submit(Record(RecordKind.ACTION, 1), 1)
    start()
    failure = future.exception(10)
    assert isinstance(failure, StoreError)
    assert failure.__cause__ is cause


def test_stopping_commits_what_waits(bench: Bench, start: Callable[..., Committer]) -> None:
    """A clean stop loses nothing that was received."""
    bench.journal.gate.clear()
    bench.queue.put(message(b"first", mid=1))
    committer = start()
    bench.journal.entered.wait(10)
    bench.queue.put(message(b"second", mid=2))
    bench.journal.gate.set()
    committer.stop()
    assert not committer.alive
    assert committer.error is None
    assert bench.journal.payloads == [b"first", b"second"]
    assert bench.acknowledged == [(1, 1), (1, 2)]


def test_stopping_ends_though_more_waits_than_is_journaled_in_time(
    bench: Bench, start: Callable[..., Committer]
) -> None:
    """What was not journaled was not acknowledged, and actions are told: nothing goes on behind a stop's back."""
    bench.journal.gate.clear()
    bench.queue.put(message(b"first", mid=1))
    committer = start()
    bench.journal.entered.wait(10)
    bench.queue.put(message(b"second", mid=2))
    future = bench.queue.submit(Record(RecordKind.ACTION, 1), 1)
    committer.stop(timeout=0)
    assert committer.alive
    bench.journal.gate.set()
    wait_until(lambda: not committer.alive)
    assert bench.journal.payloads == [b"first"]
    assert bench.acknowledged == [(1, 1)]
    with pytest.raises(StoreError):
        future.result(10)


def test_stopping_does_not_wait_for_a_full_disk(bench: Bench, start: Callable[..., Committer]) -> None:
    """What was not taken was not acknowledged: the broker has it; actions are told."""
    bench.journal.errors = [disk_full() for _ in range(100_000)]
    bench.queue.put(message(b"m"))
    future = bench.queue.submit(Record(RecordKind.ACTION, 1), 1)
    committer = start()
    wait_until(lambda: committer.blocked)
    committer.stop()
    assert not committer.alive
    assert committer.error is None
    assert bench.acknowledged == []
    assert bench.journal.groups == []
    with pytest.raises(StoreError):
        future.result(10)

"""What the broker sends again is recognised, however much of it, in whatever order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.instant import SECOND
from sensord.core.intake.repeats import (
    CONTENTS,
    KNOWN,
    LEAP,
    MOST_UNDER_WAY,
    PASSAGES,
    RANGES,
    RUNS,
    TOGETHER,
    Number,
    Repeats,
)
from tests.core.follower import A, B, Follower, at, tick
from tests.core.traffic import START, passage


def repeated(repeats: Repeats, boot: int, seq: int) -> bool:
    """Whether this number was seen; it is from now on."""
    return repeats.numbered(boot, seq)[0] is Number.REPEATED


@given(first=st.integers(0, 2**53 - 5000), sent=st.integers(1, 5000), again=st.integers(1, 3))
@settings(max_examples=30)
def test_everything_under_way_may_come_again(first: int, sent: int, again: int) -> None:
    """However much the broker had under way, sent again in order several times: each message counts once."""
    repeats = Repeats()
    assert not any(repeated(repeats, 1, first + number) for number in range(sent))
    for _ in range(again):
        assert all(repeated(repeats, 1, first + number) for number in range(sent))
    assert len(repeats.windows[0].edges) == 2


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2 * RANGES)), max_size=300), st.integers(0, 299))
@settings(max_examples=100)
def test_any_order_counts_each_number_once(arrivals: list[tuple[int, int]], restart: int) -> None:
    """Of two boots, the first arrival of a number is new, every other one a repeat; saved and restored in between."""
    repeats, seen = Repeats(), set[tuple[int, int]]()
    for number, (boot, seq) in enumerate(arrivals):
        if number == restart:
            repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
        assert repeated(repeats, boot, seq) is ((boot, seq) in seen)
        seen.add((boot, seq))


def test_numbers_far_apart_cost_nothing() -> None:
    """A leap to the largest number is a run of its own; beyond so many ranges the oldest hole is closed."""
    repeats = Repeats()
    assert [repeated(repeats, 1, seq) for seq in (0, 2**53, 2**53, 1, 1)] == [False, False, True, False, True]
    assert not any(repeated(repeats, 2, 10 * number) for number in range(3 * RANGES))
    assert len(repeats.windows[-1].edges) == 2 * RANGES
    assert not repeated(repeats, 2, 10 * 3 * RANGES - 15)
    assert repeated(repeats, 2, 15)


def told(numbers: list[int], boot: int = 1) -> list[tuple[Number, int]]:
    """What each number of a boot is, and how many it leaves out; saved and restored before each."""
    repeats, found = Repeats(), list[tuple[Number, int]]()
    for seq in numbers:
        repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
        found.append(repeats.numbered(boot, seq))
    return found


def test_a_number_that_leaps_is_no_gap() -> None:
    """A bogus number leaves nothing out, and those that follow it are what they are without it."""
    plain = [0, 1, 2, 5, 3, 5, 6]
    bogus = [0, 1, 2**53, 2, 7_000_000, 5, 2**52, 3, 5, 6]
    assert [one for one in told(bogus) if one[0] is not Number.LEAPT] == told(plain)
    assert told([0, 1 + LEAP]) == [(Number.FURTHER, 0), (Number.FURTHER, LEAP)]
    assert told([0, 2 + LEAP]) == [(Number.FURTHER, 0), (Number.LEAPT, 0)]


@pytest.mark.parametrize("restarts", range(5))
def test_a_number_that_leaps_ends_no_run(restarts: int) -> None:
    """However often its device has restarted: what goes on is known, and what is sent again, of the boot before too."""
    repeats = Repeats()
    for boot in range(restarts):
        assert not any(repeated(repeats, boot, seq) for seq in range(10))
    assert not any(repeated(repeats, restarts, seq) for seq in range(1000))
    assert repeats.numbered(restarts, 2**53) == (Number.LEAPT, 0)
    assert repeats.numbered(restarts, 1000) == (Number.FURTHER, 0)
    assert not restarts or all(repeated(repeats, restarts - 1, seq) for seq in range(10))
    assert all(repeated(repeats, restarts, seq) for seq in (*range(1001), 2**53))


def test_a_device_may_count_anew_far_away() -> None:
    """After a leap its numbers go on there: gaps are counted again, and repeats known."""
    far = 5 * LEAP
    found = told([far, far + 1, 0, 1, 2, 2, 5])
    further, leapt, repeated = (Number.FURTHER, 0), (Number.LEAPT, 0), (Number.REPEATED, 0)
    assert found == [further, further, leapt, further, further, repeated, (Number.FURTHER, 2)]


@pytest.mark.parametrize("step", [2 * LEAP, 10 * LEAP, 1000 * LEAP])
@pytest.mark.parametrize("together", [1, 3])
def test_numbers_that_are_times_are_known_again(step: int, together: int) -> None:
    """A clock's us or ns as numbers, one or several at once: each message counts once, over a restart, too."""
    times = [10**15 + step * n + 1000 * k for n in range(60 // together) for k in range(together)]
    repeats = Repeats()
    assert not any(repeated(repeats, 1, seq) for seq in times)
    repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
    assert all(repeated(repeats, 1, seq) for seq in times[-40:])
    assert not any(repeated(repeats, 2, seq) for seq in times[:30])
    assert all(repeated(repeats, 1, seq) for seq in times[-20:]), "the boot before is known, too"
    assert all(repeated(repeats, 2, seq) for seq in times[:30])
    assert len(repeats.windows) <= RUNS
    assert len(repeats.contents) <= CONTENTS


def test_a_number_that_is_a_time_comes_ahead_and_in_its_turn_once() -> None:
    """However many come ahead."""
    repeats, times = Repeats(), [10**15 + 10 * LEAP * n for n in range(100)]
    for seq in times:
        assert not repeated(repeats, 1, seq)
        repeats.lead(1, seq, START)
    assert all(repeated(repeats, 1, seq) for seq in times)
    assert not repeats.awaited


def test_who_leaps_with_every_number_leaps_once() -> None:
    """Its numbers count no messages; of a device whose numbers do, every leap is told."""
    found = [one for one, _ in told([10**15 + 10 * LEAP * n for n in range(20)])]
    assert found.count(Number.LEAPT) == 1
    found = [one for one, _ in told([one for n in range(10) for one in (2 * n, 2 * n + 1, 10**15 + 10 * LEAP * n)])]
    assert found.count(Number.LEAPT) == 10


def test_a_few_boots_in_turn_repeat_nothing() -> None:
    """A device that counts its boots from 0 to 3 and begins each with 0 is heard each time, however short they are."""
    repeats = Repeats()
    assert not any(repeated(repeats, boot % 4, seq) for boot in range(20) for seq in range(3))


def test_what_says_nothing_of_itself_is_a_repeat_only_when_it_is_marked() -> None:
    """Equal readings count each; what the broker sends again is known however long it was away, and however often."""
    repeats, second = Repeats(), iter(range(10**6))

    def again(identity: int, *, marked: bool = True, after: int = 1) -> bool:
        nonlocal repeats
        repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
        for _ in range(after - 1):
            next(second)
        return repeats.sent_again(identity, next(second) * SECOND, marked=marked)

    assert not any(again(one, marked=False) for one in (1, 2, 2, 3))
    assert [again(one, after=3600) for one in (2, 2, 3, 4)] == [True, True, True, False]
    assert [again(one) for one in (2, 2, 3, 4)] == [True, True, True, True]
    assert not again(5, marked=False, after=60)
    assert [again(one) for one in (4, 5)] == [False, True], "what came long before the newest was acknowledged"


def test_what_was_under_way_is_bounded() -> None:
    """However much comes at once."""
    repeats = Repeats()
    assert not any(repeats.sent_again(identity, 0, marked=False) for identity in range(3 * MOST_UNDER_WAY))
    assert len(repeats.under_way) == MOST_UNDER_WAY
    assert repeats.sent_again(3 * MOST_UNDER_WAY - 1, 0, marked=True)


def test_contents_are_kept_for_a_while() -> None:
    """Of messages without numbers the newest are known again, and memory is bounded."""
    repeats = Repeats()
    assert [repeats.content(identity) for identity in (1, 2, 1)] == [False, False, True]
    assert not any(repeats.content(identity) for identity in range(10, 1000))
    assert len(repeats.contents) == 64


def test_a_passage_that_is_reported_again_counts_once() -> None:
    """With another vehicle between, after it has left, with another confidence: it neither comes nor goes again."""
    follower = Follower(rules=())
    said = [at(0, A), at(60, B), at(120, A, "out"), at(180, B, "out")]
    again = [(90, "in", 0), (150, "in", 0), (200, "out", 120)]
    repeats = [
        passage("C1-N", START + second * SECOND, A, way, 0.96, START + first * SECOND) for second, way, first in again
    ]
    rows = follower.see(*said, *repeats, tick(300))
    assert [(row.at, row.where, row.vehicle) for row in rows] == [
        (0, "C1-N in", A),
        (60, "C1-N in", B),
        (120, "C1-N out", A),
        (180, "C1-N out", B),
    ]
    assert follower.inside() == (0, 0)


def test_a_clock_of_whole_seconds_repeats_no_look() -> None:
    """Two readings of one second make a doubtful plate certain: what comes so soon is no repeat."""
    follower = Follower(rules=())
    looks = [passage("C1-N", START + half * SECOND // 2, A, "in", 0.8 + 0.01 * half, START) for half in (0, 1)]
    rows = follower.see(*looks, tick(60))
    assert [row.event for row in rows] == ["passed"]
    assert follower.tracker.counts["visit", "merged"] == 1


def test_passages_are_known_for_minutes_and_no_longer() -> None:
    """And no more than so many of a camera, saved and restored in between."""
    repeats = Repeats()
    assert not repeats.passage(7, 0)
    repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
    assert repeats.passage(7, TOGETHER + 1)
    assert repeats.passage(7, KNOWN)
    assert not repeats.passage(7, KNOWN + 1)
    for number in range(10 * PASSAGES):
        repeats.passage(100 + number, KNOWN + 2)
    assert len(repeats.passages) <= PASSAGES + 1


def test_a_clock_that_stands_still_years_ago_repeats_no_passage() -> None:
    """A camera with a dead battery stamps all the same: out and in again within minutes are passages."""
    follower = Follower(rules=())
    stamp = START - 9 * 366 * 24 * 3600 * SECOND
    looks = [(0, "in"), (65, "out"), (130, "in")]
    said = [passage("C1-N", START + second * SECOND, A, way, 0.9 + second / 2000, stamp) for second, way in looks]
    rows = follower.see(*said, tick(300))
    assert [row.where for row in rows] == ["C1-N in", "C1-N out", "C1-N in"]
    assert follower.inside() == (1, 0)

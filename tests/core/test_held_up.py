"""Cameras whose way here is held up, or whose signs of life are by another clock: a passage counts once."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.intake.clock import Clock
from sensord.core.intake.intake import Intake
from sensord.core.record import Record, RecordKind
from tests.core.follower import A, B, Follower, Row, at, tick
from tests.core.traffic import START, passage, sign

LATENESS = 2 * SECOND


@dataclass(frozen=True)
class Heard:
    """A message: arrival and stamp in seconds after START; ``sight``: it is of a vehicle, else a sign of life."""

    arrival: float
    stamp: float
    sight: bool = False


def judged(*heard: Heard) -> list[tuple[float, bool]]:
    """(event time in seconds after START, suspect) of each sight of a camera that should be heard every minute."""
    clock, sights, out = Clock(), None, list[tuple[float, bool]]()
    for one in heard:
        stamp, arrival = START + round(one.stamp * SECOND), START + round(one.arrival * SECOND)
        if not one.sight:
            clock.event_time(stamp, arrival, MINUTE, LATENESS, camera=sights is not None)
            continue
        sights = sights or clock.beside()
        event, suspect = sights.event_time(stamp, arrival, MINUTE, LATENESS, clock, camera=True)
        out.append(((event - START) / SECOND, suspect))
    return out


SIGNS = [Heard(second, second) for second in range(-600, 1, 60)]
"""Signs of life once a minute until the start, by a right clock."""
SEEN = Heard(-90, -90, True)
"""A vehicle from which the camera's own clock is known to be right."""


@pytest.mark.parametrize("stall", [80, 120, 175, 400])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("first", [5, 30])
def test_what_was_held_up_for_longer_than_a_period_keeps_its_own_time(stall: float, known: bool, first: float) -> None:
    """Be it the first that comes after the silence, or behind a sign of life."""
    before = sorted([*SIGNS, *([SEEN] if known else [])], key=lambda one: one.arrival)
    burst = [Heard(stall, first, True), Heard(stall + 0.01, first + 0.6, True), Heard(stall + 0.02, 60)]
    behind = [Heard(stall, 4), *burst]
    for each in (burst, behind) if known else (burst,):
        assert judged(*before, *each)[-2:] == [(first, False), (first + 0.6, False)]


@pytest.mark.parametrize("stall", [20, 45, 70])
def test_what_was_held_up_for_less_goes_together(stall: float) -> None:
    """Nothing tells the first from one of a clock that was set, and the next ones go with it; the last is right."""
    burst = [Heard(stall, 6, True), Heard(stall + 0.01, 6.6, True), Heard(stall + 0.02, stall - 1, True)]
    events = [event for event, _ in judged(*SIGNS, *burst)]
    assert events == [stall, stall + 0.01, stall + 0.02]


def test_a_camera_that_is_known_to_be_right_is_right() -> None:
    """It was seen to have the clock of its signs of life, and these are right: what is behind was stored."""
    signs = sorted([*SIGNS, SEEN], key=lambda one: one.arrival)
    late = [Heard(20, -3600, True), Heard(20.01, -3599.4, True)]
    assert judged(*signs, *late)[1:] == [(-3600, False), (-3599.4, False)]


@pytest.mark.parametrize("behind", [1.0, 2.0, 13.0, 40.0])
@pytest.mark.parametrize("slow", [30, 60, 120, 277])
def test_a_slow_camera_beside_a_right_gateway(slow: float, behind: float) -> None:
    """Its vehicles are taken at their arrival until its clock is learnt, however soon they follow a sign of life."""
    heard = list(SIGNS)
    for passing in range(4):
        heard += [Heard(600 * passing + 60 * beat, 600 * passing + 60 * beat) for beat in range(1, 11)]
        moment = 600 * passing + 300 + behind
        heard += [Heard(moment + part, moment + part - slow, True) for part in (0, 0.6, 1.2)]
    out = judged(*sorted(heard, key=lambda one: one.arrival))
    true = [600 * passing + 300 + behind + part for passing in range(4) for part in (0, 0.6, 1.2)]
    assert [event for event, _ in out] == pytest.approx(true)
    assert not any(suspect for _, suspect in out[4:]), "it has been learnt"


def test_a_clock_that_is_set_back_makes_no_vehicle_late() -> None:
    """By more than the silence before it: nothing that was held up can be as old."""
    heard = [*SIGNS, Heard(100, -200), Heard(130, -170, True), Heard(130.6, -169.4, True)]
    assert [event for event, _ in judged(*heard)] == [130, 130.6]
    signs = sorted([*SIGNS, SEEN], key=lambda one: one.arrival)
    assert judged(*signs, Heard(100, -200, True))[1:] == [(100, True)]


def test_a_camera_whose_clock_is_another_one_every_time_is_late_once_at_most() -> None:
    """Only behind a reading of the usual age a small jump looks like a stall."""
    assert judged(Heard(0, 0, True), Heard(100, 50, True), Heard(200, 110, True), Heard(300, 220, True)) == [
        (0, False),
        (50, False),
        (200, True),
        (300, True),
    ]


def alive(second: float, arrival: float | None = None) -> Record:
    """A sign of life of the north camera, stamped."""
    stamp = START + round(second * SECOND)
    arrival = second if arrival is None else arrival
    said = json.dumps({"uptime": 1, "at": stamp / 1e6}).encode()
    return Record(RecordKind.MESSAGE, START + round(arrival * SECOND), sign("C1-N", 0).topic, said)


def held_up(stall: float, *, ways: tuple[str, ...]) -> tuple[list[Row], Follower]:
    """A vehicle that passes at the 13th second, and 40 s later the other way; all of it arrives after the stall."""
    follower = Follower(rules=())
    follower.see(*(alive(second) for second in range(-3600, 1, 60)))
    said = [(13 + 40 * number + part, way) for number, way in enumerate(ways) for part in (0, 0.6, 1.2)]
    heard = [(second, "") for second in range(60, round(stall) + 600, 60)] + said
    records, last = list[Record](), 0.0
    for second, way in sorted(heard):
        last = max(stall if 5 <= second < stall else second, last + 0.005)
        stamp = START + round(second * SECOND)
        one = passage("C1-N", START + round(last * SECOND), B, way, 0.97, stamp) if way else alive(second, last)
        records.append(one)
    return follower.see(*records, tick(stall + 700)), follower


@pytest.mark.parametrize("stall", [0, 30, 60, 75, 90, 120, 150, 170, 200, 600])
def test_a_stall_makes_one_passage_of_one(stall: float) -> None:
    """One reading taken for fresh and the next for stored would be two passages, and the exit before the entry."""
    rows, follower = held_up(stall, ways=("in",))
    assert [row.where for row in rows if row.event == "passed"] == ["C1-N in"]
    assert follower.inside() == (1, 0)
    rows, follower = held_up(stall, ways=("in", "out"))
    assert [row.where for row in rows if row.event == "passed"] == ["C1-N in", "C1-N out"]
    assert follower.inside() == (0, 0)


def test_a_state_of_before_is_carried_on() -> None:
    """A camera whose clock was saved together with its signs of life has it for a start; so have those beside it."""
    follower = Follower(rules=())
    follower.see(alive(-60), alive(0), at(10, A))
    saved = follower.intake.save()
    old = Intake(follower.definition, follower.places)
    old.restore(saved)
    assert old.save() == saved
    for memory in old._memories.all():
        memory.sights = None
    follower.intake.restore(old.save())
    late = passage("C1-N", START + 5 * MINUTE, B, "in", 0.97, START + MINUTE)
    rows = follower.see(late, tick(HOUR / SECOND))
    assert [(row.at, row.vehicle) for row in rows if row.event == "passed"] == [(60, B)]

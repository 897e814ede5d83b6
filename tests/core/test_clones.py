"""One plate on two vehicles, as transcripts: what is said of it and when, and what only a camera's mistake is."""

from __future__ import annotations

import pytest

from sensord.core.record import Record
from sensord.core.vehicles.pseudonym import Pseudonymiser
from tests.core.follower import A_CONFUSED, A, B, Follower, at, tick
from tests.core.traffic import KEYS, SECRETS, START

DAY = 86_400.0
SURE, DOUBT = 0.97, 0.7

ELSEWHERE = [at(3600, A, gate="C3-N"), at(7200, A, "out", gate="C3-N")]
"""The plate comes to and leaves another compound, both ends seen surely."""

SAID: dict[str, tuple[list[Record], list[float]]] = {
    "out of where it seemed to have left": ([at(0, A), *ELSEWHERE, at(9000, A, "out"), tick(9010)], [9000]),
    "also with one doubtful reading at every gate: each visit's two ends agree": (
        [
            *(at(0, A, "in", DOUBT), at(3600, A, "in", DOUBT, "C3-N"), at(7200, A, "out", DOUBT, "C3-N")),
            *(at(9000, A, "out", DOUBT), tick(9010)),
        ],
        [9000],
    ),
    "seen elsewhere in doubt: once it has left there under the same plate": (
        [
            *(at(0, A), at(3600, A, "in", DOUBT, "C3-N"), at(7200, A, "out")),
            *(at(9000, A, "out", DOUBT, "C3-N"), tick(9010)),
        ],
        [9000],
    ),
    "seen elsewhere once and in doubt: a misread stranger looks like that": (
        [at(0, A), at(3600, A, "out", DOUBT, "C3-N"), at(9000, A, "out"), tick(9010)],
        [],
    ),
    "two places at once, both sure": ([at(0, A), at(10, A, gate="C3-N")], [10]),
    "two places at once, the second in doubt: once that visit has ended": (
        [at(0, A), at(10, A, "in", DOUBT, "C3-N"), tick(600), at(700, A, "out", DOUBT, "C3-N"), tick(710)],
        [700],
    ),
    "two places at once, the first in doubt: once that visit has ended": (
        [at(0, A, "in", DOUBT), at(10, A, gate="C3-N"), tick(600), at(700, A, "out", DOUBT), tick(710)],
        [700],
    ),
    "two places at once, in doubt, and never again: nothing": (
        [at(0, A), at(10, A, "out", DOUBT, "C3-N"), tick(DAY + 7200)],
        [],
    ),
    "a visit that began later is no witness": (
        [
            *(at(0, A), at(10, A, "out", DOUBT, "C3-N"), at(600, A, "out"), at(3600, A, "in", DOUBT, "C3-N")),
            *(at(7200, A, "out", DOUBT, "C3-N"), tick(7210)),
        ],
        [],
    ),
    "a suspicion is a day old at most": (
        [at(0, A), at(10, A, "in", DOUBT, "C3-N"), tick(DAY), at(2 * DAY, A, "out", DOUBT, "C3-N"), tick(2 * DAY + 10)],
        [],
    ),
    "it came misread, was elsewhere meanwhile, and leaves under its own plate": (
        [at(-9000, A, gate="C2-N"), at(-8000, A, "out", gate="C2-N"), tick(-7000), at(0, A_CONFUSED), *ELSEWHERE,
         at(9000, A, "out"), tick(9010)],
        [9000],
    ),
    "the same, and leaves in doubt: it may as well be a stranger, misread when it leaves": (
        [at(-9000, A, gate="C2-N"), at(-8000, A, "out", gate="C2-N"), tick(-7000), at(0, A_CONFUSED), *ELSEWHERE,
         at(9000, A, "out", DOUBT), tick(9010)],
        [],
    ),
    "the same, and one of two readings showed its plate when it came: both ends do": (
        [at(-9000, A, gate="C2-N"), at(-8000, A, "out", gate="C2-N"), tick(-7000), at(0, A_CONFUSED),
         at(1, A, "in", DOUBT), *ELSEWHERE, at(9000, A, "out", DOUBT), tick(9010)],
        [9000],
    ),
    "it came misread, sooner than anybody drives": (
        [at(-9000, A, gate="C3-N"), at(-10, A, "out", gate="C3-N"), at(0, A_CONFUSED), at(700, A, "out"), tick(710)],
        [700],
    ),
    "the same, and leaves in doubt": (
        [at(-9000, A, gate="C3-N"), at(-10, A, "out", gate="C3-N"), at(0, A_CONFUSED), at(700, A, "out", DOUBT),
         tick(710)],
        [],
    ),
    "it leaves misread from where it seemed to have left": (
        [at(0, A), *ELSEWHERE, at(9000, A_CONFUSED, "out", DOUBT), tick(9010)],
        [9000],
    ),
    "the same, in doubt at either end: one of two readings when it leaves shows the plate": (
        [at(0, A, "in", DOUBT), *ELSEWHERE, at(9000, A_CONFUSED, "out", 0.8), at(9001, A, "out", DOUBT), tick(9010)],
        [9000],
    ),
    "one of two readings shows the plate when it leaves where it was next, and all are in doubt": (
        [at(0, A), at(3600, A, "in", DOUBT, "C3-N"), at(7200, A_CONFUSED, "out", 0.8, "C3-N"),
         at(7201, A, "out", DOUBT, "C3-N"), tick(7300), at(9000, A, "out"), tick(9010)],
        [9000],
    ),
    "it came for certain under another plate where it was next, until two readings agreed on its own": (
        [at(0, A), at(3600, A_CONFUSED, "in", SURE, "C3-N"), at(3601, A, "in", DOUBT, "C3-N"),
         at(3602, A, "in", DOUBT, "C3-N"), at(7200, A, "out", gate="C3-N"), at(9000, A, "out"), tick(9010)],
        [9000],
    ),
    "the same, and sooner than anybody drives": (
        [at(0, A), at(10, A_CONFUSED, "in", SURE, "C3-N"), at(11, A, "in", DOUBT, "C3-N"),
         at(12, A, "in", DOUBT, "C3-N"), tick(20), at(700, A, "out", DOUBT, "C3-N"), tick(710)],
        [700],
    ),
    "who came back and was recognised late is there again: a missed entry is just that": (
        [at(0, A, gate="C3-N"), at(3600, A), at(5000, A, "out"), at(7200, A_CONFUSED, "in", SURE, "C3-N"),
         at(7201, A, "in", DOUBT, "C3-N"), at(7202, A, "in", DOUBT, "C3-N"), at(8000, A, "out", gate="C3-N"),
         at(9000, A, "out", gate="C3-N"), tick(9010)],
        [],
    ),
    "who leaves for certain under another plate where it was next is no witness": (
        [at(0, A), at(3600, A, "in", DOUBT, "C3-N"), at(7200, A_CONFUSED, "out", SURE, "C3-N"), tick(7300),
         at(9000, A, "out"), tick(9010)],
        [],
    ),
    "a known vehicle of a plate alike leaves: that is itself": (
        [at(-9000, A_CONFUSED, gate="C2-N"), at(-8000, A_CONFUSED, "out", gate="C2-N"), tick(-7000), at(0, A),
         *ELSEWHERE, at(9000, A_CONFUSED, "out"), tick(9010)],
        [],
    ),
    "it came misread where it was next, and is where it was before": (
        [at(0, A), at(3600, A_CONFUSED, "in", DOUBT, "C3-N"), at(7200, A, "out", SURE, "C3-N"), tick(7300),
         at(9000, A, "out"), tick(9010)],
        [9000],
    ),
    "the same, and leaves there in doubt: a visit that began misread is no witness": (
        [at(0, A), at(3600, A_CONFUSED, "in", DOUBT, "C3-N"), at(7200, A, "out", DOUBT, "C3-N"), tick(7300),
         at(9000, A, "out"), tick(9010)],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_when_a_clone_is_said(name: str) -> None:
    """Each transcript is said to be of two vehicles at these seconds, and at no others."""
    records, seconds = SAID[name]
    assert [row.at for row in Follower().see(*records) if row.event == "cloned"] == seconds


@pytest.mark.parametrize("name", SAID)
def test_a_restart_in_between_changes_nothing(name: str) -> None:
    """The state that is saved holds every suspicion: after any reading another tracker goes on from it."""
    records, seconds = SAID[name]
    follower, rows = Follower(), []
    for record in sorted(records, key=lambda one: one.received_at):
        rows += follower.see(record)
        follower.restart()
    assert [row.at for row in rows if row.event == "cloned"] == seconds


def test_whoever_is_recognised_late_is_in_one_place_only() -> None:
    """Its visit elsewhere is over as soon as two readings say who it is; nobody saw it leave there."""
    follower = Follower()
    follower.see(at(0, A), at(3600, A_CONFUSED, gate="C3-N"))
    assert (follower.inside("C1"), follower.inside("C3")) == ((1, 0), (1, 0))
    rows = follower.see(at(3601, A, "in", DOUBT, "C3-N"), at(3602, A, "in", DOUBT, "C3-N"))
    assert [(row.event, row.where, row.vehicle) for row in rows] == [
        ("ended", "C1-N in", A),
        ("recognised", "C3-N in", A),
    ]
    assert (follower.inside("C1"), follower.inside("C3")) == ((0, 1), (1, 0))


def test_a_misread_entry_is_its_own_visit_in_the_end() -> None:
    """The stranger that it was read as never existed: nobody of that plate is known, and the visit is the vehicle's."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED, "in", DOUBT))
    left = follower.see(at(3600, A, "out"), tick(3610))[-1]
    assert (left.vehicle, left.numbers["stay"]) == (A, 1.0)
    assert follower.tracker.counts["visit", "left_misread"] == 1
    who = Pseudonymiser(KEYS, 0, SECRETS).identify(A, START).token
    assert list(follower.tracker.presence.known) == [who]


def test_two_doubtful_readings_of_strangers_prove_nothing() -> None:
    """Which of the two is right nobody knows: the visit stays under the name with which it began."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED, "in", DOUBT))
    left = follower.see(at(3600, A, "out", DOUBT), tick(3610))[-1]
    assert (left.vehicle, left.numbers["stay"]) == (A_CONFUSED, 1.0)


def test_other_vehicles_are_left_alone() -> None:
    """A clone's two visits both go on, and nobody else's is touched."""
    follower = Follower()
    follower.see(at(0, A), at(5, B), at(10, A, gate="C3-N"))
    assert (follower.inside("C1"), follower.inside("C3")) == ((2, 0), (1, 0))

"""Which readings are one passage, and when it is decided: transcripts of what cameras say and what is believed."""

from __future__ import annotations

import pytest

from sensord.core.record import Record
from tests.core.follower import (
    A_CONFUSED,
    A_HALF,
    A_STRAY,
    GREEN,
    GREEN_HALF,
    GREEN_SHORT,
    A,
    B,
    Follower,
    at,
    short,
    tick,
)

MERGING: dict[str, tuple[list[Record], list[tuple[float, str, str, str]]]] = {
    "a sure reading decides at once": ([at(0, A)], [(0, "passed", "C1-N in", A)]),
    "an exit waits for better readings": ([at(0, A, "out"), tick(2)], []),
    "and is decided by the settle time": ([at(0, A, "out"), tick(3)], [(0, "passed", "C1-N out", A)]),
    "trigger and periodic readings are one passage": (
        [at(0, A), at(1, A), at(2, A, "in", 0.6), at(20, A), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
    "the other direction is another passage": (
        [at(0, A), at(5, A, "out"), tick(60)],
        [(0, "passed", "C1-N in", A), (5, "passed", "C1-N out", A)],
    ),
    "another gate is another passage": (
        [at(0, A, "out"), at(1, A, "out", gate="C1-S"), tick(60)],
        [(0, "passed", "C1-N out", A), (1, "passed", "C1-S out", A)],
    ),
    "the surest of doubtful readings wins": (
        [at(0, A_CONFUSED, "in", 0.6), at(1, A, "in", 0.8), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
    "two that agree win over one that is surer": (
        [at(0, A, "in", 0.7), at(1, A_CONFUSED, "in", 0.85), at(2, A, "in", 0.7), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
    "any one character may be wrong within seconds": (
        [at(0, A_STRAY, "in", 0.6), at(1, A, "in", 0.8), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
    "or missing": (
        [at(0, GREEN_SHORT, "in", 0.6), at(1, GREEN, "in", 0.8), tick(60)],
        [(0, "passed", "C1-N in", GREEN)],
    ),
    "two sure plates are two vehicles however close": (
        [at(0, A), at(2, A_STRAY), at(3, A_HALF), tick(60)],
        [(0, "passed", "C1-N in", A), (2, "passed", "C1-N in", A_STRAY), (3, "passed", "C1-N in", A_HALF)],
    ),
    "half a plate in common is not the same plate": (
        [at(0, GREEN, "out", 0.8), at(2, GREEN_HALF, "out", 0.8), tick(60)],
        [(0, "passed", "C1-N out", GREEN), (2, "passed", "C1-N out", GREEN_HALF)],
    ),
    "but not when they are further apart": (
        [at(0, A_STRAY, "in", 0.8), at(10, A, "in", 0.8), tick(60)],
        [(0, "passed", "C1-N in", A_STRAY), (10, "passed", "C1-N in", A)],
    ),
    "tailgating vehicles are two": (
        [at(0, A, "in", 0.8), at(1, B, "in", 0.8), tick(60)],
        [(0, "passed", "C1-N in", A), (1, "passed", "C1-N in", B)],
    ),
    "an unread reading belongs to the one beside it": (
        [at(0, None), at(1, A), at(2, "苏E2", "in", 0.9), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
    "a vehicle without a plate is a passage": ([at(0, None), tick(60)], [(17, "passed", "C1-N in", "")]),
    "it passes again after the merging time": (
        [at(0, A), at(61, A), tick(70)],
        [(0, "passed", "C1-N in", A), (61, "ended", "C1-N in", A), (61, "passed", "C1-N in", A)],
    ),
    "a vehicle that stands at the barrier is one passage": (
        [at(0, A), at(30, A), at(60, A), at(119, A), tick(200)],
        [(0, "passed", "C1-N in", A)],
    ),
    "but not when it has gone back by the gate": (
        [at(0, A), at(20, A, "out"), at(50, A), tick(70)],
        [(0, "passed", "C1-N in", A), (20, "passed", "C1-N out", A), (50, "passed", "C1-N in", A)],
    ),
    "nor when another vehicle came behind it": (
        [at(0, A), at(20, B), at(50, A), tick(70)],
        [
            (0, "passed", "C1-N in", A),
            (20, "passed", "C1-N in", B),
            (50, "ended", "C1-N in", A),
            (50, "passed", "C1-N in", A),
        ],
    ),
    "who is certain only after it was decided is told of again": (
        [at(0, B, "in", 0.7), at(4, B), at(8, B), tick(60)],
        [(0, "passed", "C1-N in", B), (4, "recognised", "C1-N in", B)],
    ),
    "two readings that agree are certain, however late": (
        [at(0, B, "out", 0.7), at(10, B, "out", 0.7), at(20, B, "out", 0.7), tick(60)],
        [(0, "passed", "C1-N out", B), (10, "recognised", "C1-N out", B)],
    ),
    "a plate that nobody can read waits for one that rolls up": (
        [at(0, B, "in", 0.4), at(19, B, "in", 0.97), tick(60)],
        [(19, "passed", "C1-N in", B)],
    ),
    "so does a vehicle without a plate": (
        [at(0, None), at(15, B, "in", 0.7), tick(17), tick(60)],
        [(15, "passed", "C1-N in", B)],
    ),
    "a vehicle that is not legible is one however long it stands": (
        [at(second, None) for second in (0, 10, 20, 35, 50)] + [tick(90)],
        [(17, "passed", "C1-N in", "")],
    ),
    "who is legible only after that is told of then": (
        [at(0, None), at(15, None), at(30, B), tick(60)],
        [(17, "passed", "C1-N in", ""), (30, "recognised", "C1-N in", B)],
    ),
    "on the way out, too": (
        [at(0, B), at(300, None, "out"), at(315, None, "out"), at(330, B, "out"), tick(400)],
        [(0, "passed", "C1-N in", B), (317, "passed", "C1-N out", ""), (330, "recognised", "C1-N out", B)],
    ),
    "what is not legible behind a vehicle is that vehicle": (
        [at(0, A), at(4, None), at(8, None), tick(60)],
        [(0, "passed", "C1-N in", A)],
    ),
}


@pytest.mark.parametrize("name", MERGING)
def test_which_readings_are_one_passage(name: str) -> None:
    """Each transcript gives exactly these passages."""
    records, expected = MERGING[name]
    assert short(Follower().see(*records)) == expected

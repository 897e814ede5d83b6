"""Readings that come by the batch are followed as if they came one by one, whatever comes between them.

The reference looks at every reading by itself, and at every passage as if others of its lane were open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensord.core.batch import Batch
from sensord.core.instant import MINUTE, SECOND
from sensord.core.intake.intake import Intake
from sensord.core.place import Places
from sensord.core.record import Record
from sensord.core.rules.window import Array
from sensord.core.stream import Stream
from sensord.core.vehicles.passage import Passages
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.trackerstate import load, save
from tests.core.traffic import SECRETS, START, definition, passage, places

STREET = definition()
ALL = Places(places(), STREET.devices)
Again = tuple[float, float]
"""(seconds after the reading before, confidence)."""
Shown = tuple[float, str, str, str | None, list[Again]]
"""(seconds after the passage before, gate, direction, plate, readings)."""

shown = st.tuples(
    st.sampled_from((0.0, 0.5, 1.0, 2.9, 3.0, 3.1, 19.0, 20.0, 20.5, 23.0, 24.0, 60.0, 400.0)),
    st.sampled_from(("C1-N", "C1-N", "C1-N", "C2-N")),
    st.sampled_from(("in", "out")),
    st.sampled_from(("沪A12345", "沪A12345", "沪A1Z345", "苏E24680", "皖K13579", None)),
    st.lists(
        st.tuples(st.sampled_from((0.0, 1.0, 2.9, 3.0, 21.0)), st.sampled_from((0.4, 0.6, 0.85, 0.95, 0.99))),
        min_size=1,
        max_size=3,
    ),
)


def _out(pause: float, plate: str) -> Shown:
    return pause, "C1-N", "out", plate, [(0.0, 0.95)]


def decoded(readings: Sequence[Shown], late: Sequence[int] = (0,)) -> Batch:
    """The readings as one batch, so many seconds late in turn, with a quiet minute behind them."""
    at, records = START, list[Record]()
    for pause, gate, direction, plate, again in readings:
        at += round(pause * SECOND)
        for gap, confidence in again:
            at += round(gap * SECOND)
            records.append(passage(gate, at, plate, direction, confidence))
    who = Pseudonymiser(STREET.plate_keys, STREET.tracking.overlap, SECRETS)
    batch = Intake(STREET, ALL, who).decode(tuple(records), at + MINUTE).batch
    return replace(batch, event_at=batch.received_at - SECOND * np.resize(late, len(batch)))


def followed(batch: Batch, sizes: Sequence[int], restart: int = 0) -> tuple[list[str], Counter[tuple[str, str]]]:
    """What the tracker says, cut in parts of these sizes in turn, and what it counts."""
    tracker, said, counts = Tracker(STREET, ALL), list[str](), Counter[tuple[str, str]]()
    start, turn = 0, 0
    while start < len(batch):
        stop = min(start + sizes[turn % len(sizes)], len(batch))
        now = batch.now if stop == len(batch) else int(batch.received_at[stop - 1])
        said += rows_of(tracker.take(batch.cut(start, stop, now)))
        start, turn = stop, turn + 1
        counts += tracker.counts
        tracker.counts.clear()
        if restart and turn % restart == 0:
            saved, tracker = save(tracker), Tracker(STREET, ALL)
            load(tracker, saved)
    return said, counts


def rows_of(made: Batch) -> list[str]:
    """Everything that derived readings say, a line each."""
    rows, seen = np.flatnonzero(made.stream == Stream.VISIT), made.sightings
    assert seen is not None
    table: list[Array] = [made.device, made.event_at, made.received_at, seen.who[:, 0], seen.seen_at]
    table += [made.labels[name] for name in sorted(made.labels)] + [made.fields[name] for name in sorted(made.fields)]
    columns = [column[rows].tolist() for column in table]
    return list(map(repr, zip(*columns, seen.masks[rows].tolist(), strict=True)))


@given(
    readings=st.lists(shown, min_size=1, max_size=12),
    late=st.lists(st.sampled_from((0, 0, 21, 25)), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    restart=st.integers(0, 3),
)
@example([_out(0.0, "沪A12345"), _out(1.0, "皖K13579")], [25, 0], [2], 0)
@example([_out(0.0, "沪A12345"), _out(20.5, "沪A12345"), _out(2.5, "沪A12345")], [0, 0, 25], [3], 0)
@example(
    [(0.0, "C1-N", "in", None, [(0.0, 0.4)]), (20.0, "C1-N", "in", "沪A12345", [(0.0, 0.85), (3.0, 0.85)])], [0], [3], 0
)
@example(
    [
        (3.0, "C1-N", "out", "皖K13579", [(21.0, 0.99), (2.9, 0.6), (2.9, 0.99)]),
        (24.0, "C1-N", "in", "皖K13579", [(3.0, 0.4), (0.0, 0.6)]),
        (0.5, "C1-N", "out", "皖K13579", [(2.9, 0.6)]),
    ],
    [0, 21],
    [2],
    0,
)
@settings(max_examples=150)
def test_columns_are_followed_like_single_readings(
    readings: list[Shown], late: list[int], sizes: list[int], restart: int
) -> None:
    """As one batch, and in any cut with any restart, everything said and counted is the same as one by one."""
    batch = decoded(readings, late)
    with patch.object(Passages, "alone", return_value=None):
        reference = followed(batch, [1])
    assert followed(batch, [len(batch)]) == reference
    assert followed(batch, sizes, restart) == reference


def test_ordinary_passages_are_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where vehicles pass one after another nothing is looked at reading by reading."""
    monkeypatch.setattr(Passages, "take", None)
    plates = ("沪A12345", "苏E24680", "皖K13579", "沪B67890")
    calm: list[Shown] = [
        (60.0, "C1-N", way, plate, [(0.0, 0.95), (1.0, 0.97)]) for way in ("in", "out") for plate in plates
    ]
    assert followed(decoded(calm), [16])[1]["visit", "left"] == 4

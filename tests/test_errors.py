"""Every error of the tree comes out of another process as it went in."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from sensord.api.links import LinkError
from sensord.errors import (
    ConfigError,
    DamageError,
    DecodeError,
    DeliveryError,
    EndedError,
    LockedError,
    PlateKeyError,
    Problem,
    SensordError,
    SnapshotError,
    StoreError,
    UnavailableError,
)
from sensord.notify.outcome import InDoubtError, UnclearError
from sensord.store.reports import UnreadableReportError
from sensord.store.sqlite import store_error

ERRORS = [
    ConfigError([Problem("rules.yaml", 3, 1, "wrong"), Problem("places.yaml", 1, 2, "wrong, too", hint="mend it")]),
    DecodeError("wrong_shape", "a number is wanted"),
    SnapshotError("damaged"),
    PlateKeyError("missing"),
    StoreError("full"),
    store_error("busy", retryable=True),
    DamageError("damaged", Path("journal.db"), (7, 9)),
    LockedError("taken"),
    DeliveryError("no answer", retryable=False, retry_after=3.0),
    InDoubtError("sent, perhaps"),
    UnclearError("sent, or not"),
    UnavailableError("away"),
    EndedError("told to end"),
    LinkError("expired", expired=True),
    UnreadableReportError("no report"),
]


def _kinds(kind: type[SensordError]) -> set[type[SensordError]]:
    return {kind}.union(*map(_kinds, kind.__subclasses__()))


def test_every_error_is_tried() -> None:
    """A new one has its place in the list."""
    ours = {kind for kind in _kinds(SensordError) if kind.__module__.startswith("sensord.")}
    assert ours - {SensordError} == {type(error) for error in ERRORS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_it_comes_out_of_another_process_as_it_is(error: SensordError) -> None:
    """With its text and everything that it carries."""
    again = pickle.loads(pickle.dumps(error))  # our own bytes
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert again.retryable == error.retryable

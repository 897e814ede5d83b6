"""A journal that has lost groups after the core was saved: nothing is told under a name that was used in them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import MutableMapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from sensord.core.cases.policy import Category
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.site import definition_record
from tests.core.street import START, definition, stream_of
from tests.drivers.lives import living

SAVED, TORN = 90, 170
"""The core is saved after so many seconds; what was journaled from then to the second number gets lost."""


def coded() -> Definition:
    """The street, its crowds' cases with codes of the city's case flow."""
    whole = definition()
    plans = tuple(
        msgspec.structs.replace(plan, category="crowd") if plan.id == "crowd" else plan for plan in whole.policies
    )
    kinds = (Category("crowd", {"zh": "聚集"}, "01", "001"),)
    return msgspec.structs.replace(whole, district="310101", categories=kinds, policies=plans)


def lose_after(directory: Path, seq: int) -> None:
    """Lose every group after one, as by damage to the end of the newest file."""
    for path in (directory / "journal").glob("*.db"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM groups WHERE seq > ?", (seq,))


def doubled(said: Sequence[MutableMapping[str, Any]]) -> list[str]:
    """The tables in which an identity was used twice; an alert may change at the same instant as it had, once more."""
    tables = [one["table"] for one in said if "identity" in one["event"]]
    return [table for table in tables if table != "transitions"]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_is_told_after_a_loss_was_told_before(tmp_path: Path, seed: int) -> None:
    """Events, messages and codes of the cases that the saved core knows go on behind those of the lost stretch."""
    records = stream_of(seed, minutes=4)
    before, lost, after = (
        [one for one in records if begin <= (one.received_at - START) // SECOND < end]
        for begin, end in ((0, SAVED), (SAVED, TORN), (TORN, 1 << 40))
    )
    with living(tmp_path) as life:
        life.take([definition_record(coded(), START), *before])
        life.save()
        kept = life.journal.last_seq
        life.take(lost)
        told = life.state.outbox.totals()["pending"]
    lose_after(tmp_path, kept)
    with capture_logs() as said, living(tmp_path) as life:
        assert life.core.used is not None, "the lost stretch told of cases"
        life.tell_of_a_loss()
        life.take(after)
        assert doubled(said) == []
        assert life.state.outbox.totals()["pending"] > told
        codes = Counter(case.code for case in life.state.history.cases("all", 1000) if case.code)
        assert set(codes.values()) == {1}
    with living(tmp_path) as life:
        assert life.core.used is None, "it is known by now"


def test_a_case_that_begins_in_the_second_of_a_lost_one_is_another(tmp_path: Path) -> None:
    """A loss within a second of the one before: the case about it has an id of its own, and people hear of it."""
    calm = [one for one in stream_of(1) if one.received_at < START + SECOND]
    with living(tmp_path) as life:
        life.take([definition_record(definition(), START), *calm])
        life.save()
        kept = life.journal.last_seq
    for _ in range(2):
        lose_after(tmp_path, kept)
        with capture_logs() as said, living(tmp_path) as life:
            life.tell_of_a_loss()
            life.take([])
            assert doubled(said) == []
    with living(tmp_path) as life:
        about = [case for case in life.state.history.cases("all", 10) if case.place == "street"]
        assert len({case.id for case in about}) == len(about) == 2

"""A journal that has lost groups after the core was saved: nothing is told under a name that was used in them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from sensord.core.cases.notice import Trouble
from sensord.core.cases.policy import Category
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.record import Record
from sensord.core.site import definition_record
from sensord.drivers.live import LiveCore
from sensord.store.opening import open_stores
from sensord.supervisor import Troubles
from sensord.telemetry.metrics import PrometheusMeter
from tests.core.street import START, definition, stream_of
from tests.ingest.support import Beats

SAVED, TORN = 90, 170
"""The core is saved after so many seconds; what was journaled from then to the second number gets lost."""


class Life:
    """One life of a daemon without its threads: the stores, the core, and what it says of itself at its start."""

    def __init__(self, directory: Path) -> None:
        meter = PrometheusMeter()
        self.stores = open_stores(directory, "Asia/Shanghai", meter)
        self.journal, self.state = self.stores.journal, self.stores.state
        self.core = LiveCore(self.journal.reader(), self.state, meter, Beats(), on_outcomes=lambda _told: None)
        self.core.recover()
        known = {trouble: self.core.site.book.troubled(trouble) for trouble in Trouble}
        self.troubles = Troubles(self._submit, lambda: self.journal.last_received_at + 1, meter, known)

    def tell_of_a_loss(self) -> None:
        """Say what the start has found, as the daemon does before anything else."""
        self.troubles.recall(self.core.used)
        self.troubles.lose(self.core.orphans, damaged=True)

    def take(self, records: Sequence[Record]) -> None:
        """Let records come, ten to a group, and be decided."""
        for first in range(0, len(records), 10):
            self.journal.append(records[first : first + 10])
        while self.core.groups_behind:
            self.core._turn()  # one turn of the thread, without the thread

    def save(self) -> None:
        """Save the core."""
        self.core._save()

    def _submit(self, record: Record, _timeout: float) -> Future[int]:
        journaled = Future[int]()
        journaled.set_result(self.journal.append([record]))
        return journaled


@contextmanager
def living(directory: Path) -> Iterator[Life]:
    """A life that ends without a farewell: nothing is saved at its end."""
    life = Life(directory)
    with closing(life.stores.journal), closing(life.stores.state):
        yield life


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

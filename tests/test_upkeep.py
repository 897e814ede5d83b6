"""A journal over its cap: the oldest days go, whoever of the databases still needs them, and the count is told."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from sensord.config.settings import Journal as Limits
from sensord.config.settings import Settings
from sensord.core.alert import Vehicle
from sensord.core.cases.case import Case, State
from sensord.core.instant import DAY
from sensord.core.level import Level
from sensord.core.record import Record, RecordKind
from sensord.core.site import Step
from sensord.core.vehicles.tally import PassageCount
from sensord.store.journal import Journal
from sensord.store.passages import tallies
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from sensord.upkeep import Upkeep

START = 1_764_000_000 * 10**9


class AllApplied:
    """A core that has stepped and saved everything; no database has read anything."""

    snapshot_seq = applied = 10**9


class NothingSaved:
    """A core that would have to step everything again."""

    snapshot_seq = applied = 0


def _given_up(directory: Path, state: object) -> tuple[int, float, int]:
    """Three days of a mebibyte each, capped at two: days given up, as counted, and the first group that is left."""
    meter = PrometheusMeter()
    with closing(Journal(directory / "journal")) as journal:
        for number in range(3):
            noise = bytes((number * 7 + place * place) % 251 for place in range(1 << 10)) * 16
            journal.append([Record(RecordKind.MESSAGE, START + number * DAY, f"t/{n}", noise) for n in range(4)])
        each = journal.size // 3
        settings = Settings(site="test", journal=Limits(keep="36500d", max_mib=1))
        upkeep = Upkeep(directory, journal, state, settings, meter)  # type: ignore[arg-type]
        upkeep._most = 2 * each + each // 2  # a cap in whole mebibytes would want a large journal
        upkeep.journal()
        return upkeep.given_up, meter.value("journal_days_given_up_total"), journal.first_seq


def test_the_oldest_day_goes_and_is_counted(tmp_path: Path) -> None:
    """Though no database has read it: alerting is not endangered for the sake of time series."""
    assert _given_up(tmp_path, AllApplied()) == (1, 1, 2)


def test_what_alerts_need_stays(tmp_path: Path) -> None:
    """However large: the core would step these groups again after a crash."""
    assert _given_up(tmp_path, NothingSaved()) == (0, 0, 1)


def test_there_is_a_cap_without_a_setting() -> None:
    """A box whose database is away does not fill its disk by default."""
    assert Limits().max_mib == 2048


def test_what_reports_look_back_on_outlives_the_journal(tmp_path: Path) -> None:
    """As it comes: counts and cases of forty days ago stay, the vehicles of cases do not; what is older still goes."""
    old, now = time.time_ns() - 40 * DAY, time.time_ns()
    case = Case("old", "vehicle", "C1-N", "G1", "stranger", State.CLOSED, Level.BLUE, Level.BLUE, old, closed_at=old)
    case.vehicle = Vehicle("3fa94c0e5b7712d8", "沪A·**345", old)
    counts = [PassageCount(old - day * DAY, "C1-N", "in", "local", "沪", "fuel", 5) for day in (0, 365)]
    with closing(Journal(tmp_path / "journal")) as journal, closing(StateStore(tmp_path)) as state:
        state.apply(Step(1, now, passages=counts, cases=[case]))
        upkeep = Upkeep(tmp_path, journal, state, Settings(site="test"), PrometheusMeter())
        while upkeep.state():
            pass
        (found,) = state.recent_cases(10)
        assert (found.id, found.vehicle) == ("old", None)
        with tallies(tmp_path) as stored:
            assert [one.start for one in stored.counts(0, now)] == [old]

"""What goes, and what does not: over the cap, past its keeping, while the clock is wrong, while the disk is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sensord.config.settings import Journal as Limits
from sensord.config.settings import Settings
from sensord.core.alert import Vehicle
from sensord.core.cases.case import Case, State
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.intake.reader import DeadLetter
from sensord.core.level import Level
from sensord.core.record import Record, RecordKind
from sensord.core.site import Step
from sensord.core.vehicles.tally import PassageCount
from sensord.errors import DamageError, StoreError
from sensord.ingest.clock import KeepingClock
from sensord.store.dayfile import day_files
from sensord.store.journal import Journal
from sensord.store.keepingtime import FILE, KeepingTime
from sensord.store.passages import tallies
from sensord.store.past import Past
from sensord.store.salvage import open_or_mend
from sensord.store.sqlite import store_error
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from sensord.upkeep import Upkeep
from tests.ingest.test_clock import Host, begun, clock_of
from tests.store.parts import change
from tests.support.damages import DAMAGES, Damage

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
        upkeep = Upkeep(directory, journal, state, settings, meter, lambda: START)  # type: ignore[arg-type]
        upkeep._most = 2 * each + each // 2  # a cap in whole mebibytes would want a large journal
        upkeep.journal()
        return upkeep.given_up, meter.value("journal_days_given_up_total"), journal.first_seq


def test_the_oldest_day_goes_and_is_counted(tmp_path: Path) -> None:
    """Though no database has read it: alerting is not endangered for the sake of time series."""
    assert _given_up(tmp_path, AllApplied()) == (1, 1, 2)


def test_what_alerts_need_stays(tmp_path: Path) -> None:
    """However large: the core would step these groups again after a crash."""
    assert _given_up(tmp_path, NothingSaved()) == (0, 0, 1)


def test_a_damaged_day_holds_up_keeping_until_the_next_start_and_the_cap_never(tmp_path: Path) -> None:
    """How old it is cannot be read: the daemon ends by that, and its next start mends the day, which can go then."""
    parts = AllApplied(), Settings(site="test"), PrometheusMeter(), lambda: START + 40 * DAY
    place = tmp_path / "journal"
    with closing(Journal(place)) as journal:
        for number in range(10):
            journal.append([Record(RecordKind.TICK, START + number // 2 * DAY)])
        change(day_files(place)[1], "UPDATE groups SET records = x'00' WHERE seq = 4")
        upkeep = Upkeep(tmp_path, journal, *parts)  # type: ignore[arg-type]
        upkeep._most = journal.size - 1  # a cap in whole mebibytes would want a large journal
        with pytest.raises(DamageError):
            upkeep.journal()
        assert (journal.first_seq, journal.sound) == (3, False), "the first day went for its age"
        upkeep._most = journal.size - 1
        with pytest.raises(DamageError):
            upkeep.journal()
        assert journal.first_seq == 5, "the second went for the cap"
        change(day_files(place)[0], "UPDATE groups SET records = x'00' WHERE seq = 6")
        with pytest.raises(DamageError):
            Upkeep(tmp_path, journal, *parts).journal()  # type: ignore[arg-type]
    journal, found = open_or_mend(place, START)
    with closing(journal):
        assert "groups 6 to 6 are lost" in found
        Upkeep(tmp_path, journal, *parts).journal()  # type: ignore[arg-type]
        assert (journal.first_seq, journal.sound) == (9, True)


def test_there_is_a_cap_without_a_setting() -> None:
    """A box whose database is away does not fill its disk by default."""
    assert Limits().max_mib == 2048


def test_what_reports_look_back_on_outlives_the_journal(tmp_path: Path) -> None:
    """As it comes: counts and cases of forty days ago stay, the vehicles of cases do not; what is older still goes."""
    old, now = START - 40 * DAY, START
    case = Case("old", "vehicle", "C1-N", "G1", "stranger", State.CLOSED, Level.BLUE, Level.BLUE, old, closed_at=old)
    case.vehicle = Vehicle("3fa94c0e5b7712d8", "沪A·**345", old)
    counts = [PassageCount(old - day * DAY, "C1-N", "in", "local", "沪", "fuel", 5) for day in (0, 365)]
    with closing(Journal(tmp_path / "journal")) as journal, closing(StateStore(tmp_path)) as state:
        state.apply(Step(1, now, passages=counts, cases=[case]))
        upkeep = Upkeep(tmp_path, journal, state, Settings(site="test"), PrometheusMeter(), lambda: now)
        while upkeep.state():
            pass
        (found,) = state.history.cases("all", 10)
        assert (found.id, found.vehicle) == ("old", None)
        with tallies(tmp_path) as stored:
            assert [one.start for one in stored.counts(0, now)] == [old]


def test_dead_letters_are_bounded_whatever_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's clock may be wrong for months; how many there are is no matter of age."""
    monkeypatch.setattr("sensord.store.keeping.MOST_DEAD_LETTERS", 5)
    letters = [DeadLetter(index, START, "t/x/crowd/y", "unknown_device", "") for index in range(9)]
    with closing(Journal(tmp_path / "journal")) as journal, closing(StateStore(tmp_path)) as state:
        state.apply(Step(1, START, dead=letters))
        upkeep = Upkeep(tmp_path, journal, state, Settings(site="test"), PrometheusMeter(), lambda: None)
        assert [upkeep.state(), upkeep.state()] == [True, False]
        assert [letter.index for letter in Past(tmp_path).dead_letters(100)] == [8, 7, 6, 5, 4]


def _days_left(directory: Path, clock: Callable[[], int | None]) -> int:
    """How many of ten days of a journal are left after one upkeep, thirty being kept."""
    with closing(Journal(directory / "journal")) as journal:
        for number in range(10):
            journal.append([Record(RecordKind.TICK, START - (9 - number) * DAY)])
        parts = directory, journal, AllApplied(), Settings(site="test"), PrometheusMeter()
        Upkeep(*parts, clock).journal()  # type: ignore[arg-type]
        return len(day_files(journal.directory))


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY, 2 * MINUTE])
def test_a_host_clock_that_is_set_while_we_run_deletes_nothing(tmp_path: Path, jump: int) -> None:
    """Nobody knows how old a day is while the clocks are apart; what is deleted is lost for good."""
    host = Host(START)
    keeping = KeepingClock(begun(host), START, lambda: host.steady)
    host.wall += jump
    assert keeping() is None
    assert _days_left(tmp_path, keeping) == 10


def test_a_host_that_starts_ahead_and_is_set_right_deletes_nothing(tmp_path: Path) -> None:
    """A box whose own clock is 40 days ahead, until the time comes over the network ten minutes later."""
    host = Host(START + 40 * DAY)
    keeping = KeepingClock(begun(host, START), START, lambda: host.steady)
    host.passes(10 * MINUTE)
    assert _days_left(tmp_path, keeping) == 10
    host.wall -= 40 * DAY
    assert keeping() is None


def test_after_a_long_time_off_what_is_past_its_keeping_goes_in_time(tmp_path: Path) -> None:
    """Forty days off and two running: the clocks agree, and one day, the current one, is left."""
    host = Host(START + 40 * DAY)
    clock = begun(host, START)
    keeping = KeepingClock(clock, START, lambda: host.steady)
    host.passes(48 * HOUR)
    assert keeping() == clock() == host.wall
    assert _days_left(tmp_path, keeping) == 1


def test_a_first_start_knows_the_time_at_once() -> None:
    """There is no run before whose time could be compared; nor is anything lost when NTP sets it a year forward."""
    host = Host(START)
    clock = clock_of(host)
    keeping = KeepingClock(clock, KeepingTime(Path("nowhere")).begin(0), lambda: host.steady)
    assert keeping() == START
    host.wall += 365 * DAY
    assert keeping() is None
    assert clock() == keeping() == START + 365 * DAY


def _run(directory: Path, host: Host, lasts: int) -> int:
    """A daemon's life on a host: start, a first reading, upkeep now and then; returns how many days are left."""
    with closing(Journal(directory / "journal")) as journal:
        clock = begun(host, journal.last_received_at)
        keeping = KeepingClock(clock, KeepingTime(directory).begin(journal.last_received_at), lambda: host.steady)
        parts = directory, journal, AllApplied(), Settings(site="test"), PrometheusMeter()
        upkeep = Upkeep(*parts, keeping)  # type: ignore[arg-type]
        journal.append([Record(RecordKind.TICK, clock())])
        for _ in range(lasts // (10 * MINUTE)):
            host.passes(10 * MINUTE)
            journal.append([Record(RecordKind.TICK, clock())])
            upkeep.journal()
        return len(day_files(journal.directory))


@pytest.mark.parametrize("first", [0, 10 * MINUTE])
def test_starts_in_a_row_with_a_wrong_clock_delete_nothing(tmp_path: Path, first: int) -> None:
    """The first has written its wrong time into the journal; were that the beginning, the second would delete all."""
    _days_left(tmp_path, lambda: None)
    host = Host(START + 40 * DAY)
    for lives in (first, 10 * MINUTE, 10 * MINUTE):
        assert _run(tmp_path, host, lives) == 11, "ten days, and the wrong one"


def test_restarts_lose_no_time_of_keeping(tmp_path: Path) -> None:
    """Forty days off: what is nine days older than that goes after 21 hours, in however many pieces they come."""
    _days_left(tmp_path, lambda: None)
    host = Host(START + 40 * DAY)
    assert [_run(tmp_path, host, lives) for lives in (HOUR, 15 * HOUR, HOUR, 5 * HOUR)] == [11, 11, 11, 10]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_time_of_keeping_is_none(tmp_path: Path, damage: Damage) -> None:
    """A piece of an instant is not another one: it begins with the journal's newest, and is written down anew."""
    kept = KeepingTime(tmp_path)
    kept.note(START)
    assert kept.begin(START + DAY) == START
    path = tmp_path / FILE
    path.write_bytes(damage(path.read_bytes()))
    assert kept.begin(START + DAY) == START + DAY
    assert kept.begin(START + 2 * DAY) == START + DAY
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_time_of_keeping_is_never_ahead_of_its_journal(tmp_path: Path) -> None:
    """An older journal that was put back has its own."""
    kept = KeepingTime(tmp_path)
    kept.note(START)
    assert kept.begin(START - DAY) == START - DAY


def test_a_disk_that_takes_no_time_of_keeping_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """What stands there is of before: less is deleted, not more."""
    assert KeepingTime(tmp_path / "nowhere").begin(START) == START


class Refusing:
    """A state database on a disk that is full, for as long as the test says."""

    def __init__(self, errors: list[StoreError]) -> None:
        """Raise these, one after the other."""
        self.errors, self.pruned = errors, 0

    @property
    def keeping(self) -> Refusing:
        """What deletes."""
        return self

    def prune_surplus(self) -> int:
        """None are too many."""
        return 0

    def prune(self, story: int, history: int) -> int:
        """Delete nothing."""
        if self.errors:
            raise self.errors.pop()
        self.pruned += 1
        return 0


@pytest.mark.parametrize("full", [True, False])
def test_a_full_disk_does_not_end_the_upkeep_of_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """It is tried again; any other failure is the daemon's end, as ever."""
    state = Refusing([store_error("state.db: the disk is full", retryable=full)])
    monkeypatch.setattr("sensord.upkeep.INTERVAL", 0.0)

    async def until_pruned() -> None:
        with closing(Journal(tmp_path / "journal")) as journal:
            parts = tmp_path, journal, state, Settings(site="test"), PrometheusMeter(), lambda: START
            task = asyncio.ensure_future(Upkeep(*parts).run())  # type: ignore[arg-type]
            async with asyncio.timeout(10):
                while not (state.pruned or task.done()):  # noqa: ASYNC110  # what is waited for sets no event
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=full)

    if full:
        asyncio.run(until_pruned())
        assert state.pruned
    else:
        with pytest.raises(StoreError):
            asyncio.run(until_pruned())

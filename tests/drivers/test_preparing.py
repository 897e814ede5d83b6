"""What is prepared for another version while a daemon runs is what that version would know of the whole journal."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sensord.core.cases.case import Case
from sensord.core.instant import SECOND
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.drivers import preparing, restoring
from sensord.drivers.again import Again
from sensord.drivers.preparing import Preparation
from sensord.drivers.restoring import unprepared
from sensord.errors import SnapshotError
from sensord.ports import Saved
from sensord.store.copies import PREPARED, Copies
from sensord.store.looking import StateLook
from sensord.store.reader import DirectoryReader
from tests.core.otherform import of_another_form
from tests.core.street import START, definition, stream_of
from tests.drivers.lives import Life, living
from tests.drivers.test_restoring import END, by_minutes, known, of_another_version, take, unread

MINUTES = 30
HALF = 8
"""Of the fifteen pieces that the half hour comes in."""


@pytest.fixture(autouse=True)
def long_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal of which a start can step little."""
    monkeypatch.setattr(restoring, "REACH", 450)
    monkeypatch.setattr(restoring, "LAST", 150)
    monkeypatch.setattr(preparing, "READ_GROUPS", 16)
    monkeypatch.setattr("sensord.store.opening.time.time_ns", lambda: END)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory of sixteen minutes."""
    directory = tmp_path_factory.mktemp("street")
    with living(directory) as life:
        life.take([definition_record(definition(), START)])
        for records in pieces()[:HALF]:
            take(life, records)
            life.save()
    return directory


@pytest.fixture
def directory(street: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(street, tmp_path, dirs_exist_ok=True)
    return tmp_path


def pieces() -> list[list[Record]]:
    """Half an hour, two minutes at a time."""
    return list(by_minutes(stream_of(3, MINUTES)))


def preparation(directory: Path) -> Preparation:
    """What the command makes of a directory."""
    journal = DirectoryReader(directory / "journal")
    states = StateLook(directory, journal)
    return Preparation(journal, states, {}, definition(), states.copies.prepare)


def prepare(directory: Path) -> Preparation:
    """Prepare to the end."""
    work = preparation(directory)
    assert work.run(lambda _stepped: True)
    return work


def whole(directory: Path) -> tuple[Site, bytes]:
    """The core that has stepped all of the journal, and what it has decided."""
    site, decided, reader, position = Site(), b"", DirectoryReader(directory / "journal"), 0
    with closing(reader):
        while found := reader.read(position):
            for group in found:
                decided += site.step(group).decisions()
            position = found[-1].seq
    return site, decided


@pytest.mark.parametrize("passed", [0, 3, len(pieces()) - HALF])
def test_what_is_prepared_and_the_rest_are_the_whole_journal(directory: Path, passed: int) -> None:
    """The daemon runs on, for however long; then the new version knows and decides what a whole replay does."""
    with living(directory) as life:
        unread(directory)
        work = prepare(directory)
        assert (work.first, work.position) == (0, life.state.applied)
        before = life.state.decisions()
        for records in pieces()[HALF : HALF + passed]:
            take(life, records)
        lived = life.state.decisions()
        assert lived.startswith(before)
    with living(directory) as life:
        assert (life.core.begun, life.core.orphans, life.core.used) == (0, (), None)
        assert life.core.position == life.state.applied
        assert life.state.decisions() == lived, "nothing is decided or told once more"
        take(life, [])
        site, _ = whole(directory)
        assert life.core.site.snapshot() == site.snapshot()
        for records in pieces()[HALF + passed :]:
            take(life, records)
        site, decided = whole(directory)
        assert life.state.decisions() == decided
        assert known(life.state.cases()).keys() >= site.book.open.keys()
        assert life.core.site.snapshot() == site.snapshot()


class ShotError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("shot", [True, False], ids=["SIGKILL", "Ctrl-C"])
def test_whoever_is_interrupted_goes_on_from_there(
    directory: Path, monkeypatch: pytest.MonkeyPatch, shot: bool
) -> None:
    """However often; what it comes to is the same."""
    unread(directory)
    if shot:
        monkeypatch.setattr(preparing, "KEPT_INTERVAL", 0.0)

    def go_on(_stepped: int) -> bool:
        heard.append(1)
        if len(heard) == 4 and shot:
            raise ShotError
        return len(heard) < 4

    begun = list[int]()
    for _ in range(3):
        heard, work = list[int](), preparation(directory)
        begun.append(work.first)
        if shot:
            with pytest.raises(ShotError):
                work.run(go_on)
        else:
            assert not work.run(go_on)
    assert begun == sorted(set(begun))
    assert begun[-1] >= 2 * 3 * preparing.READ_GROUPS
    prepare(directory)
    (made,) = Copies(directory, StateLook(directory, DirectoryReader(directory / "journal")).time_of).found()
    assert made.state == whole(directory)[0].snapshot()
    assert (directory / PREPARED).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in directory.iterdir() if path.name.startswith(".")] == []


def test_what_was_not_finished_is_too_little_for_a_start(directory: Path) -> None:
    """It begins anew, and says so, as without it."""
    unread(directory)
    assert not preparation(directory).run(lambda _stepped: False)
    with living(directory, assumed=definition()) as life:
        assert life.core.begun == life.state.applied - restoring.LAST + 1


def groups_to_step(directory: Path) -> int:
    """So many, says the doctor."""
    journal = DirectoryReader(directory / "journal")
    return unprepared(journal, StateLook(directory, journal))


def test_a_state_that_can_be_read_needs_no_other(directory: Path) -> None:
    """Nothing is made."""
    assert preparation(directory).needless
    assert groups_to_step(directory) == 0


@pytest.mark.parametrize("other", [of_another_version, of_another_form])
def test_a_state_that_cannot_be_restored_is_prepared_for(directory: Path, other: Callable[[bytes], bytes]) -> None:
    """Whether its version says so or not; what is prepared is enough then."""
    unread(directory, other)
    assert groups_to_step(directory) > restoring.REACH
    prepare(directory)
    assert groups_to_step(directory) == 0


def rewritten(directory: Path) -> str:
    """Let the daemon that ran have known an open case by another name; returns the one that is not there now."""
    with closing(sqlite3.connect(directory / "state.db")) as database, database:
        ((one, text),) = database.execute(
            "SELECT id, json FROM cases WHERE closed_at = 0 ORDER BY opened_at LIMIT 1"
        ).fetchall()
        database.execute(
            "INSERT INTO cases SELECT 'other', opened_at, 0, ?, 0, '' FROM cases LIMIT 1",
            (text.replace(one.encode(), b"other"),),
        )
        for table, column in (("cases", "id"), ("case_events", '"case"'), ("outbox", '"case"')):
            database.execute(f"DELETE FROM {table} WHERE {column} = ?", (one,))
        return str(one)


def outcome(life: Life) -> tuple[bytes, dict[str, Case], tuple[Case, ...], object, bytes]:
    """What a start has come to."""
    core, state = life.core, life.state
    return state.decisions(), known(state.cases()), core.orphans, core.used, core.site.snapshot()


def torn(directory: Path) -> str:
    """Let the journal's beginning be past its keeping, and with it the only definition; no case of then is named."""
    (day,) = (directory / "journal").glob("*.db")
    with closing(sqlite3.connect(day)) as database, database:
        database.execute("DELETE FROM groups WHERE seq <= 20")
    return ""


@pytest.mark.parametrize("change", [rewritten, torn])
def test_cases_that_begin_otherwise_are_told_of_as_after_stepping_all(
    directory: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], str],
) -> None:
    """Those that were decided before the prepared state, too; what the new version does not know is void."""
    unread(directory)
    change(directory)
    other = tmp_path_factory.mktemp("other") / "state"
    shutil.copytree(directory, other)
    prepare(directory)
    with living(directory, assumed=definition()) as life:
        assert (life.core.position, life.core.begun) == (life.state.applied, 0)
        assert life.core.assumes == (change is torn), "the start journals today's definition where there is none"
        prepared = outcome(life)
    monkeypatch.setattr(restoring, "REACH", 1_000_000)
    with living(other, assumed=definition()) as life:
        assert life.core.assumes == (change is torn)
        stepped = outcome(life)
    assert prepared == stepped
    assert prepared[2], "some case is void"
    for place in (directory, other):
        with closing(sqlite3.connect(place / "state.db")) as database:
            marked = "SELECT count(*) FROM outbox WHERE possibly_repeated"
            assert database.execute(marked).fetchone()[0] > 0


def test_a_start_that_is_shot_forgets_nothing_that_was_prepared(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own copies carry what is to be told of, until it is."""
    unread(directory)
    case = rewritten(directory)
    assert not preparation(directory).run(lambda stepped: stepped < 200)
    monkeypatch.setattr("sensord.drivers.live.KEPT_INTERVAL", 0.0)

    def go_on(stepped: int, of: int) -> bool:
        if stepped > of // 2:
            raise ShotError
        return True

    with pytest.raises(ShotError), living(directory, go_on):
        pass
    (directory / PREPARED).unlink()
    with living(directory) as life:
        assert life.core.begun == 0
        assert life.core.site.book.open.keys() | {"other"} == known(life.state.cases()).keys()
        told = [line for line in life.state.decisions().splitlines() if f'"{case}'.encode() in line]
        assert told == [line for line in whole(directory)[1].splitlines() if f'"{case}'.encode() in line]


def test_what_was_decided_beside_it_is_refused_when_it_is_something_else(directory: Path) -> None:
    """Then the state beside it is passed over."""
    unread(directory)
    prepare(directory)
    with living(directory) as life:
        (made,) = life.state.copies.found()
        life.state.copies.prepare(made._replace(decided=b"torn"))
    with pytest.raises(SnapshotError):
        Again.of(b"torn")
    with living(directory) as life:
        assert life.core.begun > 0


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        (lambda saved: saved, False),
        (lambda saved: saved._replace(seq=saved.seq + 1_000, at=saved.at + 1_000 * SECOND), True),
        (lambda saved: saved._replace(state=of_another_version(saved.state)), True),
        (lambda saved: saved._replace(state=of_another_form(saved.state)), True),
        (lambda saved: saved._replace(at=saved.at + 1), False),
    ],
    ids=["outgrown", "ahead", "for another version", "for another form", "of a journal that is gone"],
)
def test_what_was_prepared_goes_when_it_is_outgrown(
    tmp_path: Path, change: Callable[[Saved], Saved], stays: bool
) -> None:
    """Not before, and never by a version that cannot read it."""
    kept = Copies(tmp_path, lambda seq: seq * SECOND)
    site = Site(definition())
    site.step(Group(1, (Record(RecordKind.TICK, 10 * SECOND),)))
    made = change(Saved(10, 10 * SECOND, site.snapshot()))
    kept.prepare(made)
    kept.outgrow(9)
    assert (tmp_path / PREPARED).exists() == (made.at % SECOND == 0)
    kept.outgrow(10)
    assert (tmp_path / PREPARED).exists() == stays


def test_a_daemon_that_has_saved_its_own_state_lets_it_go(directory: Path) -> None:
    """With the first saved state of the new version."""
    unread(directory)
    prepare(directory)
    with living(directory) as life:
        assert (directory / PREPARED).exists()
        life.take([Record(RecordKind.TICK, life.journal.last_received_at + SECOND, "", b"")])
        life.save()
        assert not (directory / PREPARED).exists()

"""What a core goes on from when its state database, or what was saved in it, is of no use."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from sensord.core.cases.case import Case
from sensord.core.cases.notice import Notice, Trouble, decode_notice
from sensord.core.cases.notification import Notification
from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.drivers import restoring
from sensord.errors import EndedError
from sensord.ports import Saved
from sensord.store import copies
from sensord.store.copies import Copies
from tests.core.street import START, definition, stream_of
from tests.drivers.lives import Life, living

MINUTES = 30
END = START + MINUTES * MINUTE
"""By the host's clock, too, it is so late when the daemon starts again."""


@pytest.fixture(autouse=True)
def long_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal as long as that of a month, of which little can be stepped in good time."""
    monkeypatch.setattr(restoring, "REACH", 600)
    monkeypatch.setattr(restoring, "LAST", 150)
    monkeypatch.setattr("sensord.store.opening.time.time_ns", lambda: END)


class Past(NamedTuple):
    """What was decided, and the cases that are open."""

    decided: bytes
    cases: list[Case]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Past]:
    """A state directory of half an hour, saved every two minutes as ever."""
    directory = tmp_path_factory.mktemp("street")
    with living(directory) as life:
        life.take([definition_record(definition(), START)])
        for records in by_minutes(stream_of(3, MINUTES)):
            take(life, records)
            life.save()
        return directory, Past(life.state.decisions(), life.state.cases())


@pytest.fixture
def past(street: tuple[Path, Past], tmp_path: Path) -> Past:
    """A copy of it lies in ``tmp_path``."""
    shutil.copytree(street[0], tmp_path, dirs_exist_ok=True)
    return street[1]


def by_minutes(records: list[Record]) -> Iterator[list[Record]]:
    """Two minutes of them at a time."""
    for minute in range(0, MINUTES, 2):
        begin = START + minute * MINUTE
        yield [record for record in records if begin <= record.received_at < begin + 2 * MINUTE]


def take(life: Life, records: list[Record]) -> None:
    """Let records come one by one, that is many groups."""
    for record in records:
        life.journal.append([record])
    while life.core.groups_behind:
        life.core._turn()


def known(cases: list[Case]) -> dict[str, Case]:
    """Cases by id."""
    return {case.id: case for case in cases}


def test_a_lost_state_goes_on_from_a_copy(tmp_path: Path, past: Past) -> None:
    """Only what came since is stepped, nothing in doubt is left out of it, and all is as it was."""
    (tmp_path / "state.db").unlink()
    with living(tmp_path) as life:
        begun_at = life.core.site.engine.now
        assert END - 25 * MINUTE < begun_at <= END - restoring.IN_DOUBT
        book, closed = life.core.site.book, life.state.history.cases("closed", 2_000)
        assert len(life.state.cases()) == len(book.open)
        assert known(closed) == book.ended, "cases that have ended lately are in the lists still"
        assert len(closed) > 10
        assert life.core.orphans == ()
        take(life, [])
        again = life.state.decisions()
        assert 0 < len(again) < len(past.decided)
        assert past.decided.endswith(again)
        assert known(life.state.cases()) == known(past.cases)
        since = life.state.history.since
        assert since.alerts == begun_at <= since.cases, "what was before is not known, and not taken for nothing"
        with closing(sqlite3.connect(tmp_path / "state.db")) as database:
            rows = database.execute("SELECT json, state, possibly_repeated FROM outbox").fetchall()
    told = [(msgspec.json.decode(text, type=Notification).at, state, again) for text, state, again in rows]
    assert {state for at, state, _ in told if at >= END - restoring.IN_DOUBT} == {"pending"}
    assert {state for at, state, _ in told if at < END - restoring.IN_DOUBT} <= {"skipped"}
    assert all(again for *_, again in told), "each may have been sent by the daemon whose state was lost"


@pytest.mark.usefixtures("past")
def test_a_kill_before_anything_is_written_changes_nothing(tmp_path: Path) -> None:
    """The next start begins with the same copy."""
    (tmp_path / "state.db").unlink()
    with living(tmp_path) as life:
        position = life.core.position
    with living(tmp_path) as life:
        assert life.core.position == position > 0


def test_a_loss_that_is_soon_made_good_is_made_good_whole(
    tmp_path: Path, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short journal is stepped from its start: nothing of it gets lost."""
    monkeypatch.setattr(restoring, "REACH", 1_000_000)
    (tmp_path / "state.db").unlink()
    with living(tmp_path) as life:
        assert life.core.position == 0
        take(life, [])
        assert life.state.decisions() == past.decided


def test_saved_states_that_cannot_be_read_are_passed_over_for_a_copy(tmp_path: Path, past: Past) -> None:
    """The state database is whole otherwise: nothing is written or said once more."""
    with closing(sqlite3.connect(tmp_path / "state.db")) as database, database:
        database.execute("UPDATE snapshots SET state = x'00'")
    left = list[int]()

    def go_on(_stepped: int, of: int) -> bool:
        left.append(of)
        return True

    with living(tmp_path, go_on) as life:
        assert 0 < left[0] < restoring.REACH, "only what came since the copy is stepped again"
        assert (life.core.position, life.core.begun) == (life.state.applied, 0)
        assert life.state.decisions() == past.decided
        assert known(list(life.core.site.book.open.values())) == known(past.cases)


class ShotError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("ended", [True, False], ids=["SIGTERM", "SIGKILL"])
def test_a_start_that_is_ended_goes_on_where_it_was(
    tmp_path: Path, past: Past, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """However often: each start steps what those before it have not, and it all comes to the same."""
    monkeypatch.setattr(restoring, "REACH", 1_000_000)
    for name in (copies.FILE, copies.BEFORE):
        (tmp_path / name).unlink()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database, database:
        database.execute("DELETE FROM snapshots WHERE seq > (SELECT min(seq) FROM snapshots)")
    if not ended:
        monkeypatch.setattr("sensord.drivers.live.KEPT_INTERVAL", 0.0)

    def go_on(stepped: int, of: int) -> bool:
        seen.append((stepped, of))
        if len(seen) == 3 and not ended:
            raise ShotError
        return len(seen) < 3

    left = list[int]()
    for _ in range(3):
        seen = list[tuple[int, int]]()
        with pytest.raises(EndedError if ended else ShotError), living(tmp_path, go_on):
            pass
        left.append(seen[0][1])
    assert left == sorted(left, reverse=True)
    assert left[0] - left[-1] > 3 * 64
    with living(tmp_path) as life:
        assert life.core.position == life.state.applied
        assert life.state.decisions() == past.decided
        assert known(list(life.core.site.book.open.values())) == known(past.cases)
        assert (life.core.orphans, life.core.used) == ((), None)


def of_another_version(state: bytes) -> bytes:
    """A saved state that another version made."""
    return state[:4] + bytes([state[4] - 1]) + state[5:]


def unread(directory: Path, other: Callable[[bytes], bytes] = of_another_version) -> None:
    """Make every saved state one that cannot be read."""
    for name in (copies.FILE, copies.BEFORE):
        (directory / name).unlink(missing_ok=True)
    with closing(sqlite3.connect(directory / "state.db")) as database, database:
        for seq, state in database.execute("SELECT seq, state FROM snapshots").fetchall():
            made = other(state)
            database.execute("UPDATE snapshots SET state = ?, crc = ? WHERE seq = ?", (made, zlib.crc32(made), seq))


def gone(directory: Path) -> None:
    """Lose the state database and the copies."""
    for name in (copies.FILE, copies.BEFORE, "state.db"):
        (directory / name).unlink()


def crowded(life: Life) -> list[Record]:
    """A crowd that goes on for two minutes after all that was journaled."""
    begin = life.journal.last_received_at + SECOND
    return [
        Record(RecordKind.MESSAGE, begin + second * SECOND, "t/C1/crowd/crowd-1", b'{"count": 900}')
        for second in range(120)
    ]


@pytest.mark.parametrize("lose", [unread, gone])
def test_without_a_saved_state_the_last_hours_are_enough(
    tmp_path: Path, past: Past, lose: Callable[[Path], None]
) -> None:
    """People are told of what there is and of what is not known; what was open before is void; a replay agrees."""
    lose(tmp_path)
    with living(tmp_path, assumed=definition()) as life:
        end = life.journal.last_seq
        assert (life.core.begun, life.core.assumes) == (end - 149, True)
        assert life.core.position == (end if lose is unread else end - 150), "what was told is not told again"
        forgotten = life.core.orphans
        written = known(past.cases).keys() if lose is unread else set()
        assert {case.id for case in forgotten} == written - life.core.site.book.open.keys()
        life.tell()
        take(life, [definition_record(definition(), life.journal.last_received_at + 1), *crowded(life)])
        assert not life.core.assumes
        open_cases = known(life.state.cases())
        assert "G1-L1" in {case.place for case in open_cases.values()}
        assert open_cases.keys() == life.core.site.book.open.keys()
        assert not open_cases.keys() & {case.id for case in forgotten}
        assert life.core.site.book.troubled(Trouble.PAST_UNKNOWN)
        site, again = Site(definition()), b""
        for group in groups_after(life, life.core.begun - 1):
            step = site.step(group)
            again += step.decisions() if group.seq > end else b""
        assert life.state.decisions().endswith(again)
        assert len(again) > 0
        assert site.snapshot() == life.core.site.snapshot(), "a replay that begins there comes to the same"
        life.save()
    with living(tmp_path, assumed=definition()) as life:
        assert life.core.begun == 0
        life.tell()
        take(life, [])
        assert not life.core.site.book.troubled(Trouble.PAST_UNKNOWN)


def groups_after(life: Life, seq: int) -> Iterator[Group]:
    """All groups of the journal after one."""
    reader = life.journal.reader()
    with closing(reader):
        while groups := reader.read(seq):
            yield from groups
            seq = groups[-1].seq


def test_the_journal_says_where_the_core_begins_anew(tmp_path: Path, past: Past) -> None:
    """Whoever replays it knows from which group on the same is decided."""
    assert past.cases
    gone(tmp_path)
    with living(tmp_path, assumed=definition()) as life:
        life.tell()
        records = [record for group in groups_after(life, 0) for record in group.records]
        notices = [decode_notice(record.payload) for record in records if record.kind == RecordKind.NOTICE]
        assert Notice(Trouble.PAST_UNKNOWN, True, begun=life.core.begun) in notices
        assert life.core.begun > 1


def test_two_copies_are_kept_and_no_more_often_than_wanted(tmp_path: Path) -> None:
    """Each takes the place of the older one; what is damaged, or of another journal, is nobody's."""
    kept = Copies(tmp_path, lambda seq: seq * SECOND)
    for seq in range(1, 31):
        kept.keep(Saved(seq, seq * SECOND, b"%d" % seq), 10 * SECOND)
    assert [saved.seq for saved in kept.found()] == [30, 20]
    again = Copies(tmp_path, lambda seq: seq * SECOND)
    again.keep(Saved(39, 39 * SECOND, b"too soon"), 10 * SECOND)
    assert [saved.state for saved in again.found()] == [b"30", b"20"]
    (tmp_path / copies.FILE).write_bytes((tmp_path / copies.FILE).read_bytes()[:-1])
    assert [saved.seq for saved in kept.found()] == [20]
    assert Copies(tmp_path, lambda seq: seq * SECOND + 1).found() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [copies.FILE, copies.BEFORE]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


class _Kept:
    """A lost state with two copies: the older one, made before all that is in doubt, is too far back."""

    applied, doubt = 0, 1000 * MINUTE

    def saved(self) -> Iterator[Saved]:
        """The newest first."""
        state = Site(definition()).snapshot()
        yield Saved(299_999, 995 * MINUTE, state)
        yield Saved(150_000, 500 * MINUTE, state)


class _Long:
    """A journal of many groups."""

    first_seq, last_seq = 1, 300_000


def test_a_copy_that_is_too_far_back_hides_no_other() -> None:
    """The newer one is near enough."""
    assert restoring.restore(_Long(), _Kept(), {}, None).position == 299_999  # type: ignore[arg-type]

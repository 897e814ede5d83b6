"""Backups: whole whatever is written meanwhile, checked before they are put back, and refused over anything else."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from sensord.core.instant import SECOND, parse_instant
from sensord.core.record import Record, RecordKind
from sensord.core.site import Step
from sensord.errors import LockedError, StoreError
from sensord.store import backup
from sensord.store.access import AccessLog
from sensord.store.backup import back_up, restore
from sensord.store.copies import FILE, PREPARED
from sensord.store.journal import Journal
from sensord.store.lock import StateLock
from sensord.store.opening import HALF_RESTORED, open_stores
from sensord.store.reports import ReportFolder
from sensord.store.sqlite import create_file
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.store.parts import change, fill, groups, overwrite, read_all, records_of


def made(directory: Path, count: int) -> None:
    """A state directory with a journal and a state that has applied all of it."""
    with closing(Journal(directory / "journal")) as journal, closing(StateStore(directory)) as state:
        fill(journal, count)
        state.apply(Step(count, records_of(count)[-1].received_at))


def test_a_backup_comes_back_as_it_was(tmp_path: Path) -> None:
    """Journal, state and token are put back, private, and go on from there."""
    made(tmp_path / "state", 40)
    (tmp_path / "state" / "api.token").write_text("secret\n")
    kept = ReportFolder(tmp_path / "state")
    for name in ("day-20260101", "morning-20260102T0730"):
        folder = kept.write(name, {"report.json": b"{}", "zh.html": name.encode()})
    os.utime(folder, (1000, 1000))  # the later of the two by name is the older one by its making
    manifest = back_up(tmp_path / "state", tmp_path / "backup", 7)
    assert manifest.made_at == 7
    restore(tmp_path / "backup", tmp_path / "new")
    with closing(Journal(tmp_path / "new" / "journal")) as journal, closing(StateStore(tmp_path / "new")) as state:
        assert read_all(journal.reader()) == groups(1, 40)
        assert state.applied == 40
        fill(journal, 3)
    assert (tmp_path / "new" / "api.token").read_text() == "secret\n"
    again = ReportFolder(tmp_path / "new")
    assert again.names() == ["day-20260101", "morning-20260102T0730"]
    assert again.read("morning-20260102T0730", "zh.html") == b"morning-20260102T0730"
    assert again.prune(2000 * 10**9) == 1, "a report is as old as it was"
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "backup").rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_what_was_prepared_for_an_upgrade_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again, and the daemon may delete it while it would be copied; copies of the saved state are kept."""
    directory = tmp_path / "state"
    made(directory, 5)
    for name in (FILE, PREPARED):
        (directory / name).write_bytes(b"state")

    def create(path: Path) -> None:
        (directory / PREPARED).unlink(missing_ok=True)
        create_file(path)

    assert PREPARED not in back_up(directory, tmp_path / "first", 0).files
    monkeypatch.setattr(backup, "create_file", create)
    files = back_up(directory, tmp_path / "second", 0).files
    assert FILE in files
    assert PREPARED not in files


def test_a_backup_under_writing_is_whole_and_fits_together(tmp_path: Path) -> None:
    """While groups are journaled and applied as fast as they go, no copy's state is ahead of its journal."""
    directory, stop = tmp_path / "state", threading.Event()

    def write() -> None:
        with closing(Journal(directory / "journal")) as journal, closing(StateStore(directory)) as state:
            while not stop.is_set():
                fill(journal, 1)
                seq = journal.last_seq
                state.apply(Step(seq, records_of(seq)[-1].received_at))

    made(directory, 5)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            back_up(directory, tmp_path / f"backup-{number}", 0)
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        place = tmp_path / f"new-{number}"
        restore(tmp_path / f"backup-{number}", place)
        with closing(Journal(place / "journal")) as journal, closing(StateStore(place)) as state:
            found = read_all(journal.reader())
            assert found == groups(1, len(found))
            assert 5 <= state.applied <= len(found)


def test_a_backup_across_midnight_has_the_new_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day begins while the state is being copied: what the copy has applied, the copied journal holds."""
    directory, midnight = tmp_path / "state", parse_instant("2026-11-25", "Asia/Shanghai")
    real = backup._copy_database
    with closing(Journal(directory / "journal")) as journal, closing(StateStore(directory)) as state:

        def live(at: int) -> None:
            state.apply(Step(journal.append([Record(RecordKind.TICK, at)]), at))

        def copy(source: Path, target: Path) -> None:
            if source.name == "state.db":
                live(midnight)
            real(source, target)

        live(midnight - SECOND)
        monkeypatch.setattr(backup, "_copy_database", copy)
        back_up(directory, tmp_path / "backup", 0)
    restore(tmp_path / "backup", tmp_path / "new")
    stores = open_stores(tmp_path / "new", "Asia/Shanghai", PrometheusMeter())
    with closing(stores.journal), closing(stores.state):
        assert (stores.journal.last_seq, stores.state.applied, stores.damage) == (2, 2, "")


def test_a_journal_that_is_behind_its_state_is_no_backup(tmp_path: Path) -> None:
    """Its end is lost; the start says so, and a backup that claims to be whole would not."""
    made(tmp_path / "state", 40)
    with closing(StateStore(tmp_path / "state")) as state:
        state.apply(Step(41, records_of(41)[-1].received_at))
    with pytest.raises(StoreError, match="has applied group 41, the journal ends with 40"):
        back_up(tmp_path / "state", tmp_path / "backup", 0)
    assert not (tmp_path / "backup").exists()


def test_what_was_changed_since_is_not_put_back(tmp_path: Path) -> None:
    """A backup that was damaged is no backup, and the state directory stays as it was."""
    made(tmp_path / "state", 10)
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    overwrite(tmp_path / "backup" / "state.db", 5000, b"damage")
    with pytest.raises(StoreError, match="was changed since"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "backup" / "backup.json").unlink()
    with pytest.raises(StoreError, match="is no backup"):
        restore(tmp_path / "backup", tmp_path / "new")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Neither an older backup, nor a state that is there, nor one that a daemon uses."""
    made(tmp_path / "state", 10)
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    with pytest.raises(StoreError, match="is not overwritten"):
        back_up(tmp_path / "state", tmp_path / "backup", 0)
    with pytest.raises(StoreError, match="move the whole content away"):
        restore(tmp_path / "backup", tmp_path / "state")
    with closing(StateLock(tmp_path / "busy")), pytest.raises(LockedError):
        restore(tmp_path / "backup", tmp_path / "busy")
    with pytest.raises(StoreError, match="is this the state directory"):
        back_up(tmp_path, tmp_path / "other", 0)


def test_a_file_system_of_its_own_is_an_empty_state_directory(tmp_path: Path) -> None:
    """What the file system keeps at its root stays there, also when a restore was cut off and is done again."""
    made(tmp_path / "state", 10)
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    (tmp_path / "new" / "lost+found" / "#1").mkdir(parents=True)
    restore(tmp_path / "backup", tmp_path / "new")
    (tmp_path / "new" / HALF_RESTORED).touch()
    restore(tmp_path / "backup", tmp_path / "new")
    assert (tmp_path / "new" / "lost+found" / "#1").is_dir()
    assert (tmp_path / "new" / "state.db").exists()


def test_a_damaged_file_is_not_taken_for_a_backup(tmp_path: Path) -> None:
    """Who backs up damage finds out when it is needed: so it is said now."""
    made(tmp_path / "state", 40)
    file = min((tmp_path / "state" / "journal").glob("*.db"))
    overwrite(file, 4096, bytes(4096))
    with pytest.raises(StoreError, match=file.name):
        back_up(tmp_path / "state", tmp_path / "backup", 0)


def test_what_is_not_a_backups_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a backup is made, a link or somebody's folder is refused, and nothing there is deleted or given away."""
    made(tmp_path / "state", 1)
    part, theirs = tmp_path / ".backup.part", tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    (theirs / "thesis.txt").write_text("years of work")

    def refused() -> None:
        with pytest.raises(StoreError, match=r"backup\.part: .* holds something else; move it away"):
            back_up(tmp_path / "state", tmp_path / "backup", 0)
        assert not (tmp_path / "backup").exists()

    for link in (theirs, theirs / "thesis.txt", tmp_path / "nowhere"):
        part.symlink_to(link)
        refused()
        assert part.is_symlink()
        part.unlink()
    theirs.rename(part)
    refused()
    assert (part / "thesis.txt").read_text() == "years of work"
    assert part.stat().st_mode & 0o777 == 0o755
    shutil.rmtree(part)
    part.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: part.stat().st_uid + 1)
        refused()
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    (tmp_path / "other").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is there already"):
        back_up(tmp_path / "state", tmp_path / "other", 0)


def test_a_backup_that_was_shot_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it had copied is thrown away, links in it are not followed; and one that failed leaves nothing."""
    made(tmp_path / "state", 5)
    for name in ("a.token", "b.token"):
        (tmp_path / "state" / name).write_text(name)
    part, shot = tmp_path / ".backup.part", tmp_path / "shot"

    def copied(source: str, target: str) -> None:
        Path(target).write_bytes(Path(source).read_bytes())

    def fails(source: Path, target: Path) -> None:
        if source.name == "b.token":
            shutil.copytree(part, shot, copy_function=copied)  # what a process that is shot now leaves
            raise KeyboardInterrupt
        copied(str(source), str(target))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", fails)
        with pytest.raises(KeyboardInterrupt):
            back_up(tmp_path / "state", tmp_path / "backup", 0)
    assert not part.exists()
    shot.rename(part)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").touch()
    (part / "link").symlink_to(tmp_path / "theirs")
    (part / "left.db").touch()
    manifest = back_up(tmp_path / "state", tmp_path / "backup", 0)
    found = {str(path.relative_to(tmp_path / "backup")) for path in (tmp_path / "backup").rglob("*") if path.is_file()}
    assert found == {"backup.json", *manifest.files}
    assert (tmp_path / "theirs" / "thesis.txt").exists()


def test_one_backup_at_a_time_is_made_in_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second says so and takes nothing from the first."""
    made(tmp_path / "state", 1)
    (tmp_path / "state" / "api.token").write_text("secret")
    copy = shutil.copyfile

    def copied(source: Path, target: Path) -> None:
        with pytest.raises(StoreError, match="another backup is being made there"):
            back_up(tmp_path / "state", tmp_path / "backup", 1)
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", copied)
    assert back_up(tmp_path / "state", tmp_path / "backup", 0).made_at == 0


@pytest.mark.parametrize("name", ["/etc/hosts", "../other", "journal/../../other", ".hidden", "a/b"])
def test_a_manifest_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """A backup from a stranger's hands can neither read nor write outside of its folder and the state directory."""
    made(tmp_path / "state", 1)
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    manifest = tmp_path / "backup" / "backup.json"
    files = {name: hashlib.sha256(b"").hexdigest()}
    manifest.write_bytes(msgspec.json.encode({"made_at": 0, "files": files}))
    with pytest.raises(StoreError, match="is missing or was changed"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", ["state.db", "journal/journal-*.db", "backup.json"])
def test_a_newer_programs_backup_is_not_put_back(tmp_path: Path, file: str) -> None:
    """Refused before anything is written, with the advice: the next start would refuse it, too."""
    made(tmp_path / "state", 1)
    if file.endswith(".db"):
        (database,) = (tmp_path / "state").glob(file)
        change(database, "PRAGMA user_version=99")
    if "journal" in file:  # who makes a backup looks at the journal's form, too
        with pytest.raises(StoreError, match="newer sensord"):
            back_up(tmp_path / "state", tmp_path / "backup", 0)
        return
    back_up(tmp_path / "state", tmp_path / "backup", 0)
    if file == "backup.json":
        manifest = msgspec.json.decode((tmp_path / "backup" / file).read_bytes())
        (tmp_path / "backup" / file).write_bytes(msgspec.json.encode({**manifest, "version": 99}))
    with pytest.raises(StoreError, match="newer sensord"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_access_log_in_a_backup_is_whole(tmp_path: Path) -> None:
    """Log and head are of one moment, however fast somebody appends."""
    made(tmp_path / "state", 1)
    stop, log = threading.Event(), AccessLog(tmp_path / "state")

    def write() -> None:
        while not stop.is_set():
            log.append(at="-", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(8):
            back_up(tmp_path / "state", tmp_path / f"backup-{number}", 0)
    finally:
        stop.set()
        writer.join()
    for number in range(8):
        AccessLog(tmp_path / f"backup-{number}").verify()


def test_a_restore_that_was_cut_off_is_not_started_from_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was cut off: nobody takes a part of a backup for the whole."""
    made(tmp_path / "state", 10)
    manifest = back_up(tmp_path / "state", tmp_path / "backup", 0)
    place, copy = tmp_path / "new", shutil.copyfile
    for number in range(len(manifest.files)):
        left = iter(range(number))

        def copied(source: Path, target: Path, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            copy(source, target)

        monkeypatch.setattr(shutil, "copyfile", copied)
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "backup", place)
        with pytest.raises(StoreError, match="restore it again"):
            open_stores(place, "Asia/Shanghai", PrometheusMeter())
    monkeypatch.undo()
    restore(tmp_path / "backup", place)
    stores = open_stores(place, "Asia/Shanghai", PrometheusMeter())
    with closing(stores.journal), closing(stores.state):
        assert read_all(stores.journal.reader()) == groups(1, 10)
        assert (stores.damage, stores.lost, stores.state.applied) == ("", "", 10)

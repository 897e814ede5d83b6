"""A damaged journal: what is good of it stays, what is not is named, and the daemon's journal goes on."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sensord.core.record import Group
from sensord.errors import DamageError, StoreError
from sensord.store import salvage
from sensord.store.dayfile import day_files
from sensord.store.findings import forget
from sensord.store.journal import Journal
from sensord.store.lost import Lost, Stretch
from sensord.store.reader import DirectoryReader
from sensord.store.salvage import open_or_mend
from tests.store.parts import change, fill, groups, made, overwrite, read_all, records_of

NOW = 7
VERSION = 63
"""Where SQLite keeps the low byte of a file's version."""
Damage = Callable[[Path], object]


def _headless(path: Path) -> None:
    overwrite(path, 0, bytes(100))


def _rootless(path: Path) -> None:
    overwrite(path, 4096, bytes(4096))


def _halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 8192 * 4096])


def _pageless(path: Path) -> None:
    overwrite(path, len(path.read_bytes()) - 4096, bytes(4096))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    change(path, "PRAGMA application_id=1")


def _gone(path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Damage, ...] = (_headless, _rootless, _halved, _pageless, _emptied, _foreign, _gone)


@pytest.fixture
def days() -> dict[str, bytes]:
    """Four day files of fifteen to twenty-four groups each, eighty in all."""
    return _days()


@functools.cache
def _days() -> dict[str, bytes]:
    with TemporaryDirectory() as directory:
        made(Path(directory), 80)
        return {path.name: path.read_bytes() for path in day_files(Path(directory))}


def laid(days: dict[str, bytes], directory: Path) -> list[Path]:
    """Lay the day files into a folder."""
    directory.mkdir(exist_ok=True, mode=0o700)
    for name, content in days.items():
        (directory / name).write_bytes(content)
    return day_files(directory)


def kept(directory: Path) -> list[Group]:
    """What anybody reads there; all of it must be as it was written."""
    with closing(DirectoryReader(directory)) as reader:
        found = read_all(reader)
    assert found == [group for group in groups(1, 200) if group.seq in {one.seq for one in found}]
    return found


@pytest.mark.parametrize("number", [0, 1, 3], ids=["oldest", "between", "newest"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_it_opens_and_goes_on(days: dict[str, bytes], tmp_path: Path, damage: Damage, number: int) -> None:
    """Whatever happened to whichever file: the other files are whole, the file is kept, new groups are journaled."""
    path = laid(days, tmp_path / "j")[number]
    last = (17, 41, 65, 80)[number]
    damage(path)
    damaged = path.read_bytes() if path.exists() else b""
    journal, found = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert bool(found) is not (damage is _gone and number != 1), "a pruned file at an end is no damage"
        fill(journal, 30)
    with closing(Journal(tmp_path / "j")) as again:
        seqs = [group.seq for group in read_all(again.reader())]
    assert seqs == [group.seq for group in kept(tmp_path / "j")]
    others = {seq for seq in range(1, 81) if seq > last or (number and seq <= (17, 41, 65)[number - 1])}
    assert others <= set(seqs), "the other files' groups are all there"
    assert seqs[-1] >= 80 if number != 3 else seqs[-1] > 90
    aside = list((tmp_path / "j").glob("*.damaged-*"))
    assert [one.read_bytes() for one in aside if not one.name.endswith(("-wal", "-shm"))] in ([damaged], [])
    assert bool(aside) is not (damage is _gone)


@given(
    number=st.sampled_from([1, 3]),
    flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=20),
    page=st.booleans(),
)
@example(number=1, flips=[(47, 1)], page=False)  # "unsupported file format"
@example(number=1, flips=[(60, 1)], page=False)  # a version beyond any
@example(number=3, flips=[(18, 4)], page=False)  # "attempt to write a readonly database"
@settings(max_examples=25)
def test_after_two_starts_all_that_is_left_can_be_read(number: int, flips: list[tuple[int, int]], page: bool) -> None:
    """Whatever bytes are changed, singly or a page at a time: what is read is what was written, and it can be read."""
    with TemporaryDirectory() as folder:
        path = laid(_days(), Path(folder))[number]
        whole = path.read_bytes()
        for place, flip in flips:
            offset = place % len(whole)
            assume(page or offset != VERSION)  # it may say that a newer sensord wrote it, which is refused
            overwrite(path, offset // 4096 * 4096 if page else offset, bytes(4096 if page else [whole[offset] ^ flip]))
        for start in range(3):
            journal, _ = open_or_mend(Path(folder), NOW + start)
            with closing(journal):
                try:
                    read_all(journal.reader())
                    journal.go_on_after(100, 0, NOW)
                    fill(journal, 3)
                except DamageError:
                    assert not journal.sound
                    assert start < 2, "what one start leaves damaged, the next one mends"
                    continue
                break
        found = {group.seq for group in kept(Path(folder))}
        assert {*range(1, 18), *range(42, 66), 101, 102, 103} <= found
        assert number == 3 or set(range(66, 81)) <= found


def test_only_what_is_damaged_is_lost(days: dict[str, bytes], tmp_path: Path) -> None:
    """A group whose bytes have changed is named as lost, all others are kept."""
    path = laid(days, tmp_path / "j")[1]
    change(
        path, "UPDATE groups SET records = substr(records, 1, length(records) - 1) || x'a5' WHERE seq IN (21, 22, 30)"
    )
    journal, found = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert found == "", "it does not show at the ends"
        with pytest.raises(DamageError):
            read_all(journal.reader())
        assert not journal.sound
    journal, found = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert "groups 21 to 22 are lost" in found
        assert "groups 30 to 30 are lost" in found
        assert [group.seq for group in read_all(journal.reader())] == [*range(1, 21), *range(23, 30), *range(31, 81)]
        assert journal.sound
    assert open_or_mend(tmp_path / "j", NOW)[1] == found, "it is said until people are told"
    forget(tmp_path / "j")
    assert open_or_mend(tmp_path / "j", NOW)[1] == ""


def _spoilt(mark: Path) -> None:
    mark.write_bytes(b"\xff\xfe\xfd")


def _blanked(mark: Path) -> None:
    mark.write_bytes(b"")


def _folder(mark: Path) -> None:
    mark.unlink()
    mark.mkdir()


def _alone(mark: Path) -> None:
    mark.with_name(mark.name.removesuffix(".suspect")).unlink()


@pytest.mark.parametrize("damage", [_spoilt, _blanked, _folder, _alone])
def test_a_mark_that_is_damaged_stops_no_start(days: dict[str, bytes], tmp_path: Path, damage: Damage) -> None:
    """That there is one says enough; what it says it about may be gone by then."""
    path = laid(days, tmp_path / "j")[3]
    change(path, "UPDATE groups SET records = x'00' WHERE seq = 70")
    with closing(Journal(tmp_path / "j")) as journal, pytest.raises(DamageError):
        read_all(journal.reader())
    (mark,) = (tmp_path / "j").glob("*.suspect")
    damage(mark)
    journal, found = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert ("groups 70 to 70 are lost" in found) is (damage in (_spoilt, _blanked))
        assert journal.append(records_of(90)) == journal.last_seq
    assert not [one for one in (tmp_path / "j").glob("*.suspect") if one.is_file()]


def test_a_number_that_cannot_be_right_is_not_believed(days: dict[str, bytes], tmp_path: Path) -> None:
    """A number has no checksum: one that follows nothing and is followed by nothing is left out."""
    path = laid(days, tmp_path / "j")[3]
    change(path, "UPDATE groups SET seq = 1000000 WHERE seq = 80")
    journal, _ = open_or_mend(tmp_path / "j", NOW)
    with closing(journal), pytest.raises(DamageError):
        read_all(journal.reader())
    journal, _ = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert [group.seq for group in read_all(journal.reader())] == [*range(1, 80)]


def test_without_room_for_a_copy_it_opens_all_the_same(
    days: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs what could have been kept of the damaged file, and no alert."""

    def full(path: Path, part: Path) -> tuple[int, list[tuple[int, int]]]:
        part.write_bytes(b"half of it")
        raise StoreError(f"{path}: no room")

    monkeypatch.setattr(salvage, "_copy", full)
    path = laid(days, tmp_path / "j")[1]
    _pageless(path)
    journal, found = open_or_mend(tmp_path / "j", NOW)
    with closing(journal):
        assert "groups 18 to 41 are lost" in found
        assert [group.seq for group in read_all(journal.reader())] == [*range(1, 18), *range(42, 81)]
    assert not list((tmp_path / "j").glob("*.part"))


@pytest.mark.parametrize("moved", [True, False], ids=["file-moved", "file-there"])
def test_a_salvage_that_was_cut_off_is_finished_or_done_again(
    days: dict[str, bytes], tmp_path: Path, moved: bool
) -> None:
    """Half a copy is thrown away; a whole one is put in place, and the damaged file moved aside with all its logs."""
    path = laid(days, tmp_path / "j")[1]
    part = path.with_name(path.name + ".part")
    part.write_bytes(b"half of it")
    open_or_mend(tmp_path / "j", NOW)[0].close()
    assert not part.exists()
    path.rename(path.with_name(path.name + ".kept"))
    (path.with_name(f"{path.name}.damaged-{NOW}") if moved else path).write_bytes(b"damaged")
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"its log")
    os.utime(log, ns=(NOW - 1, NOW - 1))
    open_or_mend(tmp_path / "j", NOW)[0].close()
    assert len(kept(tmp_path / "j")) == 80
    assert path.with_name(f"{path.name}.damaged-{NOW}-wal").read_bytes() == b"its log"


def test_a_lost_end_is_gone_on_after(days: dict[str, bytes], tmp_path: Path) -> None:
    """What the state has seen keeps its numbers: the next group comes behind them, after any number of starts."""
    laid(days, tmp_path / "j")[3].unlink()
    with closing(Journal(tmp_path / "j")) as journal:
        assert journal.last_seq == 65
        journal.go_on_after(80, journal.last_received_at + 5, NOW)
        assert journal.reader().read(65) == []
    with closing(Journal(tmp_path / "j")) as journal:
        assert journal.last_seq == 80
        fill(journal, 3)
        assert [group.seq for group in journal.reader().read(60)] == [*range(61, 66), 81, 82, 83]
    assert [group.seq for group in kept(tmp_path / "j")] == [*range(1, 66), 81, 82, 83]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=8), st.integers(1, 50), st.integers(0, 9))
@example([(1, 5), (7, 0), (6, 0)], 1, 6)
def test_lost_groups_are_stepped_over(known: list[tuple[int, int]], first: int, more: int) -> None:
    """Whatever stretches are known, side by side or one over the other: as a set of numbers would say."""
    gone = {seq for begin, length in known for seq in range(begin, begin + length + 1)}
    lost = Lost(Stretch(begin, begin + length) for begin, length in known)
    behind = first
    while behind in gone:
        behind += 1
    assert lost.behind(first) == behind
    assert lost.covers(first, first + more) is (set(range(first, first + more + 1)) <= gone)


def test_what_is_lost_is_written_down_once(tmp_path: Path) -> None:
    """It survives a restart; what cannot be read says nothing."""
    stretch = Stretch(5, 9, NOW, "journal-2026-11-23.db")
    (Lost([stretch]) | [Stretch(6, 8), Stretch(11, 12)]).save(tmp_path)
    assert Lost.load(tmp_path).stretches == [stretch, Stretch(11, 12)]
    (tmp_path / "lost.json").write_text("[{")
    assert Lost.load(tmp_path).stretches == []

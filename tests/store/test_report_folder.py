"""The files of reports: whole or not there, however many write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sensord.errors import StoreError
from sensord.store.reports import ReportFolder

NAME = "day-20261130"


def _files(word: str) -> dict[str, bytes]:
    return {name: f"{word} {name}".encode() for name in ("report.json", "zh.txt", "en.txt", "zh.md", "en.md")}


def _whole(folder: ReportFolder) -> str:
    """Whose report is there; fails unless it is all of one."""
    found = {file: folder.read(NAME, file) or b"" for file in _files("")}
    words = {content.decode().partition(" ")[0] for content in found.values()}
    assert len(words) == 1, found
    return words.pop()


def test_of_two_that_are_written_at_once_one_stays_whole(tmp_path: Path) -> None:
    """Both writers succeed, what is there is all of one, and nothing half lies beside it."""
    folder, start = ReportFolder(tmp_path), Barrier(2)

    def write(word: str) -> None:
        start.wait(10)
        folder.write(NAME, _files(word))

    with ThreadPoolExecutor(2) as writers:
        for _ in range(50):
            for done in [writers.submit(write, word) for word in ("one", "two")]:
                done.result(10)
            assert _whole(folder) in {"one", "two"}
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [NAME]


def test_one_that_cannot_be_put_there_costs_not_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there comes back."""
    folder = ReportFolder(tmp_path)
    folder.write(NAME, _files("one"))
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path.name.startswith(".new-") and not path.name.endswith("-old"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StoreError, match="No space left"):
        folder.write(NAME, _files("two"))
    assert _whole(folder) == "one"
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [NAME]

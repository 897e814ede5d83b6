"""The files of reports: one folder each, written as a whole, below ``reports`` in the state directory.

A folder is called by its report (``morning-20261125T0730``) and holds ``report.json`` and, per language, text,
Markdown, HTML, and in ``zh.message`` and ``en.message`` the few lines that messages carry. Tables (CSV) are made of
``report.json`` when somebody asks for one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from sensord.config.files import PRIVATE
from sensord.errors import StoreError
from sensord.store.sqlite import prepare_directory

FOLDER = "reports"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,60}(?:T[0-9]{4})?")
"""What a report may be called."""
_STAGE, _ATTEMPTS = ".new", 20


class UnreadableReportError(StoreError):
    """A kept report is damaged, or of a version whose data were others."""


class ReportFolder:
    """The reports of one state directory; several processes may write."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FOLDER

    def names(self) -> list[str]:
        """Every report that is there, the newest first."""
        return [name for _, name in sorted(self._written(), reverse=True)]

    def _written(self) -> Iterator[tuple[int, str]]:
        """When (ns) each report was written, and its name; one that goes while somebody looks is not there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in self._path.iterdir():
                with suppress(FileNotFoundError):
                    if NAME.fullmatch(path.name):
                        yield path.stat().st_mtime_ns, path.name

    def has(self, name: str) -> bool:
        """Whether the report is there."""
        return NAME.fullmatch(name) is not None and (self._path / name / "report.json").exists()

    def read(self, name: str, file: str) -> bytes | None:
        """Return one of its files, a text in UTF-8; None when it is not there.

        Raises ``StoreError``: ``UnreadableReportError`` for what is empty or no text (a power cut leaves NULs).
        """
        if NAME.fullmatch(name) is None or "/" in file or file.startswith("."):
            return None
        try:
            content = (self._path / name / file).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._path / name}: cannot be read ({error.strerror})") from error
        if not _is_text(content):
            raise UnreadableReportError(f"report {name}: its file {file} is damaged; ask for another form")
        return content

    def write(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Put a report there, whole or not at all; one of that name is replaced. Raises ``StoreError``."""
        if NAME.fullmatch(name) is None:
            raise StoreError(f"{name} is no name of a report")
        target, stage = self._path / name, None
        try:
            prepare_directory(self._path)
            stage = Path(tempfile.mkdtemp(prefix=f"{_STAGE}-", dir=self._path))
            for file, content in files.items():
                (stage / file).touch(PRIVATE)
                (stage / file).write_bytes(content)
            _put(stage, target)
        except OSError as error:
            if stage is not None:
                shutil.rmtree(stage, ignore_errors=True)
            raise StoreError(f"{target}: cannot be written ({error.strerror})") from error
        return target

    def prune(self, before: int) -> int:
        """Delete the reports that were written before the instant ``before`` (ns); returns how many."""
        old = [name for written, name in self._written() if written < before]
        for name in old:
            shutil.rmtree(self._path / name, ignore_errors=True)
        for half in self._path.glob(f"{_STAGE}-*"):  # of a process that was shot
            with suppress(FileNotFoundError):
                if half.stat().st_mtime_ns < before:
                    shutil.rmtree(half, ignore_errors=True)
        return len(old)


def _put(stage: Path, target: Path) -> None:
    """Give a whole report its name; of several that are written at once one stays, whole. Raises ``OSError``."""
    old = stage.with_name(f"{stage.name}-old")
    for attempt in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            stage.rename(target)
        except OSError:
            with suppress(OSError):  # not where somebody else's came between
                old.rename(target)
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            break
        finally:
            shutil.rmtree(old, ignore_errors=True)


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return text != "" and "\0" not in text

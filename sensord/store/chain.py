"""A register that shows what was done to it: append-only, each line chained to the one before by its hash.

A line is a JSON object; its ``hash`` is the SHA-256 of the line before's hash and of everything else in the line, so a
line that was changed, taken out or put in shows. That lines were cut off the end shows in a file beside it, the *head*,
which holds the number and hash of the last; copy both away now and then. What a crash left of a line that was never
finished (it has no end, and the head does not know it) was told to nobody, and is replaced by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

import msgspec

from sensord.config.files import PRIVATE, sync_directory, write_whole
from sensord.errors import StoreError

GENESIS = "0" * 64
_LONGEST = 64 << 10
"""Bytes at the end of a register within which its last line lies: what is written there is bounded by its writers."""
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Line(Protocol):
    """What every line has, beside what it says: its number, the hash of the one before and its own, its form."""

    @property
    def number(self) -> int:
        """Counts from 1."""
        ...

    @property
    def before(self) -> str:
        """The hash of the line before; ``GENESIS`` in the first."""
        ...

    @property
    def hash(self) -> str:
        """The hash of this line."""
        ...

    @property
    def version(self) -> int:
        """That of the line's form."""
        ...


LineT = TypeVar("LineT", bound=Line)
Draft = Callable[[int, str], LineT]
"""Makes a line, all but its hash, of its number and the hash of the one before."""


def digest(line: Line) -> str:
    """What the ``hash`` of a line must be."""
    plain = msgspec.structs.replace(line, hash="")  # type: ignore[type-var]  # every line is a struct
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


class Chain(Generic[LineT]):
    """What every register has: its file, its head, the form of its lines, the newest version of it that is known here.

    Several processes may append.
    """

    def __init__(self, directory: Path, file: str, head: str, form: type[LineT], version: int) -> None:
        self.path, self.head = directory / file, directory / head
        self._decoder, self._version = msgspec.json.Decoder(form), version

    def add(self, draft: Draft[LineT]) -> LineT:
        """Write one line durably and return it; raises ``StoreError``, and then it does not count as written."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                last = self._last(file)
                unhashed = draft(*((last.number + 1, last.hash) if last is not None else (1, GENESIS)))
                line = msgspec.structs.replace(unhashed, hash=digest(unhashed))  # type: ignore[type-var]
                file.write(msgspec.json.encode(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                if last is None:
                    sync_directory(self.path.parent)  # no head may be there without the line that it knows
                self._note_head(line)
        except OSError as error:
            raise StoreError(f"{self.path}: nothing can be written down here ({error.strerror})") from error
        return line

    def _last(self, file: BinaryIO) -> LineT | None:
        """Read the last line that was finished, and stand behind it; what was begun after it is cut off.

        A power cut may leave the end of a line without its middle: such a line was told to nobody, either, unless the
        head knows it.
        """
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LONGEST))
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        last = self._sound(whole)
        if last is None:
            whole = whole[: whole.rstrip(b"\n").rfind(b"\n") + 1]
            last = self._sound(whole)
        cut = len(whole) < len(text)
        if self._noted() not in (_known(last), _one_behind(last)) or (cut and last is None and whole):
            if cut:
                raise StoreError(f"{self.path}: the last line is damaged: run sensord audit verify")
            raise StoreError(f"{self.path}: its end is not what {self.head.name} says: run sensord audit verify")
        if cut:
            end = size - len(text) + len(whole)
            file.truncate(end)
            file.seek(end)
        return last

    def _sound(self, lines: bytes) -> LineT | None:
        """Read the last of these lines; None when there is none, or it is not as it was written."""
        text = lines.rstrip(b"\n").rpartition(b"\n")[2]
        try:
            return self._read(text) if text else None
        except _MALFORMED:
            return None

    def look(self) -> str:
        """Say what is wrong with the register's end (empty: nothing), as who appends next would find it.

        For a start: :meth:`verify` looks at all of it, and may take long.
        """
        try:
            if not self.path.exists():
                return f"{self.path.name} is gone" if self.head.exists() else ""
            with self.path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._last(file)
        except OSError as error:
            return f"{self.path}: cannot be read ({error.strerror})"
        except StoreError as error:
            return str(error)
        return ""

    def _read(self, text: bytes) -> LineT:
        """Read a line; raises ``StoreError`` for one of a later form: its hash cannot be checked here."""
        line = self._decoder.decode(text)
        if line.version > self._version:
            raise StoreError(
                f"{self.path}: was written by a newer sensord (version {line.version} of its lines, this one knows "
                f"{self._version}); install that sensord again"
            )
        return line

    def _noted(self) -> list[str]:
        """Number and hash of the last line as the head has them; empty without a head."""
        return self.head.read_text(encoding="ascii", errors="replace").split() if self.head.exists() else []

    def _note_head(self, line: LineT) -> None:
        write_whole(self.head, f"{line.number} {line.hash}\n".encode(), PRIVATE)

    @contextmanager
    def still(self) -> Iterator[tuple[str, ...]]:
        """Let nobody append meanwhile; yields the names of the files that are there: both or none."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            yield ()
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield (self.path.name, self.head.name) if self.head.exists() else ()

    def entries(self) -> Iterator[LineT]:
        """Yield every line, oldest first; raises ``StoreError`` for one that was not written here."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    yield self._read(text)
                except _MALFORMED as error:
                    raise StoreError(f"{self.path}:{number}: this line was not written here") from error

    def verify(self) -> tuple[int, str]:
        """Check the whole chain; return (number of lines, hash of the last).

        Raises ``StoreError`` naming the first line that was changed, taken out, put in, or cut off.
        """
        number, before = 0, GENESIS
        for line in self.entries():
            number += 1
            if line.number != number or line.before != before:
                raise StoreError(f"{self.path}:{number}: a line was taken out or put in here")
            if digest(line) != line.hash:
                raise StoreError(f"{self.path}:{number}: this line was changed")
            before = line.hash
        if self.head.exists() or number:
            noted = self._noted()
            if noted != [str(number), before]:
                said = " ".join(noted)[:20] or "nothing"
                raise StoreError(f"{self.path}: it ends with {number} {before[:12]}, but {self.head.name} says {said}")
        return number, before


def _known(last: Line | None) -> list[str]:
    """What the head says of the last line."""
    return [str(last.number), last.hash] if last is not None else []


def _one_behind(last: Line | None) -> list[str]:
    """What the head says when a crash came between a line and its head; nothing yet after the first line."""
    return [str(last.number - 1), last.before] if last is not None and last.number > 1 else []

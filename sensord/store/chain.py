"""A register that shows what was done to it: append-only, each line chained to the one before by its hash.

A line is a JSON object; its ``hash`` is the SHA-256 of the line before's hash and of everything else in the line, and
each line is byte for byte as it was written, so one that was changed, taken out or put in shows. That lines were cut
off the end shows in a file beside it, the *head*, which holds the number and hash of the last; copy both away now and
then. What a crash left of a line that was never finished (it has no end, or no middle, and the head does not know it)
was told to nobody, and is replaced by the next; a head that is one line behind is no damage, either, and follows at the
next start. Who appends, who looks and who verifies read the end in one way, under one lock that nobody keeps.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from sensord.config.files import PRIVATE, open_own, sync_directory, write_whole
from sensord.decoders import json_decoder
from sensord.errors import StoreError

GENESIS = "0" * 64
PATIENCE, _TURN = 2.0, 0.01
"""Seconds that who writes waits for a register's lock, and between two tries. It is held while a line is written."""
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


class Verdict(NamedTuple):
    """What an intact register has: how many lines, the hash of the last, and whether a crash left one unfinished."""

    number: int
    hash: str
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class _End(Generic[LineT]):
    """How a register ends: its last finished line, where that ends (a byte), how long the file is, what is wrong.

    ``behind``: a crash came between the line and its head.
    """

    last: LineT | None
    place: int
    size: int
    behind: bool
    fault: str


def digest(line: Line) -> str:
    """What the ``hash`` of a line must be."""
    plain = msgspec.structs.replace(line, hash="")  # type: ignore[type-var]  # every line is a struct
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def _written(line: Line) -> bytes:
    """A line as it stands in the file."""
    return msgspec.json.encode(line) + b"\n"


def _as_written(line: Line, text: bytes) -> bool:
    """Whether a line still is what was written, byte for byte.

    What a decoder passes over (a key twice, a key that nobody knows, spaces) is read by people all the same.
    """
    return digest(line) == line.hash and _written(line) == text


class Chain(Generic[LineT]):
    """What every register has: its file, its head, the form of its lines, the newest version of it that is known here.

    Several processes may append.
    """

    def __init__(self, directory: Path, file: str, head: str, form: type[LineT], version: int) -> None:
        self.path, self.head = directory / file, directory / head
        self._decoder, self._version = json_decoder(form), version
        self.hear: Callable[[str], None] = lambda _fault: None
        """Called with why a line could not be written down; with nothing ("") when one was."""

    def add(self, draft: Draft[LineT]) -> LineT:
        """Write one line durably and return it; raises ``StoreError``, and then it does not count as written."""
        try:
            line = self._added(draft)
        except StoreError as error:
            self.hear(str(error))
            raise
        self.hear("")
        return line

    def _added(self, draft: Draft[LineT]) -> LineT:
        try:
            with os.fdopen(open_own(self.path), "rb+") as file:
                self._hold(file)
                last = self._mended(file)
                unhashed = draft(*((last.number + 1, last.hash) if last is not None else (1, GENESIS)))
                line = msgspec.structs.replace(unhashed, hash=digest(unhashed))  # type: ignore[type-var]
                file.write(_written(line))
                file.flush()
                os.fsync(file.fileno())
                if last is None:
                    sync_directory(self.path.parent)  # no head may be there without the line that it knows
                self._note_head(line)
        except OSError as error:
            advice = "check the disk, and that it belongs to sensord's user"
            raise StoreError(f"{self.path}: nothing can be written down here ({error.strerror}); {advice}") from error
        return line

    def _hold(self, file: BinaryIO) -> None:
        """Lock the register to write; raises ``StoreError`` when another process keeps it for long: people wait."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    fault = f"{self.path}: another process keeps it locked; end it, and try again"
                    raise StoreError(fault) from error
                time.sleep(_TURN)
            else:
                return

    def _mended(self, file: BinaryIO) -> LineT | None:
        """Return the last line that was finished, and stand behind it: what a crash left is cut off, the head follows.

        Raises ``StoreError`` when the end is not what a crash leaves.
        """
        end = self._end(file)
        if end.fault:
            raise StoreError(f"{end.fault}: run sensord audit verify")
        if end.place < end.size:
            file.truncate(end.place)
        file.seek(end.place)
        if end.behind and end.last is not None:
            os.fsync(file.fileno())  # no head may know a line that a power cut can still take
            sync_directory(self.path.parent)
            self._note_head(end.last)
        return end.last

    def _end(self, file: BinaryIO) -> _End[LineT]:
        """Read how the register ends; whoever calls holds the lock.

        A power cut may leave the end of a line without its middle: such a line was told to nobody, either, unless the
        head knows it.
        """
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LONGEST))
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        last = self._sound(whole)
        if last is None:
            whole = whole[: whole[:-1].rfind(b"\n") + 1]
            last = self._sound(whole)
        cut, noted = len(whole) < len(text), self._noted()
        fault = ""
        if noted not in (_known(last), _one_behind(last)) or (last is None and whole):
            damaged = f"{self.path}: the last line is damaged"
            fault = damaged if cut else f"{self.path}: its end is not what {self.head.name} says"
        return _End(last, size - len(text) + len(whole), size, noted != _known(last), fault)

    def _sound(self, lines: bytes) -> LineT | None:
        """Read the last of these lines; None when there is none, or it is not as it was written."""
        text = lines[lines[:-1].rfind(b"\n") + 1 :]
        try:
            line = self._read(text) if text else None
        except _MALFORMED:
            return None
        return line if line is not None and _as_written(line, text) else None

    def look(self) -> str:
        """Say what is wrong with the register's end (empty: nothing), as who appends next would find it, and mend it.

        For a start: :meth:`verify` looks at all of it, and may take long.
        """
        try:
            if not self.path.exists():
                return f"{self.path.name} is gone" if self.head.exists() else ""
            with self.path.open("rb+") as file:
                self._hold(file)
                self._mended(file)
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

    def end(self) -> Verdict:
        """The number and hash of the last line, without a look at those before; raises ``StoreError`` as it ends."""
        with self._ended() as (_, end):
            if end.fault:
                raise StoreError(f"{end.fault}: run sensord audit verify")
            last = end.last
        return Verdict(last.number, last.hash) if last is not None else Verdict(0, GENESIS)

    def entries(self) -> Iterator[LineT]:
        """Yield every finished line, oldest first; raises ``StoreError`` for one that was not written here."""
        with self._ended() as (file, end):
            for _, line in self._lines(file, end):
                yield line

    def verify(self) -> Verdict:
        """Check the whole chain.

        Raises ``StoreError`` naming the first line that was changed, taken out, put in, or cut off.
        """
        number, before = 0, GENESIS
        with self._ended() as (file, end):
            for text, line in self._lines(file, end):
                number += 1
                if line.number != number or line.before != before:
                    raise StoreError(f"{self.path}:{number}: a line was taken out or put in here")
                if not _as_written(line, text):
                    raise StoreError(f"{self.path}:{number}: this line was changed")
                before = line.hash
            if end.fault:
                said = " ".join(self._noted())[:20] or "nothing"
                raise StoreError(f"{self.path}: it ends with {number} {before[:12]}, but {self.head.name} says {said}")
            return Verdict(number, before, unfinished=end.place < end.size)

    @contextmanager
    def _ended(self) -> Iterator[tuple[BinaryIO, _End[LineT]]]:
        """Hand out the file and how it ends at one moment; raises ``StoreError``.

        Nobody has to wait to append meanwhile: what stands before that end stays as it is.
        """
        known = self.head.exists()  # before the file is looked for: it comes after its first line
        try:
            file = self.path.open("rb")
        except FileNotFoundError as error:
            if known:
                raise StoreError(f"{self.path.name} is gone") from error
            yield BytesIO(), _End(None, 0, 0, behind=False, fault="")
            return
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read ({error.strerror})") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            end = self._end(file)
            fcntl.flock(file, fcntl.LOCK_UN)
            yield file, end

    def _lines(self, file: BinaryIO, end: _End[LineT]) -> Iterator[tuple[bytes, LineT]]:
        """Yield every line up to the end, as bytes and decoded; all there is when something is wrong with the end."""
        file.seek(0)
        left = end.size if end.fault else end.place
        for number, text in enumerate(file, 1):
            if left <= 0:
                return
            left -= len(text)
            try:
                yield text, self._read(text)
            except _MALFORMED as error:
                raise StoreError(f"{self.path}:{number}: this line was not written here") from error


def _known(last: Line | None) -> list[str]:
    """What the head says of the last line."""
    return [str(last.number), last.hash] if last is not None else []


def _one_behind(last: Line | None) -> list[str]:
    """What the head says when a crash came between a line and its head; nothing yet after the first line."""
    return [str(last.number - 1), last.before] if last is not None and last.number > 1 else []

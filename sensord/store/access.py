"""The access log: who saw a plate, when, and why. Append-only, each line chained to the one before by its hash.

A line is a JSON object; its ``hash`` is the SHA-256 of the line before's hash and of everything else in the line, so a
line that was changed, taken out or put in shows. That lines were cut off the end shows in ``access.head``, which holds
the number and hash of the last; copy both away now and then. It holds pseudonyms, never a plate: one that somebody
wrote into a reason, or asked for, is blotted out.

Source: the regulation on public-security video systems (in force 2025-04-01) asks for a register of access with
reason, content, unit and name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sensord.core.cases.notification import Notification
from sensord.core.instant import format_instant
from sensord.core.vehicles.plate import without_plates
from sensord.errors import StoreError

FILE, HEAD = "access.log", "access.head"
GENESIS = "0" * 64
VERSION = 1


class Access(msgspec.Struct, frozen=True):
    """One access. ``at`` is RFC 3339, ``by`` a post of the roster, ``vehicle`` a pseudonym, ``via`` how shown.

    One that was ``refused`` is by whoever asked, in whatever words.

    ``version`` is that of the line's form.
    """

    number: int
    at: str
    by: str
    reason: str
    vehicle: str
    via: str
    case: str
    before: str
    hash: str = ""
    version: int = VERSION

    def digest(self) -> str:
        """What ``hash`` must be."""
        plain = msgspec.structs.replace(self, hash="")
        return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class AccessLog:
    """The log of a state directory; several processes may append."""

    def __init__(self, directory: Path) -> None:
        self._path, self._head = directory / FILE, directory / HEAD

    def append(self, *, at: str, by: str, reason: str, vehicle: str, via: str, case: str = "") -> Access:
        """Write one access durably and return it; raises ``StoreError``, and then nothing may be shown."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                last = self._last(file.read())
                number, before = (last.number + 1, last.hash) if last is not None else (1, GENESIS)
                by, reason, vehicle, case = map(without_plates, (by, reason, vehicle, case))
                draft = Access(number, at, by[:64], reason[:500], vehicle[:200], via, case, before)
                access = msgspec.structs.replace(draft, hash=draft.digest())
                file.write(msgspec.json.encode(access) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                self._note_head(access)
        except OSError as error:
            raise StoreError(f"{self._path}: the access cannot be written down ({error.strerror})") from error
        return access

    def sent(self, notification: Notification) -> None:
        """Write down that a message shows its receiver a plate."""
        assert notification.vehicle is not None
        self.append(
            at=format_instant(time.time_ns()),
            by=notification.receiver,
            reason=f"notification {notification.key}",
            vehicle=notification.vehicle.id,
            via=notification.channel,
            case=notification.case,
        )

    def _last(self, text: bytes) -> Access | None:
        line = text.rstrip(b"\n").rpartition(b"\n")[2]
        if not line:
            return None
        try:
            return self._read(line)
        except _MALFORMED as error:
            raise StoreError(f"{self._path}: the last line is damaged: run sensord audit verify") from error

    def _read(self, line: bytes) -> Access:
        """Read a line; raises ``StoreError`` for one of a later form: its hash cannot be checked here."""
        access = msgspec.json.decode(line, type=Access)
        if access.version > VERSION:
            raise StoreError(
                f"{self._path}: was written by a newer sensord (version {access.version} of its lines, this one knows "
                f"{VERSION}); install that sensord again"
            )
        return access

    def _note_head(self, access: Access) -> None:
        part = self._head.with_name(f"{HEAD}.part")
        part.touch(mode=0o600)
        part.write_text(f"{access.number} {access.hash}\n", encoding="ascii")
        part.replace(self._head)

    @contextmanager
    def still(self) -> Iterator[tuple[str, ...]]:
        """Let nobody append meanwhile; yields the names of the files that are there: both or none."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            yield ()
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield (FILE, HEAD) if self._head.exists() else ()

    def entries(self) -> Iterator[Access]:
        """Yield every access, oldest first; raises ``StoreError`` for a line that is none."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield self._read(line)
                except _MALFORMED as error:
                    raise StoreError(f"{self._path}:{number}: this is no access that was written here") from error

    def verify(self) -> tuple[int, str]:
        """Check the whole chain; return (number of accesses, hash of the last).

        Raises ``StoreError`` naming the first line that was changed, taken out, put in, or cut off.
        """
        number, before = 0, GENESIS
        for access in self.entries():
            number += 1
            if access.number != number or access.before != before:
                raise StoreError(f"{self._path}:{number}: a line was taken out or put in here")
            if access.digest() != access.hash:
                raise StoreError(f"{self._path}:{number}: this line was changed")
            before = access.hash
        if self._head.exists() or number:
            head = self._head.read_text(encoding="ascii").split() if self._head.exists() else ["nothing"]
            if head != [str(number), before]:
                said = " ".join(head)[:20]
                raise StoreError(f"{self._path}: it ends with {number} {before[:12]}, but {HEAD} says {said}")
        return number, before

"""The two registers held against each other: the audit notes where the access log ended.

A register shows what is done to it while its file or its head is there; both gone look like a register in which nothing
was ever written. So its end is written down where it is not: at each start, daily, and when a plate was revealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sensord.errors import StoreError
from sensord.ports import Change
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.chain import GENESIS

WHAT = "access-log"
"""What such a line of the audit is about."""
_BY, _ROLE = "sensord", "daemon"


class Registers:
    """Both registers of a state directory."""

    def __init__(self, access: AccessLog, audit: AuditLog) -> None:
        self._access, self._audit = access, audit

    @classmethod
    def of(cls, directory: Path) -> Registers:
        """Those of a directory."""
        return cls(AccessLog(directory), AuditLog(directory))

    def look(self) -> dict[str, str]:
        """Say what is wrong with the registers' ends, by the file's name, and mend what a crash left."""
        torn = {one.path.name: fault for one in (self._access, self._audit) if (fault := one.look())}
        lost = "" if torn else self.lost()
        return {self._access.path.name: lost} if lost else torn

    def lost(self) -> str:
        """Say what the access log has lost of its end; "" for nothing."""
        try:
            number, hash_ = self._noted()
            end = self._access.end()
        except StoreError as error:
            return str(error)
        return "" if end.number > number or (end.number, end.hash) == (number, hash_) else self._fault(number)

    def note(self, at: str, why: str = "") -> None:
        """Write down where the access log ends (``at``: RFC 3339), unless that is known; raises ``StoreError``.

        ``why`` says why an end may stand behind what was noted: the log was lost, and somebody knows of it.
        """
        end, (number, hash_) = self._access.end(), self._noted()
        if why or (end.number > number and self._holds(number, hash_)):
            about = {"number": str(end.number), "hash": end.hash} | ({"why": why} if why else {})
            self._audit.append(Change(at, _BY, _ROLE, WHAT, 0, about))

    def verify(self) -> None:
        """Look for the noted end in the whole access log; raises ``StoreError`` when it is not there."""
        number, hash_ = self._noted()
        if not self._holds(number, hash_):
            raise StoreError(self._fault(number))

    def _holds(self, number: int, hash_: str) -> bool:
        return not number or any((one.number, one.hash) == (number, hash_) for one in self._access.entries())

    def _noted(self) -> tuple[int, str]:
        """Number and hash of the access log's last line when that was last written down; 0 when it never was."""
        found = 0, GENESIS
        for about in self._notes():
            found = int(about["number"]), about["hash"]
        return found

    def _notes(self) -> Iterator[dict[str, str]]:
        return (line.change.about for line in self._audit.entries() if line.change.what == WHAT)

    def _fault(self, number: int) -> str:
        return f"{self._access.path.name} has lost its line {number}, of which {self._audit.path.name} knows"

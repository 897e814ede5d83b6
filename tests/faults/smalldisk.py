"""Small files on a disk that loses power: what was written since the last ``fsync`` survives in part, or not at all.

The program's own calls go through (``os.open``, ``os.fsync``, ``os.replace``, ``os.unlink``); beside them a model knows
what of each file, and which names of the folder, were synced. When the power is cut, each later change of a name has
been done or not, and of each file's later bytes some sectors are there, as of a file that SQLite writes (``disk.py``).
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.faults.disk import SECTOR

_open = os.open


class PowerOff(BaseException):
    """Nothing that the program does is done any more, whatever it catches."""


class SmallDisk:
    """One folder; at call number ``cut_at`` the power goes, and ``left`` is what is on the disk by then."""

    def __init__(self, folder: Path, dice: random.Random, cut_at: int) -> None:
        self._folder, self._dice, self._cut_at = folder, dice, cut_at
        self._held = dict[int, int]()
        self._synced = dict[int, bytes]()
        self._names = dict[str, int]()
        self.calls = 0
        self.left: dict[str, bytes] | None = None
        for name, number in self._there().items():  # what is there at the first look is safe
            self._synced[number], self._names[name] = self._content(number), number

    def _there(self) -> dict[str, int]:
        """The folder's files: inode by name. Each is held open, so that its number is not given to another."""
        found = dict[str, int]()
        for path in self._folder.iterdir():
            number = path.stat().st_ino
            if number not in self._held:
                self._held[number] = _open(path, os.O_RDONLY)
            found[path.name] = number
        return found

    def _content(self, number: int) -> bytes:
        handle = self._held[number]
        return os.pread(handle, os.fstat(handle).st_size, 0)

    @contextmanager
    def power(self) -> Iterator[None]:
        """Run the block until it ends or the power goes."""
        with mock.patch.multiple(
            os,
            open=self._before(_open),
            replace=self._before(os.replace),
            unlink=self._before(os.unlink),
            fsync=self._fsync,
        ):
            try:
                yield
            except PowerOff:
                pass
            finally:
                self.cut()

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **named: Any) -> Any:
            self._tick()
            return call(*arguments, **named)

        return done

    def _tick(self) -> None:
        self.calls += 1
        if self.calls >= self._cut_at:
            self.cut()
            raise PowerOff

    def _fsync(self, handle: int) -> None:
        self._tick()
        status, there = os.fstat(handle), self._there()
        if stat.S_ISDIR(status.st_mode):
            self._names = there
        elif status.st_ino in self._held:
            self._synced[status.st_ino] = self._content(status.st_ino)

    def cut(self) -> None:
        """Cut the power, if it is still there."""
        if self.left is not None:
            return
        there, self.left = self._there(), {}
        for name in sorted(there.keys() | self._names.keys()):  # a set has another order in each process
            number = self._dice.choice((there, self._names)).get(name)
            if number is not None:
                self.left[name] = self._survivor(number)
        for handle in self._held.values():
            os.close(handle)

    def _survivor(self, number: int) -> bytes:
        """Sectors of what was synced and of what is there, as long as either."""
        before, now = self._synced.get(number, b""), self._content(number)
        share, length = self._dice.choice((0.0, 0.3, 0.7, 1.0)), len(self._dice.choice((before, now)))
        parts = (
            (now if self._dice.random() < share else before)[start : start + SECTOR].ljust(SECTOR, b"\0")
            for start in range(0, max(len(before), len(now)), SECTOR)
        )
        return b"".join(parts)[:length]

"""Which groups the journal has lost, and knows of: written down beside its day files, in ``lost.json``.

A journal without a hole needs no such file. A hole that is not written down here is an error to everybody who reads;
one that is has been seen, told to people and accepted (``salvage.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from sensord.config.files import sync_directory
from sensord.decoders import json_decoder
from sensord.store.sqlite import create_file, store_error

FILE = "lost.json"

log = structlog.get_logger(__name__)


class Stretch(msgspec.Struct, frozen=True, order=True):
    """Groups ``first`` to ``last`` (both included) are gone; since when (ns), and the file that held them."""

    first: int
    last: int
    found_at: int = 0
    file: str = ""


_STRETCHES = json_decoder(list[Stretch])


class Lost:
    """The lost stretches of one journal, in order."""

    def __init__(self, stretches: Iterable[Stretch] = ()) -> None:
        self.stretches = sorted(stretches)

    @classmethod
    def load(cls, directory: Path) -> Lost:
        """Read what is written down; a file that cannot be read says nothing, and its holes are found again."""
        try:
            return cls(_STRETCHES.decode((directory / FILE).read_bytes()))
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.error("the list of lost groups cannot be read", file=str(directory / FILE), why=str(error))
            return cls()

    def behind(self, seq: int) -> int:
        """The first group from ``seq`` on that is not known to be lost."""
        for stretch in self.stretches:
            if stretch.first <= seq <= stretch.last:
                seq = stretch.last + 1
        return seq

    def covers(self, first: int, last: int) -> bool:
        """Whether all groups from ``first`` to ``last`` are known to be lost."""
        return self.behind(first) > last

    def __or__(self, others: Iterable[Stretch]) -> Lost:
        """These and others; what is known is not said twice."""
        return Lost([*self.stretches, *(one for one in others if not self.covers(one.first, one.last))])

    def save(self, directory: Path) -> None:
        """Write them down durably; raises ``StoreError``."""
        path, part = directory / FILE, directory / f"{FILE}.part"
        create_file(part)
        try:
            with part.open("wb") as file:
                file.write(msgspec.json.encode(self.stretches) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_directory(directory)
        except OSError as error:
            raise store_error(f"{path}: cannot be written ({error}); check the disk") from error

"""Experiments with power cuts: registers, tokens and keys, by their own code, on a disk that loses power."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

from sensord.api.tokens import Role, TokenStore
from sensord.errors import StoreError
from sensord.ports import Change
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.lost import Lost, Stretch
from tests.faults.smalldisk import SmallDisk
from tests.faults.tally import Row

LIVES = 4
MOST = 12


class _Kept:
    """What was answered with yes before the power went: lines of each register, names of tokens, lost stretches."""

    def __init__(self) -> None:
        self.changes = self.accesses = self.stretches = 0
        self.tokens = list[str]()


def small_cuts(directory: Path, seeds: int, first: int = 0) -> Row:
    """Cut the power ``LIVES`` times for each seed; returns what was answered with yes, and is gone or unreadable."""
    row, answered = Row("power cut (registers, tokens, list of lost groups)", seeds * LIVES), 0
    for seed in range(first, first + seeds):
        dice, place, kept = random.Random(seed), directory / f"{seed}-0", _Kept()
        place.mkdir(parents=True)
        for life in range(LIVES):
            disk = SmallDisk(place, dice, dice.randrange(3, 120))
            with disk.power(), suppress(StoreError):
                _live(place, kept)
            place = directory / f"{seed}-{life + 1}"
            place.mkdir()
            for name, content in (disk.left or {}).items():
                (place / name).write_bytes(content)
            row.lost += _lost(place, kept)
        answered += kept.changes + kept.accesses + kept.stretches + len(kept.tokens)
    row.remark = f"{answered:,} lines, tokens and stretches that were answered with yes"
    return row


def _live(place: Path, kept: _Kept) -> None:
    """Write until the power goes."""
    changes, accesses, tokens = AuditLog(place), AccessLog(place), TokenStore(place)
    for _ in range(MOST):
        _change(changes, kept)
        _access(accesses, kept)
        name = f"screen-{len(kept.tokens)}"
        tokens.revoke(name)  # the one before the cut may be there, though nobody was told
        tokens.create(name, Role.VIEWER, 1)
        kept.tokens.append(name)
        first = kept.stretches * 10
        (Lost.load(place) | [Stretch(first, first + 5)]).save(place)
        kept.stretches += 1


def _change(register: AuditLog, kept: _Kept) -> None:
    about = {"rule": "x" * (kept.changes % 5 * 150)}
    register.append(Change("2026-11-23T08:00:00+08:00", "console", "admin", "rules.put", 0, about))
    kept.changes += 1


def _access(register: AccessLog, kept: _Kept) -> None:
    register.append(at="-", by="派出所-1", reason="协查" * (kept.accesses % 60), vehicle="0" * 16, via="reveal")
    kept.accesses += 1


def _lost(place: Path, kept: _Kept) -> int:
    """Go on as the daemon does after a power cut; returns how much is gone of what was answered with yes."""
    changes, accesses, tokens = AuditLog(place), AccessLog(place), TokenStore(place)
    found = 0
    try:
        names = {one.name for one in tokens.all()}
        found += len(set(kept.tokens) - names)
        _change(changes, kept)
        _access(accesses, kept)
    except StoreError:
        return 1
    kept.changes, gone = _verified(changes, kept.changes)
    kept.accesses, more = _verified(accesses, kept.accesses)
    return found + gone + more + max(0, kept.stretches - len(Lost.load(place).stretches))


def _verified(register: AuditLog | AccessLog, wanted: int) -> tuple[int, int]:
    """How many lines the register has, all of them chained, and how many are gone."""
    try:
        number, _ = register.verify()
    except StoreError:
        return wanted, 1
    return number, max(0, wanted - number)

"""Experiments with power cuts: every small file that is kept, by its own code, on a disk that loses power."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

from sensord.api.links import own_key
from sensord.api.tokens import Role, TokenStore
from sensord.config.files import PRIVATE
from sensord.config.platekeys import add_key, load_keys
from sensord.core.instant import SECOND
from sensord.errors import DamageError, SensordError, StoreError
from sensord.ports import Change
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.findings import Findings
from sensord.store.lost import Lost, Stretch
from sensord.store.sessions import KnownSessions
from sensord.store.starts import FAST_DEATHS, Starts
from sensord.store.suspicion import Suspicion, suspected
from tests.faults.smalldisk import SmallDisk
from tests.faults.tally import Row

LIVES = 4
MOST = 12
_PLATES = "plate.keys"


class _Kept:
    """What was answered with yes before the power went.

    Lines of each register, names of tokens, lost stretches, secrets of plates by their names, the key with which links
    were signed, sessions that were there, starts that have not come to a good end, and what was found damaged.
    """

    def __init__(self) -> None:
        self.changes = self.accesses = self.stretches = self.sessions = self.starts = self.findings = 0
        self.tokens = list[str]()
        self.plates = dict[str, bytes]()
        self.links = b""

    @property
    def many(self) -> int:
        """How much that is."""
        lines = self.changes + self.accesses + self.stretches + self.sessions + self.starts + self.findings
        return lines + len(self.tokens) + len(self.plates) + bool(self.links)


def small_cuts(directory: Path, seeds: int, first: int = 0) -> Row:
    """Cut the power ``LIVES`` times for each seed; returns what was answered with yes, and is gone or unreadable."""
    row, answered = Row("power cut (small files)", seeds * LIVES), 0
    for seed in range(first, first + seeds):
        dice, place, kept = random.Random(seed), directory / f"{seed}-0", _Kept()
        place.mkdir(parents=True)
        for life in range(LIVES):
            disk = SmallDisk(place, dice, dice.randrange(3, 300))
            with disk.power(), suppress(SensordError):  # keys that are lost are not added to; ``_lost`` counts them
                _live(place, kept)
            place = directory / f"{seed}-{life + 1}"
            place.mkdir()
            for name, content in (disk.left or {}).items():
                (place / name).write_bytes(content)
                (place / name).chmod(PRIVATE)
            row.lost += _lost(place, kept)
        answered += kept.many
    row.remark = (
        f"{answered:,} lines of registers, tokens, lost stretches, keys, sessions, starts, findings answered with yes"
    )
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
        _key(place, kept)
        KnownSessions(place).add(f"session-{kept.sessions}")
        kept.sessions += 1
        _start(Starts(place), kept)
        _find(place, kept)


def _change(register: AuditLog, kept: _Kept) -> None:
    about = {"rule": "x" * (kept.changes % 5 * 150)}
    register.append(Change("2026-11-23T08:00:00+08:00", "console", "admin", "rules.put", 0, about))
    kept.changes += 1


def _access(register: AccessLog, kept: _Kept) -> None:
    register.append(at="-", by="派出所-1", reason="协查" * (kept.accesses % 60), vehicle="0" * 16, via="reveal")
    kept.accesses += 1


def _key(place: Path, kept: _Kept) -> None:
    """Add a key for plates; the one for links is made once."""
    file = place / _PLATES
    name = add_key(file, SECOND * len(load_keys(file).keys if file.exists() else ()))
    kept.plates[name] = load_keys(file).secrets[name]
    kept.links = own_key(place, 0)[0]


def _start(starts: Starts, kept: _Kept) -> None:
    """Start, die at once, and after enough of that come to a good end."""
    if kept.starts >= FAST_DEATHS:
        kept.starts = 0
        starts.settle()
    starts.begin(0)
    kept.starts += 1


def _find(place: Path, kept: _Kept) -> None:
    """Find a damaged file at a start, and one while running."""
    Findings(place).add(f"finding {kept.findings}")
    Suspicion(place / "state.db").note(DamageError(f"finding {kept.findings}", place / "state.db"))
    kept.findings += 1


def _found_lost(place: Path, kept: _Kept) -> int:
    """How much is gone of what was found damaged; the newest mark counts, or the one that was under way."""
    texts = {f"finding {number}" for number in range(kept.findings)}
    marked = suspected(place / "state.db") in {f"finding {kept.findings - 1}", f"finding {kept.findings}"}
    return len(texts.difference(Findings(place).texts)) + (not marked if texts else 0)


def _lost(place: Path, kept: _Kept) -> int:
    """Go on as the daemon does after a power cut; returns how much is gone of what was answered with yes."""
    changes, accesses, tokens = AuditLog(place), AccessLog(place), TokenStore(place)
    found = _whole_lost(place, kept)
    try:
        names = {one.name for one in tokens.all()}
        found += len(set(kept.tokens) - names)
        _change(changes, kept)
        _access(accesses, kept)
    except StoreError:
        return found + 1
    kept.changes, gone = _verified(changes, kept.changes)
    kept.accesses, more = _verified(accesses, kept.accesses)
    return found + gone + more + max(0, kept.stretches - len(Lost.load(place).stretches))


def _whole_lost(place: Path, kept: _Kept) -> int:
    """How much is gone of the files that are written as a whole: keys, sessions, starts."""
    known = KnownSessions(place)
    sessions = sum(not known.has(f"session-{number}") for number in range(kept.sessions)) + known.has("a new one")
    starts = max(0, kept.starts - Starts(place).deaths())
    return _keys_lost(place, kept) + sessions + starts + _found_lost(place, kept)


def _keys_lost(place: Path, kept: _Kept) -> int:
    """How many keys are gone or others; without one a plate, or a link, means nothing any more."""
    try:
        secrets = load_keys(place / _PLATES).secrets if kept.plates else {}
        links = own_key(place, 1)[0]
    except SensordError:
        return 1
    return sum(secrets.get(name) != secret for name, secret in kept.plates.items()) + (kept.links not in (b"", links))


def _verified(register: AuditLog | AccessLog, wanted: int) -> tuple[int, int]:
    """How many lines the register has, all of them chained, and how many are gone."""
    try:
        number = register.verify().number
    except StoreError:
        return wanted, 1
    return number, max(0, wanted - number)

"""What becomes of a rule's state in a snapshot, and when the definition changes.

=================  ===============================================  ==============================================
what was changed   example                                          what is kept
=================  ===============================================  ==============================================
nothing            another rule was edited                          everything
how it is told     message, runbook, dispatch, labels               everything
how it is judged   thresholds, for, clear, overrides, active        windows and active levels; clocks start anew
what it gathers    window, every, value, where                      active levels, when the keys are of one kind;
                                                                    windows start anew, with a quiet warm-up
what it is about   by, stream, or another kind of rule              nothing: active alerts are withdrawn
=================  ===============================================  ==============================================

A rule without a window has its active levels, and what its sensors said last, and nothing else: they are kept, and end
``clear.for`` after they were met last, unless one of them is no level of the rule any more. Of absence and stuck rules
and combinations nothing is kept when what they judge or gather changes.

A state holds instants, not counts of something that lies beside the rule: a grid's steps go by the periods of devices.
Only panes are numbered; in another zone they lie elsewhere, and windows start anew as if they gathered something else.
What was learnt in percent of a place is converted when the place holds more or less.

A rule that failed (``core/failure.py``) begins anew with the active levels that people know, and with what its baseline
has learnt. They stand as if what it gathers had been changed: a window is quiet until it has been seen whole, a rule
without one ends ``clear.for`` later, unless it is met. What is stuck stays so until it moves; and what a combination
stood on was on until then.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np

from sensord.core.level import Level
from sensord.core.rules.combination import CombinedRule
from sensord.core.rules.evaluator import Array, Evaluator
from sensord.core.rules.ladder import UNSET
from sensord.core.rules.single import LAST_MET, SingleRule
from sensord.core.rules.stuck import StuckRule
from sensord.core.rules.window import Table
from sensord.core.rules.windowed import UNIT, WindowedRule
from sensord.core.snapshot import PackedArray, PackedRule, copy_columns, pack, unpack

LATER = frozenset((UNIT, "unseen", LAST_MET))
"""Arrays that states of earlier versions lack; they begin as in a rule that is new."""


Columns = tuple[list[int], list[int]]
"""Positions of what is there before and after, those of then and those of now."""


class Carried(StrEnum):
    """What became of a rule when the definition changed."""

    NEW = "new"
    UNCHANGED = "unchanged"
    RETOLD = "retold"
    """Only its texts changed."""
    REJUDGED = "rejudged"
    """Windows and active levels are kept, clocks start anew."""
    WARMING_UP = "warming_up"
    """Active levels are kept until a whole window has been seen; until then nothing is lowered."""
    RESTARTED = "restarted"
    """Nothing could be kept."""

    @property
    def keeps_alerts(self) -> bool:
        """Whether active alerts go on."""
        return self in (Carried.UNCHANGED, Carried.RETOLD, Carried.REJUDGED, Carried.WARMING_UP)


class PackedEngine(msgspec.Struct, array_like=True):
    """An engine's snapshot.

    ``devices`` are the registry's ids in its order, ``heard`` the last arrival of each, ``unheard`` those never heard;
    ``recounted`` and ``counted`` are those of ``Liveness``.
    """

    now: int
    started: bool
    rules: dict[str, PackedRule]
    devices: list[str]
    heard: list[int]
    unheard: list[str]
    recounted: int = 0
    counted: dict[str, int] = {}


def pack_rule(evaluator: Evaluator) -> PackedRule:
    """Take an evaluator's state apart."""
    rule = evaluator.rule
    return PackedRule(
        version=rule.version,
        judging=rule.judging,
        gathering=rule.gathering,
        subject=rule.subject,
        keys=evaluator.table.keys,
        arrays={name: pack(array) for name, array in evaluator.arrays().items()},
        device_arrays={name: pack(array) for name, array in evaluator.device_arrays().items()},
        tables={
            name: {column: pack(array) for column, array in table.items()} for name, table in evaluator.tables().items()
        },
        numbers=evaluator.numbers(),
    )


def carry(packed: PackedRule | None, devices: Columns, evaluator: Evaluator, at: int) -> Carried:
    """Give an evaluator what fits of a rule's state; ``devices`` are what both registries have (``common``)."""
    if packed is None:
        return Carried.NEW
    carried = _compare(packed, evaluator)
    if carried is Carried.RESTARTED:
        return carried
    keys = common(packed.keys, evaluator.table.keys)
    tables = {name: _renumbered(table, keys) for name, table in packed.tables.items()}
    if carried is Carried.REJUDGED and isinstance(evaluator, SingleRule):
        _run_on(packed, keys, devices, evaluator, at)
        evaluator.restored(packed.numbers, tables)
        return carried
    wanted = {name: array for name, array in evaluator.arrays().items() if _kept(name, carried)}
    for name, array in wanted.items():
        if name not in LATER or name in packed.arrays:
            _take(packed, name, packed.arrays[name], array, keys)
    if carried is Carried.WARMING_UP:
        assert isinstance(evaluator, WindowedRule)
        evaluator.ladder.restored()
        evaluator.warm_up(at)
        return carried
    for name, array in evaluator.device_arrays().items():
        if name not in LATER or name in packed.device_arrays:
            _take(packed, name, packed.device_arrays[name], array, devices)
    evaluator.restored(packed.numbers, tables)
    return carried


def begin_anew(failed: Evaluator, fresh: Evaluator, levels: Array, at: int) -> None:
    """Let an evaluator that has just been made go on, from ``at`` on, for one that failed; ``levels`` are its keys'."""
    fresh.active()[:] = levels
    if isinstance(fresh, WindowedRule) and isinstance(failed, WindowedRule):
        fresh.ladder.restored()
        fresh.learn_from(failed)
        fresh.warm_up(at)
        return
    if isinstance(fresh, SingleRule) and isinstance(failed, SingleRule):
        fresh.run_on(np.where(levels > 0, at, UNSET), failed.last_met, at)
    elif isinstance(fresh, CombinedRule):
        fresh.run_on(at)
    elif isinstance(fresh, StuckRule) and isinstance(failed, StuckRule):
        fresh.hold(failed)
    fresh.restored({}, {})


def _compare(packed: PackedRule, evaluator: Evaluator) -> Carried:
    rule = evaluator.rule
    if packed.subject != rule.subject:
        return Carried.RESTARTED
    alike = not isinstance(evaluator, WindowedRule) or evaluator.counts_alike(packed.numbers)
    if packed.judging == rule.judging and alike and _fits(packed, evaluator, ""):
        return Carried.UNCHANGED if packed.version == rule.version else Carried.RETOLD
    if isinstance(evaluator, SingleRule):
        active = set(unpack(packed.arrays["levels"]).tolist()) - {Level.NONE}
        return Carried.REJUDGED if active <= {rung.level for rung in rule.levels} else Carried.RESTARTED
    if not isinstance(evaluator, WindowedRule):
        return Carried.RESTARTED
    same = packed.gathering == rule.gathering and alike and _fits(packed, evaluator, "window.")
    return Carried.REJUDGED if same else Carried.WARMING_UP


def _fits(packed: PackedRule, evaluator: Evaluator, prefix: str) -> bool:
    """Whether what arrays whose names begin so hold has room in those of now."""
    both = ((evaluator.arrays(), packed.arrays), (evaluator.device_arrays(), packed.device_arrays))
    return all(
        name in held and _has_room(packed, name, held[name], array)
        for arrays, held in both
        for name, array in arrays.items()
        if name.startswith(prefix) and name not in LATER
    )


def _has_room(packed: PackedRule, name: str, held: PackedArray, array: Array) -> bool:
    return _open_panes(packed) <= len(array) if _is_open(name) else held.shape[:-1] == array.shape[:-1]


def _is_open(name: str) -> bool:
    """Whether an array has a row for each pane that is not sealed yet; how many there may be goes by the lateness."""
    return name.startswith("window.") and ".open." in name


def _open_panes(packed: PackedRule) -> int:
    return max(packed.numbers["newest"] - packed.numbers["pane"] + 1, 0)


def _take(packed: PackedRule, name: str, held: PackedArray, array: Array, columns: Columns) -> None:
    """Copy the columns of an array, those of now from those of then."""
    if _is_open(name):
        _reopen(packed, held, array, columns)
    else:
        copy_columns(held, array, *columns)


def _reopen(packed: PackedRule, held: PackedArray, array: Array, columns: Columns) -> None:
    """Copy what the open panes hold: pane ``p`` is in row ``p % rows``, and there may be more or fewer rows now."""
    panes = packed.numbers["pane"] + np.arange(_open_panes(packed))[:, None]
    array[panes % len(array), columns[1]] = unpack(held)[panes % held.shape[0], columns[0]]


def _kept(name: str, carried: Carried) -> bool:
    """Whether an array is kept; the names are those of ``WindowedRule``."""
    if carried is Carried.REJUDGED:
        return name.startswith(("window.", "derived.")) or name == "ladder.active"
    return carried is not Carried.WARMING_UP or name == "ladder.active"


def _run_on(packed: PackedRule, keys: Columns, devices: Columns, evaluator: SingleRule, at: int) -> None:
    """Let the active levels of a rule without a window run on, from when each key was met last."""
    copy_columns(packed.arrays["levels"], evaluator.levels, *keys)
    met = np.full(len(evaluator.table), UNSET)
    met[keys[1]] = unpack(packed.arrays["met_at"]).max(axis=0)[keys[0]]
    last_met = np.zeros((packed.arrays["met_at"].shape[0], len(evaluator.table.devices)), np.bool_)
    if LAST_MET in packed.device_arrays:
        last_met[:, devices[1]] = unpack(packed.device_arrays[LAST_MET])[:, devices[0]]
    evaluator.run_on(met, last_met, at)


def _renumbered(packed: dict[str, PackedArray], keys: Columns) -> Table:
    """A table with the numbers that its keys have now, without the rows of keys that are gone."""
    table = {name: unpack(column) for name, column in packed.items()}
    now = dict(zip(*keys, strict=True))
    rows = [row for row, key in enumerate(table["key"].tolist()) if key in now]
    kept = {name: column[rows].copy() for name, column in table.items()}
    kept["key"][:] = [now[key] for key in kept["key"].tolist()]
    return kept


def common(old: list[str], new: list[str]) -> Columns:
    """Positions, in the old and in the new order, of the names that both have."""
    if old == new:
        return list(range(len(old))), list(range(len(new)))
    index = {key: number for number, key in enumerate(old)}
    pairs = [(index[key], number) for number, key in enumerate(new) if key in index]
    return [before for before, _ in pairs], [now for _, now in pairs]

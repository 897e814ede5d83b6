r"""The alert ladder of one rule, for all its keys at once: value in, level changes out.

Going up: a rung applies once its comparison has held at every evaluation for the rung's ``hold``, or at ``needed`` of
the last ``among`` evaluations. Going down: a rung is left once the value has stayed beyond threshold and margin for
``clear.hold``; a key that is *flapping* stays up for ``flapping.hold`` at least. A value that is not known moves
nothing, restarts the clocks and counts as not met: what is blind neither alarms nor clears.

::

    value   ______/^^^^^^^^^^^\___________
    rung          |hold|                        hold   = the rung's ``for``
    active             [ORANGE .........]
    quiet                      |clear.for|      (the value is below threshold - margin)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int8, Int64
from sensord.core.level import Level
from sensord.core.rules.rule import Rule
from sensord.core.rules.thresholds import Thresholds

UNSET = np.iinfo(np.int64).min

Bools = NDArray[np.bool_]


class Ladder:
    """The levels of ``keys`` keys.

    ``active`` int8 (keys,); ``since`` and ``quiet`` int64 ns (rungs, keys), UNSET while a clock does not run;
    ``often`` uint64 (rungs, keys): the last evaluations, newest in the lowest bit, for ``needed`` of ``among``;
    ``raised`` int64 ns (raises, keys): the last raises, oldest first, for damping.
    """

    def __init__(self, rule: Rule, keys: int, thresholds: Thresholds | None = None) -> None:
        rungs = rule.levels
        self.rungs = tuple(rung.level for rung in rungs)
        self.thresholds = thresholds or Thresholds(rule, keys)
        self._holds = [rung.hold for rung in rungs]
        self._needed = [(rung.needed, np.uint64((1 << rung.among) - 1)) for rung in rungs]
        self._clear_hold, self._damping = rule.clear.hold, rule.flapping
        self.active = np.zeros(keys, np.int8)
        self.since = np.full((len(rungs), keys), UNSET)
        self.quiet = np.full((len(rungs), keys), UNSET)
        self.often = np.zeros((len(rungs) if any(rung.needed for rung in rungs) else 0, keys), np.uint64)
        self.raised = np.full((rule.flapping.raises if rule.flapping else 0, keys), UNSET)
        self._busy = self._stray = False  # stray: some key stands at a level that the rule, changed since, has no more

    @property
    def resting(self) -> bool:
        """Nothing is active and no clock runs."""
        return not self._busy

    @property
    def idle(self) -> bool:
        """No clock runs: evaluations that know nothing change nothing more."""
        clocks = self._stray or (self.since != UNSET).any() or (self.quiet != UNSET).any() or self.often.any()
        return not self._busy or not clocks

    @property
    def met(self) -> Bools:
        """Which keys have, as of the last evaluation, a value that meets a rung."""
        met: Bools = (self.since != UNSET).any(axis=0) | (self.often & np.uint64(1)).any(axis=0)
        return met

    def threshold(self, level: Level, key: int, value: float) -> float | None:
        """The threshold of a rung for a key, or None for ``Level.NONE``."""
        return self.thresholds.of(self.rungs.index(level), key, value) if level in self.rungs else None

    def settled(self, value: Float64) -> bool:
        """Whether these values can change nothing: nothing is active, no clock runs, and none meets a rung."""
        with np.errstate(invalid="ignore"):
            return not self._busy and not bool(self.thresholds.meets_any(value).any())

    def stands(self, value: Float64) -> Bools:
        """Where a value, (keys,) or (evaluations, keys), meets a rung and keeps the active ones.

        It may raise, and can lower nothing.
        """
        with np.errstate(invalid="ignore"):
            stands = self.thresholds.meets_any(value)
            for index, level in enumerate(self.rungs):
                stands &= (self.active < level) | self.thresholds.keeps(index, value)
        return stands

    def each_met(self, value: Float64) -> Bools:
        """Which rungs the keys' values meet, bool (rungs, keys)."""
        with np.errstate(invalid="ignore"):
            return np.stack([self.thresholds.meets(index, value) for index in range(len(self.rungs))])

    def meeting(self, values: Float64) -> int | None:
        """The first row of values, shape (evaluations, keys), in which one meets a rung; None: none does."""
        with np.errstate(invalid="ignore"):
            meets = self.thresholds.meets_any(values).any(axis=1)
        return int(meets.argmax()) if meets.any() else None

    def evaluate(
        self, at: int, value: Float64, known: Bools, *, asleep: bool = False, spent: Bools | None = None
    ) -> NDArray[np.intp]:
        """Move every key at the instant ``at``; return the keys whose level changed. ``active`` holds the new levels.

        ``value`` float64 (keys,) may hold NaN where ``known`` is False. ``asleep``: the rule is outside its active
        times, where no value meets anything and every level may run out. ``spent`` bool (rungs, keys) marks rungs that
        no value meets or keeps.
        """
        spent = np.zeros(self.since.shape, np.bool_) if spent is None else spent
        with np.errstate(invalid="ignore"):
            before = self.active.copy()
            up = self._climb(at, value, np.zeros_like(known) if asleep else known, spent)
            down = self._descend(at, value, known, asleep, spent)
        self.active, self._stray = np.maximum(up, down), False
        if self._damping is not None:
            self._remember(np.flatnonzero((before == 0) & (self.active > 0)), at)
        self._busy = self._is_busy()
        return np.flatnonzero(self.active != before)

    def pass_by(self, ends: Int64, value: Float64, known: Bools) -> int:
        """Move every key through the evaluations at ``ends`` before the first that changes a level; return how many.

        Of ``value`` float64 and ``known``, both (evaluations, keys), no more than those rows are used. As ``evaluate``,
        row by row, would do it; there are no rungs with ``needed``.
        """
        if not len(ends) or self._stray:
            return 0
        at, moves = ends[:, None], np.zeros(value.shape, np.bool_)
        clocks: list[tuple[Int64, Int64]] = []
        with np.errstate(invalid="ignore"):
            for index, level in enumerate(self.rungs):
                meets = self.thresholds.meets(index, value) & known
                calm = known & ~self.thresholds.keeps(index, value)
                since, quiet = _course(self.since[index], meets, ends), _course(self.quiet[index], calm, ends)
                held = meets & (at - np.where(meets, since, at) >= self._holds[index])
                left = calm & (at - np.where(calm, quiet, at) >= self._quiet_needed(at))
                moves |= held & (self.active < level)
                moves |= left & ~held & (self.active == level)
                clocks.append((since, quiet))
        changed = moves.any(axis=1)
        count = int(changed.argmax()) if changed.any() else len(ends)
        if count:
            for index, (since, quiet) in enumerate(clocks):
                self.since[index], self.quiet[index] = since[count - 1], quiet[count - 1]
            self._busy = self._is_busy()
        return count

    def _climb(self, at: int, value: Float64, known: Bools, spent: Bools) -> Int8:
        """The highest rung whose comparison has held long enough, or often enough."""
        reached = np.zeros_like(self.active)
        for index, level in enumerate(self.rungs):
            meets = self.thresholds.meets(index, value) & known & ~spent[index]
            needed, mask = self._needed[index]
            if needed:
                self.often[index] = (self.often[index] << np.uint64(1) | meets.astype(np.uint64)) & mask
                held = np.bitwise_count(self.often[index]) >= needed
            else:
                since = self.since[index]
                _run(since, meets, at)
                held = at - np.where(meets, since, at) >= self._holds[index]
            reached[meets & held] = level
        return reached

    def _descend(self, at: int, value: Float64, known: Bools, asleep: bool, spent: Bools) -> Int8:
        """The level that the quiet clocks still support: the highest rung at or below the active one not yet left."""
        supported = np.zeros_like(self.active)
        hold = self._quiet_needed(at)
        for index, level in enumerate(self.rungs):
            keeps = self.thresholds.keeps(index, value) & ~spent[index]
            calm = np.ones_like(known) if asleep else known & ~keeps
            quiet = self.quiet[index]
            _run(quiet, calm, at)
            left = calm & (at - np.where(calm, quiet, at) >= hold)
            supported[(self.active >= level) & ~left] = level
        return supported

    def agrees(self, key: int, value: Float64, known: Bools, awake: Callable[[int], bool]) -> bool:
        """Whether a key that ``evaluate`` has just let run out, asleep, is calm by what is known, too.

        It began to be while the rule was ``awake`` (at an instant, ns), and its value is so now.
        """
        with np.errstate(invalid="ignore"):
            keeps = any(self.thresholds.keeps(index, value)[key] for index in range(len(self.rungs)))
        return bool(known[key]) and not keeps and awake(int(self.quiet[:, key].max()))

    def _quiet_needed(self, at: int | Int64) -> int | Int64:
        """For how long (ns) a key must have been calm at ``at`` to leave its level; per key where there is damping."""
        if self._damping is None:
            return self._clear_hold
        return np.where(self.flapping(at), max(self._clear_hold, self._damping.hold), self._clear_hold)

    def flapping(self, at: int | Int64) -> Bools:
        """Which keys were raised so often, within the stretch that ends at ``at``, that they are damped now.

        Bool (keys,), or for instants (n, 1) bool (n, keys).
        """
        if self._damping is None:
            return np.zeros(len(self.active), np.bool_)
        oldest = self.raised[0]
        flapping: Bools = (oldest != UNSET) & (at - np.where(oldest == UNSET, at, oldest) <= self._damping.within)
        return flapping

    def flaps(self, key: int, at: int) -> bool:
        """Whether one key is flapping at ``at``."""
        return self._damping is not None and bool(self.flapping(at)[key])

    def _remember(self, keys: NDArray[np.intp], at: int) -> None:
        self.raised[:-1, keys] = self.raised[1:, keys]
        self.raised[-1, keys] = at

    def _is_busy(self) -> bool:
        return bool(self.active.any() or (self.since != UNSET).any() or self.often.any())

    def clocks(self, key: int) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        """Return since when, per rung, a key meets it and is calm of it; None where a clock does not run."""
        since, quiet = (
            tuple(None if start == UNSET else start for start in clock[:, key].tolist())
            for clock in (self.since, self.quiet)
        )
        return since, quiet

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state by name, for snapshots."""
        clocks: dict[str, NDArray[np.generic]] = {"active": self.active, "since": self.since, "quiet": self.quiet}
        return clocks | {"often": self.often, "raised": self.raised}

    def restored(self) -> None:
        """Recompute what is derived, after the arrays were filled from a snapshot."""
        self._busy = self._is_busy()
        self._stray = not np.isin(self.active, (Level.NONE, *self.rungs)).all()


def _course(clock: Int64, holds: Bools, ends: Int64) -> Int64:
    """The clock after each of the evaluations at ``ends``; ``holds`` and the result have shape (evaluations, keys)."""
    broken = np.maximum.accumulate(np.where(holds, -1, np.arange(len(ends))[:, None]), axis=0)
    since = np.where(clock == UNSET, ends[0], clock)
    begun = ends[np.minimum(broken + 1, len(ends) - 1)]
    return np.where(holds, np.where(broken < 0, since, begun), UNSET)


def _run(clock: Int64, holds: Bools, at: int) -> None:
    """Start the clock where the condition begins to hold, and stop it where it does not."""
    clock[holds & (clock == UNSET)] = at
    clock[~holds] = UNSET

"""The panes of a rule over a window: readings in, and pane by pane what the window holds, per key.

Pane ``p`` covers local time ``[p * every, (p + 1) * every)`` and is sealed when journal time reaches its end plus the
stream's lateness; a reading that comes later than that is late. A batch of a replay brings many panes, and they can be
looked at *ahead*, before it is known how many of them are to be sealed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sensord.core.batch import Batch, Float64, Int64
from sensord.core.instant import DAY
from sensord.core.rules.arrivals import Arrivals
from sensord.core.rules.counter import Counters
from sensord.core.rules.derived import Bools
from sensord.core.rules.evaluator import NEVER, Array, Setting
from sensord.core.rules.gather import window_of
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.occupancy import Drift, Occupancy
from sensord.core.rules.rule import Aggregate, Rule
from sensord.core.rules.summary import Readings
from sensord.core.rules.thresholds import capacities
from sensord.core.rules.total import Total
from sensord.core.rules.window import Table
from sensord.core.stream import DIRECTION, Stream

_SLACK = 12
"""So many panes further than the next one may be open."""
_MOST = 1e140
"""What a calculation takes a value for that is further from zero: no sum of squares of such values overflows."""
_PICKED = (Aggregate.MIN, Aggregate.MAX, Aggregate.FIRST, Aggregate.LAST, Aggregate.PERCENTILE)
_COUNTED = (Aggregate.COUNT, Aggregate.DISTINCT)


class Sealed(NamedTuple):
    """What a window held: times (ns) at which its last pane was sealed and ended, values and samples (keys,)."""

    at: int
    end: int
    value: Float64
    samples: Float64


class Outlook(NamedTuple):
    """What the windows that end with the next panes will hold: ends (ns), values and samples (panes, keys)."""

    ends: Int64
    value: Float64
    samples: Float64


class _Seen(NamedTuple):
    """The outlook on all panes from ``first`` up to ``stop``, and how the window takes the first so many of them."""

    first: int
    stop: int
    outlook: Outlook
    take: Callable[[int], None]


class Panes:
    """The panes and the window of ``rule``, from the journal instant ``since`` on; ``pane`` is the next to be sealed.

    ``newest`` is the newest pane that has a reading.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, lateness: int, since: int) -> None:
        assert rule.value is not None
        self._rule, self._value, self._table = rule, rule.value, table
        self._every, self._lateness, self._offset = rule.every, lateness, setting.offset
        self._falls, self._device_numbers = setting.panes, setting.device_numbers
        self._depth = 1 << (lateness // rule.every + _SLACK + 2).bit_length()
        self._window = window_of(rule, len(table), table.of_device, self._depth)
        self._apart = isinstance(self._window, Total)
        self._columns = len(table.devices) if self._apart else len(table)
        self.still = self._window.still
        """Whether a further empty pane changes nothing once the whole window is empty."""
        self._counters = (
            Counters(len(table.of_device), setting.offset) if rule.value.aggregate is Aggregate.DELTA else None
        )
        self._capacity = None if rule.percent_of is None else capacities(rule.percent_of, table, setting.places)
        self.pane = self._pane_of(since - lateness)
        self.newest = self.pane - self._window.length - 1
        self._arrivals = Arrivals()
        self._seen: _Seen | None = None

    def _pane_of(self, instant: int) -> int:
        return (instant + self._offset) // self._every

    def _end_of(self, pane: int) -> int:
        return (pane + 1) * self._every - self._offset

    @property
    def due(self) -> int:
        """The journal instant at which the next pane is sealed."""
        return self._end_of(self.pane) + self._lateness

    def until(self, to: int) -> int:
        """How many panes are sealed by the journal instant ``to``."""
        return self._pane_of(to - self._lateness) - self.pane

    # -- readings ----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        """Find the panes of readings, which go there as time goes by; the late ones stay out."""
        values = self._values(batch)
        if values is None:
            return
        keys = self._table.of(batch)
        panes, within, unsealed = self._falls.of(batch, self._every, self._lateness)
        fits = (keys >= 0) & unsealed & (panes >= self.pane)
        fits &= ~np.isnan(values)
        if self._counters is not None:
            chosen = np.flatnonzero(fits)
            values = np.full(len(batch), np.nan)
            of, at = batch.device[chosen], batch.event_at[chosen]
            values[chosen] = self._counters.added(of, at, batch.fields[self._value.field or ""][chosen])
            fits &= ~np.isnan(values)
        if self._value.aggregate not in (*_PICKED, *_COUNTED):  # which calculate nothing of the values
            values = np.clip(values, -_MOST, _MOST)
        received_at = batch.received_at
        if self._apart:
            keys = batch.device
        if not fits.all():
            keys, panes, within, values = keys[fits], panes[fits], within[fits], values[fits]
            received_at = received_at[fits]
        cells = (panes & (self._depth - 1)) * self._columns + keys
        readings = Readings(cells, keys.astype(np.int64), panes, within, values)
        self._arrivals = Arrivals(readings, received_at)

    def _values(self, batch: Batch) -> Float64 | None:
        """What is aggregated of each reading; None when no reading has it."""
        if self._value.field == "device":
            return self._device_numbers[batch.device]
        if self._value.field == "vehicle":
            return _vehicles(batch)
        if self._value.field is not None:
            return batch.fields.get(self._value.field)
        if self._value.aggregate is not Aggregate.OCCUPANCY:
            return np.ones(len(batch))
        if self._rule.stream is Stream.PLATE:
            codes = batch.labels.get(DIRECTION.name)
            return None if codes is None else np.choose(codes + 1, (np.nan, 1.0, -1.0))
        nothing = np.full(len(batch), np.nan)
        enter, leave = batch.fields.get("enter", nothing), batch.fields.get("exit", nothing)
        net = np.nan_to_num(enter) - np.nan_to_num(leave)
        return np.where(np.isnan(enter) & np.isnan(leave), np.nan, net)

    def timely(self, batch: Batch) -> Array:
        """Return which readings fall into a pane that is not sealed yet.

        Time alone does not say it once the lateness was changed: a pane may have been sealed by a shorter one.
        """
        falls = self._falls.of(batch, self._every, self._lateness)
        return falls.unsealed & (falls.pane >= self.pane)

    def settle(self) -> None:
        """Put what still waits into its panes."""
        self._catch_up()
        self._admit(NEVER)

    def _admit(self, before: int) -> None:
        """Put what arrived before an instant into its panes."""
        if self._arrivals.next_at < before:
            readings = self._arrivals.before(before)
            self._arrivals.drop(len(readings.cells))
            self.newest = max(self.newest, int(readings.panes.max()))
            self._window.add(readings)

    # -- time --------------------------------------------------------------------------------------------------------

    def seal(self) -> Sealed:
        """Seal the next pane and return what the window that ends with it holds."""
        at, end = self.due, self._end_of(self.pane)
        if self._seen is not None:
            row, (_, values, samples_of) = self.pane - self._seen.first, self._seen.outlook
            self.pass_by(1)
            return Sealed(at, end, values[row], samples_of[row])
        if self._arrivals.next_at < at:
            self._admit(at + _SLACK * self._every)
        value, samples = self._window.seal(self.pane)
        self.pane += 1
        return Sealed(at, end, self._filled(value), samples)

    def _filled(self, value: Float64) -> Float64:
        return value if self._capacity is None else value * 100.0 / self._capacity

    def outlook(self, count: int, whole: int) -> Outlook | None:
        """Look at the next ``count`` panes or fewer; None when they can be sealed one by one only.

        ``whole`` is how many of them will be sealed in this batch: these are looked at once, and no more than that.
        """
        if self._seen is None:
            self._seen = self._look(whole)
        if self._seen is None:
            return None
        first = self.pane - self._seen.first
        ends, value, samples = self._seen.outlook
        return Outlook(ends[first : first + count], value[first : first + count], samples[first : first + count])

    def _look(self, count: int) -> _Seen | None:
        first, stop = self.pane, self.pane + count
        arrived, soon = self._arriving(stop)
        cells = (arrived.panes - first) * self._columns + arrived.keys
        ahead = self._window.ahead(first, count, arrived.select(soon, cells))
        if ahead is None:
            return None
        ends = (first + 1 + np.arange(count)) * self._every - self._offset
        return _Seen(first, stop, Outlook(ends, self._filled(ahead.value), ahead.samples), ahead.take)

    def pass_by(self, sealed: int) -> None:
        """So many panes of the outlook are sealed; the window takes them when all are, or the batch is over."""
        assert self._seen is not None
        self.pane += sealed
        if self.pane == self._seen.stop:
            self._catch_up()

    def _catch_up(self) -> None:
        """Let the window take what was sealed by looking at it only."""
        seen, self._seen = self._seen, None
        if seen is not None and self.pane > seen.first:
            arrived, soon = self._arriving(self.pane)
            seen.take(self.pane - seen.first)
            self._later(arrived, soon)

    def _arriving(self, stop: int) -> tuple[Readings, Bools]:
        """What arrives before the last pane before ``stop`` is sealed, and which of it is for these panes."""
        arrived = self._arrivals.before(self._end_of(stop - 1) + self._lateness)
        return arrived, arrived.panes < stop

    def _later(self, arrived: Readings, taken: Bools) -> None:
        """Of what has arrived the rest is for later panes."""
        if len(taken) and not taken.all():
            self._window.add(arrived.select(~taken, arrived.cells))
        if len(taken):
            self.newest = max(self.newest, int(arrived.panes.max()))
            self._arrivals.drop(len(taken))

    @property
    def empty(self) -> bool:
        """Whether the window that ends before the next pane holds nothing, and nothing has come for later ones.

        While there is an outlook that is not asked.
        """
        return self._seen is None and self.newest + self._window.length < self.pane

    def jump(self, to: int) -> range:
        """Jump over the panes that end by the journal instant ``to``, before any reading; return their ends (ns)."""
        first = self.pane
        self.pane = max(first, self._pane_of(min(to, self._arrivals.next_at) - self._lateness))
        return range(self._end_of(first), self._end_of(self.pane), self._every)

    def pass_over(self, to: int) -> range:
        """Seal what is due by the journal instant ``to`` without a look at what the windows hold; return the ends (ns).

        Nothing is, unless the lateness has become shorter at that instant.
        """
        first = self.pane
        while self.due <= to:
            self._window.seal(self.pane)
            self.pane += 1
        return range(self._end_of(first), self._end_of(self.pane), self._every)

    def whole_from(self, since: int) -> int:
        """When a window that was empty at the instant ``since`` has been seen whole (ns)."""
        if self._value.aggregate is Aggregate.OCCUPANCY:  # the first pane after the anchor holds all that it counts
            return since + DAY - (since + self._offset - self._value.anchor) % DAY + self._every
        return since + (self._rule.window or self._rule.session)

    @property
    def unit(self) -> Float64:
        """What one of the value is, per key: of a percentage a hundredth of what fits into the place."""
        return np.ones(len(self._table)) if self._capacity is None else self._capacity / 100.0

    # -- state -------------------------------------------------------------------------------------------------------

    def drifts(self, rule: str) -> list[Drift]:
        """What an occupancy rule had to correct, per key."""
        window = self._window
        if not isinstance(window, Occupancy):
            return []
        pairs = zip(self._table.keys, window.residue.tolist(), window.clamped.tolist(), strict=True)
        return [Drift(rule, key, residue, clamped) for key, residue, clamped in pairs]

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name, with keys along the last axis."""
        return {} if self._apart else self._window.arrays()

    def device_arrays(self) -> dict[str, Array]:
        """Return the live state of each device."""
        if self._apart:
            return {f"window.{name}": array for name, array in self._window.arrays().items()}
        return {} if self._counters is None else {"at": self._counters.at, "value": self._counters.value}

    def tables(self) -> dict[str, Table]:
        """Return the live state that is not one cell per key."""
        return self._window.tables()

    def restored(self, pane: int, newest: int, tables: dict[str, Table]) -> None:
        """Take the rest of the state back."""
        self.pane, self.newest = pane, newest
        self._window.restored(tables, len(self._table))


def _vehicles(batch: Batch) -> Float64 | None:
    """A number for each identified vehicle, of 53 bits of its pseudonym; NaN for the others."""
    if batch.sightings is None:
        return None
    who = batch.sightings.who[:, 0]
    return np.where(who == 0, np.nan, (who >> 10).astype(np.float64))

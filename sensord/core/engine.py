"""The engine: batches in, transitions out. One engine, one semantics, however the work is cut.

The same readings in the same order give the same transitions, whatever the batch sizes, across
``snapshot``/``restore`` at any point, and across engines that share the residential grids between them (for rules
keyed at a grid or below).

Within a feed, time comes first: everything that falls due at or before a reading's arrival happens before the reading.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from sensord.core.absence import AbsenceRule
from sensord.core.alert import Transition
from sensord.core.batch import Batch, Int64
from sensord.core.definition import Definition
from sensord.core.evaluator import NEVER, Emission, Evaluator, withdraw
from sensord.core.keys import KeyTable
from sensord.core.level import Level
from sensord.core.liveness import Liveness
from sensord.core.place import Places
from sensord.core.probe import Probe, Sight
from sensord.core.rule import Rule
from sensord.core.single import SingleRule
from sensord.core.snapshot import PackedRule, copy_columns, pack, seal, unseal
from sensord.core.stream import Stream
from sensord.core.windowed import WindowedRule
from sensord.errors import SnapshotError


class ActiveAlert(msgspec.Struct, frozen=True):
    """One active alert, for views."""

    rule: str
    key: str
    place: str
    level: Level


class _Body(msgspec.Struct, array_like=True):
    """A snapshot's content; ``heard`` holds the last arrival per device id."""

    now: int
    started: bool
    rules: dict[str, PackedRule]
    heard: dict[str, int]


class Engine:
    """Evaluates the rules of a definition. ``only`` makes it a shard: the devices of those residential grids."""

    def __init__(self, definition: Definition, places: Places, only: frozenset[str] | None = None) -> None:
        self._definition, self._places, self._only = definition, places, only
        self.now = 0
        self._started = False
        self._liveness = Liveness(places, 0, only)
        self._evaluators: list[Evaluator] = []
        self._stretch = NEVER
        self.probe: Probe | None = None
        """Looks on; see ``probe.py``. It is no part of the state."""

    def _start(self, since: int) -> None:
        """Begin at the journal instant ``since``: windows, silence and warm-up count from here."""
        self._started, self.now = True, since
        self._liveness = Liveness(self._places, since, self._only)
        self._evaluators = [self._evaluator(rule, since) for rule in self._definition.rules]
        self._stretch = min((evaluator.stretch for evaluator in self._evaluators), default=NEVER)

    def _evaluator(self, rule: Rule, since: int) -> Evaluator:
        table = KeyTable(rule, self._places, self._only)
        lateness = self._definition.lateness_of(rule.stream)
        if rule.absent:
            return AbsenceRule(rule, table, self._places, since)
        if rule.window:
            return WindowedRule(rule, table, lateness, self._definition.zone, since)
        return SingleRule(rule, table, lateness)

    def feed(self, batch: Batch) -> list[Transition]:
        """Take a batch (an empty one is a tick) and return what changed, in order."""
        if not self._started:
            self._start(int(batch.received_at[0]) if len(batch) else batch.now)
        emissions: list[Emission] = []
        first = 0
        for part in self._stretches(batch):
            if len(part):
                self._advance(int(part.received_at[0]), part, emissions)
                self._take(part, first, emissions)
            first += len(part)
            self._advance(part.now, part, emissions)
            self._liveness.note(part.device, part.received_at, part.flags)
        self.now = max(self.now, batch.now)
        emissions.sort(key=lambda emission: emission[:5])
        return [emission[5] for emission in emissions]

    def _stretches(self, batch: Batch) -> Iterable[Batch]:
        """Cut a batch so that no part spans more time than the open panes hold."""
        start, count = 0, len(batch)
        while start < count:
            limit = int(batch.received_at[start]) + self._stretch
            stop = count if limit >= batch.now else int(np.searchsorted(batch.received_at, limit, side="right"))
            yield batch.cut(start, stop, batch.now if stop == count else int(batch.received_at[stop - 1]))
            start = stop
        if not count:
            yield batch

    def _take(self, part: Batch, first: int, emissions: list[Emission]) -> None:
        """Hand each rule the readings of its stream. ``first`` is the part's position in the batch.

        What a reading brings stands in the order of all readings, whatever their streams.
        """
        streams: dict[Stream, tuple[Batch, Int64] | None] = {}
        for order, evaluator in enumerate(self._evaluators):
            stream = evaluator.rule.stream
            if stream is None or not len(evaluator.table):
                continue
            if stream not in streams:
                streams[stream] = _of_stream(part, stream)
            if (mine := streams[stream]) is not None:
                if self.probe is not None:
                    self.probe.taking(evaluator, mine[0])
                emissions += (
                    emission if emission[1] == 0 else (*emission[:2], first + int(mine[1][emission[2]]), *emission[3:])
                    for emission in evaluator.take(order, mine[0])
                )

    def _advance(self, to: int, part: Batch, emissions: list[Emission]) -> None:
        """Do everything that is due at or before ``to``, in order of time; arrivals count until just before each."""
        for evaluator in self._evaluators:
            if isinstance(evaluator, WindowedRule):
                evaluator.skip(to)
        noted = 0
        while self._evaluators:
            at = min(evaluator.due for evaluator in self._evaluators)
            if at > to:
                break
            heard = int(np.searchsorted(part.received_at, at, side="left"))
            self._liveness.note(part.device[noted:heard], part.received_at[noted:heard], part.flags[noted:heard])
            noted = max(noted, heard)
            for order, evaluator in enumerate(self._evaluators):
                if evaluator.due == at:
                    emissions += evaluator.evaluate(order, self._liveness)
                    if self.probe is not None:
                        self.probe.evaluated(evaluator, self._liveness)

    def active(self) -> list[ActiveAlert]:
        """List the active alerts in rule order."""
        return [
            ActiveAlert(
                evaluator.rule.id, evaluator.table.keys[key], evaluator.table.places[key], Level(int(levels[key]))
            )
            for evaluator in self._evaluators
            for levels in (evaluator.active(),)
            for key in np.flatnonzero(levels)
        ]

    def learning(self) -> dict[str, list[str]]:
        """Return, per rule with a baseline or a trend, the keys of which too little has been seen to say anything."""
        return {
            evaluator.rule.id: [evaluator.table.keys[key] for key in np.flatnonzero(evaluator.learning())]
            for evaluator in self._evaluators
            if isinstance(evaluator, WindowedRule) and evaluator.learning().any()
        }

    def unknown(self) -> set[str]:
        """Return the places that are blind now: each has a registered sensor that is silent or was never heard."""
        return {self._places.devices[index].place for index in self._liveness.silent(self.now)}

    def evaluator_of(self, rule: str) -> Evaluator | None:
        """Return the rule at work, for those who look on; None when no such rule is in force."""
        return next((one for one in self._evaluators if one.rule.id == rule), None)

    def look(self, rule: str, key: str) -> Sight:
        """Say what a rule in force saw of a key when it was evaluated last."""
        evaluator = self.evaluator_of(rule)
        assert evaluator is not None
        return evaluator.look(evaluator.table.keys.index(key), self._liveness)

    def silent_of(self, rule: str, key: str) -> dict[str, int]:
        """Return the silent devices of a rule's key, with their last arrivals (ns)."""
        evaluator = self.evaluator_of(rule)
        if evaluator is None or key not in evaluator.table.keys:
            return {}
        number, heard = evaluator.table.keys.index(key), self._liveness.heard_at
        return {
            self._places.devices[device].id: int(heard[device])
            for device in self._liveness.silent(self.now)
            if evaluator.table.of_device[device] == number
        }

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        rules = {
            evaluator.rule.id: PackedRule(
                evaluator.rule.version,
                evaluator.table.keys,
                {name: pack(array) for name, array in evaluator.arrays().items()},
                evaluator.numbers(),
            )
            for evaluator in self._evaluators
        }
        heard = dict(zip((device.id for device in self._places.devices), self._liveness.heard_at.tolist(), strict=True))
        return seal(_Body(self.now, self._started, rules, heard))

    def restore(self, state: bytes) -> None:
        """Take the state back; raises ``SnapshotError`` when it is damaged or of another rule set or registry."""
        body = msgspec.msgpack.decode(unseal(state), type=_Body)
        if not body.started:
            return
        self._carry(body)
        for evaluator in self._evaluators:
            packed = body.rules.get(evaluator.rule.id)
            if packed is None or not _same_rule(packed, evaluator) or packed.keys != evaluator.table.keys:
                raise SnapshotError(f"the snapshot does not fit the rule {evaluator.rule.id} in force")

    def carry_over(self, old: Engine, at: int) -> list[Transition]:
        """Take over, at the journal instant ``at``, the state of an engine of the definition before.

        Rules whose content is unchanged go on as if nothing had happened, key by key; the others start afresh.
        Returns the withdrawals: active alerts whose rule has changed, or whose key is gone.
        """
        if not old._started:
            return []
        body = msgspec.msgpack.decode(unseal(old.snapshot()), type=_Body)
        body.now = max(body.now, at)
        self._carry(body)
        kept = {
            (evaluator.rule.id, key)
            for evaluator in self._evaluators
            if (packed := body.rules.get(evaluator.rule.id)) is not None and _same_rule(packed, evaluator)
            for key in evaluator.table.keys
        }
        return [
            transition
            for evaluator in old._evaluators
            for transition in withdraw(evaluator, at)
            if (transition.rule, transition.key) not in kept
        ]

    def _carry(self, body: _Body) -> None:
        """Start at ``body.now`` and take, rule by rule and key by key, what fits."""
        self._start(body.now)
        for index, device in enumerate(self._places.devices):
            self._liveness.heard_at[index] = body.heard.get(device.id, body.now)
        for evaluator in self._evaluators:
            packed = body.rules.get(evaluator.rule.id)
            if packed is not None and _same_rule(packed, evaluator):
                columns = _common(packed.keys, evaluator.table.keys)
                for name, array in evaluator.arrays().items():
                    copy_columns(packed.arrays[name], array, *columns)
                evaluator.restored(packed.numbers)


def _same_rule(packed: PackedRule, evaluator: Evaluator) -> bool:
    """Whether the state was made by this very rule, with arrays of the same depth."""
    if packed.version != evaluator.table.version:
        return False
    return all(packed.arrays[name].shape[:-1] == array.shape[:-1] for name, array in evaluator.arrays().items())


def _common(old: list[str], new: list[str]) -> tuple[list[int], list[int]]:
    """Positions, in the old and in the new order, of the keys that both have."""
    index = {key: number for number, key in enumerate(old)}
    pairs = [(index[key], number) for number, key in enumerate(new) if key in index]
    return [before for before, _ in pairs], [now for _, now in pairs]


def _of_stream(part: Batch, stream: Stream) -> tuple[Batch, Int64] | None:
    """The readings of one stream, in order, with their positions in the part; None when there are none."""
    rows = np.flatnonzero(part.stream == stream)
    if not len(rows):
        return None
    return (part if len(rows) == len(part) else part.select(rows)), rows

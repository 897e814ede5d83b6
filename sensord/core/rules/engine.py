"""The engine: batches in, transitions out. One engine, one semantics, however the work is cut.

The same readings in the same order give the same transitions, whatever the batch sizes, across
``snapshot``/``restore`` at any point, and across engines that share the residential grids between them (for rules
keyed at a grid or below).

Within a feed, time comes first: everything that falls due at or before a reading's arrival happens before the reading.
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np

from sensord.core.alert import Transition
from sensord.core.batch import Batch, Int64
from sensord.core.definition import Definition
from sensord.core.instant import utc_offset
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.absence import AbsenceRule
from sensord.core.rules.carry import Carried, PackedEngine, carry, pack_rule
from sensord.core.rules.combination import CombinedRule, in_order
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import NEVER, Complete, Emission, Evaluator, Setting, position_of, withdraw
from sensord.core.rules.keys import KeyTable, PlaceTable
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.occupancy import Drift
from sensord.core.rules.paneclock import PaneClock
from sensord.core.rules.probe import Probe, Sight
from sensord.core.rules.rule import Rule
from sensord.core.rules.single import SingleRule
from sensord.core.rules.stuck import StuckRule
from sensord.core.rules.windowed import WindowedRule
from sensord.core.snapshot import seal, unseal
from sensord.core.stream import STREAMS, Stream
from sensord.decoders import msgpack_decoder
from sensord.errors import SnapshotError

_PACKED = msgpack_decoder(PackedEngine)


class ActiveAlert(msgspec.Struct, frozen=True):
    """One active alert, for views. ``flapping``: it was raised too often lately, and is held up for longer."""

    rule: str
    key: str
    place: str
    level: Level
    flapping: bool = False


class Engine:
    """Evaluates the rules of a definition. ``only`` makes it a shard: the devices of those residential grids.

    ``followed``: the stream ``visit`` comes; without site keys it does not, and whatever it would say is unknown.
    ``carried`` says, per rule, what became of its state when the definition was changed last.
    """

    def __init__(
        self, definition: Definition, places: Places, only: frozenset[str] | None = None, *, followed: bool = True
    ) -> None:
        self._definition, self._places, self._only = definition, places, only
        numbers = [int.from_bytes(hashlib.blake2b(one.id.encode(), digest_size=6).digest()) for one in places.devices]
        offset = utc_offset(definition.zone)
        self._setting = Setting(
            *(places, definition.zone, offset, definition.calendar, np.array(numbers, np.float64), PaneClock(offset)),
            followed=followed,
        )
        self.now = 0
        self.carried: dict[str, Carried] = {}
        self._started = False
        self._liveness = Liveness(places, 0, only)
        self._evaluators: list[Evaluator] = []
        self._single: list[tuple[int, SingleRule]] = []
        self._timed: list[tuple[int, Evaluator]] = []
        self._combined: list[tuple[int, CombinedRule]] = []
        self._stuck: list[StuckRule] = []
        self.probe: Probe | None = None
        """Looks on; see ``probe.py``. It is no part of the state."""

    def _start(self, since: int) -> None:
        """Begin at the journal instant ``since``: windows, silence and warm-up count from here."""
        self._started, self.now = True, since
        self._liveness = Liveness(self._places, since, self._only)
        rules = self._definition.rules
        made = {number: self._evaluator(rule, since) for number, rule in enumerate(rules) if rule.combination is None}
        # At one instant it is known first what is stuck: the others then take it for blind.
        timed = [(number, one) for number, one in made.items() if not isinstance(one, SingleRule)]
        self._timed = sorted(timed, key=lambda pair: pair[1].rule.stuck is None)
        self._single = [(number, one) for number, one in made.items() if isinstance(one, SingleRule)]
        self._combined = []
        for number in in_order(rules):
            combined = made[number] = self._combine(rules[number], made)
            self._combined.append((number, combined))
        self._evaluators = [made[number] for number in range(len(rules))]
        self._stuck = [evaluator for evaluator in self._evaluators if isinstance(evaluator, StuckRule)]

    def _evaluator(self, rule: Rule, since: int) -> Evaluator:
        table, setting = KeyTable(rule, self._places, self._only), self._setting
        lateness = self._definition.lateness_of(rule.stream)
        if rule.absent:
            return AbsenceRule(rule, table, setting, since)
        if rule.stuck is not None:
            return StuckRule(rule, table, setting, since)
        if rule.every:
            return WindowedRule(rule, table, setting, lateness, since)
        return SingleRule(rule, table, setting, lateness)

    def _combine(self, rule: Rule, made: dict[int, Evaluator]) -> CombinedRule:
        assert rule.combination is not None
        names = {part.rule for part in rule.combination.parts}
        parts = [evaluator.table for evaluator in made.values() if evaluator.rule.id in names]
        return CombinedRule(rule, PlaceTable(rule, parts, self._places), self._setting)

    def feed(self, batch: Batch, complete: Complete | None = None) -> list[Transition]:
        """Take a batch (an empty one is a tick) and return what changed, in order, each as ``complete`` makes it."""
        if not self._started:
            self._start(int(batch.received_at[0]) if len(batch) else batch.now)
        emissions = self._take(batch)
        self._advance(batch, emissions)
        for _, evaluator in self._timed:
            evaluator.settle()
        self.now = max(self.now, batch.now)
        emissions.sort(key=lambda emission: emission[:5])
        if complete is not None:
            emissions = [(*one[:5], complete(one[5], position_of(one, batch))) for one in emissions]
        if self._combined:
            return self._combinations(emissions, self.now)
        return [emission[5] for emission in emissions]

    def _take(self, batch: Batch) -> list[Emission]:
        """Hand each rule the readings of its stream, and let those that look at readings one by one have their time.

        What a reading brings stands in the order of all readings, whatever their streams.
        """
        streams: dict[Stream, tuple[Batch, Int64] | None] = {}
        emissions: list[Emission] = []
        for order, evaluator in (*self._single, *self._timed):
            stream = evaluator.rule.stream
            if stream is None or not len(evaluator.table):
                continue
            if stream not in streams:
                streams[stream] = _of_stream(batch, stream)
            if (mine := streams[stream]) is not None:
                if self.probe is not None:
                    self.probe.taking(evaluator, mine[0])
                emissions += (
                    emission if emission[1] == 0 else (*emission[:2], int(mine[1][emission[2]]), *emission[3:])
                    for emission in evaluator.take(order, mine[0])
                )
        for order, single in self._single:
            while single.due <= batch.now:
                emissions += self._evaluated(order, single)
        return emissions

    def _advance(self, batch: Batch, emissions: list[Emission]) -> None:
        """Do everything that is due by the end of a batch, in order of time; arrivals count until just before each."""
        noted, to, timed = 0, batch.now, self._timed
        while timed and (at := min(evaluator.due for _, evaluator in timed)) <= to:
            noted = self._note(batch, noted, at)
            coming = Coming(batch, noted, self._liveness, self._stuck)
            for _, evaluator in timed:
                if evaluator.due <= to:
                    evaluator.skip(coming, watched=self.probe is not None)
            at = min(evaluator.due for _, evaluator in timed)
            if at > to:
                break
            noted = self._note(batch, noted, at)
            for order, evaluator in timed:
                if evaluator.due == at:
                    emissions += self._evaluated(order, evaluator)
        self._note(batch, noted, NEVER)

    def _evaluated(self, order: int, evaluator: Evaluator) -> list[Emission]:
        emissions = evaluator.evaluate(order, self._liveness)
        if self.probe is not None:
            self.probe.evaluated(evaluator, self._liveness)
        return emissions

    def _note(self, batch: Batch, start: int, before: int) -> int:
        """Take note of who was heard, and what stood still, in the arrivals from ``start`` on until before an instant.

        Returns the position of the next arrival.
        """
        if start == len(batch) or batch.received_at[start] >= before:
            return start
        stop = start + int(np.searchsorted(batch.received_at[start:], before, side="left"))
        for stuck in self._stuck:
            stuck.observe(batch.cut(start, stop, batch.now))
        part = slice(start, stop)
        self._liveness.note(batch.device[part], batch.received_at[part], batch.flags[part])
        return stop

    # -- rules about alerts ------------------------------------------------------------------------------------------

    def _combinations(self, emissions: list[Emission], now: int) -> list[Transition]:
        """Let combinations look at what changed, instant by instant; return everything in order.

        What time brings at an instant is one group, and so is what one reading brings. A deadline lies after the former
        and before the latter.
        """
        result: list[Transition] = []
        start = 0
        while start < len(emissions):
            at, phase, reading = emissions[start][:3]
            stop = start + 1
            while stop < len(emissions) and emissions[stop][:3] == (at, phase, reading):
                stop += 1
            self._run_down(at if phase else at - 1, result)
            group = [emission[5] for emission in emissions[start:stop]]
            result += group
            result += self._round(at, group)
            start = stop
        self._run_down(now, result)
        return result

    def _run_down(self, to: int, result: list[Transition]) -> None:
        """Let every deadline at or before ``to`` pass."""
        while (at := min(combined.due for _, combined in self._combined)) <= to:
            result += self._round(at, [])

    def _round(self, at: int, group: list[Transition]) -> list[Transition]:
        """Tell the combinations what changed at ``at``, each after those that it looks at."""
        heard, made = list(group), list[Transition]()
        for order, combined in self._combined:
            keys = sorted({*combined.hear(heard), *combined.keys_due(at)})
            new = [emission[5] for emission in combined.judge(order, keys, at)]
            heard += new
            made += new
            if self.probe is not None and keys:
                self.probe.evaluated(combined, self._liveness)
        return made

    # -- views -------------------------------------------------------------------------------------------------------

    def active(self) -> list[ActiveAlert]:
        """List the active alerts in rule order."""
        return [
            ActiveAlert(
                evaluator.rule.id,
                evaluator.table.keys[key],
                evaluator.table.places[key],
                Level(int(levels[key])),
                isinstance(evaluator, WindowedRule) and evaluator.ladder.flaps(int(key), self.now),
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
        """Return the places that are blind now: a registered sensor there is silent, was never heard, or is stuck."""
        return {self._places.devices[index].place for index in self._liveness.blind(self.now)}

    def drifts(self) -> list[Drift]:
        """Return what occupancy rules had to correct: per rule and key."""
        return [
            drift
            for evaluator in self._evaluators
            if isinstance(evaluator, WindowedRule)
            for drift in evaluator.drifts()
        ]

    def evaluator_of(self, rule: str) -> Evaluator | None:
        """Return the rule at work, for those who look on; None when no such rule is in force."""
        return next((one for one in self._evaluators if one.rule.id == rule), None)

    def look(self, rule: str, key: str) -> Sight:
        """Say what a rule in force saw of a key when it was evaluated last."""
        evaluator = self.evaluator_of(rule)
        assert evaluator is not None
        return evaluator.look(evaluator.table.keys.index(key), self._liveness)

    def silent_of(self, rule: str, key: str) -> dict[str, int]:
        """Return the silent or stuck devices of a rule's key, with their last arrivals (ns)."""
        evaluator = self.evaluator_of(rule)
        if evaluator is None or key not in evaluator.table.keys:
            return {}
        table, heard = evaluator.table, self._liveness.heard_at
        feeding = table.feeding(table.keys.index(key) // table.width * table.width)
        return {
            self._places.devices[device].id: int(heard[device])
            for device in self._liveness.blind(self.now)
            if device in feeding
        }

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        return seal(self._packed())

    def _packed(self) -> PackedEngine:
        devices, heard = [device.id for device in self._places.devices], self._liveness.heard_at.tolist()
        rules = {evaluator.rule.id: pack_rule(evaluator) for evaluator in self._evaluators}
        unheard = [devices[index] for index in np.flatnonzero(self._liveness.unheard)]
        return PackedEngine(self.now, self._started, rules, devices, heard, unheard, self._liveness.recounted)

    def restore(self, state: bytes) -> None:
        """Take the state back; raises ``SnapshotError`` when it is damaged or of another rule set or registry."""
        body = _PACKED.decode(unseal(state))
        if not body.started:
            return
        for rule, carried in self._carry(body, body.now).items():
            packed = body.rules.get(rule)
            keys = next(one.table.keys for one in self._evaluators if one.rule.id == rule)
            if carried is not Carried.UNCHANGED or packed is None or packed.keys != keys:
                raise SnapshotError(f"the snapshot does not fit the rule {rule} in force")

    def carry_over(self, old: Engine, at: int) -> list[Transition]:
        """Take over, at the journal instant ``at``, the state of an engine of the definition before.

        What becomes of each rule is in ``carried``. Returns what changes at once: the withdrawal of alerts whose rule
        or key is gone, or that could not be carried over, and what combinations make of that.
        """
        if not old._started:
            return []
        body = _PACKED.decode(msgspec.msgpack.encode(old._packed()))
        body.now = max(body.now, at)
        # Before the first definition there was nothing to be followed.
        again = self._setting.followed and not old._setting.followed and bool(old._evaluators)
        if again:
            body.recounted = at + self._definition.tracking.remember
        self.carried = self._carry(body, at)
        if again:
            self._follow(at)
        kept = {
            (evaluator.rule.id, key)
            for evaluator in self._evaluators
            if self.carried[evaluator.rule.id].keeps_alerts
            for key in evaluator.table.keys
        }
        gone = [
            transition
            for evaluator in old._evaluators
            for transition in withdraw(evaluator, at)
            if (transition.rule, transition.key) not in kept
        ]
        return gone + self._reconsider(gone, at)

    def _carry(self, body: PackedEngine, at: int) -> dict[str, Carried]:
        """Start at ``body.now`` and take, rule by rule and key by key, what fits."""
        self._start(body.now)
        self._liveness.recounted = body.recounted
        devices, heard = (
            [device.id for device in self._places.devices],
            dict(zip(body.devices, body.heard, strict=True)),
        )
        self._liveness.heard_at[:] = [heard.get(device, body.now) for device in devices]
        unheard = frozenset(body.unheard)
        never = [device in unheard or device not in heard for device in devices]
        self._liveness.unheard &= np.array(never, np.bool_)
        carried = {
            evaluator.rule.id: carry(body.rules.get(evaluator.rule.id), body.devices, devices, evaluator, at)
            for evaluator in self._evaluators
        }
        for stuck in self._stuck:
            self._liveness.mark_stuck(stuck.rule.id, stuck.frozen)
        for _, combined in self._combined:
            for evaluator in self._evaluators:
                combined.adopt(evaluator)
        return carried

    def _follow(self, at: int) -> None:
        """Vehicles are followed again: windows that lie in the time when they were not are no quiet ones."""
        for evaluator in self._evaluators:
            if isinstance(evaluator, WindowedRule) and evaluator.rule.stream is Stream.VISIT:
                evaluator.warm_up(at)

    def _reconsider(self, gone: list[Transition], at: int) -> list[Transition]:
        """Let combinations look at what is left after a change of definition."""
        result: list[Transition] = []
        for order, combined in self._combined:
            combined.forget(gone, at)
            combined.hear(result)
            result += [emission[5] for emission in combined.judge(order, range(len(combined.table)), at)]
        return result


def _of_stream(batch: Batch, stream: Stream) -> tuple[Batch, Int64] | None:
    """The readings of one stream, in order, with their positions in the batch; None when there are none."""
    rows = np.flatnonzero(batch.stream == stream)
    if not len(rows):
        return None
    return (batch if len(rows) == len(batch) else batch.of(STREAMS[stream], rows)), rows

"""The engine: batches in, transitions out. One engine, one semantics, however the work is cut.

The same readings in the same order give the same transitions, whatever the batch sizes, across
``snapshot``/``restore`` at any point, and across engines that share the residential grids between them (for rules
keyed at a grid or below).

Within a feed, time comes first: everything that falls due at or before a reading's arrival happens before the reading.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import ParamSpec, TypeVar

import msgspec
import numpy as np

from sensord.core.alert import Transition
from sensord.core.batch import Batch, Int64, of_stream, tick
from sensord.core.definition import Definition
from sensord.core.failure import Failures, Part
from sensord.core.place import Places
from sensord.core.rules.addressed import Others, addressed
from sensord.core.rules.carry import Carried, PackedEngine, begin_anew, carry, common, pack_rule
from sensord.core.rules.combination import CombinedRule, in_order
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import NEVER, Complete, Emission, Evaluator, position_of, withdraw
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.making import Maker, Told
from sensord.core.rules.probe import Probe
from sensord.core.rules.single import SingleRule
from sensord.core.rules.stuck import StuckRule
from sensord.core.rules.views import Views
from sensord.core.rules.windowed import WindowedRule
from sensord.core.snapshot import seal, unseal
from sensord.core.stream import Stream
from sensord.decoders import msgpack_decoder
from sensord.errors import SnapshotError

_PACKED = msgpack_decoder(PackedEngine)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_DUE: Callable[[CombinedRule], int] = attrgetter("due")


class Engine(Views):
    """Evaluates the rules of a definition. ``only`` makes it a shard: the devices of those residential grids.

    ``followed``: the stream ``visit`` comes; without site keys it does not, and whatever it would say is unknown.
    ``carried`` says, per rule, what became of its state when the definition was changed last. ``failures`` are those of
    single rules, and of who is heard; whoever feeds it takes them from there.
    """

    def __init__(
        self, definition: Definition, places: Places, only: frozenset[str] | None = None, *, followed: bool = True
    ) -> None:
        self.failures = Failures()
        super().__init__(places, Liveness(places, 0, definition.lateness_of, self.failures, only))
        self._definition, self._only, self._followed = definition, only, followed
        self._maker = Maker(definition, places, only, followed=followed)
        self.carried: dict[str, Carried] = {}
        self.others: Others = {}  # the lengths of stay of which rules do not hear
        self._broken: set[int] = set()
        """The combinations that have failed in this feed."""
        self._batch, self._told, self._started = tick(0), Told(()), False
        self._waiting: dict[int, tuple[Batch, Int64]] = {}
        """What rules that look at each reading by itself have yet to take of this batch, with its positions there."""
        self._timed: list[tuple[int, Evaluator]] = []
        self._combined: list[tuple[int, CombinedRule]] = []
        self._stuck: list[StuckRule] = []
        self.probe: Probe | None = None
        """Looks on; see ``probe.py``. It is no part of the state."""

    def _start(self, since: int) -> None:
        """Begin at the journal instant ``since``: windows, silence and warm-up count from here."""
        self._started, self.now = True, since
        self._liveness = Liveness(self._places, since, self._definition.lateness_of, self.failures, self._only)
        self._evaluators = self._maker.all(since)
        self._sort()
        self._told = Told(self._evaluators)

    def _sort(self) -> None:
        """Sort the evaluators by how they are driven."""
        numbered = list(enumerate(self._evaluators))
        combined = {number: one for number, one in numbered if isinstance(one, CombinedRule)}
        self._combined[:] = [(number, combined[number]) for number in in_order(self._definition.rules)]
        # At one instant it is known first what is stuck: the others then take it for blind.
        timed = [pair for pair in numbered if not isinstance(pair[1], CombinedRule)]
        self._timed[:] = sorted(timed, key=lambda pair: pair[1].rule.stuck is None)
        self._stuck[:] = [evaluator for evaluator in self._evaluators if isinstance(evaluator, StuckRule)]

    def feed(self, batch: Batch, complete: Complete | None = None, rule: str = "") -> list[Transition]:
        """Take a batch (an empty one is a tick; for ``rule`` alone) and return what changed, ``complete``, in order."""
        if not self._started:
            self._start(int(batch.received_at[0]) if len(batch) else batch.now)
        self._batch = batch
        emissions = self._take(batch, rule)
        self._advance(batch, emissions)
        for _, evaluator in self._timed:
            self._apart(evaluator, batch.now, evaluator.settle)
        self.now = max(self.now, batch.now)
        emissions.sort(key=lambda emission: emission[:5])
        if complete is not None:
            emissions = [(*one[:5], complete(one[5], position_of(one, batch))) for one in emissions]
        if self._combined:
            return self._combinations(emissions, self.now)
        return [emission[5] for emission in emissions]

    def _take(self, batch: Batch, rule: str) -> list[Emission]:
        """Hand each rule the readings of its stream."""
        streams: dict[Stream, tuple[Batch, Int64] | None] = {}
        emissions: list[Emission] = []
        for order, evaluator in self._timed:
            stream, name = evaluator.rule.stream, evaluator.rule.id
            if stream is None or not len(evaluator.table) or rule not in ("", name):
                continue
            if stream not in streams:
                streams[stream] = of_stream(batch, stream)
            if (mine := addressed(streams[stream], {} if rule else self.others.get(name, {}))) is not None:
                if self.probe is not None:
                    self.probe.taking(evaluator, mine[0])
                self._waiting[order] = mine
                emissions += self._go_on(order)
        return emissions

    def _go_on(self, order: int) -> list[Emission]:
        """Let a rule take what waits for it: one that looks at each reading by itself, until a level of it runs out.

        What a reading brings stands in the order of all readings, whatever their streams.
        """
        mine, rows = self._waiting.pop(order, (tick(0), np.empty(0, np.int64)))
        if not len(mine):
            return []
        made = self._taken(order, self._evaluators[order], mine)
        if isinstance(self._evaluators[order], SingleRule):
            taken = int(np.searchsorted(mine.received_at, self._evaluators[order].due))
            if taken < len(mine):
                self._waiting[order] = (mine.cut(taken, len(mine), mine.now), rows[taken:])
        return [(*emission[:2], int(rows[emission[2]]), *emission[3:]) for emission in made]

    def _taken(self, order: int, evaluator: Evaluator, mine: Batch) -> list[Emission]:
        """What a rule makes of its readings. Of one that looks at each by itself, no more than one is lost."""
        single = isinstance(evaluator, SingleRule)
        made = self._apart(evaluator, int(mine.received_at[0]) if single else mine.now, evaluator.take, order, mine)
        if made is not None:
            self._told.hear(made)
            return made
        rows = range(len(mine)) if single and len(mine) > 1 else ()
        each = ((row, self._taken(order, self._evaluators[order], mine.cut(row, row + 1, mine.now))) for row in rows)
        return [(*emission[:2], row, *emission[3:]) for row, made in each for emission in made]

    def _advance(self, batch: Batch, emissions: list[Emission]) -> None:
        """Do everything that is due by the end of a batch, in order of time; arrivals count until just before each."""
        noted, to, timed = 0, batch.now, self._timed
        while timed and (at := min(evaluator.due for _, evaluator in timed)) <= to:
            noted = self._note(batch, noted, at)
            coming = Coming(batch, noted, self._liveness, self._stuck)
            for _, evaluator in timed:
                if evaluator.due <= to:
                    self._apart(evaluator, to, evaluator.skip, coming, watched=self.probe is not None)
            at = min(evaluator.due for _, evaluator in timed)
            if at > to:
                break
            noted = self._note(batch, noted, at)
            for order, evaluator in timed:
                if evaluator.due == at:
                    emissions += self._evaluated(order, evaluator, at)
        self._note(batch, noted, NEVER)

    def _evaluated(self, order: int, evaluator: Evaluator, at: int) -> list[Emission]:
        emissions = self._apart(evaluator, at, evaluator.evaluate, order, self._liveness)
        if emissions is None:
            return self._go_on(order)
        self._told.hear(emissions)
        if self.probe is not None:
            self.probe.evaluated(evaluator, self._liveness)
        return emissions + self._go_on(order)

    def _note(self, batch: Batch, start: int, before: int) -> int:
        """Take note of who was heard, and what stood still, in the arrivals from ``start`` on until before an instant.

        Returns the position of the next arrival.
        """
        if start == len(batch) or batch.received_at[start] >= before:
            return start
        stop = start + int(np.searchsorted(batch.received_at[start:], before, side="left"))
        for stuck in self._stuck:
            self._apart(stuck, batch.now, stuck.observe, batch.cut(start, stop, batch.now))
        self._liveness.note(batch, slice(start, stop))
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
        if self._broken:
            result += self._mended(now)
        return result

    def _run_down(self, to: int, result: list[Transition]) -> None:
        """Let every deadline at or before ``to`` pass."""
        while (at := min(self._due_of(order, combined) for order, combined in self._combined)) <= to:
            result += self._round(at, [])

    def _due_of(self, order: int, combined: CombinedRule) -> int:
        due = None if order in self._broken else self._apart(combined, self._batch.now, _DUE, combined)
        return NEVER if due is None else due

    def _round(self, at: int, group: list[Transition]) -> list[Transition]:
        """Tell the combinations what changed at ``at``, each after those that it looks at."""
        heard, made = list(group), list[Transition]()
        for order, combined in self._combined:
            if order in self._broken:
                continue
            keys, new = self._apart(combined, at, combined.answer, order, heard, at) or ([], [])
            self._told.hear(new)
            heard += (emission[5] for emission in new)
            made += (emission[5] for emission in new)
            if self.probe is not None and keys:
                self.probe.evaluated(combined, self._liveness)
        return made

    # -- rules that fail ---------------------------------------------------------------------------------------------

    def _apart(
        self, evaluator: Evaluator, at: int, do: Callable[_P, _T], *args: _P.args, **more: _P.kwargs
    ) -> _T | None:
        """Let a rule do something. One that fails begins anew at ``at``, and all others go on; None: it has failed.

        A combination does so at the end of the feed, when it is known again what is on.
        """
        try:
            return do(*args, **more)
        except Exception as error:  # noqa: BLE001  # whatever it is: it must not keep people from hearing of the rest
            self.failures.caught(Part.RULE, evaluator.rule.id, at, error)
            order = self._evaluators.index(evaluator)
            if isinstance(evaluator, CombinedRule):
                self._broken.add(order)
            else:
                self._begin_anew(order, self._maker.make(evaluator.rule, at), at)
                if do == evaluator.evaluate:
                    self._take_rest(order, at)
            return None

    def _begin_anew(self, order: int, fresh: Evaluator, at: int) -> None:
        """Put another evaluator in the place of one that has failed at ``at``; its alerts stand as they were told."""
        begin_anew(self._evaluators[order], fresh, self._told.of(order), at)
        self._evaluators[order] = fresh
        self._sort()
        if isinstance(fresh, StuckRule):
            self._liveness.mark_stuck(fresh.rule.id, fresh.frozen)
        self._hold()

    def _take_rest(self, order: int, at: int) -> None:
        """Let a rule over a window that begins anew take what arrives from ``at`` on: as if the batch began there."""
        batch, fresh = self._batch, self._evaluators[order]
        if isinstance(fresh, WindowedRule) and fresh.rule.stream is not None:
            rest = batch.cut(int(np.searchsorted(batch.received_at, at)), len(batch), batch.now)
            if (mine := addressed(of_stream(rest, fresh.rule.stream), self.others.get(fresh.rule.id, {}))) is not None:
                self._apart(fresh, batch.now, fresh.take, order, mine[0])

    def _mended(self, now: int) -> list[Transition]:
        """Let combinations that have failed begin anew, and judge; one that fails once more waits for what changes."""
        self._renew(now)
        result = self._reconsider([], now)
        self._renew(now)
        return result

    def _renew(self, now: int) -> None:
        for order, combined in list(self._combined):
            if order in self._broken:
                fresh = self._maker.combine(combined.rule, self._evaluators)
                for evaluator in self._evaluators:
                    fresh.adopt(evaluator)
                self._begin_anew(order, fresh, now)
        self._broken.clear()

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        return seal(self._packed())

    def _packed(self) -> PackedEngine:
        devices, heard = [device.id for device in self._places.devices], self._liveness.heard_at.tolist()
        rules = {evaluator.rule.id: pack_rule(evaluator) for evaluator in self._evaluators}
        unheard = [devices[index] for index in np.flatnonzero(self._liveness.unheard)]
        anew = self._liveness.recounted, self._liveness.counted
        return PackedEngine(self.now, self._started, rules, devices, heard, unheard, *anew)

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
        again = self._followed and not old._followed and bool(old._evaluators)
        self.carried = self._carry(body, at)
        if again:
            self.follow_anew(at)
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
        self._liveness.recount(body.recounted, body.counted)
        devices = [device.id for device in self._places.devices]
        heard = dict(zip(body.devices, body.heard, strict=True))
        self._liveness.heard_at[:] = [heard.get(device, body.now) for device in devices]
        unheard = frozenset(body.unheard)
        never = [device in unheard or device not in heard for device in devices]
        self._liveness.unheard &= np.array(never, np.bool_)
        both = common(body.devices, devices)
        carried = {
            evaluator.rule.id: carry(body.rules.get(evaluator.rule.id), both, evaluator, at)
            for evaluator in self._evaluators
        }
        for stuck in self._stuck:
            self._liveness.mark_stuck(stuck.rule.id, stuck.frozen)
        self._hold()
        for _, combined in self._combined:
            for evaluator in self._evaluators:
                combined.adopt(evaluator)
        self._told = Told(self._evaluators)
        return carried

    def count(self, compound: str, at: int) -> None:
        """Somebody has counted who is in a compound at ``at`` (ns): from then on nobody is missing in its number."""
        if at < self._liveness.recounted:
            self._liveness.recount(self._liveness.recounted, self._liveness.counted | {compound: at})
            self._hold()

    def follow_anew(self, at: int) -> None:
        """Vehicles are followed again from ``at`` on: windows that lie before that are no quiet ones."""
        self._liveness.recount(at + self._definition.tracking.remember, {})
        self._hold()
        for evaluator in self._evaluators:
            if isinstance(evaluator, WindowedRule) and evaluator.rule.stream is Stream.VISIT:
                evaluator.warm_up(at)

    def _hold(self) -> None:
        """Let rules that look at each reading by itself know from when on numbers of vehicles lack nobody."""
        for evaluator in self._evaluators:
            if isinstance(evaluator, SingleRule):
                evaluator.hold(self._liveness)

    def _reconsider(self, gone: list[Transition], at: int) -> list[Transition]:
        """Let combinations look at what is left after a change of definition."""
        result: list[Transition] = []
        for order, combined in self._combined:
            made = self._apart(combined, at, combined.review, order, (gone, result), at) or []
            self._told.hear(made)
            result += [emission[5] for emission in made]
        return result

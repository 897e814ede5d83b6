"""The rule language once more: slow, obvious, plain Python, written from ``docs/rules.md`` and not from the engine.

Nothing is incremental here. Every evaluation looks through the whole past again; there are no panes kept, no arrays and
no snapshots. What this and the engine both say is what the handbook says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from sensord.core.definition import Definition
from sensord.core.instant import DAY, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Places
from sensord.core.rules.rule import LevelSpec, Rule
from sensord.core.stream import LABELS, Stream
from tests.core.reference_combined import Combined
from tests.core.reference_ladder import Ladder, meets
from tests.core.reference_values import LOCAL, Change, Reading
from tests.core.reference_window import Windowed

ORDER = ("lane", "gate", "micro_grid", "compound", "grid", "block", "street")
"""From the nearest place outwards."""


class Reference:
    """Says what a definition makes of readings, up to the instant ``now``."""

    def __init__(self, definition: Definition, readings: list[Reading], now: int) -> None:
        self.definition, self.readings, self.now = definition, readings, now
        self.places = Places(definition.places, definition.devices)
        self.device = {device.id: device for device in definition.devices}
        self.since = readings[0].received_at if readings else now
        self.stuck_rules = [rule for rule in definition.rules if rule.stuck]

    def changes(self) -> list[Change]:
        """Every change of every rule."""
        found: dict[str, list[Change]] = {}
        waiting = list(self.definition.rules)
        while waiting:
            for rule in list(waiting):
                parts = [part.rule for part in rule.combination.parts] if rule.combination else []
                if all(part in found for part in parts):
                    found[rule.id] = list(self._rule(rule, found))
                    waiting.remove(rule)
        return sorted(change for changes in found.values() for change in changes)

    def _rule(self, rule: Rule, found: dict[str, list[Change]]) -> Iterator[Change]:
        if rule.combination:
            yield from Combined(self, rule, found).changes()
        elif rule.absent:
            yield from self._absent(rule)
        elif rule.stuck:
            yield from self._stuck(rule)
        elif rule.every:
            for key in self.keys(rule):
                yield from Windowed(self, rule, key).changes()
        else:
            for key in self.keys(rule):
                yield from self._single(rule, key)

    # -- keys --------------------------------------------------------------------------------------------------------

    def devices_of(self, rule: Rule) -> dict[str, list[str]]:
        """The devices of each place (or device) that the rule is about."""
        found: dict[str, list[str]] = {}
        for device in self.definition.devices:
            path = {kind.value: place for kind, place in self.places.path(device.place).items()}
            if rule.stream not in (None, Stream.STATUS) and device.stream is not rule.stream:
                continue
            known = {**path, "device": device.id}
            if any(name in (*ORDER, "device") and known.get(name) not in words for name, words in rule.where.items()):
                continue
            base = known.get(rule.by)
            if base is not None:
                found.setdefault(base, []).append(device.id)
        return found

    def keys(self, rule: Rule) -> list[str]:
        """The keys of a rule: places or devices, times the words of ``split``."""
        keys = sorted(self.devices_of(rule))
        for label in rule.split:
            words = rule.where.get(label, LABELS[label].words)
            keys = [f"{key}/{word}" for key in keys for word in words]
        return keys

    def place_of(self, base: str) -> str:
        """Where a key is."""
        return self.device[base].place if base in self.device else base

    def of_key(self, rule: Rule, key: str) -> list[Reading]:
        """The readings that count for a key, in order of arrival."""
        base, *words = key.split("/")
        devices = self.devices_of(rule)[base]
        wanted = {**{name: words for name, words in rule.where.items() if name in LABELS}}
        wanted |= {label: (word,) for label, word in zip(rule.split, words, strict=True)}
        return [
            reading
            for reading in self.readings
            if reading.device in devices
            and reading.stream is rule.stream
            and all(reading.labels.get(label) in accepted for label, accepted in wanted.items())
        ]

    # -- who is heard ------------------------------------------------------------------------------------------------

    def heard_at(self, device: str, before: int) -> int:
        """When a device was last heard before an instant; if never, since when we listen."""
        arrivals = [
            one.received_at
            for one in self.readings
            if one.device == device and one.received_at < before and self._of_now(one)
        ]
        return max(arrivals, default=self.since)

    def _of_now(self, one: Reading) -> bool:
        """Whether a reading says something of now; what people find they may report at any time."""
        device = self.device[one.device]
        allowed = max(device.deadline, self.definition.lateness_of(device.stream))
        return device.stream is Stream.REPORT or one.received_at - one.event_at < allowed

    def heard(self, device: str, at: int) -> bool:
        """Whether a device is heard."""
        return at - self.heard_at(device, at) < self.device[device].deadline

    def sighted(self, rule: Rule, key: str, at: int) -> bool:
        """Whether at least one device of a key is heard and not stuck."""
        return any(self._seeing(rule, key, at))

    def unseen(self, rule: Rule, key: str, at: int) -> list[Device]:
        """The devices of a key that see nothing; none sees what another one does. People may have nothing to report."""
        devices = self.devices_of(rule)[key.split("/", maxsplit=1)[0]]
        blind = [one for one, sees in zip(devices, self._seeing(rule, key, at), strict=True) if not sees]
        return [self.device[one] for one in blind if self.device[one].stream is not Stream.REPORT]

    def _seeing(self, rule: Rule, key: str, at: int) -> list[bool]:
        return [
            self.heard(device, at) and not any(self.frozen(stuck, device, at) for stuck in self.stuck_rules)
            for device in self.devices_of(rule)[key.split("/", maxsplit=1)[0]]
        ]

    # -- stuck and absent --------------------------------------------------------------------------------------------

    def grid(self, shortest: int) -> tuple[int, list[int]]:
        """Instants a tenth of the shortest time apart, in whole seconds, since the beginning."""
        every = max(shortest // 10 // SECOND * SECOND, SECOND)
        return every, list(range((self.since // every + 1) * every, self.now + 1, every))

    def stood(self, rule: Rule, device: str, at: int) -> tuple[float, float]:
        """For how long a device has stood still, and has been zero, each as a share of what it may."""
        assert rule.stuck is not None
        moved = zero = last = None
        reference = math.nan
        for one in self.readings:
            value = one.fields.get(rule.stuck.field)
            if one.device != device or one.stream is not rule.stream or value is None or one.received_at >= at:
                continue
            back = last is None or one.received_at - last > self.device[device].deadline
            if back or abs(value - reference) > rule.stuck.tolerance:
                moved, reference = one.received_at, value
            if value != 0 or back:
                zero = None
            if value == 0 and zero is None:
                zero = one.received_at
            last = one.received_at
        still = 0.0 if moved is None or not rule.stuck.hold else (at - moved) / rule.stuck.hold
        return still, 0.0 if zero is None or not rule.stuck.zero else (at - zero) / rule.stuck.zero

    def _every_of(self, rule: Rule) -> int:
        assert rule.stuck is not None
        return min(hold for hold in (rule.stuck.hold, rule.stuck.zero) if hold)

    def frozen(self, rule: Rule, device: str, at: int) -> bool:
        """Whether a device was held for stuck at the last look, and has not moved since."""
        if device not in {one for devices in self.devices_of(rule).values() for one in devices}:
            return False
        _every, looks = self.grid(self._every_of(rule))
        looks = [look for look in looks if look <= at]
        if not looks or not self.active(rule, looks[-1]):
            return False
        look = looks[-1]
        if max(self.stood(rule, device, look)) < 1 or not self.heard(device, look):
            return False
        assert rule.stuck is not None
        return not self._moved_between(rule, device, look, at)

    def _moved_between(self, rule: Rule, device: str, start: int, stop: int) -> bool:
        """Whether the value moved, or came back after silence, with an arrival from ``start`` to before ``stop``."""
        assert rule.stuck is not None
        reference, last = math.nan, None
        for one in self.readings:
            value = one.fields.get(rule.stuck.field)
            if one.device != device or one.stream is not rule.stream or value is None or one.received_at >= stop:
                continue
            back = last is None or one.received_at - last > self.device[device].deadline
            if back or abs(value - reference) > rule.stuck.tolerance:
                reference = value
                if one.received_at >= start:
                    return True
            last = one.received_at
        return False

    def _stuck(self, rule: Rule) -> Iterator[Change]:
        for key, devices in sorted(self.devices_of(rule).items()):
            ladder = Ladder(self, rule, key)
            for at in self.grid(self._every_of(rule))[1]:
                shares = [max(self.stood(rule, device, at)) for device in devices if self.heard(device, at)]
                yield from ladder.move(at, at, min(shares) if shares else None, 0)

    def _absent(self, rule: Rule) -> Iterator[Change]:
        keys = self.devices_of(rule)
        allowed = {one: self.device[one].period * rule.absent for devices in keys.values() for one in devices}
        if not allowed:
            return
        for key, devices in sorted(keys.items()):
            ladder = Ladder(self, rule, key)
            for at in self.grid(int(min(allowed.values())))[1]:
                share = min((at - self.heard_at(device, at)) / allowed[device] for device in devices)
                yield from ladder.move(at, at, share, 0)

    # -- each reading by itself --------------------------------------------------------------------------------------

    def _single(self, rule: Rule, key: str) -> Iterator[Change]:
        """A reading keeps the rungs that it meets for ``clear.for``; what may go on unseen is kept."""
        assert rule.value is not None
        lateness, hold = self.definition.lateness_of(rule.stream), rule.clear.hold
        met: dict[Level, int] = {}
        level = Level.NONE
        arrivals = [
            one
            for one in self.of_key(rule, key)
            if one.event_at + lateness >= one.received_at and self.active(rule, one.event_at)
        ]
        for one in [*arrivals, None]:
            until = self.now if one is None else one.received_at
            while met and min(met.values()) + hold <= until:
                at = min(met.values()) + hold
                over = {rung for rung, start in met.items() if start + hold <= at}
                again = {rung: at for rung in over if self._may_stay(rule, key, rung, at)}
                met = {rung: start for rung, start in met.items() if rung not in over} | again
                kept = max(met, default=Level.NONE)
                if kept < level:
                    yield Change(at, rule.id, key, level, kept, at, 0)
                    level = kept
            value = None if one is None else 1.0 if rule.value.field is None else one.fields.get(rule.value.field)
            if one is None or value is None:
                continue
            reached = [rung.level for rung in self.rungs(rule, key) if meets(rule, rung, value, 0.0)]
            met |= dict.fromkeys(reached, one.received_at)
            if max(reached, default=Level.NONE) > level:
                yield Change(one.received_at, rule.id, key, level, max(reached), one.received_at, 1)
                level = max(reached)

    def _may_stay(self, rule: Rule, key: str, level: Level, at: int) -> bool:
        """Whether it may go on unseen: a sensor is blind, or said last that it does. An event is over by itself."""
        if rule.stream in (Stream.PLATE, Stream.REPORT) or not self.active(rule, at):
            return False
        assert rule.value is not None
        field, lateness = rule.value.field, self.definition.lateness_of(rule.stream)
        last = {
            one.device: 1.0 if field is None else one.fields[field]
            for one in self.of_key(rule, key)
            if one.received_at < min(at, one.event_at + lateness + 1) and (field is None or field in one.fields)
        }
        rung = next(rung for rung in self.rungs(rule, key) if rung.level is level)
        return any(meets(rule, rung, value, 0.0) for value in last.values()) or bool(self.unseen(rule, key, at))

    # -- thresholds and times ----------------------------------------------------------------------------------------

    def rungs(self, rule: Rule, key: str) -> list[LevelSpec]:
        """The rungs that apply to a key: those of the nearest override that has them, or the rule's own."""
        return [rung for rung, _ in self.rungs_and_margins(rule, key)]

    def rungs_and_margins(self, rule: Rule, key: str) -> list[tuple[LevelSpec, float]]:
        """The same, with the margins below (or above) which they are left."""
        base = key.split("/", maxsplit=1)[0]
        path = {kind.value: place for kind, place in self.places.path(self.place_of(base)).items()}
        names = [base if rule.by == "device" else "", *(path[kind] for kind in ORDER if kind in path)]
        found = []
        for rung, margin in zip(rule.levels, rule.clear.margin, strict=True):
            own = [
                (other, wide)
                for name in names
                for override in rule.overrides
                if override.place == name
                for other, wide in zip(override.levels, override.margin, strict=True)
                if other.level is rung.level
            ]
            found.append(own[0] if own else (rung, margin))
        return found

    def active(self, rule: Rule, instant: int) -> bool:
        """Whether a rule is in force at an instant."""
        if not rule.active:
            return True
        moment = datetime.fromtimestamp(0, timezone(timedelta(hours=8))) + timedelta(microseconds=instant // 1000)
        time = (instant + LOCAL) % DAY
        for span in rule.active:
            days = [moment.date()] if span.start < span.stop or time >= span.start else []
            if span.start >= span.stop and time < span.stop:
                days = [moment.date() - timedelta(days=1)]
            inside = span.start <= time < span.stop if span.start < span.stop else bool(days)
            for day in days if inside else []:
                words = {("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()]}
                calendar, text = self.definition.calendar, day.isoformat()
                off = text in calendar.holidays
                worked = not off and (day.weekday() < 5 or text in calendar.workdays)
                words |= {"workday"} if worked else {"restday"}
                words |= {"holiday"} if off else set()
                words |= {name for name, listed in calendar.named.items() if text in listed}
                if (not span.days or words & set(span.days)) and not words & set(span.apart):
                    return True
        return False

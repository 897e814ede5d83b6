"""What an operator changes while cases are open: every kind of change of a definition, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable

from msgspec.structs import replace

from sensord.core.cases.policy import Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact
from sensord.core.rules.rule import Clear, Rule
from sensord.core.stream import Stream
from sensord.core.vehicles.pseudonym import check_value
from sensord.core.vehicles.tracking import KeyArea, PlateKey
from tests.core import traffic, wholestreet

Dice = random.Random


def changed(dice: Dice, old: Definition) -> Definition:
    """Another definition: mostly the old one with one change, now and then the first one again."""
    if dice.random() < 0.2:
        return wholestreet.definition()
    return _tidy(dice.choice(CHANGES)(dice, old))


def _tidy(new: Definition) -> Definition:
    """Leave out what names a rule, a person or a plan that is no more, as the configuration would refuse it."""
    known = {rule.id for rule in new.rules}
    rules = tuple(
        rule for rule in new.rules if not rule.combination or {part.rule for part in rule.combination.parts} <= known
    )
    known = {rule.id for rule in rules}
    plans = [plan.id for plan in new.policies]
    rules = tuple(rule if rule.dispatch in plans else replace(rule, dispatch=plans[0]) for rule in rules)
    kept = tuple(one for one in new.inhibitions if {*one.rules, *one.mutes} <= known)
    staff = {person.id for person in new.people}
    turns = tuple(one for one in new.duty.rotations if staff.issuperset(one.people))
    leave = tuple(one for one in new.duty.changes if one.off in staff)
    return replace(new, rules=rules, inhibitions=kept, duty=replace(new.duty, rotations=turns, changes=leave))


def _one_rule(change: Callable[[Dice, Rule], Rule]) -> Callable[[Dice, Definition], Definition]:
    """The change of some rule."""

    def of_some(dice: Dice, old: Definition) -> Definition:
        rules = list(old.rules)
        which = dice.randrange(len(rules))
        rules[which] = change(dice, rules[which])
        return replace(old, rules=tuple(rules))

    return of_some


def _levels(dice: Dice, rule: Rule) -> Rule:
    """Other thresholds; of the first ones, so that calm remains calm."""
    first = next((one for one in wholestreet.definition().rules if one.id == rule.id), rule)
    factor = dice.choice((0.5, 0.9, 1.3))
    levels = tuple(replace(one, threshold=one.threshold * factor) for one in first.levels)
    return rule if rule.absent or rule.combination else replace(rule, levels=levels, clear=first.clear)


def _fewer_levels(_: Dice, rule: Rule) -> Rule:
    return replace(rule, levels=rule.levels[:1], clear=replace(rule.clear, margin=rule.clear.margin[:1]), overrides=())


def _graver(_: Dice, rule: Rule) -> Rule:
    only = len(rule.levels) == 1
    return replace(rule, levels=(replace(rule.levels[0], level=Level.RED),), overrides=()) if only else rule


def _clear(dice: Dice, rule: Rule) -> Rule:
    least = 0 if rule.every or rule.absent else 1  # as the configuration demands
    return replace(rule, clear=Clear(rule.clear.margin, dice.choice((least, 10, 300)) * SECOND))


def _told_by_another_plan(dice: Dice, rule: Rule) -> Rule:
    return replace(rule, dispatch=dice.choice(("crowd", "vehicle", "device")))


def _text(_: Dice, rule: Rule) -> Rule:
    return replace(rule, message={"zh": "{place}{value}{spaces}", "en": "{place}: {value}"})


def _window(_: Dice, rule: Rule) -> Rule:
    return replace(rule, window=rule.window * 2) if rule.window < 10 * MINUTE else rule


def _each(_: Dice, rule: Rule) -> Rule:
    return replace(rule, each=not rule.each) if rule.stream is Stream.VISIT and not rule.every else rule


def _by(dice: Dice, rule: Rule) -> Rule:
    whole = rule.by in {"lane", "compound"} and rule.percent_of is None and rule.value is not None
    fits = whole and rule.value is not None and rule.value.field not in {"stay", "filled"} and not rule.overrides
    return replace(rule, by=dice.choice(("device", "grid"))) if fits and rule.stream is Stream.CROWD else rule


def _rule_goes(dice: Dice, old: Definition) -> Definition:
    gone = dice.choice(old.rules)
    return replace(old, rules=tuple(rule for rule in old.rules if rule is not gone))


def _rules_come(dice: Dice, old: Definition) -> Definition:
    """The street's first rules again, and copies of one under another name."""
    first, known = wholestreet.definition().rules, {rule.id for rule in old.rules}
    copy = replace(dice.choice(first), id=f"new-{dice.randrange(3)}")
    new = (*(rule for rule in first if rule.id not in known), *([copy] if copy.id not in known else []))
    return replace(old, rules=(*old.rules, *new))


def _steps(dice: Dice, old: Definition) -> Definition:
    """A plan's steps change: one goes, one comes in front, or they come in another order."""
    plans = list(old.policies)
    which = dice.randrange(2)
    steps = list(plans[which].steps)
    what = dice.randrange(3)
    if what == 0 and len(steps) > 1:
        del steps[dice.randrange(len(steps))]
    elif what == 1:
        steps.insert(0, Step(("police",), Level.RED))
    else:
        dice.shuffle(steps)
    plans[which] = replace(plans[which], steps=tuple(steps))
    return replace(old, policies=tuple(plans))


def _times_of_a_plan(dice: Dice, old: Definition) -> Definition:
    wait, agree = dice.choice((0, 90)) * SECOND, dice.choice((0, 60)) * SECOND
    close = dice.choice(("when_clear", "after_report"))
    plans = tuple(replace(one, wait=wait, agree_for=agree, close=close) for one in old.policies[:2])
    return replace(old, policies=(*plans, *old.policies[2:]))


def _plan_renamed(dice: Dice, old: Definition) -> Definition:
    plan = old.policies[dice.randrange(2)]
    name = f"{plan.id[:7]}-{dice.randrange(3)}"
    if name in {one.id for one in old.policies}:
        return old
    policies = tuple(replace(one, id=name) if one is plan else one for one in old.policies)
    told = tuple(replace(rule, dispatch=name) if rule.dispatch == plan.id else rule for rule in old.rules)
    return replace(old, policies=policies, rules=told)


def _roster(dice: Dice, old: Definition) -> Definition:
    return replace(old, people=tuple(one for one in old.people if dice.random() < 0.8) or old.people)


def _channels(dice: Dice, old: Definition) -> Definition:
    ways = (Contact("people", "x"), Contact("sms", "s", dice.choice((0, 20)) * SECOND), Contact("grid-mqtt"))
    some = tuple(
        replace(one, contacts=tuple(dice.sample(ways, dice.choice((1, 2))))) if dice.random() < 0.4 else one
        for one in old.people
    )
    return replace(old, people=some)


def _duty(dice: Dice, old: Definition) -> Definition:
    shifts = tuple(replace(one, end=(one.end + dice.choice((-60, 45))) % 1440) for one in old.duty.shifts)
    return replace(old, duty=replace(old.duty, shifts=shifts))


def _damping(dice: Dice, old: Definition) -> Definition:
    per_hour, storm = dice.choice((0, 4, 15)), dice.choice((0, 20))
    return replace(old, damping=replace(old.damping, per_hour=per_hour, storm_at=storm, digest_every=5 * MINUTE))


def _periods(dice: Dice, old: Definition) -> Definition:
    periods = {one.id: one.period * dice.choice((1, 2, 4)) // 2 for one in wholestreet.devices()}
    return replace(old, devices=tuple(replace(one, period=periods[one.id]) for one in old.devices))


def _lateness(dice: Dice, old: Definition) -> Definition:
    return replace(old, lateness={"crowd": dice.choice((0, 1, 30)) * SECOND, "plate": dice.choice((1, 5)) * SECOND})


def _camera_moves(dice: Dice, old: Definition) -> Definition:
    cameras = [one.id for one in old.devices if one.stream is Stream.PLATE]
    which = dice.choice(cameras)
    moved = (replace(one, place=dice.choice(traffic.GATES)) if one.id == which else one for one in old.devices)
    return replace(old, devices=tuple(moved))


def _device_goes(dice: Dice, old: Definition) -> Definition:
    gone = dice.choice(old.devices)
    few = len(old.devices) < 8
    return old if few else replace(old, devices=tuple(one for one in old.devices if one is not gone))


def _order(dice: Dice, old: Definition) -> Definition:
    return replace(old, devices=tuple(dice.sample(old.devices, len(old.devices))))


def _places(dice: Dice, old: Definition) -> Definition:
    """A lane, with its sensor, is taken out or put elsewhere."""
    lane = dice.choice([one.id for one in old.places if one.kind == "lane"] or [""])
    if dice.random() < 0.5:
        rest = tuple(one for one in old.places if one.id != lane)
        return replace(old, places=rest, devices=tuple(one for one in old.devices if one.place != lane))
    moved = tuple(replace(one, parent="M3", compound="C3") if one.id == lane else one for one in old.places)
    return replace(old, places=moved)


def _site_keys(dice: Dice, old: Definition) -> Definition:
    """The site keys go, come back, or are followed by another."""
    since = wholestreet.START + dice.randrange(4) * HOUR
    both = (traffic.KEYS[0], PlateKey("k2", since, check_value(traffic.SECRETS["k2"])))
    return replace(old, plate_keys=dice.choice(((), (), traffic.KEYS, both)))


def _areas(dice: Dice, old: Definition) -> Definition:
    watch = tuple(wholestreet.watched(plate) for plate in dice.sample(traffic.PLATES[:-1], 2))
    return replace(old, plates=replace(old.plates, key=(KeyArea(dice.choice(("皖K", "苏E"))),), watch=watch))


CHANGES: tuple[Callable[[Dice, Definition], Definition], ...] = (
    *map(_one_rule, (_levels, _fewer_levels, _graver, _clear, _told_by_another_plan, _text, _window, _each, _by)),
    _rule_goes,
    _rules_come,
    _steps,
    _times_of_a_plan,
    _plan_renamed,
    _roster,
    _channels,
    _duty,
    _damping,
    _periods,
    _lateness,
    _camera_moves,
    _device_goes,
    _order,
    _places,
    _site_keys,
    _areas,
)
"""All of them, each as likely as any other."""

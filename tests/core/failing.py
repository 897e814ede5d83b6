"""Rules that fail, and a site with a few rules in which one does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change, Transition
from sensord.core.cases.policy import Policy, Step
from sensord.core.definition import Definition
from sensord.core.failure import Failure
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules import absence, combination, single, stuck, windowed
from sensord.core.rules import rule as rules_of
from sensord.core.rules.evaluator import Evaluator
from sensord.core.rules.rule import Clear, Combination, LevelSpec, Logic, Rule, Stuck
from sensord.core.site import Site, definition_record
from sensord.core.site import Step as SiteStep
from sensord.core.stream import Stream
from tests.core.street import START, definition, density_rule, devices, message, rules

PLATE = "沪A12345"
MODULES = {"density": windowed, "silent": absence, "frozen": stuck, "finding": single, "both": combination}
"""Where the evaluator of each kind makes its transitions."""


class MistakeError(Exception):
    """What nobody has thought of."""


def fail(*_: object, **__: object) -> None:
    """Fail."""
    raise MistakeError


def broken_once(whole: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but that it does nothing and raises once, at its first call."""
    calls = itertools.count()

    def once(*args: Any) -> Any:
        if not next(calls):
            raise MistakeError
        return whole(*args)

    return once


def both(logic: Logic = Logic.ANY, *parts: str, within: int = 0) -> Rule:
    """A rule about alerts of two others in a grid."""
    looked_at = tuple(map(rules_of.Part, parts or ("density", "empty")))
    plain = Rule(
        *("both", {"zh": "两者"}, None, "grid", "crowd", (LevelSpec(Level.RED, 1.0),), Clear((0.0,), 10 * SECOND))
    )
    return replace(plain, combination=Combination(logic, looked_at, within))


def frozen(**changes: object) -> Rule:
    """A rule on sensors that show the same for half a minute."""
    levels = (LevelSpec(Level.BLUE, 1.0),)
    plain = Rule("frozen", {"zh": "卡死"}, Stream.CROWD, "device", "device", levels, Clear((0.0,), 0))
    return replace(plain, stuck=Stuck("count", 30 * SECOND, 0), **changes)


def street(*some: Rule) -> Definition:
    """The street with these rules, or with some of every kind."""
    return definition(rules=some or (*rules(), frozen(), both()))


def mistake(monkeypatch: pytest.MonkeyPatch, rule: str, keys: str = "", times: int = 1 << 30) -> None:
    """A rule fails, so often, where it would tell of a change of such keys: its levels have changed by then."""
    whole: Callable[..., Transition] = MODULES[rule].make_transition
    left = [times]

    def make(evaluator: Evaluator, key: int, *args: Any, **more: Any) -> Transition:
        if evaluator.rule.id == rule and evaluator.table.keys[key].startswith(keys) and left[0]:
            left[0] -= 1
            raise MistakeError(PLATE)
        return whole(evaluator, key, *args, **more)

    monkeypatch.setattr(MODULES[rule], "make_transition", make)


DENSITY = density_rule(levels=(LevelSpec(Level.YELLOW, 1.0),), clear=Clear((0.2,), 10 * SECOND))


def crowd(second: int, count: int, device: int = 0) -> Record:
    """So many people in a lane of 50 m2, seen at a second."""
    return message(devices()[device], START + second * SECOND, {"count": count, "seq": second})


def tick(second: int) -> Record:
    """Time passes."""
    return Record(RecordKind.TICK, START + second * SECOND)


class Following:
    """A site with a few rules, second by second."""

    def __init__(self, *some: Rule) -> None:
        plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), agree_for=20 * SECOND)
        whole = replace(street(*some), policies=(plan, Policy("device", {"zh": "设备"}, (Step(("nobody",)),))))
        self.site, self.seq, self.changes = Site(), 0, list[tuple[int, str, str, Change]]()
        self.failures: list[Failure] = []
        self.step(definition_record(whole, START))

    def step(self, *records: Record) -> SiteStep:
        """A group."""
        self.seq += 1
        step = self.site.step(Group(self.seq, records))
        seconds = ((one.at - START) // SECOND for one in step.transitions)
        self.changes += [(at, one.rule, one.key, one.change) for at, one in zip(seconds, step.transitions, strict=True)]
        self.failures += step.failures
        return step

    def until(self, second: int, count: int, since: int, lanes: Sequence[int] = (0,)) -> None:
        """So many people in some lanes, a reading every five seconds."""
        for at in range(since, second):
            self.step(*(crowd(at, count, lane) for lane in lanes if not at % 5), tick(at))

    @property
    def open(self) -> list[tuple[str, Level]]:
        """The open cases and their levels."""
        return [(case.place, case.level) for case in self.site.book.open.values()]

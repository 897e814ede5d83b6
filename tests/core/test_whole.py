"""Whole streams, drawn at random and held against themselves: whatever happens on a street, these promises hold.

A test run tries a few; ``make interleavings`` as many as are asked for. A failure names its seed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import cache

import pytest

from sensord.core.alert import Transition
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import MINUTE
from sensord.core.record import Record
from sensord.core.rules.rule import Comparison, Rule
from sensord.core.site import Site
from tests.core.street import grouped
from tests.core.traffic import SECRETS
from tests.core.wholestream import Life

SEEDS = range(int(os.environ.get("SENSORD_EXAMPLES", "2")))


@cache
def life(seed: int) -> Life:
    """One stream, lived through with a group for each record: what it did not survive, the test names."""
    return Life(seed).lived()


def decided(records: list[Record], sizes: list[int], restarts: random.Random | None = None) -> list[bytes]:
    """Everything decided on the records, cut into groups of these sizes, with restarts at random places."""
    site, lines = Site(None, SECRETS), list[bytes]()
    for group in grouped(records, sizes):
        lines += site.step(group).decisions().splitlines()
        if restarts is not None and restarts.random() < 0.2:
            site = Site.restored(site.snapshot(), SECRETS)
    return lines


def reference(of: Life) -> list[bytes]:
    """Everything decided as it was lived through."""
    return [line for step in of.steps for line in step.decisions().splitlines()]


def first_difference(one: list[bytes], other: list[bytes]) -> str:
    """Where two outcomes part, for people."""
    where = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"line {where} of {len(one)} and {len(other)}:\n{one[where : where + 1]}\n{other[where : where + 1]}"


@pytest.mark.parametrize("seed", SEEDS)
def test_however_it_is_cut_and_stopped_the_same_is_decided(seed: int) -> None:
    """Groups of 1, of 7 and of everything, and restarts at random places, give the same bytes."""
    whole, records, dice = reference(life(seed)), life(seed).records, random.Random(seed)
    cuts = {"of seven": ([7], None), "whole": ([len(records)], None), "stopped": ([3, 1, 40], dice)}
    for name, (sizes, restarts) in cuts.items():
        got = decided(records, sizes, restarts)
        assert got == whole, f"seed {seed}, {name}: {first_difference(whole, got)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_lies_before_the_stream_nor_in_the_future(seed: int) -> None:
    """What a step brings happened after the step before, and no later than now; windows end soon before."""
    before = life(seed).began
    for step in life(seed).steps:
        for one in step.told:
            assert before <= one.at <= step.at, f"seed {seed}: {one}"
            assert not isinstance(one, Transition) or life(seed).began - 10 * MINUTE <= one.end <= one.at, f"{one}"
        before = step.at


@pytest.mark.parametrize("seed", SEEDS)
def test_after_long_calm_nothing_is_left(seed: int) -> None:
    """When all was calm and answered for days, no case is open without an alert, and no alert stands on what was."""
    site = life(seed).site
    standing = {rule.id for rule in site.definition.rules if stands_in_silence(rule)}
    left = [one for one in site.engine.active() if one.rule not in standing]
    assert not left, f"seed {seed}"
    active = {f"{one.rule}:{one.key}" for one in site.engine.active()}
    for case in site.book.open.values():
        built_in = {alert for alert in case.alerts if alert in site.book.state().watched.alerts}
        assert case.alerts, f"seed {seed}: {case.id} is {case.state.value} for nothing"
        assert set(case.alerts) - built_in <= active, f"seed {seed}: {case.id} holds alerts that are over"


def stands_in_silence(rule: Rule) -> bool:
    """Whether an alert of the rule stands by right where nothing is heard: it is about just that."""
    return rule.absent > 0 or (rule.every > 0 and rule.comparison is Comparison.BELOW)


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_and_whatever_is_named_exists(seed: int) -> None:
    """Receivers and their channels are on the roster, cases are known; no two things share an identity."""
    ways, seen, cases = set[tuple[str, str]](), Counter[str](), set[str]()
    for step, record in zip(life(seed).steps, life(seed).records, strict=True):
        before, ways = ways, ways_of(decode_definition(record.payload)) if step.definition else ways
        cases |= {case.id for case in step.cases}
        for event in step.events:
            assert event.case in cases, f"seed {seed}: {event}"
        for note in step.notifications:
            assert (note.receiver, note.channel) in before | ways, f"seed {seed}: {note}"
            assert note.case in cases, f"seed {seed}: {note}"
        seen.update(one.id for one in step.transitions)
        seen.update(one.id for one in step.events)
        seen.update(note.key for note in step.notifications)
    assert not (twice := [name for name, times in seen.items() if times > 1]), f"seed {seed}: {twice}"


def ways_of(definition: Definition) -> set[tuple[str, str]]:
    """Everybody's channels."""
    return {(person.id, contact.channel) for person in definition.people for contact in person.contacts}

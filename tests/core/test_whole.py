"""Whole streams, drawn at random and held against themselves: whatever happens on a street, these promises hold.

A test run tries a few; ``make streets`` as many as are asked for (``FUZZ_EXAMPLES``). Each has its number for a seed.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from sensord.core.alert import Transition
from sensord.core.cases.builtin import VERSION
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import MINUTE
from sensord.core.record import Record
from sensord.core.rules.rule import Comparison, Rule
from sensord.core.site import Site
from sensord.core.stream import Stream
from tests.core.street import grouped
from tests.core.traffic import SECRETS
from tests.core.wholestream import Life

SEEDS = range(int(os.environ.get("FUZZ_EXAMPLES", "2")))


@pytest.fixture(scope="module", params=SEEDS)
def life(request: pytest.FixtureRequest) -> Life:
    """One stream, lived through with a group for each record. What cannot be handled raises here."""
    return Life(request.param).lived()


def decided(records: list[Record], size: int, restarts: random.Random | None) -> list[bytes]:
    """Everything decided on the records, cut into groups of this size, with restarts at random places."""
    site, lines = Site(None, SECRETS), list[bytes]()
    for group in grouped(records, [size]):
        lines += site.step(group).decisions().splitlines()
        if restarts is not None and restarts.random() < 0.1:
            site = Site.restored(site.snapshot(), SECRETS)
    return lines


def first_difference(one: list[bytes], other: list[bytes]) -> str:
    """Where two outcomes part, for people."""
    where = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    here, there = (b"\n".join(lines[where : where + 1]).decode() for lines in (one, other))
    return f"line {where} of {len(one)} and {len(other)}:\n{here}\n{there}"


def test_however_it_is_cut_and_stopped_the_same_is_decided(life: Life) -> None:
    """Groups of one, one of everything, and groups of seven with restarts at random places give the same bytes."""
    whole = [line for step in life.steps for line in step.decisions().splitlines()]
    for size, restarts in ((len(life.records), None), (7, life.dice)):
        got = decided(life.records, size, restarts)
        assert got == whole, f"groups of {size}: {first_difference(whole, got)}"


def test_nothing_lies_before_the_stream_nor_in_the_future(life: Life) -> None:
    """What a step brings happened after the step before, and no later than now; windows end soon before."""
    before = life.began
    for step in life.steps:
        for one in step.told:
            assert before <= one.at <= step.at, one
            assert not isinstance(one, Transition) or life.began - 10 * MINUTE <= one.end <= one.at, one
        before = step.at


def test_after_long_calm_nothing_is_left(life: Life) -> None:
    """When all was calm and answered for days, no case is open without an alert, and no alert stands on what was."""
    engine, book = life.site.engine, life.site.book
    followed = life.site.tracker.on  # else no rule on vehicles can be known to be over
    right = {
        rule.id
        for rule in life.site.definition.rules
        if stands_in_silence(rule) or (rule.stream is Stream.VISIT and not followed)
    }
    active = {f"{one.rule}:{one.key}" for one in engine.active()} | set(book.state().watched.alerts)
    assert [one for one in engine.active() if one.rule not in right] == []
    for case in book.open.values():
        assert case.alerts, f"{case.id} is {case.state.value} for nothing"
        assert set(case.alerts) <= active, f"{case.id} holds alerts that are over"


def stands_in_silence(rule: Rule) -> bool:
    """Whether an alert of the rule stands by right where nothing is heard.

    It is about just that, or about how many vehicles are inside, which nobody knows without site keys.
    """
    return rule.absent > 0 or rule.on_presence or (rule.every > 0 and rule.comparison is Comparison.BELOW)


def test_whoever_and_whatever_is_named_exists(life: Life) -> None:
    """Receivers and their channels are on the roster, cases are known; no two things share an identity."""
    ways, cases, seen = set[tuple[str, str]](), set[str](), Counter[str]()
    for step, record in zip(life.steps, life.records, strict=True):
        before, ways = ways, ways_of(decode_definition(record.payload)) if step.definition else ways
        cases |= {case.id for case in step.cases}
        for note in step.notifications:
            assert (note.receiver, note.channel) in before | ways, note
        assert {event.case for event in step.events} | {note.case for note in step.notifications} <= cases
        seen.update(note.key for note in step.notifications)
        seen.update(event.id for event in step.events)
        # A contact may fail, work and fail again within one instant, as no rule over readings may.
        seen.update(change.id for change in step.transitions if change.version != VERSION)
    assert [name for name, times in seen.items() if times > 1] == []


def ways_of(definition: Definition) -> set[tuple[str, str]]:
    """Everybody's channels."""
    return {(person.id, contact.channel) for person in definition.people for contact in person.contacts}

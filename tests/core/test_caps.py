"""What strangers can make the core remember is bounded; what goes beyond is refused or forgotten, and counted.

``docs/security.md`` lists every bound.
"""

from __future__ import annotations

import random

import pytest

from sensord.core.cases import answers
from sensord.core.instant import HOUR, SECOND
from sensord.core.level import Level
from sensord.core.record import Group, Record, RecordKind, Scope
from sensord.core.site import Site
from sensord.core.vehicles.passage import MOST_OPEN
from tests.core.desk import Desk
from tests.core.follower import Follower, at
from tests.core.street import START, definition

_TRACKING = "sensord.core.vehicles"


def test_strangers_devices_topics_and_numbers_leave_nothing_behind() -> None:
    """Thousands of names that nobody registered, and wild numbers of one that is: the state grows by a few bytes."""
    site, dice = Site(definition()), random.Random(1)
    topics = [
        "t/C1/crowd/x{}",
        "t/y{}/crowd/crowd-0",
        "t/C1/z{}/crowd-0",
        "w{}/a",
        "t/commands/by/x{}/c",
    ]
    sizes = []
    for turn in range(1, 5):
        at = START + turn * SECOND
        strangers = [
            Record(RecordKind.MESSAGE, at, topic.format(dice.random()), b'{"count":1,"verb":"close","by":"x"}')
            for topic in topics
            for _ in range(200)
        ]
        wild = [
            Record(RecordKind.MESSAGE, at, "t/C1/crowd/crowd-0", _message(dice, turn * 1000 + number))
            for number in range(1000)
        ]
        step = site.step(Group(turn, (*strangers, *wild)))
        assert len(step.dead) >= 800
        sizes.append(len(site.snapshot()))
    assert sizes[-1] - sizes[0] < 2_000
    assert sizes[-1] < 20_000


def _message(dice: random.Random, number: int) -> bytes:
    return b'{"count":1,"boot":%d,"seq":%d,"at":%d}' % (dice.getrandbits(50), dice.getrandbits(52), number)


def test_a_gate_gone_mad_keeps_no_more_passages_than_a_gate_can_have() -> None:
    """A camera that sends a new plate each time while its clock stands still: old passages go, doubtful are counted."""
    follower = Follower()
    follower.tracker.take(follower.intake.decode((), START).batch)
    dice = random.Random(2)
    for sureness in (0.97, 0.5):
        for _ in range(MOST_OPEN * 2):
            record = at(10, _plate(dice), sureness=sureness)
            follower.tracker.take(follower.intake.decode((record,), record.received_at).batch)
    assert len(follower.tracker.passages.open[0]["C1-N"]) == MOST_OPEN
    assert follower.tracker.counts["visit", "forgotten"] > MOST_OPEN // 2


def _plate(dice: random.Random) -> str:
    return dice.choice("沪苏浙皖京津") + dice.choice("ABCDEFG") + "".join(dice.choices("ABCDEFGH23456789", k=5))


def test_a_day_of_new_plates_is_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known in detail of today's vehicles has a bound of its own; the newest stay."""
    monkeypatch.setattr(f"{_TRACKING}.acquaintance.MOST_TRACED", 50)
    monkeypatch.setattr(f"{_TRACKING}.clones.MOST_GHOSTS", 10)
    follower = Follower()
    for number in range(200):
        for record in (at(60 * number, f"沪B{number:05}"), at(60 * number + 45, f"沪B{number:05}", gate="C2-N")):
            follower.tracker.take(follower.intake.decode((record,), record.received_at).batch)
    presence = follower.tracker.presence
    assert 40 <= len(presence.traces) <= 50
    assert 0 < len(presence.clones.ghosts) <= 10
    newest = list(presence.compounds["C2"].visits)[-1]
    assert newest in presence.traces


def test_strangers_to_the_roster_fill_no_ledger() -> None:
    """Beyond a bound only people of the roster are written down; they always are."""
    desk = Desk(definition())
    desk.alert(0, Level.RED)
    for number in range(answers.MOST_TOLD + 50):
        desk.act(1, "acknowledge", by=f"stranger-{number}")
    assert len(desk.case.told) == answers.MOST_TOLD
    assert desk.act(2, "acknowledge", by="stranger-x").outcomes[0].verdict == "too_many_strangers"
    assert desk.act(3, "acknowledge", by="派出所-1").outcomes[0].accepted


def test_ended_cases_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that late answers find them; the oldest go."""
    monkeypatch.setattr("sensord.core.cases.casebook.MOST_REMEMBERED", 5)
    desk = Desk(definition())
    for number in range(20):
        desk.alert(100 * number, Level.RED)
        desk.alert(100 * number + 10, Level.NONE)
        desk.wait(100 * number + 90)
    assert 1 <= len(desk.book.ended) <= 5


def test_silences_are_few_and_small() -> None:
    """Their number, what one may name, and how far ahead they reach."""
    desk = Desk(definition())
    until, scope = START + HOUR, Scope(places=("G1",))
    for number in range(answers.MOST_SILENCES + 1):
        story = desk.act(0, "silence", case=f"s{number}", scope=scope, note="x", until=until)
    assert not story.outcomes[0].accepted
    assert len(desk.book.silences) == answers.MOST_SILENCES
    wide = Scope(rules=tuple(f"r{number}" for number in range(answers.MOST_SCOPED + 1)))
    assert not desk.act(0, "silence", case="wide", scope=wide, note="x", until=until).outcomes[0].accepted


def test_what_changes_nothing_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests for approval, and answers after the end, beyond so many events of a case; real answers always count."""
    monkeypatch.setattr(answers, "MOST_EVENTS", 20)
    desk = Desk(definition())
    desk.alert(0, Level.RED)
    stories = [desk.act(1, "extend", by="志愿者-1", note="x", via="link") for _ in range(40)]
    assert desk.case.events == 20
    assert not stories[-1].outcomes[0].accepted
    assert desk.act(2, "acknowledge", by="志愿者-1", via="link").outcomes[0].accepted

"""Vehicles that came while a camera's way here was held up: they are told of as it becomes known, if still inside."""

from __future__ import annotations

import pytest

from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Record
from sensord.core.rules.rule import Clear
from sensord.core.site import Site, Step, definition_record
from sensord.core.stream import Stream
from sensord.core.vehicles.lasting import HELD_UP
from tests.core.follower import A, B, C, Follower, Row, at, tick
from tests.core.street import grouped
from tests.core.test_held_up import alive
from tests.core.traffic import SECRETS, START, definition, passage, rule, site, told

ENTERED = {"event": ("passed", "recognised"), "direction": ("in",)}
KEY_AREA = rule("key-area", None, 1.0, ENTERED | {"class": ("key_area",)}, each=True, clear=Clear((0.0,), MINUTE))
AWAY = rule("away", "days_away", 1.0, ENTERED, each=True)
MANY = rule("many", None, 2.0, {"event": ("passed",)}, window=10 * MINUTE, every=MINUTE)
OVERSTAY = rule("overstay", "stay", 0.1, {"event": ("staying",)}, by="compound")
BACK = 600.0
"""When what was held up arrives (seconds)."""


def stored(second: float, plate: str, way: str = "in", sureness: float = 0.97, after: float = 0.0) -> Record:
    """A passage of ``second`` that arrives ``after`` the way here is free again."""
    return passage("C1-N", START + round((BACK + after) * SECOND), plate, way, sureness, START + round(second * SECOND))


def begun() -> list[Record]:
    """The camera is alive until the start."""
    return [alive(second) for second in range(-600, 1, 60)]


def transitions(records: list[Record], following: Site | None = None, size: int = 1) -> list[tuple[float, str, str]]:
    """(second, rule, change) of what records bring."""
    following = following or site(rules=(KEY_AREA, AWAY, MANY))
    steps = told([*begun(), *records], following, size)
    return [
        ((one.at - START) / SECOND, one.rule, one.change.value)
        for step in steps
        for one in step.transitions
        if one.change.value in ("raised", "another", "escalated")
    ]


def test_who_came_while_the_way_was_held_up_is_told_of() -> None:
    """Once it is known, half a minute after it was heard of: an exit may follow close behind."""
    heard = BACK + HELD_UP / SECOND
    assert transitions([stored(60, C), tick(BACK + 300)]) == [(heard, "key-area", "raised"), (heard, "away", "raised")]


@pytest.mark.parametrize("sureness", [0.97, 0.8])
@pytest.mark.parametrize("after", [0.01, 26.0])
def test_who_has_left_meanwhile_is_not_told_of(sureness: float, after: float) -> None:
    """Its exit was held up, too, or comes as it leaves; both passages count in reports."""
    records = [stored(60, C, "in", sureness), stored(120, C, "out", 0.97, after), tick(BACK + 300)]
    assert transitions(records) == []
    follower = Follower(rules=())
    rows = follower.see(*begun(), *records)
    assert [(row.at, row.event, row.where) for row in rows] == [(60, "passed", "C1-N in"), (120, "passed", "C1-N out")]
    assert follower.inside() == (0, 0)


def test_a_doubtful_reading_that_was_held_up_is_told_of_when_it_is_decided() -> None:
    """And with what its other readings made of it."""
    records = [stored(60, C, "in", 0.8), stored(60.6, C, "in", 0.8, 0.01), tick(BACK + 300)]
    assert (BACK + 3 + HELD_UP / SECOND, "key-area", "raised") in transitions(records)


def test_a_window_counts_nothing_of_it_now() -> None:
    """Three vehicles of ten minutes ago are no rush."""
    records = [stored(60 + 30 * number, one, "in", 0.97, number / 100) for number, one in enumerate((A, B, C))]
    assert {name for _, name, _ in transitions([*records, tick(BACK + 900)])} == {"key-area", "away"}


def steps_of(size: int, restart: int) -> list[bytes]:
    """What the site decides of a stretch with some of all that, cut so, and restored once."""
    records = [*begun(), stored(60, C), stored(90, A, "in", 0.8, 0.1), stored(120, B, "in", 0.97, 0.2)]
    records += [stored(150, B, "out", 0.97, 0.3), *(tick(BACK + second) for second in range(1, 200, 7))]
    following, found = site(rules=(KEY_AREA, AWAY, MANY)), list[bytes]()
    for number, group in enumerate(grouped(records, [size])):
        if number == restart:
            following = Site.restored(following.snapshot(), SECRETS)
        found.append(following.step(group).decisions())
    return [b"".join(found)]


def test_it_is_the_same_however_it_is_cut() -> None:
    """With a restart while it waits to be told of."""
    whole = steps_of(1, -1)
    assert b'"came_at"' in whole[0]
    assert all(steps_of(size, restart) == whole for size, restart in ((1, 14), (1, 16), (4, 3), (5, 4), (100, -1)))


def messages(steps: list[Step], receiver: str) -> list[str]:
    """What somebody reads."""
    return [one.text for step in steps for one in step.notifications if one.receiver == receiver]


def test_a_message_says_when_it_came_in() -> None:
    """Beside the time of the alert, for whoever may see the plate or not."""
    steps = told([*begun(), stored(60, C), tick(BACK + 60)], site(rules=(KEY_AREA,)))
    said = messages(steps, "志愿者-1") + messages(steps, "居委干部-1")
    assert len(said) == 2
    assert all("（11-24 08:01:00 驶入）" in one for one in said)


def test_marks_that_waited_are_told_of_afterwards() -> None:
    """A stay that reached a rule's threshold before it was heard of is said, too, a quarter of an hour later."""
    follower = Follower(rules=(OVERSTAY,))
    rows: list[Row] = follower.see(*begun(), stored(60, C), *(tick(BACK + minute * 60) for minute in range(1, 30)))
    assert [row.event for row in rows] == ["passed", "recognised", "staying"]
    assert rows[1].at == 60
    assert rows[2].at == BACK + 900
    assert follower.definition.lateness_of(Stream.VISIT) == 5 * SECOND


def test_a_rule_that_is_added_meanwhile_changes_nothing_of_it() -> None:
    """A stay that has reached its threshold is news to it at once, and the entry is told of when it would have been."""
    before, after = (definition(rules=rules) for rules in ((KEY_AREA,), (KEY_AREA, OVERSTAY)))
    records = [stored(60, C), definition_record(after, START + round((BACK + 5) * SECOND)), tick(BACK + 60)]
    assert transitions(records, Site(before, SECRETS)) == [
        (BACK + 5, "overstay", "raised"),
        (BACK + 30, "key-area", "raised"),
    ]


def test_who_is_seen_again_as_having_come_in_after_it_left_is_not_told_of() -> None:
    """The readings of one passage were held up in part, so that it becomes certain when the visit is over."""
    records = [stored(60, C, "in", 0.8), stored(65, C, "out", 0.97, 4), stored(60.6, C, "in", 0.8, 8), tick(BACK + 60)]
    assert transitions(records) == []


def test_it_is_told_of_once() -> None:
    """What is fresh is told of as it passes, and not again."""
    follower = Follower(rules=())
    rows = follower.see(*begun(), at(20, C), tick(300))
    assert [row.event for row in rows] == ["passed"]

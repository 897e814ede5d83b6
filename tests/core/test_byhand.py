"""Vehicles counted by hand: from then on that is how many are inside, and rules see it at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sensord.core.cases.policy import Role
from sensord.core.counting import NOW
from sensord.core.instant import DAY, HOUR, MILLISECOND, MINUTE, SECOND, format_instant
from sensord.core.people.roster import Person
from sensord.core.record import Record, RecordKind
from sensord.core.rules.rule import Clear
from sensord.core.site import Site, Step, definition_record
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import Occupancy
from sensord.recordings.transform import shift
from tests.core.follower import A_STRAY, NIGHT, A, B, C, Follower, at, tick
from tests.core.street import grouped
from tests.core.traffic import (
    GATES,
    SECRETS,
    START,
    count,
    definition,
    lived,
    passage,
    rule,
    rules,
    sign,
    ticks,
    token,
    told,
    wild,
)

DAY_S = DAY / SECOND


def counted(follower: Follower, second: float, vehicles: int, compound: str = "C1") -> None:
    """Somebody counts at a second since the start."""
    follower.see(tick(second))
    follower.tracker.presence.compounds[compound].count(vehicles, START + round(second * SECOND))


def test_what_was_counted_is_inside_and_sure() -> None:
    """More than we knew of: the number is the guard's, and whoever we know stays known."""
    follower = Follower()
    follower.see(at(0, A), at(60, None), tick(200))
    assert follower.inside() == (2, 1)
    counted(follower, 300, 5)
    assert follower.inside() == (5, 0)
    (left,) = follower.see(at(3600, A, "out"), tick(3610))
    assert left.numbers["stay"] == 1.0
    assert left.numbers["inside"] == 4
    assert follower.inside() == (4, 0)


def test_whoever_leaves_and_was_never_seen_coming_was_counted() -> None:
    """An exit without an entry is one of those that the guard saw and we did not, as long as there are such."""
    follower = Follower()
    counted(follower, 0, 1)
    follower.see(at(60, A, "out"), tick(100))
    assert follower.inside() == (0, 0)
    follower.see(at(200, B, "out"), tick(300))
    assert follower.inside() == (0, 1)


def test_who_is_known_beyond_the_count_has_left_before_it() -> None:
    """Three are known, the guard sees two: who is found gone later lowers nothing, who is seen to go does."""
    follower = Follower(rules=())
    follower.see(at(0, A), at(60, B), at(120, C))
    counted(follower, 300, 2)
    assert follower.inside() == (2, 0)
    follower.see(at(400, B, "out"), tick(420))
    assert follower.inside() == (1, 0)
    follower.see(at(500, A))  # it comes, so it was not there
    assert follower.inside() == (2, 0)
    follower.see(at(600, C, "out"), tick(620))
    assert follower.inside() == (1, 0)


def test_a_count_that_was_too_low_is_found_out() -> None:
    """The guard sees nobody of two that leave afterwards: nobody is missing in the number when others come."""
    follower = Follower()
    follower.see(at(0, A), at(60, B))
    counted(follower, 300, 0)
    follower.see(at(400, A, "out"), at(500, B, "out"), tick(600))
    assert follower.inside() == (0, 0)
    follower.see(at(700, C))
    assert follower.inside() == (1, 0)


def test_an_exit_that_nobody_saw_was_before_the_count_or_after_it() -> None:
    """Whichever part of the visit was longer; before it, the guard has left that vehicle out already."""
    before, after = Follower(), Follower()
    for follower, second in ((before, 5000), (after, 1000)):
        follower.see(at(0, A))
        counted(follower, second, 3)
        follower.see(at(6000, A))
    assert before.inside() == (4, 0)
    assert after.inside() == (3, 1)


@pytest.mark.parametrize(("way", "known"), [("in", 1), ("out", 0)])
def test_what_was_before_the_count_and_comes_later_changes_no_number(way: str, known: int) -> None:
    """A camera's backlog of before: the guard has seen those who came, and not those who left."""
    follower = Follower()
    follower.see(at(0, A if way == "out" else C))
    counted(follower, 600, 2)
    stored = passage("C1-N", START + 700 * SECOND, A, way, stamp=START + 500 * SECOND)
    fresh = passage("C1-N", START + 701 * SECOND, B)
    follower.see(stored, fresh, tick(800))
    assert follower.inside()[0] == 3
    assert (token(A) in follower.tracker.presence.compounds["C1"].visits) == bool(known)


def test_a_passage_that_becomes_legible_after_the_count_was_counted() -> None:
    """Unread before it and read after: one vehicle, and the guard has seen it."""
    follower = Follower()
    follower.see(at(0, None), tick(25))
    counted(follower, 26, 1)
    follower.see(at(27, A), tick(40))
    assert follower.inside()[0] == 2  # beyond ``merge``: another passage
    follower = Follower()
    follower.see(at(0, None), at(15, None), at(30, None))
    counted(follower, 31, 1)
    follower.see(at(32, A), tick(60))
    assert follower.inside() == (1, 0)


def test_a_doubtful_passage_that_settles_after_the_count_was_counted() -> None:
    """It waits for a better reading when the guard has it already."""
    follower = Follower()
    follower.see(at(0, A_STRAY, "in", 0.7))
    counted(follower, 1, 1)
    follower.see(tick(10))
    assert follower.inside() == (1, 0)


def test_the_number_becomes_unsure_again() -> None:
    """With each passage found missing; from the next night on by what is usual, and not by what was lately."""
    follower = Follower()
    here = follower.tracker.presence.compounds["C1"]
    here.lacking = [4, 4, 4, 30]
    here.lack(0)
    assert follower.inside() == (0, 24)
    counted(follower, 0, 3)
    assert follower.inside() == (3, 0)
    follower.see(at(60, A), at(160, A))
    assert follower.inside() == (4, 1)
    follower.see(tick(NIGHT + 1))
    assert follower.inside() == (4, 2)


def test_a_long_visit_of_before_is_not_doubted_until_a_day_after() -> None:
    """Whoever was there when the guard counted is there for sure; after another day of silence we do not know."""
    follower = Follower()
    follower.see(at(0, A))
    counted(follower, NIGHT - HOUR / SECOND, 1)
    follower.see(tick(NIGHT + 1))
    assert follower.inside() == (1, 0)
    follower.see(tick(NIGHT + DAY_S + 1))
    assert follower.inside() == (1, 1)


def test_an_unread_exit_that_nothing_explains_was_somebody_counted() -> None:
    """For as long as visits are believed it may have been anybody."""
    follower = Follower()
    counted(follower, 0, 5)
    follower.see(at(60, None, "out"), tick(100))
    assert follower.inside() == (4, 1)
    follower.see(*(tick(NIGHT + day * DAY_S + 1) for day in range(5)))
    assert follower.inside() == (4, 0)


def test_who_was_counted_and_never_moves_is_remembered_as_long_as_anybody() -> None:
    """Then only those count that were seen coming."""
    follower = Follower()
    counted(follower, 0, 5)
    follower.see(*(tick(NIGHT + day * DAY_S + 1) for day in range(30)))
    assert follower.inside()[0] == 5
    follower.see(tick(NIGHT + 30 * DAY_S + 1))
    assert follower.inside()[0] == 0


def test_a_restart_keeps_the_count() -> None:
    """And that no night has been since."""
    follower = Follower()
    here = follower.tracker.presence.compounds["C1"]
    here.lacking = [9, 9, 9]
    counted(follower, 0, 5)
    follower.restart()
    assert follower.inside() == (5, 0)
    follower.see(at(60, A, "out"), tick(100))
    assert follower.inside() == (4, 0)
    follower.restart()
    follower.see(tick(NIGHT + 1))
    assert follower.inside() == (4, 3)


# -- a whole site ------------------------------------------------------------------------------------------------------


def alive(until: int) -> list[Record]:
    """All cameras' signs of life, every half minute until that minute."""
    return [sign(gate, at) for gate in GATES for at in range(START, START + until * MINUTE, 30 * SECOND)]


PASSED = {"event": ("passed",), "direction": ("in",), "class": ("local",)}
WINDOW = {"window": 10 * MINUTE, "every": MINUTE, "clear": Clear((0.0,), 2 * MINUTE)}
FULL = (
    rule("full", "filled", 75.0, PASSED, by="compound", **WINDOW),
    rule("full-at-once", "filled", 75.0, PASSED, by="compound", clear=Clear((0.0,), 20 * MINUTE)),
    rule("many-in-grid", "inside", 3.0, {}, by="grid", **WINDOW),
    rule("anything", None, 1.0, {}),
)


def stepped(records: Sequence[Record], sizes: Sequence[int] = (1,), **changes: object) -> list[Step]:
    """Step a site with these rules through records."""
    site = Site(None, SECRETS)
    first = definition_record(definition(**{"rules": FULL, **changes}), START - MINUTE)
    ordered = [first, *sorted(records, key=lambda one: one.received_at)]
    return [site.step(group) for group in grouped(ordered, list(sizes))]


@pytest.mark.parametrize("sizes", [(1,), (7, 50), (5000,)])
def test_rules_on_who_is_inside_see_the_count_at_once(sizes: Sequence[int]) -> None:
    """Whatever vehicles their ``where`` asks for; rules on vehicles see nothing of it."""
    steps = stepped([*alive(40), count(START + 10 * MINUTE, 3), count(START + 20 * MINUTE, 2)], sizes)
    changes = [(one.rule, one.key, one.level.word, (one.at - START) / MINUTE) for s in steps for one in s.transitions]
    assert changes == [
        ("full-at-once", "C1", "yellow", 10.0),
        ("full", "C1", "yellow", pytest.approx(11, abs=0.1)),
        ("many-in-grid", "G1", "yellow", pytest.approx(11, abs=0.1)),
        ("full", "C1", "none", pytest.approx(23, abs=0.1)),
        ("many-in-grid", "G1", "none", pytest.approx(23, abs=0.1)),
        ("full-at-once", "C1", "none", 30.0),
    ]


def test_what_came_of_it_is_written_down() -> None:
    """How many there were before, the quarter that is running, and what the guard is told."""
    steps = stepped([passage("C1-N", START, "沪A12345"), *alive(20), count(START + 10 * MINUTE, 4)])
    (step,) = [one for one in steps if one.by_hand]
    assert step.by_hand == [ByHand(START + 10 * MINUTE, "C1", 1, 4)]
    assert Occupancy(START + 15 * MINUTE, "C1", 4, 0) in step.occupancy
    (outcome,) = step.outcomes
    assert (outcome.accepted, outcome.verdict) == (True, "counted")
    assert (outcome.detail, outcome.detail_en) == (
        "已更正：在内 4 辆（此前记为 1 ±0）",
        "corrected: 4 vehicles are inside (it had been 1 ±0)",
    )


@pytest.mark.parametrize(
    ("compound", "vehicles", "verdict", "says"),
    [
        ("C9", 3, "unknown_compound", "C9"),
        ("C1-N", 3, "unknown_compound", "C1-N"),
        ("C1", -1, "count_below_zero", "零"),
        ("C1", 41, "count_too_large", "40"),
        ("C2", 3, "no_camera", "C2"),
    ],
)
def test_a_slip_of_the_pen_is_refused(compound: str, vehicles: int, verdict: str, says: str) -> None:
    """Four spaces: more than forty vehicles are none. What is wrong is said in both languages; nothing changes."""
    some = tuple(device for device in definition().devices if device.place != "C2-N")
    steps = stepped([count(START + MINUTE, vehicles, compound)], devices=some)
    (outcome,) = steps[-1].outcomes
    assert (outcome.accepted, outcome.verdict) == (False, verdict)
    assert says in outcome.detail
    assert outcome.detail != outcome.detail_en
    assert not steps[-1].by_hand


def test_without_site_keys_nobody_counts() -> None:
    """A number that nobody would go on counting from is refused."""
    (outcome,) = stepped([count(START + MINUTE, 3)], plate_keys=())[-1].outcomes
    assert outcome.verdict == "not_followed"


def test_over_mqtt_only_a_role_that_approves_counts() -> None:
    """As with silences: the broker says who it is, and the roster what the role may do."""
    roles = (Role("guard", {"zh": "门卫"}, {}), Role("desk", {"zh": "值班"}, {}, approves=True))
    people = (Person("门卫-1", "guard", "C1", ()), Person("值班-1", "desk", "street", ()))

    def commanded(user: str, **when: object) -> str:
        body = json.dumps({"verb": "count", "vehicles": 3, **when}).encode()
        record = Record(RecordKind.MESSAGE, START + MINUTE, f"t/commands/by/{user}/C1", body)
        (outcome,) = stepped([record], roles=roles, people=people)[-1].outcomes
        assert (outcome.via, outcome.case) == ("mqtt", "C1")
        return outcome.verdict

    now, hour = (START + MINUTE) // MILLISECOND, HOUR // MILLISECOND
    assert [commanded(user, at=now) for user in ("门卫-1", "值班-1")] == ["needs_approver", "counted"]
    assert commanded("值班-1", at=format_instant(START + MINUTE)) == "counted"
    assert commanded("值班-1") == "count_without_time", "it may have waited at the broker"
    assert [commanded("值班-1", at=now + away) for away in (-hour, hour)] == ["count_too_old", "count_to_come"]


@pytest.mark.parametrize(
    ("before", "verdict", "says"),
    [
        (0, "counted", "4"),
        (NOW, "counted", "4"),
        (-NOW, "counted", "4"),
        (NOW + SECOND, "count_too_old", "2m1s"),
        (3 * DAY, "count_too_old", "3d"),
        (-NOW - SECOND, "count_to_come", "2m1s"),
        (START + 10 * MINUTE, "counted", "4"),  # as earlier versions journaled it
    ],
)
def test_a_count_is_of_now(before: int, verdict: str, says: str) -> None:
    """One that waited somewhere, or that is yet to come, changes nothing, and whoever sent it hears why."""
    steps = stepped([count(START + 10 * MINUTE, 4, before=before)])
    (outcome,) = steps[-1].outcomes
    assert (outcome.accepted, outcome.verdict) == (verdict == "counted", verdict)
    assert says in outcome.detail
    assert says in outcome.detail_en
    assert bool(steps[-1].by_hand) == outcome.accepted


def test_a_shifted_count_is_of_its_own_now() -> None:
    """In a recording that is moved in time it counts as it did, however it came."""
    body = json.dumps({"verb": "count", "vehicles": 3, "at": START // MILLISECOND}).encode()
    said = Record(RecordKind.MESSAGE, START, "t/commands/by/值班-1/C1", body)
    roles = (Role("desk", {"zh": "值班"}, {}, approves=True),)
    moved = list(shift([said, count(START + MINUTE, 4)], 7 * DAY))
    steps = stepped(moved, roles=roles, people=(Person("值班-1", "desk", "street", ()),))
    assert [one.verdict for step in steps for one in step.outcomes] == ["counted", "counted"]


def outcome(records: list[Record], sizes: list[int], restart_every: int = 0) -> tuple[object, ...]:
    """All that is written down of a journal."""
    steps = lived(records, sizes, restart_every)
    inside = {(one.at, one.compound): one for step in steps for one in step.occupancy}
    by_hand = [one for step in steps for one in step.by_hand]
    return b"".join(step.decisions() for step in steps), inside, by_hand


@pytest.mark.parametrize(("sizes", "restart"), [([41, 3, 17], 4), ([1000], 0)])
def test_any_cut_and_any_restart(sizes: list[int], restart: int) -> None:
    """Counts in the middle of wild traffic give the same, however the journal is cut."""
    counts = [
        count(START + (7 + 11 * number) * MINUTE, number % 6, "C1" if number % 3 else "C3") for number in range(20)
    ]
    first = definition_record(definition(rules=(*rules(), *FULL)), START - MINUTE)
    records = [*wild(5, 4), *ticks(START + 4 * HOUR), *counts]
    records = [first, *sorted(records, key=lambda one: one.received_at)]
    whole = outcome(records, [1])
    assert outcome(records, sizes, restart) == whole
    assert len(whole[2]) == 20  # type: ignore[arg-type]


def test_a_count_makes_free_spaces_known() -> None:
    """A compound whose gate is seen for an hour only is named as soon as somebody has counted there."""
    fill = [passage("C1-N", START + 30 * MINUTE + second * SECOND, f"沪A1000{second}") for second in range(3)]
    only = tuple(one for one in rules() if one.id == "nearly-full")

    def named(*counts: Record) -> list[tuple[str, int]]:
        site = Site(definition(rules=only), SECRETS)
        records = sorted([*alive(40), *fill, *counts], key=lambda one: one.received_at)
        (raised,) = [one for step in told(records, site) for one in step.transitions if one.rises]
        return [(free.place, free.count) for free in raised.spaces or ()]

    assert named() == []
    assert named(count(START + 10 * MINUTE, 1, "C2")) == [("C2", 3)]

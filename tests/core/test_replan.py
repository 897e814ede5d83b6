"""A definition comes into force while cases are open: steps keep their meaning, new ones come at their own time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.cases.case import Answer, Due
from sensord.core.cases.notification import Hold, Notification
from sensord.core.cases.policy import Mode, Policy, Role, Step
from sensord.core.cases.replan import Replan
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.site import definition_record
from tests.core.desk import Desk
from tests.core.street import START, decided, definition, density_rule, rules, stream_of

Steps = tuple[Step, ...]
PEOPLE = tuple(
    Person(name, role, serves, (Contact("people"),))
    for name, role, serves in (
        ("居委干部-1", "cadre", "G1"),
        ("居委干部-2", "cadre", "G2"),
        ("派出所-1", "police", "street"),
        ("值班员-1", "officer", "street"),
        ("街区-1", "block", "B1"),
    )
)
CADRES = Step(("cadre",))
STAND_IN = Step(("cadre",), after=3 * MINUTE, until=Answer.ACKNOWLEDGED, mode=Mode.REPLACEMENT)
OFFICER = Step(("officer",), after=5 * MINUTE, until=Answer.ACKNOWLEDGED)
POLICE = Step(("police",), Level.ORANGE, after=10 * MINUTE)
REMINDER = Step(("officer",), after=20 * MINUTE, every=10 * MINUTE, until=Answer.DISPERSED)
BLOCK = Step(("block",), after=8 * MINUTE)
PLAN = (CADRES, STAND_IN, OFFICER, POLICE, REMINDER)


def whole(steps: Steps = PLAN, name: str = "crowd", rule: str | None = None) -> Definition:
    """A street with one plan, which the rule on density names (or another)."""
    roles = tuple(Role(role, {"zh": role}, {}) for role in ("cadre", "police", "officer", "block"))
    return definition(
        policies=(Policy(name, {"zh": "聚集"}, steps),),
        people=PEOPLE,
        roles=roles,
        rules=(density_rule(dispatch=name if rule is None else rule),),
    )


def play(*edits: tuple[int, Definition], level: Level = Level.ORANGE, answer: str = "") -> list[tuple[int, str, str]]:
    """When (s) who is told and why within an hour; each edit comes into force at its second, over a restart."""
    desk = Desk(whole())
    stories = [desk.alert(0, level)]
    if answer:
        stories.append(desk.act(30, answer))
    for second, other in edits:
        stories.append(desk.redefine(second, other))
        desk.restart()
    stories.append(desk.wait(HOUR // SECOND))
    told = [note for story in stories for note in story.decisions.notifications if note.case.startswith("G1-L1")]
    return [((note.at - START) // SECOND, note.receiver, note.reason.value) for note in told]


WITHOUT = play()


def test_the_plan_of_these_tests() -> None:
    """What is told when nobody edits anything."""
    assert [
        (0, "居委干部-1", "case_opened"),
        (180, "居委干部-2", "replacement"),
        (300, "值班员-1", "not_acknowledged"),
        (600, "派出所-1", "step_due"),
        *((60 * minute, "值班员-1", "not_dispersed") for minute in (20, 30, 40, 50, 60)),
    ] == WITHOUT


@pytest.mark.parametrize(
    "edit",
    [
        lambda steps: (Step(("block",), Level.RED), *steps),
        lambda steps: steps[1:],
        lambda steps: tuple(reversed(steps)),
        lambda steps: (*steps, Step(("block",), Level.RED, MINUTE)),
        lambda steps: (steps[0], Step(("block",), Level.RED), *steps[1:]),
    ],
)
@pytest.mark.parametrize("second", [60, 301, 1500])
def test_steps_keep_their_instants_whatever_their_numbers(edit: Callable[[Steps], Steps], second: int) -> None:
    """A step put in front, one that has spoken taken away, another order: the others come when they would have come."""
    assert play((second, whole(edit(PLAN)))) == WITHOUT


@given(st.lists(st.permutations(PLAN), min_size=1, max_size=4), st.integers(1, 900))
@settings(max_examples=30)
def test_any_order_and_its_return_change_nothing(orders: list[list[Step]], every: int) -> None:
    """However often the steps are put into another order."""
    edits = [(every * number, whole(tuple(order))) for number, order in enumerate(orders, 1)]
    assert play(*edits) == WITHOUT


def test_a_step_that_is_taken_away_does_not_speak() -> None:
    """And no other speaks in its place."""
    rest = tuple(step for step in PLAN if step is not OFFICER)
    assert play((60, whole(rest))) == [one for one in WITHOUT if one[0] != 300]


@pytest.mark.parametrize(
    ("step", "second", "level", "when"),
    [
        (BLOCK, 60, Level.YELLOW, [480]),
        (BLOCK, 479, Level.YELLOW, [480]),
        (BLOCK, 480, Level.YELLOW, [480]),
        (BLOCK, 1000, Level.YELLOW, [1000]),
        (msgspec.structs.replace(BLOCK, every=15 * MINUTE), 1000, Level.YELLOW, [1000, 1900, 2800]),
        (msgspec.structs.replace(BLOCK, after=0), 1000, Level.YELLOW, [1000]),
        (msgspec.structs.replace(BLOCK, at_least=Level.ORANGE), 60, Level.YELLOW, []),
        (msgspec.structs.replace(BLOCK, at_least=Level.ORANGE), 60, Level.ORANGE, [480]),
        (BLOCK, 60, Level.RED, [60]),
    ],
)
def test_a_new_step_comes_at_its_own_time_after_the_begin(
    step: Step, second: int, level: Level, when: list[int]
) -> None:
    """At once when that has passed, or when at this level everybody is told at once; not below its level."""
    for steps in ((step, *PLAN), (*PLAN, step)):
        told = play((second, whole(steps)), level=level)
        assert [at for at, receiver, _ in told if receiver == "街区-1"] == when


def test_a_new_step_for_which_people_have_come_too_far_is_passed_over() -> None:
    """Somebody has acknowledged: it speaks only when a report on which it waits turns out to be wrong."""
    step = msgspec.structs.replace(BLOCK, until=Answer.ACKNOWLEDGED)
    told = play((1000, whole((step, *PLAN))), answer="acknowledge")
    assert "街区-1" not in [receiver for _, receiver, _ in told]


@pytest.mark.parametrize(("level", "second"), [(Level.ORANGE, 1200 + 1440), (Level.YELLOW, 1440)])
def test_its_time_counts_from_when_the_case_came_to_its_level(level: Level, second: int) -> None:
    """Yellow at first, orange after twenty minutes: a step for orange counts from there, one for yellow does not."""
    desk = Desk(whole())
    desk.alert(0, Level.YELLOW)
    desk.alert(1200, Level.ORANGE)
    desk.restart()
    step = msgspec.structs.replace(BLOCK, at_least=level, after=24 * MINUTE)
    desk.redefine(1300, whole((step, *PLAN)))
    told = desk.wait(HOUR // SECOND).decisions.notifications
    assert [note.at - START for note in told if note.role == "block"] == [second * SECOND]


def test_a_fallen_level_brings_no_new_step_at_once() -> None:
    """It was orange once; what is for orange comes when it is orange again."""
    desk = Desk(whole())
    desk.alert(0, Level.ORANGE)
    desk.alert(60, Level.YELLOW)
    step = msgspec.structs.replace(BLOCK, at_least=Level.ORANGE)
    story = desk.redefine(1000, whole((step, *PLAN)))
    assert "block" not in {one.role for one in story.told if isinstance(one, Notification | Hold)}
    desk.alert(1100, Level.ORANGE)
    told = desk.wait(2000).decisions.notifications
    assert [note.at - START for note in told if note.role == "block"] == [1580 * SECOND]


@pytest.mark.parametrize(
    ("second", "changes", "when"),
    [
        (60, {"after": 2 * MINUTE}, [2, 12, 22, 32, 42, 52]),
        (60, {"after": 25 * MINUTE}, [25, 35, 45, 55]),
        (600, {"after": 2 * MINUTE}, [10, 20, 30, 40, 50, 60]),
        (1500, {"every": 15 * MINUTE}, [20, 35, 50]),
        (1500, {"every": 0}, [20]),
        (1500, {"after": 5 * MINUTE}, [20, 35 - 10 + 10, 45, 55]),
    ],
)
def test_a_step_with_other_times_speaks_by_these(second: int, changes: dict[str, int], when: list[int]) -> None:
    """And not at once when it has spoken already: its reminders go on by the new times."""
    other = msgspec.structs.replace(REMINDER, **changes)
    told = play((second, whole((*PLAN[:-1], other))))
    assert [at / 60 for at, _, reason in told if reason == "not_dispersed"] == when


def test_a_step_without_delay_that_gets_reminders_is_not_told_anew() -> None:
    """The cadres have heard at the begin."""
    told = play((600, whole((msgspec.structs.replace(CADRES, every=25 * MINUTE), *PLAN[1:]))))
    assert [at for at, receiver, _ in told if receiver == "居委干部-1"] == [0, 1500, 3000]


def test_steps_that_were_passed_over_are_found_again() -> None:
    """A report held them back, and is denied after the plan was edited: they are due under their new numbers."""
    desk = Desk(whole())
    desk.alert(0, Level.ORANGE)
    desk.act(295, "dispersed")
    desk.wait(310)
    assert desk.case.passed_over == [2]
    desk.redefine(320, whole((Step(("block",), Level.RED), *PLAN)))
    desk.restart()
    assert desk.case.passed_over == [3]
    denied = desk.wait(600).decisions.notifications
    assert ("值班员-1", "not_acknowledged") in [(note.receiver, note.reason.value) for note in denied]


@pytest.mark.parametrize("second", [60, 1500])
def test_a_plan_with_another_name_goes_on(second: int) -> None:
    """The case goes on by the plan that its rule names now, step by step."""
    assert play((second, whole(name="crowd-2"))) == WITHOUT


def test_a_plan_that_is_gone_is_replaced_by_the_one_that_the_rule_names() -> None:
    """Whom that one names hear at once, what both have keeps its time."""
    told = play((60, whole((msgspec.structs.replace(BLOCK, after=0), OFFICER), name="other")))
    assert told == [WITHOUT[0], (60, "街区-1", "step_due"), WITHOUT[2]]


def test_a_plan_that_is_gone_with_its_rule_leaves_an_empty_one() -> None:
    """Nobody else is asked; the case can still be ended."""
    desk = Desk(whole())
    desk.alert(0, Level.ORANGE)
    desk.redefine(60, whole(name="other", rule="nothing"))
    assert (desk.case.policy, [due for _, due, _ in desk.case.pending]) == ("crowd", [])


def test_an_accepted_case_has_no_steps_yet() -> None:
    """It waits to be filed: only then do its steps begin."""
    waiting = Policy("crowd", {"zh": "聚集"}, PLAN, wait=2 * MINUTE)
    first = msgspec.structs.replace(whole(), policies=(waiting,))
    desk = Desk(first)
    desk.alert(0, Level.YELLOW)
    assert Replan(first, whole((BLOCK, *PLAN), name="other"), START + MINUTE).put(desk.case)
    assert (desk.case.policy, [due for _, due, _ in desk.case.pending]) == ("other", [Due.FILE])


def test_what_an_earlier_version_stored_counts_from_when_the_case_was_opened() -> None:
    """It did not write down when a case came to its levels."""
    desk = Desk(whole())
    desk.alert(0, Level.YELLOW)
    desk.case.reached = {}
    desk.restart()
    desk.redefine(60, whole((BLOCK, *PLAN)))
    told = desk.wait(1000).decisions.notifications
    assert [note.at - START for note in told if note.role == "block"] == [8 * MINUTE]


@pytest.mark.parametrize("restart", [False, True])
def test_two_plans_become_one_and_the_oldest_case_takes_what_comes(restart: bool) -> None:
    """Also when a later one of them ends in between, restarted or not."""
    two = (density_rule(dispatch="crowd"), density_rule(id="noise", dispatch="other"))
    plans = tuple(Policy(name, {"zh": name}, PLAN) for name in ("crowd", "other"))
    desk = Desk(msgspec.structs.replace(whole(), rules=(*two, density_rule(id="third")), policies=plans))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.YELLOW, "noise")
    first, second = desk.book.open.values()
    merged = tuple(msgspec.structs.replace(one, dispatch="other") for one in (*two, density_rule(id="third")))
    desk.redefine(60, msgspec.structs.replace(whole(), rules=merged, policies=plans[1:]))
    assert [case.policy for case in desk.book.open.values()] == ["other", "other"]
    desk.alert(70, Level.NONE, "noise")
    assert list(desk.book.open) == [first.id] != [second.id]
    if restart:
        desk.restart()
    desk.alert(80, Level.YELLOW, "third")
    assert set(desk.case.alerts) == {"density:G1-L1", "third:G1-L1"}


def edited(number: int) -> Definition:
    """The street with other steps each time, and in the end another name for its plan."""
    crowd, *others = definition().policies
    late = Step(("police",), Level.BLUE, (20 + 15 * number) * SECOND, every=25 * SECOND)
    steps = (late, *crowd.steps[number % 2 :], Step(("cadre",), Level.YELLOW, 30 * SECOND))
    name = "crowd" if number < 3 else "gathering"
    plans = (msgspec.structs.replace(crowd, id=name, steps=steps), *others)
    named = (msgspec.structs.replace(one, dispatch=name) if one.dispatch == "crowd" else one for one in rules())
    return definition(policies=plans, rules=tuple(named))


@pytest.fixture(scope="module")
def one_by_one() -> bytes:
    """The reference: one record a group."""
    return outcome([1], 0)


@pytest.mark.parametrize(("sizes", "restart_every"), [([7], 0), ([500], 1), ([3, 90, 1, 40], 3), ([20_000], 0)])
def test_edited_plans_decide_the_same_in_every_replay(one_by_one: bytes, sizes: list[int], restart_every: int) -> None:
    """Whatever the sizes of groups, and over snapshots."""
    assert b'"gathering"' in one_by_one
    assert outcome(sizes, restart_every) == one_by_one


def outcome(sizes: list[int], restart_every: int) -> bytes:
    """Everything decided on a wild stretch while its plans are edited."""
    edits = [definition_record(edited(number), START + (40 + 70 * number) * SECOND) for number in range(5)]
    records = sorted([*stream_of(1), *edits], key=lambda record: record.received_at)
    return decided(records, sizes, restart_every)

"""From alerts to people: cases, their state machine, and who is told what, when and why."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.commands.sights import HAPPENING
from sensord.core.alert import Change, change_of
from sensord.core.cases.case import ENDED, TABLE, Happening, State
from sensord.core.cases.casebook import Story
from sensord.core.cases.drawing import draw
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import SECOND
from sensord.core.level import Level
from tests.core.desk import Desk, told
from tests.core.street import START, definition


def test_the_people_of_the_responsible_grid_are_told() -> None:
    """Yellow: volunteers of the micro-grid and cadres of the grid; nobody of the other grid, not the police."""
    assert told(Desk().alert(0, Level.YELLOW)) == [
        ("志愿者-1", "people", "case_opened"),
        ("居委干部-1", "people", "case_opened"),
        ("居委干部-1", "mqtt", "case_opened"),
    ]


def test_red_tells_the_police_too_and_the_others_again() -> None:
    """When the level rises, those told before hear of it, and the step for red speaks."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    assert told(desk.alert(10, Level.RED)) == [
        ("志愿者-1", "people", "level_rose"),
        ("居委干部-1", "people", "level_rose"),
        ("居委干部-1", "mqtt", "level_rose"),
        ("派出所-1", "people", "level_rose"),
    ]


def test_an_unanswered_case_escalates_and_an_acknowledged_one_does_not() -> None:
    """After forty seconds the police hear of a case that nobody acknowledged; else the hold says why not."""
    ignored = Desk()
    ignored.alert(0, Level.YELLOW)
    assert told(ignored.wait(39)) == []
    assert told(ignored.wait(41)) == [("派出所-1", "people", "not_acknowledged")]
    answered = Desk()
    answered.alert(0, Level.YELLOW)
    answered.act(20, "acknowledge")
    story = answered.wait(41)
    assert told(story) == []
    assert [hold.reason for hold in story.decisions.holds] == [Reason.HELD_ACKNOWLEDGED]


def test_alerts_of_one_place_and_policy_are_one_case() -> None:
    """Two rules at one lane: one case, at the worst level; it closes when the last alert has cleared."""
    desk = Desk()
    desk.alert(0, Level.BLUE)
    desk.alert(5, Level.RED, rule="crowd-mean")
    assert [(case.level, len(case.alerts)) for case in desk.book.open.values()] == [(Level.RED, 2)]
    fallen = desk.alert(10, Level.NONE, rule="crowd-mean")
    assert [event.happening for event in fallen.events] == [Happening.LEVEL_FELL]
    assert told(fallen) == []
    closed = desk.alert(20, Level.NONE)
    assert [event.happening for event in closed.events] == [Happening.ALL_CLEAR, Happening.CLOSE]
    assert not desk.book.open


def test_everybody_who_was_told_hears_the_end() -> None:
    """The all clear goes to everyone told so far, the police included."""
    desk = Desk()
    desk.alert(0, Level.RED)
    assert {receiver for receiver, _, _ in told(desk.alert(60, Level.NONE))} == {"志愿者-1", "居委干部-1", "派出所-1"}


def test_two_places_are_two_cases() -> None:
    """A crowd in each of two grids: two cases, two sets of people."""
    desk = Desk()
    first, second = desk.alert(0, Level.BLUE), desk.alert(0, Level.BLUE, place="G2-L1")
    assert len(desk.book.open) == 2
    assert {one for one, _, _ in told(first)}.isdisjoint({one for one, _, _ in told(second)})


def test_nobody_closes_a_case_while_the_sensors_alarm() -> None:
    """The close is refused and says why; the case stays."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (outcome,) = desk.act(10, "close").outcomes
    assert not outcome.accepted
    assert (outcome.verdict, "仍报黄色" in outcome.detail) == ("still_alarming", True)
    assert desk.book.open


def test_after_report_waits_for_a_person() -> None:
    """With that policy the case stays clear until somebody reports; a new alert reopens it and tells them again."""
    desk = Desk()
    desk.alert(0, Level.BLUE, rule="visitors", place="C1-N")
    desk.alert(10, Level.NONE, rule="visitors", place="C1-N")
    assert [case.state for case in desk.book.open.values()] == [State.VERIFYING]
    again = desk.alert(20, Level.BLUE, rule="visitors", place="C1-N")
    assert {reason for _, _, reason in told(again)} == {"case_relapsed"}
    desk.alert(30, Level.NONE, rule="visitors", place="C1-N")
    assert not desk.act(39, "close", via="mqtt").outcomes[0].accepted, "a cadre reports, and closes nothing"
    assert desk.act(40, "close", via="api:console").outcomes[0].accepted
    assert not desk.book.open


def test_actions_on_unknown_cases_and_verbs_are_refused() -> None:
    """Both are answered, neither raises."""
    desk = Desk()
    desk.alert(0, Level.BLUE)
    assert not desk.act(1, "close", case="nothing").outcomes[0].accepted
    assert not desk.act(2, "dance").outcomes[0].accepted


def test_a_role_that_nobody_holds_is_a_hold_with_its_reason() -> None:
    """The plan for devices tells ``nobody``: the hole is visible."""
    story = Desk().alert(0, Level.BLUE, rule="silent")
    assert [(hold.role, hold.reason) for hold in story.decisions.holds] == [("nobody", Reason.HELD_NOBODY)]


def test_a_fallen_level_holds_later_steps() -> None:
    """A delayed step for red does not speak when the case has fallen to blue by then."""
    steps = (Step(("cadre",), Level.BLUE), Step(("police",), Level.RED, 60 * SECOND))
    desk = Desk(definition(policies=(Policy("crowd", {}, steps),)))
    desk.alert(0, Level.RED)
    desk.alert(30, Level.BLUE)
    story = desk.wait(61)
    assert told(story) == []
    assert [hold.reason for hold in story.decisions.holds] == [Reason.HELD_LEVEL_FELL]


@pytest.mark.parametrize(
    ("receiver", "words"),
    [("志愿者-1", ("黄色预警", "1弄", "2.5", "请到场")), ("志愿者-2", ("yellow", "Lane 1", "2.5", "Please go"))],
)
def test_texts_say_what_where_how_bad_and_what_to_do(receiver: str, words: tuple[str, ...]) -> None:
    """In the receiver's own language."""
    place = "G1-L1" if receiver == "志愿者-1" else "G2-L1"
    story = Desk().alert(0, Level.YELLOW, place=place)
    (one,) = [note for note in story.decisions.notifications if note.receiver == receiver]
    for word in words:
        assert word in f"{one.title} {one.text}"


def test_the_table_says_for_each_stage_what_follows_from_each_happening() -> None:
    """Or that nothing does: a pair that nobody has thought of is found here, and not in a street at night."""
    assert set(TABLE) == set(product(State, Happening))
    assert {what for (state, what), follows in TABLE.items() if state in ENDED and follows} == {Happening.LATE_ANSWER}


@pytest.mark.usefixtures("in_service")
@pytest.mark.parametrize("happening", Happening)
@pytest.mark.parametrize("state", State)
def test_what_cannot_come_is_a_failure_and_stops_nobody(state: State, happening: Happening) -> None:
    """The case stays at its stage, the event is in its story; whoever goes on from there tells people as ever."""
    one, story = Desk(), Story()
    one.alert(0, Level.YELLOW)
    case = one.case
    case.state = state
    event = one.book._flow.happen(case, happening, START, "somebody", story)
    follows = TABLE[state, happening]
    assert event.state is case.state is (state if follows is None else follows)
    assert [failure.what for failure in story.failures] == ([case.id] if follows is None else [])


@pytest.mark.parametrize(
    ("language", "words", "comma"),
    [("en", {}, ", "), ("zh", {happening: said for happening, (said, _) in HAPPENING.items()}, "、")],
)
def test_the_diagram_is_drawn_from_the_table(language: str, words: dict[str, str], comma: str) -> None:
    """Every edge of the table that leads elsewhere is in the diagram, and no other; in Chinese with Chinese words."""
    drawn = set()
    for line in draw(language, words).splitlines():
        ends, colon, said = line.strip().partition(": ")
        if colon and not ends.startswith("[*]"):
            drawn |= {(*ends.split(" --> "), word) for word in said.split(comma)}
    called = {happening: words.get(happening.value, happening.value) for happening in Happening}
    edges = {(one.value, to.value, called[what]) for (one, what), to in TABLE.items() if to not in (one, None)}
    assert drawn == edges
    assert set(words) in (set(), {happening.value for happening in Happening})


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("density", "crowd-mean", "visitors", "silent")),
        st.sampled_from(("G1-L1", "G2-L2", "C1-N")),
        st.sampled_from(Level),
        st.sampled_from(("alert", "alert", "alert", "acknowledge", "close")),
        st.integers(0, 60),
    ),
    max_size=40,
)


@given(_STEPS)
@settings(max_examples=200)
def test_any_interleaving_keeps_the_promises(steps: list[tuple[str, str, Level, str, int]]) -> None:
    """No case without alerts but clear ones, none closed while alarming, no key twice, and every case ends."""
    desk, now, keys = Desk(), 0, list[str]()

    def note(story: Story) -> None:
        keys.extend(one.key for one in story.decisions.notifications)
        for event in story.events:
            if event.happening is Happening.CLOSE:
                assert event.level is Level.NONE

    for rule, place, level, what, seconds in steps:
        now += seconds
        if what != "alert":
            note(desk.act(now, what))
        else:
            note(desk.alert(now, level, rule, place))
        for case in desk.book.open.values():
            assert bool(case.alerts) == (case.cleared_at == 0)
            assert case.level == max(case.alerts.values(), default=Level.NONE)
    for rule, place in list(desk.levels):
        note(desk.alert(now + 1, Level.NONE, rule, place))
    while desk.book.open:
        note(desk.act(now + 2, "close"))
    assert len(keys) == len(set(keys))


def test_change_names_every_step() -> None:
    """From and to every pair of levels."""
    for before in Level:
        for after in Level:
            if before != after:
                expected = (
                    Change.RAISED
                    if not before
                    else Change.CLEARED
                    if not after
                    else Change.ESCALATED
                    if after > before
                    else Change.LOWERED
                )
                assert change_of(before, after) is expected

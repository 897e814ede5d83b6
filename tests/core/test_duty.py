"""Who is on duty when: shifts over midnight, turns, swaps, leave, holidays; and the holes that they leave."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.cases.figures import Silent, silent
from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import DAY, HOUR, MINUTE, from_datetime, parse_instant
from sensord.core.level import Level
from sensord.core.people.coverage import cover
from sensord.core.people.duty import Change, ChangeReason, Duty, DutyTable, Holiday, Rotation, Shift
from sensord.core.people.roster import Contact, Person, Roster
from sensord.core.place import PlaceKind, Places
from tests.core.desk import Desk, told
from tests.core.street import START, definition, devices, places

ZONE = "Asia/Shanghai"
DAYTIME, NIGHT = Shift("day", 480, 1200), Shift("night", 1200, 480)
WORKDAYS = Shift("office", 540, 1020, ("workday",))


def at(text: str) -> int:
    """A local time as an instant."""
    return parse_instant(text, ZONE)


def ordinal(text: str) -> int:
    """A local date as a number."""
    return date.fromisoformat(text).toordinal()


PLAN = Duty(
    shifts=(DAYTIME, NIGHT, WORKDAYS),
    rotations=(Rotation("nights", "night", ("甲", "乙"), ordinal("2025-12-29"), 2),),
    changes=(
        Change(at("2026-01-07 08:00"), at("2026-01-07 20:00"), ChangeReason.SWAP, "丙", "丁"),
        Change(at("2026-01-08 09:00"), at("2026-01-08 10:00"), ChangeReason.LEAVE, "丙"),
        Change(at("2026-01-10 02:00"), at("2026-01-10 03:00"), ChangeReason.EXTRA, "", "丙"),
    ),
    holidays=(Holiday(ordinal("2026-01-01"), "元旦"), Holiday(ordinal("2026-01-04"), "元旦调休", True)),
)
TABLE = DutyTable(PLAN, {"丙": ("day",), "丁": ("night",), "戊": ("office",), "己": ()}, ZONE)


@pytest.mark.parametrize(
    ("person", "when", "shift"),
    [
        ("己", "2026-01-05 03:00", ""),  # without shifts: always
        ("丙", "2026-01-05 07:59", None),
        ("丙", "2026-01-05 08:00", "day"),
        ("丙", "2026-01-05 19:59", "day"),
        ("丙", "2026-01-05 20:00", None),
        ("丁", "2026-01-05 23:59", "night"),
        ("丁", "2026-01-06 07:59", "night"),  # over midnight
        ("丁", "2026-01-06 08:00", None),
        ("甲", "2025-12-29 21:00", "night"),  # two nights each, by the day on which the night begins
        ("甲", "2025-12-31 03:00", "night"),
        ("甲", "2025-12-31 21:00", None),
        ("乙", "2025-12-31 21:00", "night"),
        ("乙", "2026-01-02 03:00", "night"),
        ("甲", "2026-01-02 21:00", "night"),
        ("甲", "2025-12-28 21:00", None),
        ("丙", "2026-01-07 12:00", None),  # swapped away
        ("丁", "2026-01-07 12:00", ""),
        ("丙", "2026-01-08 09:30", None),  # on leave for an hour
        ("丙", "2026-01-08 10:00", "day"),
        ("丙", "2026-01-10 02:30", ""),  # extra duty
        ("戊", "2026-01-01 10:00", None),  # a Thursday, but a holiday
        ("戊", "2026-01-04 10:00", "office"),  # a Sunday, but worked
        ("戊", "2026-01-05 10:00", "office"),
        ("戊", "2026-01-10 10:00", None),  # a Saturday
    ],
)
def test_who_is_on_duty(person: str, when: str, shift: str | None) -> None:
    """Each rule of the plan, at its edges."""
    assert TABLE.shift_at(person, at(when)) == shift


@given(st.integers(0, 10 * 24 * 60), st.sampled_from("甲乙丙丁戊己"))
@settings(max_examples=300)
def test_duty_changes_only_at_boundaries(minute: int, person: str) -> None:
    """Between two boundaries nobody's duty changes: that is what lets the check look at every minute."""
    start = at("2025-12-29")
    edges = TABLE.boundaries(start, start + 11 * DAY)
    instant = start + minute * MINUTE
    last = max(edge for edge in edges if edge <= instant)
    assert TABLE.on_duty(person, instant) == TABLE.on_duty(person, last)


def test_what_lies_beyond_a_century_is_not_waited_for() -> None:
    """A definition of earlier times may hold leave until the year 9999, an instant that no state can hold."""
    gone = Change(at("2026-01-02"), from_datetime(datetime(9999, 12, 31, tzinfo=UTC)), ChangeReason.LEAVE, "己")
    table = DutyTable(Duty(changes=(gone,)), {"己": ()}, ZONE)
    assert table.next_boundary(at("2026-01-01")) == at("2026-01-02")
    assert table.next_boundary(at("2026-01-03")) is None
    assert not table.on_duty("己", at("2036-01-01"))


def _roster(*people: Person, duty: Duty = PLAN) -> tuple[Roster, Places]:
    where = Places(places(), devices())
    return Roster(people, where, duty, ZONE), where


def test_coverage_finds_every_hole_and_says_who_fell_back() -> None:
    """The grid's cadre works by day, the street's by night but for one leave: the hole is that leave, at both ends."""
    duty = Duty(
        (DAYTIME, NIGHT), (), (Change(at("2026-01-05 22:00"), at("2026-01-05 23:00"), ChangeReason.LEAVE, "夜"),)
    )
    roster, where = _roster(
        Person("日1", "cadre", "G1", (Contact("c"),), shifts=("day",)),
        Person("夜", "cadre", "street", (Contact("c"),), shifts=("night",)),
        Person("日2", "police", "street", (Contact("c"),), shifts=("day",)),
        duty=duty,
    )
    found = cover(roster, where, {"crowd": ("cadre", "police")}, at("2026-01-05"), at("2026-01-06"))
    holes = [(hole.place, hole.start, hole.end) for hole in found.holes]
    assert holes == [(place, at("2026-01-05 22:00"), at("2026-01-05 23:00")) for place in ("G1-1", "G2-1")]
    assert found.fallback == {PlaceKind.GRID: 12 * HOUR, PlaceKind.STREET: 11 * HOUR + 12 * HOUR + 11 * HOUR}
    both = {"crowd": ("police",), "parking": ("cadre", "police")}
    split = cover(roster, where, both, at("2026-01-05"), at("2026-01-06")).holes
    assert [hole.plan for hole in split].count("crowd") == 4, "who only parks cars is nobody for a crowd"
    assert [hole.plan for hole in split].count("parking") == 2


def test_those_off_duty_hear_nothing_and_the_next_circle_does() -> None:
    """At night the cadre of the grid is off: the neighbour of the street answers, owns the case, and hears its end."""
    people = (
        Person("日", "cadre", "G1", (Contact("people"),), shifts=("day",)),
        Person("夜", "cadre", "street", (Contact("people"),), shifts=("night",)),
    )
    desk = Desk(definition(people=people, duty=Duty((DAYTIME, NIGHT))))
    night = (at("2023-11-15 21:00") - START) // 10**9
    assert told(desk.alert(night, Level.BLUE)) == [("夜", "people", "case_opened")]
    assert (desk.case.owner, list(desk.case.told["夜"].asked)) == ("夜", ["night"])
    day = (at("2023-11-16 09:00") - START) // 10**9
    assert told(desk.wait(day)) == [("日", "people", "hand_over")]
    ends = told(desk.alert(day, Level.NONE))
    assert sorted(ends) == [("夜", "people", "case_closed"), ("日", "people", "case_closed")], "one is off duty by now"


def test_a_case_waits_for_whoever_comes_on_duty() -> None:
    """Nobody is on duty: the case has an owner who is accountable, and is told when the next shift begins."""
    people = (Person("日", "cadre", "G1", (Contact("people"),), shifts=("day",)),)
    desk = Desk(definition(people=people, duty=Duty((DAYTIME,))))
    evening, morning = ((at(f"2023-11-{when}") - START) // 10**9 for when in ("15 21:00", "16 08:00"))
    story = desk.alert(evening, Level.BLUE)
    assert told(story) == []
    assert {hold.reason.value for hold in story.decisions.holds} == {"held_nobody"}
    assert (desk.case.state.value, desk.case.owner) == ("filed", "日")
    assert told(desk.wait(morning - 1)) == []
    assert told(desk.wait(morning)) == [("日", "people", "case_opened")]
    assert desk.case.state.value == "dispatched"


def test_the_ledger_says_in_which_shift_somebody_was_silent() -> None:
    """Answered at night, asked anew by day when the alarm came back, and silent: that is the day shift's."""
    people = (Person("甲", "cadre", "G1", (Contact("people"),), shifts=("day", "night")),)
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), close="after_report")
    desk = Desk(definition(people=people, policies=(plan,), duty=Duty((DAYTIME, NIGHT))))
    desk.alert(0, Level.BLUE)
    desk.act(60, "acknowledge", by="甲")
    desk.alert(120, Level.NONE)
    day = (at("2023-11-15 09:00") - START) // 10**9
    desk.alert(day, Level.BLUE)
    assert desk.case.told["甲"].asked == {"night": 1, "day": 1}
    assert silent([desk.case]) == [Silent("甲", "cadre", "G1", "day", 1, 1)]
    assert silent([desk.case], shift="night") == []
    desk.act(day + 60, "on_the_way", by="甲")
    assert silent([desk.case]) == []

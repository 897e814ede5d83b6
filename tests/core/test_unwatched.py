"""Where a rule's hours end while its alert stands, nobody knows whether it is over: that is told, and is no calm."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.alert import Change
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Places
from sensord.core.record import Scope
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Clear, LevelSpec, Logic, Rule
from sensord.core.schedule import Active
from sensord.core.site import Site
from sensord.core.stream import Stream
from tests.core.desk import Desk, told
from tests.core.failing import DENSITY, Following, both
from tests.core.street import START, definition, density_rule, devices, places
from tests.core.test_windows import crowd

BEGINNING = to_datetime(START, "Asia/Shanghai")
OVER = 100
"""In seconds after START: the hours of the rules end."""
HOURS = (Active(stop=((BEGINNING.hour * 60 + BEGINNING.minute) * 60 + BEGINNING.second + OVER) * SECOND),)
WINDOW = density_rule(
    levels=(LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 9.0)),
    clear=Clear((0.0, 0.0), 30 * SECOND),
    window=10 * SECOND,
    every=10 * SECOND,
    active=HOURS,
)


def changes(rule: Rule, *stretches: tuple[int, int, float]) -> list[tuple[str, int]]:
    """How an alert changes, and when, with readings every five seconds from, to, and how dense."""
    engine = Engine(definition(rules=(rule,)), Places(places(), devices()))
    said = []
    for start, stop, density in stretches:
        for second in range(start, stop, 5):
            said += engine.feed(crowd([(float(second), float(second), density)], second))
    said += engine.feed(crowd([], 400))
    first = [one for one in said if one.key in ("G1-L1", "crowd-0")]
    return [(one.change.value, (one.end - START) // SECOND) for one in first]


@pytest.mark.parametrize(
    ("stretches", "end"),
    [
        ([(1, 200, 5.0)], "unwatched"),
        ([(1, 70, 5.0), (71, 200, 0.1)], "cleared"),
        ([(1, 70, 5.0), (71, 100, 0.1), (101, 200, 5.0)], "unwatched"),
        ([(1, 110, 5.0), (111, 200, 0.1)], "unwatched"),
        ([(1, 60, 5.0)], "unwatched"),
    ],
    ids=["it goes on", "it had begun to clear", "it comes back", "it falls when nobody looks", "it went blind before"],
)
def test_an_alert_ends_as_calm_only_by_what_is_known(stretches: list[tuple[int, int, float]], end: str) -> None:
    """The instant is the same: its time to clear after the hours, or after it began to be calm."""
    (raised, _), (change, at) = changes(WINDOW, *stretches)
    assert (raised, change) == ("raised", end)
    assert OVER < at <= OVER + 40


def test_a_gauge_without_a_window_is_not_known_to_be_calm_either() -> None:
    """Readings outside the hours are looked at by nobody, so that none of them kept it up."""
    rule = density_rule(
        levels=(LevelSpec(Level.YELLOW, 1.0),), clear=Clear((0.0,), 30 * SECOND), window=0, every=0, active=HOURS
    )
    assert [change for change, _ in changes(rule, (1, 200, 5.0))] == ["raised", "unwatched"]


def test_a_device_that_is_silent_as_the_hours_end_is_silent_still() -> None:
    """Its alert ends, and nobody says that it speaks again."""
    rule = Rule(
        "silent", {"zh": "失联"}, Stream.CROWD, "device", "crowd", (LevelSpec(Level.BLUE, 1.0),), Clear((0.0,), 0),
        absent=3.0, active=HOURS,
    )  # fmt: skip
    assert [change for change, _ in changes(rule, (1, 20, 1.0))] == ["raised", "unwatched"]


PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("值班员-1", "officer", "street", (Contact("people"),)),
)
ROLES = (Role("cadre", {"zh": "干部"}, {}), Role("officer", {"zh": "值班员"}, {}, approves=True))


def desk(close: str = "when_clear") -> Desk:
    """A case of which the cadre was told."""
    plan = Policy(
        "crowd", {"zh": "聚集"}, (Step(("cadre",)),), close, agree_for=MINUTE, unreported_after=2 * HOUR,
        supervisors=("officer",),
    )  # fmt: skip
    made = Desk(definition(people=PEOPLE, roles=ROLES, policies=(plan,)))
    made.alert(0, Level.YELLOW)
    return made


@pytest.mark.parametrize("close", ["when_clear", "after_report"])
def test_a_case_does_not_close_because_nobody_looks(close: str) -> None:
    """People are asked to go and see, and their word ends it at once: no sensor could deny it."""
    one = desk(close)
    story = one.unwatched(100)
    (asked,) = story.decisions.notifications
    assert (asked.receiver, asked.reason.value) == ("居委干部-1", "verifying_asked")
    assert "起已过规则的有效时间，不再监测，现场情况不明。请到现场核查并反馈结果" in asked.text
    assert [event.happening.value for event in story.events] == ["unwatched"]
    one.restart()
    assert not one.wait(7000).told
    assert one.case.state.value == "verifying"
    answer = one.act(7001, "dispersed")
    assert answer.outcomes[0].verdict == "noted"
    assert told(answer) == [("居委干部-1", "people", "case_closed")]
    assert "已解除" in answer.decisions.notifications[0].text
    assert not one.book.open


@pytest.mark.parametrize("close", ["when_clear", "after_report"])
def test_when_nobody_reports_the_end_says_that_nothing_was_verified(close: str) -> None:
    """It is on the list of problems, as unreported."""
    one = desk(close)
    one.unwatched(100)
    story = one.wait(8000)
    (said,) = story.decisions.notifications
    assert said.title.startswith("【已结案·未核实】")
    assert "是否已解除未经核实" in said.text
    (ended,) = one.book.ended.values()
    assert ended.closed_by == "unreported"


def test_a_report_that_stood_before_ends_the_case() -> None:
    """The sensors have not denied it while anybody looked."""
    one = desk("after_report")
    one.act(90, "dispersed")
    assert told(one.unwatched(100)) == [("居委干部-1", "people", "case_closed")]
    (ended,) = one.book.ended.values()
    assert ended.closed_by == "居委干部-1"


def test_what_nobody_was_told_of_ends_unheard() -> None:
    """Nobody could go and see."""
    one = Desk(desk().definition)
    scope = Scope(places=("G1-L1",))
    one.act(0, "silence", "operator", "quiet", scope=scope, note="施工", until=START + HOUR, via="cli")
    one.alert(1, Level.YELLOW)
    assert told(one.unwatched(100)) == []
    assert not one.book.open


def test_what_comes_back_in_the_next_hours_may_end_by_the_sensors() -> None:
    """It is watched again."""
    one = desk()
    one.unwatched(100)
    assert told(one.alert(200, Level.YELLOW)) == [("居委干部-1", "people", "case_relapsed")]
    one.alert(300, Level.NONE)
    assert told(one.wait(361)) == [("居委干部-1", "people", "case_closed")]


def test_another_alert_that_clears_says_nothing_of_what_is_unwatched() -> None:
    """The case goes on with the other; when that is over, somebody must see after the first."""
    one = desk()
    one.alert(50, Level.YELLOW, "crowd-sum")
    assert told(one.unwatched(100)) == []
    story = one.alert(200, Level.NONE, "crowd-sum")
    assert told(story) == [("居委干部-1", "people", "verifying_asked")]
    assert one.wait(1000).told == []


def test_an_operator_closes_what_nobody_watches() -> None:
    """As a person's word."""
    one = desk()
    one.unwatched(100)
    assert one.act(101, "close", "operator", via="cli").outcomes[0].verdict == "closed"


def test_a_combination_of_what_nobody_watches_is_not_over() -> None:
    """Its part's hours have ended over a crowd: so it is unwatched, too, after a restart as well."""
    part = msgspec.structs.replace(DENSITY, active=HOURS)
    street = Following(part, both(Logic.ANY, part.id))
    street.until(OVER, 100, 1)
    street.site = Site.restored(street.site.snapshot())
    street.until(OVER + 120, 100, OVER)
    assert ("both", Change.UNWATCHED) in {(rule, change) for _, rule, _, change in street.changes}
    assert ("both", Change.CLEARED) not in {(rule, change) for _, rule, _, change in street.changes}
    assert [bool(case.unwatched) for case in street.site.book.open.values()] == [True, True]


@pytest.mark.parametrize("ends", ["unwatched", "clear", "both"])
def test_what_waits_to_be_filed_as_its_hours_end_is_verified(ends: str) -> None:
    """What the sensors have seen to be over is void, as ever, unless nobody has seen that of something else there."""
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), wait=MINUTE)
    desk = Desk(definition(policies=(plan,)))
    assert told(desk.alert(0, Level.YELLOW)) == []
    if ends == "both":
        desk.alert(10, Level.YELLOW, rule="finding")
        assert told(desk.unwatched(20, rule="finding")) == []
    story = desk.unwatched(30) if ends == "unwatched" else desk.alert(30, Level.NONE)
    assert {one[2] for one in told(story)} == (set() if ends == "clear" else {"verifying_asked"})
    desk.restart()
    assert told(desk.wait(3600)) == []
    assert [case.state.value for case in desk.book.open.values()] == ([] if ends == "clear" else ["verifying"])

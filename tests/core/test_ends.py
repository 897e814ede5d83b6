"""When a case ends, everybody who was told of it hears so: once, at once, whatever has come between."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import State
from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Maintenance
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Category, Policy, Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START, definition

BEGINNING = to_datetime(START, "Asia/Shanghai")
MINUTES = BEGINNING.hour * 60 + BEGINNING.minute
EARLY, LATE = (Shift("early", 0, MINUTES + 30), Shift("late", MINUTES + 30, 0))
CADRE, OTHER = "居委干部-1", "居委干部-2"


def street(**changes: object) -> Definition:
    """A street whose one plan tells its cadres; shifts change half an hour (rounded down) after START."""
    plans = (Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),)),)
    people = (Person(CADRE, "cadre", "G1", (Contact("people"),)), Person(OTHER, "cadre", "G1", (Contact("people"),)))
    return msgspec.structs.replace(definition(people=people, policies=plans), **changes)


def ends(desk: Desk, second: int) -> list[str]:
    """Who hears of the end."""
    story = desk.alert(second, Level.NONE)
    heard = told(story)
    assert {reason for _, _, reason in heard} <= {"case_closed"}
    assert not told(desk.wait(second + 40_000)), "no second end"
    return sorted(receiver for receiver, _, _ in heard)


def quiet(**scope: tuple[str, ...]) -> dict[str, object]:
    """A silence of an hour, by an operator."""
    return {"scope": Scope(**scope), "note": "施工", "until": START + HOUR, "via": "cli"}  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", [{"places": ("G1-L1",)}, {"people": (CADRE,)}], ids=["place", "person"])
def test_a_silence_that_begins_later_keeps_nobody_from_the_end(scope: dict[str, tuple[str, ...]]) -> None:
    """What they were told of ends for both, though the place, or one of them, is silenced by now."""
    desk = Desk(street())
    desk.alert(0, Level.YELLOW)
    desk.act(10, "silence", "operator", "quiet", **quiet(**scope))
    desk.restart()
    assert ends(desk, 20) == [CADRE, OTHER]


def test_maintenance_that_begins_later_keeps_nobody_from_the_end() -> None:
    """The window of a place, and somebody's own quiet hours."""
    hours = Shift("work", MINUTES + 1, MINUTES + 120)
    for scope in (Scope(places=("G1-L1",)), Scope(people=(CADRE,))):
        window = Maintenance("works", scope, hours, START + 9 * HOUR, "值班员-1", "夜间")
        desk = Desk(street(maintenance=(window,)))
        desk.alert(0, Level.YELLOW)
        assert ends(desk, 300) == [CADRE, OTHER], scope


def test_the_end_of_a_shift_keeps_nobody_from_the_end() -> None:
    """Whoever was told and is off duty by now need not wonder."""
    people = (Person(CADRE, "cadre", "G1", (Contact("people"),), shifts=("early",)),)
    desk = Desk(street(people=people, duty=Duty((EARLY, LATE))))
    desk.alert(0, Level.YELLOW)
    assert ends(desk, 40 * 60) == [CADRE]


@pytest.mark.parametrize("scope", [{"places": ("G1-L1",)}, {"people": (CADRE,)}], ids=["place", "person"])
def test_nobody_hears_the_end_of_what_was_muted_from_its_beginning(scope: dict[str, tuple[str, ...]]) -> None:
    """Nor does whoever answered it by themselves, while it is muted."""
    desk = Desk(street())
    desk.act(0, "silence", "operator", "quiet", **quiet(**scope))
    desk.alert(1, Level.YELLOW)
    desk.act(10, "acknowledge", CADRE)
    assert ends(desk, 20) == ([] if "places" in scope else [OTHER])


def test_an_end_that_waits_for_a_digest_outlasts_the_shift_of_whoever_was_told() -> None:
    """Of what was only to be told in that digest, nobody off duty hears: neither that it began nor that it is over."""
    people = (Person(CADRE, "cadre", "G1", (Contact("people"),), shifts=("early",)),)
    damping = Damping(per_hour=1, digest_every=30 * MINUTE)
    desk = Desk(street(people=people, duty=Duty((EARLY, LATE)), damping=damping))
    desk.alert(600, Level.YELLOW)
    desk.alert(660, Level.YELLOW, place="G1-L2")
    for second, place in ((720, "G1-L1"), (780, "G1-L2")):
        story = desk.alert(second, Level.NONE, place=place)
        assert [one.reason for one in story.decisions.holds] == [Reason.HELD_BUDGET]
    desk.restart()
    story = desk.wait(660 + 31 * 60)
    (digest,) = story.decisions.notifications
    assert (digest.receiver, len(digest.covers)) == (CADRE, 1)
    assert digest.at > START + 660 * SECOND
    assert "已解除" in digest.title
    assert [one.reason for one in story.decisions.holds] == [Reason.HELD_OFF_DUTY] * 2


def test_a_supervisor_of_an_earlier_round_hears_the_end() -> None:
    """Told that the stage took too long; after the relapse only a digest would have said so again."""
    officer = Person("值班员-1", "officer", "street", (Contact("people", "o"),), shifts=("early",))
    plan = Policy(
        "crowd", {"zh": "聚集"}, (Step(("cadre",)),), agree_for=5 * MINUTE, category="crowd", supervisors=("officer",)
    )
    limits = Category("crowd", {"zh": "聚集"}, "04", "080", {State.DISPATCHED: 2 * MINUTE})
    whole = street(policies=(plan,), categories=(limits,), duty=Duty((EARLY, LATE)), damping=Damping(per_hour=1))
    desk = Desk(msgspec.structs.replace(whole, people=(officer, *whole.people)))
    desk.alert(0, Level.YELLOW)
    assert ("值班员-1", "people", "overdue") in told(desk.wait(120))
    desk.alert(200, Level.NONE)
    desk.alert(300, Level.YELLOW)
    assert Reason.HELD_BUDGET in {one.reason for one in desk.wait(420).decisions.holds if one.receiver == "值班员-1"}
    desk.restart()
    desk.alert(31 * 60, Level.NONE)
    desk.wait(36 * 60 - 1)
    waits = {one.receiver: one.reason for one in desk.wait(36 * 60).decisions.holds}
    assert waits["值班员-1"] is Reason.HELD_BUDGET, "the end waits for a digest, and is theirs off duty as well"
    desk.restart()
    covered = [one for one in desk.wait(3 * 3600).decisions.notifications if one.receiver == "值班员-1"]
    assert [(len(one.covers), "已解除" in one.title) for one in covered] == [(1, True)]

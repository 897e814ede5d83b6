"""Who counts as knowing of a case: who was told, has been there since, and has answered or may hear of it."""

from __future__ import annotations

from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk
from tests.core.street import START
from tests.core.test_given_up import BESIDE, CADRE, OFFICER, crowd, heard, person, street
from tests.core.test_handover import CHANGE, NOW

DUTY = Duty((Shift("early", NOW - 400, NOW + 10), Shift("late", NOW + 10, NOW + 400)))
EARLY = person("居委干部-2", "cadre", "B1", shifts=("early",))
LATE = person("居委干部-3", "cadre", "B1", shifts=("late",))
PLAN = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), supervisors=("officer",))


def on_leave(person: Person, begin: int, end: int) -> Duty:
    """Somebody is away for a while, in seconds after START."""
    return Duty(changes=(Change(START + begin * SECOND, START + end * SECOND, ChangeReason.LEAVE, person.id),))


def test_whoever_nothing_has_reached_is_nobody_who_stays() -> None:
    """They are on duty still, and whoever was told in their stead goes; they are not tried once more for that."""
    desk, key = crowd(CADRE, EARLY, LATE, OFFICER, plan=PLAN, duty=DUTY)
    assert heard(desk.receipt(5, key, "failed")) == [(EARLY.id, "people", "nobody_told")]
    desk.restart()
    assert heard(desk.wait(CHANGE)) == [(LATE.id, "people", "hand_over")]
    assert not desk.wait(CHANGE + 60).told


def test_whoever_has_answered_stays_though_nothing_reaches_them() -> None:
    """They have found it out, or had it from somebody else."""
    desk, key = crowd(CADRE, EARLY, LATE, plan=PLAN, duty=DUTY)
    desk.receipt(5, key, "failed")
    desk.act(60, "acknowledge", CADRE.id)
    desk.restart()
    assert heard(desk.wait(CHANGE)) == []


def test_when_nobody_of_the_role_comes_whoever_of_the_plan_is_there_hears() -> None:
    """The one cadre who is left cannot be reached."""
    desk, key = crowd(CADRE, EARLY, OFFICER, plan=PLAN, duty=DUTY)
    desk.receipt(5, key, "failed")
    desk.restart()
    assert heard(desk.wait(CHANGE)) == [(OFFICER.id, "people", "hand_over")]


def test_what_nobody_watches_is_asked_of_whoever_comes_when_only_the_unreached_stay() -> None:
    """Also of these again: they are the nearest, and it is another shift."""
    desk, _ = crowd(CADRE, EARLY, LATE, plan=PLAN, duty=DUTY)
    (asked,) = desk.unwatched(10).decisions.notifications
    assert heard(desk.receipt(20, asked.key, "failed")) == [(EARLY.id, "people", "nobody_told")]
    desk.restart()
    asks = [(LATE.id, "people", "verifying_asked"), (CADRE.id, "people", "verifying_asked")]
    assert heard(desk.wait(CHANGE)) == asks
    assert heard(desk.redefine(CHANGE + 60, desk.definition)) == [], "one of them may have heard"


def test_a_second_way_that_fell_due_on_leave_is_none_by_which_anybody_hears() -> None:
    """Whoever was told besides is given up then: who has come back hears of it, for nobody else knows."""
    away = person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE))
    other = person("居委干部-2", "cadre", "G1")
    desk = Desk(street(away, other, BESIDE, OFFICER, plan=PLAN, duty=on_leave(away, 30, 90)))
    keys = {one.receiver: one.key for one in desk.alert(0, Level.YELLOW).decisions.notifications}
    assert heard(desk.receipt(5, keys[away.id], "failed")) == heard(desk.wait(95)) == []
    desk.restart()
    assert heard(desk.receipt(100, keys[other.id], "failed")) == [(away.id, "people", "nobody_told")]
    assert heard(desk.wait(161)) == [(away.id, "sms", "not_delivered")]

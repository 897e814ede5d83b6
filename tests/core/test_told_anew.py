"""A reload changes how people are reached: what may have been lost they hear anew, and once."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core import test_calls
from tests.core.desk import Desk
from tests.core.street import START
from tests.core.test_contacts_change import by
from tests.core.test_given_up import BESIDE, CADRE, OFFICER, crowd, heard, street

ALONE = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))


def at(number: str, *more: Contact) -> Person:
    """The cadre with another number."""
    return by(CADRE, Contact("people", number), *more)


@pytest.mark.parametrize("more", [(), (Contact("mqtt"),)])
def test_who_was_not_reached_and_gets_another_number_hears_of_the_case_once(more: tuple[Contact, ...]) -> None:
    """The page was given up with nobody to hear in their stead, and the case is owed: they read it as one of now."""
    desk, key = crowd(CADRE, OFFICER, plan=ALONE)
    assert heard(desk.receipt(10, key, "failed")) == []
    desk.restart()
    story = desk.redefine(300, street(at("9", *more), OFFICER, plan=ALONE))
    assert heard(story) == [(CADRE.id, one, "case_opened") for one in ("people", *(way.channel for way in more))]
    desk.restart()
    assert heard(desk.redefine(310, desk.definition)) == []


def test_what_was_owed_beside_a_silence_is_told_once_to_who_gets_another_number() -> None:
    """A lesser alert beside the silenced crowd: the page of it was given up, and nobody else is there."""
    desk = Desk(street(CADRE, OFFICER, plan=ALONE))
    desk.alert(0, Level.YELLOW)
    scope = Scope(rules=("density",), up_to=Level.ORANGE)
    desk.act(5, "silence", "cli", "s", note="施工", scope=scope, until=START + HOUR)
    (page,) = desk.alert(10, Level.BLUE, rule="finding").decisions.notifications
    desk.receipt(20, page.key, "failed")
    desk.restart()
    story = desk.redefine(300, street(at("9"), OFFICER, plan=ALONE))
    assert [(one.receiver, one.level) for one in story.decisions.notifications] == [(CADRE.id, Level.BLUE)]


def number_changes_twice(*between: str) -> list[tuple[str, str, str]]:
    """What the cadre hears as a number changes for the second time, and what became ``between`` of what went to it."""
    ways = at("1", Contact("mqtt"))
    desk = Desk(street(ways, OFFICER, plan=ALONE))
    _, by_mqtt = desk.alert(0, Level.RED).decisions.notifications
    desk.receipt(5, by_mqtt.key, "failed")
    story = desk.redefine(10, street(at("2", Contact("mqtt")), OFFICER, plan=ALONE))
    assert heard(story) == [(CADRE.id, "people", "not_delivered")]
    desk.restart()
    for delivery in between:
        desk.receipt(20, story.decisions.notifications[0].key, delivery)
    desk.restart()
    return heard(desk.redefine(40, street(at("3", Contact("mqtt")), OFFICER, plan=ALONE)))


def test_a_number_that_changes_twice_is_told_anew_twice() -> None:
    """Nothing says that what went to the second one has come through; once something does, they know."""
    assert number_changes_twice() == [(CADRE.id, "people", "not_delivered")]
    assert number_changes_twice("delivered") == []


def away(*spells: tuple[int, int]) -> Duty:
    """When the cadre is away, in minutes after START."""
    leaves = [(START + begin * MINUTE, START + end * MINUTE) for begin, end in spells]
    return Duty(changes=tuple(Change(*leave, ChangeReason.LEAVE, CADRE.id) for leave in leaves))


@pytest.mark.parametrize("number", ["old", "new"])
def test_whose_number_changes_in_a_silence_does_not_count_as_one_who_knows(number: str) -> None:
    """What they had taken over may be lost: when who heard as the silence ended leaves, they hear, the new way."""
    duty, next_one = away((2, 20), (40, 400)), by(BESIDE, Contact("people", "old"))
    desk = Desk(street(CADRE, next_one, OFFICER, plan=ALONE, duty=duty))
    desk.alert(0, Level.RED)
    assert heard(desk.wait(130)) == [(BESIDE.id, "people", "hand_over")]
    scope, until = Scope(places=("G1",), up_to=Level.RED), START + 30 * MINUTE
    desk.act(600, "silence", "operator", "s", scope=scope, note="施工", until=until, via="cli")
    now = by(BESIDE, Contact("people", number))
    assert heard(desk.redefine(900, street(CADRE, now, OFFICER, plan=ALONE, duty=duty))) == []
    desk.restart()
    assert heard(desk.wait(1860)) == [(CADRE.id, "people", "mute_ended")]
    desk.restart()
    again = [(one.receiver, one.address, one.reason.value) for one in desk.wait(2460).decisions.notifications]
    assert again == [(BESIDE.id, "new", "hand_over")] * (number == "new")


def test_whoever_may_hear_over_a_second_way_yet_knows() -> None:
    """The page to who was there has failed, and the cadre comes back: the case is theirs once the second way fails."""
    next_one = by(BESIDE, Contact("people"), Contact("sms", "1", 20 * MINUTE))
    desk = Desk(street(CADRE, next_one, OFFICER, plan=ALONE, duty=away((0, 1))))
    (page,) = desk.alert(0, Level.RED).decisions.notifications
    assert page.receiver == BESIDE.id
    desk.receipt(12, page.key, "failed")
    desk.restart()
    assert heard(desk.wait(70)) == []
    (second,) = desk.wait(1200).decisions.notifications
    assert (second.receiver, second.channel) == (BESIDE.id, "sms")
    desk.restart()
    assert heard(desk.receipt(1210, second.key, "failed")) == [(CADRE.id, "people", "nobody_told")]


def test_a_notice_that_waits_for_a_digest_has_told_its_receiver_of_no_case() -> None:
    """The officer's hour is full, and all that waits says that a limit has passed: the case is theirs all the same."""
    desk = Desk(test_calls.street(OFFICER, damping=Damping(per_hour=1, digest_every=30 * MINUTE)))
    assert heard(desk.alert(0, Level.YELLOW, place="G2-L1")) == [(OFFICER.id, "people", "nobody_told")]
    (page,) = desk.alert(1, Level.YELLOW).decisions.notifications
    desk.wait(310)
    desk.restart()
    held = [(one.receiver, one.reason) for one in desk.receipt(320, page.key, "failed").decisions.holds]
    assert held == [(OFFICER.id, Reason.HELD_BUDGET)], "and not nobody, nor somebody who knows"
    desk.restart()
    (digest,) = desk.wait(2130).decisions.notifications
    assert [key.split(":")[1] for key in digest.covers if page.case in key] == ["4", "5"], "late, and not told"


def test_a_second_way_says_once_what_somebody_hears_anew() -> None:
    """It was the second way of what is lost, too; what it says of another alert is not said anew, and stays."""
    ways = at("1", Contact("sms", "1", 30 * SECOND))
    desk, _ = crowd(ways, OFFICER, plan=ALONE)
    desk.alert(2, Level.BLUE, rule="finding")
    desk.restart()
    now = at("2", Contact("sms", "2", 30 * SECOND))
    assert heard(desk.redefine(10, street(now, OFFICER, plan=ALONE))) == [(CADRE.id, "people", "not_delivered")]
    desk.restart()
    second = [(one.at - START, one.channel, one.level) for one in desk.wait(600).decisions.notifications]
    assert second == [(32 * SECOND, "sms", Level.BLUE), (40 * SECOND, "sms", Level.YELLOW)]


def test_an_end_that_a_reload_brings_is_told_once_over_the_new_number() -> None:
    """It mends a contact that has failed, so that trouble is over, and gives whoever was told of it another number."""

    def roster(cadre: str, officer: str) -> Definition:
        plans = ALONE, Policy("roster", {"zh": "值班"}, (Step(("officer",)),))
        whole = street(at(cadre), by(OFFICER, Contact("mqtt", officer)), plan=ALONE)
        return msgspec.structs.replace(whole, policies=plans)

    desk = Desk(roster("1", "1"))
    (page,) = desk.alert(0, Level.YELLOW).decisions.notifications
    assert heard(desk.receipt(10, page.key, "failed")) == [(OFFICER.id, "mqtt", "case_opened")]
    desk.restart()
    story = desk.redefine(300, roster("2", "2"))
    assert heard(story) == [(OFFICER.id, "mqtt", "case_closed"), (CADRE.id, "people", "case_opened")]
    desk.restart()
    assert heard(desk.redefine(310, roster("2", "2"))) == []
    desk.receipt(320, story.decisions.notifications[0].key, "failed")
    assert [one[:2] for one in desk.book.undeliverable] == [(OFFICER.id, "mqtt")], "it went to the number of now"

"""How people are reached changes while a case is open: nobody counts as told to whom nothing could be sent."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START, definition

CADRE = Person("居委干部-1", "cadre", "G1", (Contact("people", "1"),))
POLICE = Person("派出所-1", "police", "street", (Contact("people", "2"),))
BOTH = Policy("crowd", {"zh": "聚集"}, (Step(("cadre", "police")),))
PLAN = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))


def street(*people: Person, plan: Policy = PLAN, **changes: object) -> Definition:
    """The small street with these people and one plan for crowds."""
    return definition(people=people, policies=(plan,), **changes)


def by(person: Person, *contacts: Contact) -> Person:
    """The same person, reached like this."""
    return msgspec.structs.replace(person, contacts=contacts)


def holds(story: Story) -> list[tuple[str, str, str]]:
    """Who was not told, and why."""
    return [(one.role, one.receiver, one.reason.value) for one in story.decisions.holds]


def test_who_has_no_contact_is_not_told() -> None:
    """Somebody else is, and it is said of the role; without anybody else the case waits for who can be reached."""
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)), Step(("police",), Level.RED)))
    desk = Desk(street(by(CADRE), POLICE, plan=plan))
    story = desk.alert(0, Level.BLUE)
    assert told(story) == [("派出所-1", "people", "nobody_told")]
    assert holds(story) == [("cadre", "", "held_nobody")]
    assert list(desk.case.told) == ["派出所-1"]
    alone = Desk(street(CADRE, shut=("people",)))
    assert told(alone.alert(0, Level.BLUE)) == []
    assert alone.case.told == {}
    assert told(alone.redefine(60, street(CADRE))) == [("居委干部-1", "people", "case_opened")]


def test_who_has_no_contact_any_more_does_not_hear_the_end() -> None:
    """That is a hold in their name."""
    desk = Desk(street(CADRE))
    desk.alert(0, Level.BLUE)
    desk.redefine(10, street(CADRE, shut=("people",)))
    story = desk.alert(20, Level.NONE)
    assert told(story) == []
    assert holds(story) == [("cadre", "居委干部-1", "held_nobody")]


def test_a_first_way_that_is_shut_leaves_the_second() -> None:
    """It waits for no other."""
    ways = by(CADRE, Contact("people", "1"), Contact("sms", "0", 60))
    desk = Desk(street(ways, shut=("people",)))
    assert told(desk.alert(0, Level.BLUE)) == [("居委干部-1", "sms", "case_opened")]


def test_a_channel_of_another_type_is_trusted_anew() -> None:
    """What failed was reached in another way."""
    desk = Desk(street(CADRE, POLICE, channels={"people": "sms"}))
    (first,) = desk.alert(0, Level.BLUE).decisions.notifications
    desk.receipt(5, first.key, "failed")
    assert [one[:2] for one in desk.book.undeliverable] == [("居委干部-1", "people")]
    desk.redefine(10, street(CADRE, POLICE, channels={"people": "sms"}, district="310116"))
    assert len(desk.book.undeliverable) == 1
    desk.redefine(20, street(CADRE, POLICE, channels={"people": "smtp"}))
    assert desk.book.undeliverable == []


def test_who_is_reached_another_way_hears_anew() -> None:
    """What was said over the old one may be lost; it is no new request. Who keeps a contact of before does not."""
    desk = Desk(street(CADRE, POLICE, plan=BOTH))
    desk.alert(0, Level.BLUE)
    asked = desk.case.told["居委干部-1"].times
    now = street(by(CADRE, Contact("duty", "1")), by(POLICE, Contact("sms"), Contact("people", "2", 60)), plan=BOTH)
    story = desk.redefine(30, now)
    assert told(story) == [("居委干部-1", "duty", "not_delivered")]
    assert "【改用此方式通知·蓝色】" in story.decisions.notifications[0].title
    assert desk.case.told["居委干部-1"].times == asked
    assert told(desk.redefine(40, now)) == []


def test_another_number_or_another_type_is_another_way() -> None:
    """A channel's name alone says nothing; a definition of before types were written down is not another for that."""
    desk = Desk(street(CADRE))
    desk.alert(0, Level.BLUE)
    assert told(desk.redefine(10, street(CADRE, channels={"people": "sms"}))) == []
    assert told(desk.redefine(12, street(CADRE))) == []
    assert told(desk.redefine(14, street(CADRE, channels={"people": "sms"}))) == []
    anew = [("居委干部-1", "people", "not_delivered")]
    assert told(desk.redefine(20, street(CADRE, channels={"people": "smtp"}))) == anew
    assert told(desk.redefine(30, street(by(CADRE, Contact("people", "9")), channels={"people": "smtp"}))) == anew


def test_what_is_over_or_silenced_is_not_told_anew() -> None:
    """Nor of a muted case anything but what is beside it; when the crowd has gone, people hear the end the new way."""
    desk = Desk(street(CADRE))
    desk.alert(0, Level.BLUE)
    moved = street(by(CADRE, Contact("duty")))
    scope = Scope(places=("G1",))
    assert desk.act(5, "silence", "cli", "s", note="works", scope=scope, until=START + HOUR).outcomes[0].accepted
    assert told(desk.redefine(10, moved)) == []
    beside = Desk(street(CADRE))
    beside.alert(0, Level.YELLOW)
    beside.alert(2, Level.BLUE, rule="finding")
    scope = Scope(rules=("density",), up_to=Level.ORANGE)
    assert beside.act(5, "silence", "cli", "s", note="works", scope=scope, until=START + HOUR).outcomes[0].accepted
    story = beside.redefine(10, moved)
    assert [(one.channel, one.level) for one in story.decisions.notifications] == [("duty", Level.BLUE)]
    over = Desk(street(CADRE, plan=msgspec.structs.replace(PLAN, agree_for=MINUTE)))
    over.alert(0, Level.BLUE)
    over.alert(10, Level.NONE)
    assert told(over.redefine(20, msgspec.structs.replace(moved, policies=over.definition.policies))) == []
    assert told(over.wait(100)) == [("居委干部-1", "duty", "case_closed")]


def test_a_contact_that_is_gone_is_not_one_that_fails() -> None:
    """What was given up with its channel is no fault of the present contact, and no page of its own."""
    desk = Desk(street(CADRE, POLICE))
    (first,) = desk.alert(0, Level.BLUE).decisions.notifications
    desk.redefine(10, street(by(CADRE, Contact("duty")), POLICE))
    story = desk.receipt(20, first.key, "failed")
    assert (told(story), desk.book.undeliverable) == ([], [])
    assert desk.case.told["居委干部-1"].failed == []


WAYS = by(CADRE, Contact("people", "1"), Contact("sms", "0", MINUTE))


def ends(story: Story) -> list[str]:
    """Over what somebody is told that the crowd is over."""
    return [one.channel for one in story.decisions.notifications if one.reason is Reason.CASE_CLOSED]


def over(cadre: Person = WAYS, **changes: object) -> tuple[Desk, str]:
    """A crowd of which somebody was told over their first way, and which is over; the key of that message."""
    desk = Desk(street(cadre, plan=PLAN, **changes))
    desk.receipt(1, desk.alert(0, Level.BLUE).decisions.notifications[0].key, "sent")
    (end,) = desk.alert(600, Level.NONE).decisions.notifications
    assert (end.channel, end.reason.value) == ("people", "case_closed")
    desk.restart()
    return desk, end.key


def test_an_end_that_fails_goes_over_what_is_left() -> None:
    """Its channel was taken out, or refuses it for good; said again (a crash) it brings nothing new."""
    desk, key = over()
    story = desk.receipt(700, key, "failed")
    assert ends(story) == ["sms"]
    (end,) = (one for one in story.decisions.notifications if one.channel == "sms")
    assert (end.at, "06:23:20" in end.text) == (START + 700 * SECOND, True), "it is said now, and says since when"
    assert ends(desk.receipt(700, key, "failed")) == []
    desk.restart()
    assert ends(desk.receipt(800, end.key, "failed")) == [], "nothing is left"
    other = street(by(CADRE, Contact("duty"), Contact("people", "1")))
    assert ends(desk.redefine(900, other)) == ["duty"]
    assert ends(desk.redefine(910, other)) == []


@pytest.mark.parametrize(
    ("now", "anew"),
    [
        (street(by(CADRE, Contact("sms", "0"))), ["sms"]),
        (street(WAYS, shut=("people",)), ["sms"]),
        (street(by(CADRE, Contact("people", "9"))), ["people"]),
        (street(WAYS, channels={"people": "smtp"}), ["people"]),
        (street(by(CADRE, Contact("people", "1"), Contact("sms", "7"))), []),
        (street(POLICE), []),
    ],
)
@pytest.mark.parametrize("arrived", [False, True])
def test_an_end_that_waits_for_a_contact_that_goes_is_told_anew(
    now: Definition, anew: list[str], arrived: bool
) -> None:
    """Nobody knows whether it was sent: whoever has the contact still, or had the word, hears it once."""
    desk, key = over(channels={"people": "sms"})
    if arrived:
        desk.receipt(610, key, "sent")
    assert ends(desk.redefine(700, now)) == anew * (not arrived)
    there = not anew and now.people != (POLICE,)
    assert ends(desk.receipt(710, key, "failed")) == ["sms"] * (there and not arrived)


@pytest.mark.parametrize("restarts", [False, True])
def test_an_end_is_told_anew_in_the_order_of_telling(restarts: bool) -> None:
    """The police heard first, a saved state or not."""
    desk = Desk(street(CADRE, POLICE, plan=Policy("crowd", {"zh": "聚集"}, (Step(("police", "cadre")),))))
    desk.alert(0, Level.BLUE)
    desk.alert(10, Level.NONE)
    if restarts:
        desk.restart()
    moved = (by(one, Contact("duty")) for one in (CADRE, POLICE))
    anew = desk.redefine(20, street(*moved, plan=BOTH)).decisions.notifications
    assert [one.receiver for one in anew] == ["派出所-1", "居委干部-1"]


def test_an_end_that_has_come_through_on_one_way_goes_over_no_other() -> None:
    """Two first ways: one has delivered it, so it does not matter what becomes of the other."""
    desk = Desk(street(by(CADRE, Contact("people", "1"), Contact("mqtt"), Contact("sms", "0", MINUTE))))
    (first, *_) = desk.alert(0, Level.BLUE).decisions.notifications
    desk.receipt(1, first.key, "sent")
    by_people, by_mqtt = desk.alert(600, Level.NONE).decisions.notifications
    assert ends(desk.receipt(601, by_people.key, "failed")) == [], "the other may still come through"
    desk.restart()
    desk.receipt(602, by_mqtt.key, "sent")
    assert ends(desk.receipt(603, by_mqtt.key, "failed")) == []


@pytest.mark.parametrize("second", ["given up", "taken out", "moved", "delivered"])
def test_an_end_that_is_lost_in_two_steps_goes_over_the_new_way(second: str) -> None:
    """One of two numbers was changed while the other stood; once that brings nothing, either, the new one is told."""
    old, new, mqtt = Contact("people", "1"), Contact("people", "9"), Contact("mqtt")
    desk = Desk(street(by(CADRE, old, mqtt)))
    desk.receipt(1, desk.alert(0, Level.BLUE).decisions.notifications[0].key, "sent")
    by_mqtt = next(one.key for one in desk.alert(600, Level.NONE).decisions.notifications if one.channel == "mqtt")
    assert ends(desk.redefine(700, street(by(CADRE, new, mqtt)))) == []
    desk.restart()
    later = {"taken out": (new,), "moved": (new, Contact("mqtt", "other"))}.get(second, (new, mqtt))
    answer = "sent" if second == "delivered" else "failed"
    story = (
        desk.receipt(710, by_mqtt, answer) if later == (new, mqtt) else desk.redefine(710, street(by(CADRE, *later)))
    )
    told_at = {"delivered": [], "moved": ["9", "other"]}.get(second, ["9"])
    assert [one.address for one in story.decisions.notifications if one.reason is Reason.CASE_CLOSED] == told_at
    desk.restart()
    assert ends(desk.receipt(720, by_mqtt, answer)) == []
    assert ends(desk.redefine(730, street(by(CADRE, *later, Contact("sms", "7"))))) == []
    (case,) = (case for case in desk.book.ended.values() if case.rule == "density")
    for one in story.decisions.notifications:
        desk.receipt(740, one.key, "sent")
    assert (case.told[CADRE.id].ended_over, case.told[CADRE.id].end_lost) == ({}, False)


def test_an_earlier_message_that_fails_is_not_the_end() -> None:
    """The page of the crowd was given up; the word that it is over is on its way."""
    desk = Desk(street(WAYS))
    (page,) = desk.alert(0, Level.BLUE).decisions.notifications
    desk.alert(30, Level.NONE)
    assert ends(desk.receipt(40, page.key, "failed")) == []


@pytest.mark.parametrize("arrives", ["failed", "sent"])
def test_an_end_in_a_digest_is_one_too(arrives: str) -> None:
    """The robot had said enough that minute: what waited for its digest went with it, or did not."""
    desk = Desk(street(WAYS, damping=Damping(per_minute={"people": 2})))
    desk.receipt(1, desk.alert(0, Level.BLUE).decisions.notifications[0].key, "sent")
    assert told(desk.alert(10, Level.NONE)) == []
    (digest,) = desk.wait(60).decisions.notifications
    assert digest.reason is Reason.DIGEST
    desk.restart()
    desk.receipt(70, digest.key, arrives)
    last = desk.receipt(71, digest.key, "failed")
    desk.restart()
    (case,) = (case for case in desk.book.ended.values() if case.rule == "density")
    expected = {} if arrives == "sent" else {"people": "", "sms": f"over-{START + 70 * SECOND}"}
    assert case.told["居委干部-1"].ended_over == expected
    assert ends(last) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_who_is_to_verify_and_is_reached_another_way_hears_so_anew(restarts: bool) -> None:
    """Nobody watches any more, and what asked them to go and see may be lost; whoever has reported need not."""
    desk = Desk(street(CADRE, POLICE))
    desk.alert(0, Level.YELLOW)
    assert told(desk.unwatched(100)) == [("居委干部-1", "people", "verifying_asked")]
    if restarts:
        desk.restart()
    moved = street(by(CADRE, Contact("duty", "1")), POLICE)
    story = desk.redefine(200, moved)
    assert told(story) == [("居委干部-1", "duty", "not_delivered")]
    (said,) = story.decisions.notifications
    assert "不再监测，现场情况不明。尚待现场核查并反馈结果" in said.text
    assert told(desk.redefine(210, moved)) == []
    assert told(desk.act(300, "dispersed")) == [("居委干部-1", "duty", "case_closed")]


def test_who_is_to_verify_is_somebody_else_when_the_roster_changes() -> None:
    """Whoever was asked is on it no more: who is there now is asked, once."""
    desk = Desk(street(CADRE))
    desk.alert(0, Level.YELLOW)
    desk.unwatched(100)
    other = msgspec.structs.replace(CADRE, id="居委干部-2", contacts=(Contact("people", "7"),))
    assert told(desk.redefine(200, street(other))) == [("居委干部-2", "people", "verifying_asked")]
    assert told(desk.redefine(210, street(other))) == []


def test_who_is_to_verify_and_is_reached_another_way_in_a_silence_hears_so_when_it_ends() -> None:
    """What they were asked may have been lost with the old way."""
    desk = Desk(street(CADRE))
    desk.alert(0, Level.YELLOW)
    desk.unwatched(100)
    scope = Scope(places=("G1",))
    desk.act(150, "silence", "cli", "s", note="works", scope=scope, until=START + HOUR)
    assert told(desk.redefine(200, street(by(CADRE, Contact("duty"))))) == []
    desk.restart()
    assert told(desk.wait(3599)) == []
    assert told(desk.wait(3600)) == [("居委干部-1", "duty", "verifying_asked")]

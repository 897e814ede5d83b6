"""What people were told last, over which ways: what became of anything before it says nothing, and of it, all."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import State
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Category, Policy, Step
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk
from tests.core.test_given_up import BESIDE, CADRE, OFFICER, POLICE, crowd, heard, person, street
from tests.core.test_handover import CHANGE, NOW

PLAN = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), supervisors=("officer",))
RATE = Damping(per_minute={"people": 2})


def test_a_page_that_is_given_up_after_a_digest_came_through_is_past() -> None:
    """The digest told of a later rise of the same case: its contact works, and the receiver knows more than that."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN, damping=RATE))
    (page,) = desk.alert(0, Level.YELLOW).decisions.notifications
    assert heard(desk.alert(1, Level.ORANGE)) == []
    (digest,) = desk.wait(60).decisions.notifications
    assert digest.reason is Reason.DIGEST
    desk.restart()
    desk.receipt(61, digest.key, "delivered")
    desk.restart()
    assert (heard(desk.receipt(200, page.key, "failed")), desk.book.undeliverable) == ([], [])
    assert heard(desk.receipt(201, digest.key, "failed")) == [(BESIDE.id, "people", "nobody_told")], "the last word"


def test_a_digest_that_is_given_up_after_a_page_came_through_is_past() -> None:
    """The page told of a later rise."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN, damping=RATE))
    desk.receipt(0, desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications[0].key, "sent")
    desk.alert(1, Level.YELLOW)
    (digest,) = desk.wait(40).decisions.notifications
    (page,) = desk.alert(120, Level.ORANGE).decisions.notifications
    desk.restart()
    desk.receipt(121, page.key, "delivered")
    desk.restart()
    assert (heard(desk.receipt(200, digest.key, "failed")), desk.book.undeliverable) == ([], [])
    assert heard(desk.receipt(201, page.key, "failed")) == [(BESIDE.id, "people", "nobody_told")], "the last word"


def test_a_digest_of_what_was_before_a_page_makes_up_for_none_of_it() -> None:
    """What is red went out at once, and failed; the digest that had waited since before says nothing of that."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN, damping=RATE))
    desk.receipt(0, desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications[0].key, "sent")
    desk.alert(1, Level.YELLOW)
    (page,) = desk.alert(2, Level.RED).decisions.notifications
    (digest,) = desk.wait(90).decisions.notifications
    desk.receipt(91, digest.key, "delivered")
    desk.restart()
    assert heard(desk.receipt(92, page.key, "failed")) == [(BESIDE.id, "people", "nobody_told")]


def test_a_digest_counts_as_the_latest_that_it_tells_of_a_case() -> None:
    """Whichever is the gravest."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN, damping=RATE))
    desk.alert(0, Level.YELLOW, place="G1-L2")
    desk.alert(1, Level.YELLOW)
    desk.alert(2, Level.ORANGE)
    desk.wait(60)
    (case,) = (case for case in desk.book.open.values() if case.place == "G1-L1")
    ((_, (*_, entry)),) = desk.book.state().damped.digests
    assert (entry.case, entry.receiver, entry.number) == (case.id, CADRE.id, case.events)


def test_a_digest_of_an_earlier_version_is_never_past() -> None:
    """Nobody knows what it told: better somebody hears who need not."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN, damping=RATE))
    desk.receipt(0, desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications[0].key, "sent")
    desk.alert(1, Level.YELLOW)
    (digest,) = desk.wait(40).decisions.notifications
    damped = desk.book.state().damped
    damped.digests = [(key, [msgspec.structs.replace(one, number=0) for one in told]) for key, told in damped.digests]
    (page,) = desk.alert(120, Level.ORANGE).decisions.notifications
    desk.receipt(121, page.key, "delivered")
    desk.restart()
    assert heard(desk.receipt(200, digest.key, "failed")) == [(BESIDE.id, "people", "nobody_told")]


@pytest.mark.parametrize("late", ["page", "digest"])
def test_what_comes_through_late_makes_up_for_no_later_failure(late: str) -> None:
    """Whoever has the yellow page only now does not know that it is orange: with mqtt failing, too, the next hears."""
    two = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    desk, key = crowd(two, POLICE, OFFICER, damping=RATE if late == "digest" else Damping())
    place = "G1-L2" if late == "digest" else "G1-L1"
    if late == "digest":
        desk.alert(1, Level.YELLOW, place=place)
        (key,) = (one.key for one in desk.wait(40).decisions.notifications if one.reason is Reason.DIGEST)
    told = desk.alert(100, Level.ORANGE, place=place).decisions.notifications
    keys = {one.channel: one.key for one in told if one.receiver == CADRE.id}
    assert heard(desk.receipt(110, keys["people"], "failed")) == []
    desk.restart()
    assert heard(desk.receipt(111, key, "delivered")) == []
    desk.restart()
    assert heard(desk.receipt(112, keys["mqtt"], "failed")) == [(POLICE.id, "people", "nobody_told")]
    desk.receipt(113, keys["people"], "delivered")
    (case,) = (case for case in desk.book.open.values() if case.place == place)
    assert case.told[CADRE.id].failed == ["mqtt"], "what came through after all has not failed"


ADDED = [Contact("mqtt"), Contact("sms", "1", MINUTE)]
"""A first way, and a second one."""


@pytest.mark.parametrize("added", ADDED)
def test_a_contact_that_came_after_a_page_is_taken_when_that_is_given_up(added: Contact) -> None:
    """Nothing was said over it, so nothing waits for it; when it fails, too, the next hears. Said again it is once."""
    desk, key = crowd(CADRE, BESIDE, OFFICER, plan=PLAN)
    assert heard(desk.redefine(60, street(person(CADRE.id, "cadre", "G1", added), BESIDE, OFFICER, plan=PLAN))) == []
    desk.restart()
    story = desk.receipt(300, key, "failed")
    assert heard(story) == [(CADRE.id, added.channel, "not_delivered")]
    assert heard(desk.receipt(301, key, "failed")) == []
    desk.restart()
    (said,) = story.decisions.notifications
    assert heard(desk.receipt(400, said.key, "failed")) == [(BESIDE.id, "people", "nobody_told")]


def test_a_contact_that_came_after_a_page_waits_for_all_that_the_page_took() -> None:
    """Two first ways: the one that is left may come through."""
    desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("mqtt")), BESIDE, OFFICER, plan=PLAN)
    three = person(CADRE.id, "cadre", "G1", Contact("mqtt"), Contact("sms", "1"))
    desk.redefine(60, street(three, BESIDE, OFFICER, plan=PLAN))
    assert heard(desk.receipt(300, key, "failed")) == []
    desk.restart()
    by_mqtt = key.replace(":people", ":mqtt")
    assert heard(desk.receipt(301, by_mqtt, "failed")) == [(CADRE.id, "sms", "not_delivered")]


def test_a_contact_that_came_after_a_page_waits_for_what_was_told_since() -> None:
    """A later page is on its way over the old contact: it decides."""
    desk, key = crowd(CADRE, BESIDE, OFFICER, plan=PLAN)
    (rise,) = desk.alert(30, Level.ORANGE).decisions.notifications
    desk.redefine(60, street(person(CADRE.id, "cadre", "G1", Contact("mqtt")), BESIDE, OFFICER, plan=PLAN))
    assert heard(desk.receipt(300, key, "failed")) == []
    desk.restart()
    assert heard(desk.receipt(310, rise.key, "failed")) == [(CADRE.id, "mqtt", "not_delivered")]


def test_a_contact_that_came_after_a_page_waits_for_a_second_way_only_while_that_is_there() -> None:
    """It has its time; once it is taken out nothing waits for it, and what has come is taken as the page fails."""
    two = person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE))
    for kept in (True, False):
        desk, key = crowd(two, BESIDE, OFFICER, plan=PLAN)
        now = person(CADRE.id, "cadre", "G1", Contact("mqtt"), *(two.second_ways if kept else ()))
        desk.redefine(10, street(now, BESIDE, OFFICER, plan=PLAN))
        assert heard(desk.receipt(20, key, "failed")) == [(CADRE.id, "mqtt", "not_delivered")] * (not kept)
        desk.restart()
        assert heard(desk.wait(90)) == [(CADRE.id, "sms", "not_delivered")] * kept


def test_whoever_has_answered_or_heard_over_another_way_needs_no_further_contact() -> None:
    """Both know of it."""
    for answers in (True, False):
        desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("mqtt")), BESIDE, OFFICER, plan=PLAN)
        three = person(CADRE.id, "cadre", "G1", Contact("mqtt"), Contact("sms", "1"))
        desk.redefine(60, street(three, BESIDE, OFFICER, plan=PLAN))
        by_mqtt = key.replace(":people", ":mqtt")
        if answers:
            desk.act(70, "acknowledge")
            assert heard(desk.receipt(71, by_mqtt, "failed")) == []
        else:
            desk.receipt(71, by_mqtt, "delivered")
        assert heard(desk.receipt(300, key, "failed")) == []


def test_a_contact_that_came_after_a_second_way_waits_for_the_first_one_too() -> None:
    """Both said the same: either may come through."""
    desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE)), BESIDE, OFFICER, plan=PLAN)
    now = person(CADRE.id, "cadre", "G1", Contact("mqtt"), Contact("sms", "1", MINUTE))
    desk.redefine(10, street(now, BESIDE, OFFICER, plan=PLAN))
    (second,) = desk.wait(60).decisions.notifications
    assert heard(desk.receipt(70, second.key, "failed")) == []
    desk.restart()
    assert heard(desk.receipt(100, key, "failed")) == [(CADRE.id, "mqtt", "not_delivered")]


def test_what_was_heard_of_before_says_nothing_of_what_was_told_since() -> None:
    """Over a contact that has been taken out: what came after it failed, and a contact has come."""
    desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("mqtt")), BESIDE, OFFICER, plan=PLAN)
    desk.receipt(1, key.replace(":people", ":mqtt"), "sent")
    desk.redefine(10, street(CADRE, BESIDE, OFFICER, plan=PLAN))
    (rise,) = desk.alert(20, Level.ORANGE).decisions.notifications
    desk.redefine(30, street(person(CADRE.id, "cadre", "G1", Contact("sms", "1")), BESIDE, OFFICER, plan=PLAN))
    desk.restart()
    assert heard(desk.receipt(40, rise.key, "failed")) == [(CADRE.id, "sms", "not_delivered")]


def test_a_page_that_comes_through_after_a_later_one_spares_its_second_way() -> None:
    """Whoever has both needs neither."""
    desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE)), BESIDE, OFFICER, plan=PLAN)
    (rise,) = desk.alert(10, Level.ORANGE).decisions.notifications
    desk.receipt(20, rise.key, "delivered")
    desk.receipt(30, key, "delivered")
    desk.restart()
    assert heard(desk.wait(200)) == []


def test_whoever_is_off_duty_is_not_looked_for_over_a_contact_that_came_after_a_page() -> None:
    """Nobody would be told: the case is whose shift it is by then."""
    duty = Duty((Shift("early", NOW - 100, NOW + 10), Shift("late", NOW + 10, NOW + 400)))
    early = person(CADRE.id, "cadre", "G1", shifts=("early",))
    late = person("居委干部-3", "cadre", "G1", shifts=("late",))
    desk, key = crowd(early, late, OFFICER, plan=PLAN, duty=duty)
    more = msgspec.structs.replace(early, contacts=(*early.contacts, Contact("mqtt")))
    desk.redefine(60, street(more, late, OFFICER, plan=PLAN, duty=duty))
    assert heard(desk.wait(CHANGE)) == [(late.id, "people", "hand_over")]
    story = desk.receipt(CHANGE + 5, key, "failed")
    assert heard(story) == []
    cases = {*(one.case for one in story.events), *(one.case for one in story.decisions.holds)}
    assert not any(case.startswith("G1-L1") for case in cases)


def reached(*contacts: Contact) -> Person:
    """The cadre, over these."""
    return msgspec.structs.replace(CADRE, contacts=contacts)


OLD, NEW, MQTT, SMS = Contact("people", "old"), Contact("people", "new"), Contact("mqtt"), Contact("sms", "1", MINUTE)


def moved(desk: Desk, second: int, *contacts: Contact) -> list[tuple[str, str, str]]:
    """Who is told what as the cadre's contacts become these."""
    story = desk.redefine(second, street(reached(*contacts), BESIDE, OFFICER, plan=PLAN))
    desk.restart()
    return heard(story)


def test_what_went_to_one_old_number_of_two_contacts_says_nothing_of_the_new_one() -> None:
    """Nothing was said over that yet: it is taken next, and only when it fails, too, somebody else hears."""
    desk, key = crowd(reached(OLD, MQTT), BESIDE, OFFICER, plan=PLAN)
    assert moved(desk, 100, NEW, MQTT) == []
    assert (heard(desk.receipt(110, key, "failed")), desk.book.undeliverable) == ([], [])
    story = desk.receipt(111, key.replace(":people", ":mqtt"), "failed")
    assert [(one.receiver, one.address, one.reason) for one in story.decisions.notifications] == [
        (CADRE.id, "new", Reason.NOT_DELIVERED)
    ]
    desk.restart()
    (anew,) = story.decisions.notifications
    assert heard(desk.receipt(112, anew.key, "failed")) == [(BESIDE.id, "people", "nobody_told")]


@pytest.mark.parametrize("came_through", [False, True])
def test_what_may_be_lost_with_an_old_number_is_said_over_the_new_one(came_through: bool) -> None:
    """The other contact has failed before; what had come through by then was heard."""
    desk, key = crowd(reached(OLD, MQTT), BESIDE, OFFICER, plan=PLAN)
    if came_through:
        desk.receipt(5, key, "sent")
    assert heard(desk.receipt(10, key.replace(":people", ":mqtt"), "failed")) == []
    desk.restart()
    assert moved(desk, 100, NEW, MQTT) == [(CADRE.id, "people", "not_delivered")] * (not came_through)
    assert moved(desk, 110, NEW, MQTT) == []
    assert heard(desk.receipt(120, key, "failed")) == []


def test_what_an_old_number_failed_at_is_made_up_for_by_the_new_one() -> None:
    """It failed before the number was changed: the new one has failed at nothing."""
    desk, key = crowd(reached(OLD, MQTT), BESIDE, OFFICER, plan=PLAN)
    desk.receipt(10, key, "failed")
    assert moved(desk, 100, NEW, MQTT) == []
    by_mqtt = key.replace(":people", ":mqtt")
    assert heard(desk.receipt(110, by_mqtt, "failed")) == [(CADRE.id, "people", "not_delivered")]


def test_what_comes_through_to_an_old_number_spares_no_second_way() -> None:
    """Somebody else may have that number now."""
    desk, key = crowd(reached(OLD, SMS), BESIDE, OFFICER, plan=PLAN)
    assert moved(desk, 20, NEW, SMS) == []
    desk.receipt(30, key, "delivered")
    desk.restart()
    assert heard(desk.wait(90)) == [(CADRE.id, "sms", "not_delivered")]


@pytest.mark.parametrize("came_through", [False, True])
def test_whoever_has_no_contact_left_has_not_heard_what_was_on_its_way(came_through: bool) -> None:
    """The next hears, as when a page is given up."""
    desk, key = crowd(reached(OLD), BESIDE, OFFICER, plan=PLAN)
    if came_through:
        desk.receipt(5, key, "sent")
    assert moved(desk, 20) == [(BESIDE.id, "people", "nobody_told")] * (not came_through)
    assert heard(desk.receipt(30, key, "failed")) == []


def test_a_second_way_that_is_taken_out_while_it_is_awaited_is_awaited_no_more() -> None:
    """The first had failed."""
    desk, key = crowd(reached(OLD, SMS), BESIDE, OFFICER, plan=PLAN)
    assert heard(desk.receipt(5, key, "failed")) == []
    assert moved(desk, 20, OLD) == [(BESIDE.id, "people", "nobody_told")]
    assert heard(desk.wait(90)) == []


def held(*contacts: Contact) -> Desk:
    """A crowd of which the cadre heard, and another one of which all waits for the digest of their number."""
    desk = Desk(street(reached(*contacts), BESIDE, OFFICER, plan=PLAN, damping=RATE))
    for one in desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications:
        desk.receipt(0, one.key, "sent")
    assert heard(desk.alert(1, Level.YELLOW)) == []
    desk.restart()
    return desk


def said(story: Story) -> list[tuple[str, str, str, str, str]]:
    """Who is told of which place over which address, and why."""
    told = story.decisions.notifications
    return [(one.receiver, one.channel, one.address, one.place, one.reason.value) for one in told]


@pytest.mark.parametrize("now", [(NEW,), (NEW, SMS), (SMS,)])
def test_what_waits_at_an_old_number_is_told_anew_and_not_there(now: tuple[Contact, ...]) -> None:
    """It asked for nothing yet, and asks by what is said now; when that fails, the next hears."""
    desk = held(OLD, *(one for one in now if one is SMS))
    way = now[0].channel, now[0].address
    story = desk.redefine(10, street(reached(*now), BESIDE, OFFICER, plan=PLAN, damping=RATE))
    anew = [one for one in said(story) if one[3] == "G1-L1"]
    desk.restart()
    later = desk.wait(50)
    if now == (NEW,):  # of the other crowd they hear anew, too, which is as much as the number has in a minute
        assert [one[3:] for one in said(story)] == [("G1-L2", "not_delivered")]
        assert said(later) == [(CADRE.id, *way, "G1-L1", "digest")]
        (key,) = (one.key for one in later.decisions.notifications)
    else:
        assert anew == [(CADRE.id, *way, "G1-L1", "case_opened")]
        assert said(later) == []
        (key,) = (one.key for one in story.decisions.notifications if one.place == "G1-L1")
    desk.restart()
    (case,) = (case for case in desk.book.open.values() if case.place == "G1-L1")
    assert case.told[CADRE.id].times == 1
    last = [*said(desk.receipt(60, key, "failed")), *said(desk.wait(100))]
    by_sms = [(CADRE.id, "sms", "1", "G1-L1", "not_delivered")] * (now == (NEW, SMS))
    assert last == (by_sms or [(BESIDE.id, "people", BESIDE.id, "G1-L1", "nobody_told")])


def test_what_waits_at_a_number_that_nobody_has_any_more_is_the_nexts() -> None:
    """Its receiver has no contact left, and has heard of the other crowd."""
    desk = held(OLD)
    assert [
        one[3:] for one in said(desk.redefine(10, street(reached(), BESIDE, OFFICER, plan=PLAN, damping=RATE)))
    ] == [("G1-L1", "nobody_told")]


def test_what_waits_at_a_number_that_stays_is_told_there() -> None:
    """Another contact was changed, or the same one has become a second way."""
    for now in ((OLD, Contact("sms", "2", MINUTE)), (SMS, Contact("people", "old", MINUTE))):
        desk = held(OLD, SMS)
        assert said(desk.redefine(10, street(reached(*now), BESIDE, OFFICER, plan=PLAN, damping=RATE))) == []
        assert said(desk.wait(50)) == [(CADRE.id, "people", "old", "G1-L1", "digest")]


def test_a_request_to_verify_that_waits_at_an_old_number_is_made_anew() -> None:
    """Nothing alarms, and somebody has to go and see."""
    desk = Desk(street(reached(OLD, SMS), BESIDE, OFFICER, plan=PLAN, damping=RATE))
    desk.receipt(0, desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications[0].key, "sent")
    desk.alert(1, Level.YELLOW)
    assert heard(desk.unwatched(5)) == []
    story = desk.redefine(10, street(reached(NEW, SMS), BESIDE, OFFICER, plan=PLAN, damping=RATE))
    assert said(story) == [(CADRE.id, "people", "new", "G1-L1", "verifying_asked")]


def test_a_supervisor_is_asked_for_nothing_by_what_is_told_anew() -> None:
    """What waited at their old number was for their information, and is said anew."""
    plan = msgspec.structs.replace(PLAN, category="crowd")
    limits = Category("crowd", {"zh": "聚集"}, "04", "080", {State.DISPATCHED: 2 * MINUTE})
    cadre = reached(MQTT)
    desk = Desk(street(cadre, OFFICER, plan=plan, damping=RATE, categories=(limits,)))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.YELLOW, place="G1-L2")
    assert heard(desk.wait(130)) == [(OFFICER.id, "people", "overdue")]
    (case,) = (case for case in desk.book.open.values() if case.place == "G1-L2")
    assert case.told[OFFICER.id].held, "the other one waits"
    new = msgspec.structs.replace(OFFICER, contacts=(MQTT,))
    story = desk.redefine(135, street(cadre, new, plan=plan, damping=RATE, categories=(limits,)))
    assert heard(story) == [(OFFICER.id, "mqtt", "overdue")] * 2
    (case,) = (case for case in desk.book.open.values() if case.place == "G1-L2")
    assert case.told[OFFICER.id].times == 0

"""A reload that changes how somebody is reached loses nothing of what was asked of them."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Case
from sensord.core.cases.notification import Reason
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START
from tests.core.test_calls import ABOVE, BESIDE, CADRE, CHIEF, EVERY, OFFICER, called, failed, street
from tests.core.test_given_up import heard, person

OLD, NEW, MQTT = Contact("people", "old"), Contact("people", "new"), Contact("mqtt")


def by(whom: Person, *contacts: Contact) -> Person:
    """The same person, reached like this."""
    return msgspec.structs.replace(whom, contacts=contacts)


def moved(desk: Desk, second: int, *people: Person) -> Story:
    """Other contacts come into force, after a restart."""
    desk.restart()
    story = desk.redefine(second, street(*people))
    desk.restart()
    return story


def addresses(story: Story) -> list[tuple[str, str]]:
    """Over what is said, and why."""
    return [(one.address, one.reason.value) for one in story.decisions.notifications]


def crowd(desk: Desk) -> Case:
    """The crowd's case."""
    (case,) = (case for case in desk.book.open.values() if case.policy == "crowd")
    return case


@EVERY
@pytest.mark.parametrize("wholly", [True, False])
def test_what_a_supervisor_was_told_they_are_told_over_the_new_number(why: Reason, wholly: bool) -> None:
    """In the same words, and nothing besides, as when all that was left had failed; once that fails, the next hears."""
    rest = () if wholly else (MQTT,)
    desk = Desk(street(by(OFFICER, OLD, *rest), ABOVE))
    first = next(one for one in called(desk, why) if one.channel == "people")
    if not wholly:
        desk.receipt(335, first.key.replace(":people", ":mqtt"), "failed")
    story = moved(desk, 340, by(OFFICER, NEW, *rest), ABOVE)
    assert addresses(story) == [("new", why.value)]
    (anew,) = story.decisions.notifications
    assert (anew.title, anew.text) == (first.title, first.text)
    assert crowd(desk).told[OFFICER.id].times == 0
    assert not failed(desk, 341, first).told, "what went to the old one says nothing of the new one"
    assert addresses(moved(desk, 345, by(OFFICER, NEW, *rest), ABOVE)) == []
    assert heard(failed(desk, 350, anew)) == [(ABOVE.id, "people", why.value)]


def test_what_came_through_before_the_number_was_changed_was_heard() -> None:
    """Whoever has the question need not read it again."""
    desk = Desk(street(by(OFFICER, OLD, MQTT), ABOVE))
    first = called(desk, Reason.APPROVAL_ASKED)[0]
    desk.receipt(335, first.key, "delivered")
    assert addresses(moved(desk, 340, by(OFFICER, NEW, MQTT), ABOVE)) == []
    assert addresses(desk.receipt(345, first.key.replace(":people", ":mqtt"), "failed")) == []


def test_what_came_through_to_a_contact_that_is_taken_out_was_heard() -> None:
    """The other one has failed."""
    desk = Desk(street(by(OFFICER, OLD, MQTT), ABOVE))
    first = called(desk, Reason.APPROVAL_ASKED)[0]
    desk.receipt(335, first.key, "delivered")
    desk.receipt(336, first.key.replace(":people", ":mqtt"), "failed")
    assert heard(moved(desk, 340, by(OFFICER, MQTT), ABOVE)) == []


def test_what_was_asked_before_what_may_be_heard_yet_is_asked_anew() -> None:
    """It went over the number that was changed, and failed at the other contact; a second question is on its way."""
    desk = Desk(street(by(OFFICER, OLD, MQTT), ABOVE))
    first = called(desk, Reason.APPROVAL_ASKED)[0]
    desk.receipt(335, first.key.replace(":people", ":mqtt"), "failed")
    desk.act(336, "extend", CADRE.id, note="原因", via="link")
    story = moved(desk, 340, by(OFFICER, NEW, MQTT), ABOVE)
    said = [(one.address, one.text.partition("。")[0]) for one in story.decisions.notifications]
    assert ("new", first.text.partition("。")[0]) in said
    assert {address for address, _ in said} == {"new"}


def test_whoever_was_asked_over_another_number_before_is_asked_again_at_the_next_change() -> None:
    """What went to the second number came through to nobody."""
    desk = Desk(street(by(OFFICER, OLD), ABOVE))
    called(desk, Reason.APPROVAL_ASKED)
    for second, address in ((340, "new"), (350, "newer")):
        story = moved(desk, second, by(OFFICER, Contact("people", address)), ABOVE)
        assert addresses(story) == [(address, "approval_asked")]


def test_a_second_way_is_taken_once_for_what_is_asked_anew() -> None:
    """It was awaited since the question came; its time counts from then that it is asked anew."""
    desk = Desk(street(by(OFFICER, OLD, Contact("sms", "1", MINUTE)), ABOVE))
    called(desk, Reason.APPROVAL_ASKED)
    story = moved(desk, 340, by(OFFICER, NEW, Contact("sms", "2", MINUTE)), ABOVE)
    assert addresses(story) == [("new", "approval_asked")]
    assert addresses(desk.wait(399)) == []
    assert addresses(desk.wait(1000)) == [("2", "approval_asked")]


def test_what_a_silence_keeps_from_whoever_has_another_number_the_next_is_asked() -> None:
    """The question was theirs."""
    desk = Desk(street(by(OFFICER, OLD), ABOVE))
    called(desk, Reason.APPROVAL_ASKED)
    until, scope = START + 9000 * SECOND, Scope(people=(OFFICER.id,))
    desk.act(335, "silence", "operator", "quiet", scope=scope, note="施工", until=until, via="cli")
    assert heard(moved(desk, 340, by(OFFICER, NEW), ABOVE)) == [(ABOVE.id, "people", "approval_asked")]


@pytest.mark.parametrize("wholly", [True, False])
def test_who_is_to_verify_what_was_given_back_is_asked_over_the_new_number(wholly: bool) -> None:
    """Nothing alarms, and nobody else would go; once that fails, too, the next is asked."""
    rest, above = () if wholly else (MQTT,), person("居委干部-5", "cadre", "street")
    desk = Desk(street(by(BESIDE, OLD, *rest), CHIEF, above))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.NONE)
    asked = desk.act(20, "return", CHIEF.id, note="换人").decisions.notifications
    assert {(one.receiver, one.reason.value) for one in asked} == {(BESIDE.id, "verifying_asked")}
    if not wholly:
        desk.receipt(25, next(one.key for one in asked if one.channel == "mqtt"), "failed")
    story = moved(desk, 30, by(BESIDE, NEW, *rest), CHIEF, above)
    assert addresses(story) == [("new", "not_delivered")]
    (anew,) = story.decisions.notifications
    assert "尚待现场核查并反馈结果" in anew.text
    assert addresses(moved(desk, 35, by(BESIDE, NEW, *rest), CHIEF, above)) == []
    assert heard(failed(desk, 40, anew)) == [(above.id, "people", "nobody_told")]


def test_who_is_to_verify_what_was_given_back_in_a_silence_is_asked_when_it_ends() -> None:
    """Their number was changed meanwhile."""
    desk = Desk(street(by(BESIDE, OLD), CHIEF))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.NONE)
    desk.act(20, "return", CHIEF.id, note="换人")
    scope, until = Scope(places=("G1-L1",)), START + 10 * MINUTE
    desk.act(25, "silence", "operator", "quiet", scope=scope, note="施工", until=until, via="cli")
    assert addresses(moved(desk, 30, by(BESIDE, NEW), CHIEF)) == []
    assert (BESIDE.id, "people", "verifying_asked") in heard(desk.wait(600))

"""Whoever is chosen to hear in somebody's stead hears, or the next does; and with nobody it is owed."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Case
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.story import Story
from sensord.core.cases.wording import Wording
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core import test_calls as calls
from tests.core.desk import Desk
from tests.core.street import START
from tests.core.test_given_up import BESIDE, CADRE, OFFICER, POLICE, crowd, heard, person, street
from tests.core.test_handover import CHANGE, NOW
from tests.core.test_telling_fails import mistaken

OLD, NEW, MQTT = Contact("people", "old"), Contact("people", "new"), Contact("mqtt")
TWO = person(CADRE.id, "cadre", "G1", MQTT)


def by(whom: Person, *contacts: Contact) -> Person:
    """The same person, reached like this."""
    return msgspec.structs.replace(whom, contacts=contacts)


def english(whom: Person) -> Person:
    """Somebody who reads English: nothing can be said to them."""
    return msgspec.structs.replace(whom, language="en")


@pytest.fixture
def mistake(monkeypatch: pytest.MonkeyPatch, in_service: None) -> pytest.MonkeyPatch:
    """From ``mistaken`` on nothing can be said in English."""
    return monkeypatch


def silence(desk: Desk, second: int, *people: str, minutes: int = 60) -> None:
    """People hear nothing for so long."""
    until = START + second * SECOND + minutes * MINUTE
    desk.act(second, "silence", "operator", "quiet", scope=Scope(people=people), note="施工", until=until, via="cli")
    desk.restart()


def of(desk: Desk) -> Case:
    """The crowd's case."""
    (case,) = (case for case in desk.book.open.values() if case.policy == "crowd")
    return case


@pytest.mark.parametrize("wholly", [False, True])
def test_what_a_silence_keeps_from_whoever_has_another_number_is_the_nexts(wholly: bool) -> None:
    """All of what they were told has failed, or was lost."""
    desk, key = crowd(by(TWO, OLD, MQTT), OFFICER)
    desk.receipt(5, key.replace(":people", ":mqtt"), "failed")
    silence(desk, 10, CADRE.id)
    moved = by(TWO, NEW, Contact("mqtt", "other") if wholly else MQTT)
    assert heard(desk.redefine(20, street(moved, OFFICER))) == [(OFFICER.id, "people", "nobody_told")]
    desk.restart()
    assert heard(desk.redefine(30, street(moved, OFFICER))) == []


def test_what_a_silence_keeps_from_whoever_got_another_contact_is_the_nexts() -> None:
    """The page is given up; somebody of the same role is there."""
    desk, key = crowd(CADRE, BESIDE, OFFICER)
    desk.redefine(5, street(TWO, BESIDE, OFFICER))
    silence(desk, 10, CADRE.id)
    assert heard(desk.receipt(20, key, "failed")) == [(BESIDE.id, "people", "nobody_told")]
    assert of(desk).owner == BESIDE.id


def test_what_silences_keep_from_all_is_told_when_the_first_ends() -> None:
    """Nobody knows of the crowd until then."""
    desk, key = crowd(CADRE, OFFICER)
    desk.redefine(5, street(TWO, OFFICER))
    silence(desk, 10, CADRE.id, OFFICER.id, minutes=30)
    story = desk.receipt(20, key, "failed")
    assert heard(story) == []
    assert ("cadre", "", Reason.HELD_NOBODY) in [(one.role, one.receiver, one.reason) for one in story.decisions.holds]
    desk.restart()
    assert heard(desk.wait(1809)) == []
    assert ("people", "case_opened") in [one[1:] for one in heard(desk.wait(1810))]


def test_what_a_silence_keeps_from_somebody_while_a_report_stands_is_nobodys_yet() -> None:
    """Once the sensors deny it, the next hears."""
    plan = msgspec.structs.replace(calls.PLAN, close="when_clear", category="", agree_for=HOUR)
    desk, key = crowd(CADRE, OFFICER, plan=plan)
    desk.redefine(1, street(TWO, OFFICER, plan=plan))
    desk.act(3, "dispersed", "operator", via="cli")
    silence(desk, 10, CADRE.id, minutes=120)
    assert heard(desk.receipt(20, key, "failed")) == []
    desk.restart()
    assert (OFFICER.id, "people", "nobody_told") in heard(desk.wait(3610))


@pytest.fixture
def asked() -> tuple[Desk, Notification]:
    """A question of which the officer is asked, and that message."""
    desk = Desk(calls.street(calls.OFFICER, calls.ABOVE, calls.CHIEF))
    (first,) = calls.called(desk, Reason.APPROVAL_ASKED)
    return desk, first


def test_a_question_goes_past_whoever_is_silenced(asked: tuple[Desk, Notification]) -> None:
    """To who else approves."""
    desk, first = asked
    silence(desk, 335, calls.ABOVE.id)
    story = calls.failed(desk, 340, first)
    assert heard(story) == [(calls.CHIEF.id, "people", "approval_asked")]
    assert "居委干部-1申请作废：误报。" in story.decisions.notifications[0].text


def test_a_question_that_a_silence_keeps_from_whom_it_was_put_to_is_the_nexts(asked: tuple[Desk, Notification]) -> None:
    """Though they have a contact that has come since; once the next is not reached, either, it goes on."""
    desk, first = asked
    more = by(calls.OFFICER, *calls.OFFICER.contacts, MQTT)
    desk.redefine(334, calls.street(more, calls.ABOVE, calls.CHIEF))
    silence(desk, 335, calls.OFFICER.id)
    story = calls.failed(desk, 340, first)
    assert heard(story) == [(calls.ABOVE.id, "people", "approval_asked")]
    last = calls.failed(desk, 350, story.decisions.notifications[0])
    assert heard(last) == [(calls.CHIEF.id, "people", "approval_asked")]


def test_a_question_that_cannot_be_put_to_the_next_is_put_to_another(mistake: pytest.MonkeyPatch) -> None:
    """A mistake of ours keeps it from the one above."""
    desk = Desk(calls.street(calls.OFFICER, english(calls.ABOVE), calls.CHIEF))
    (first,) = calls.called(desk, Reason.APPROVAL_ASKED)
    mistake.setattr(Wording, "words", mistaken)
    desk.restart()
    assert heard(calls.failed(desk, 340, first)) == [(calls.CHIEF.id, "people", "approval_asked")]


def test_a_question_that_cannot_be_put_again_is_put_to_the_next(mistake: pytest.MonkeyPatch) -> None:
    """Its receiver has a contact that has come since."""
    officer = english(calls.OFFICER)
    desk = Desk(calls.street(officer, calls.ABOVE))
    (first,) = calls.called(desk, Reason.APPROVAL_ASKED)
    desk.redefine(335, calls.street(by(officer, *officer.contacts, MQTT), calls.ABOVE))
    mistake.setattr(Wording, "words", mistaken)
    desk.restart()
    story = calls.failed(desk, 340, first)
    assert heard(story) == [(calls.ABOVE.id, "people", "approval_asked")]
    assert [one.cause for one in story.events] == ["second way", "not reached"]


def broken(story: Story) -> list[str]:
    """What we failed at."""
    return [one.why for one in story.failures]


def test_a_page_that_cannot_be_made_for_the_next_is_made_for_another(mistake: pytest.MonkeyPatch) -> None:
    """Of the same role, then of the plan; it fails once for each, and the crowd is whose who hears."""
    desk, key = crowd(CADRE, english(BESIDE), POLICE)
    mistake.setattr(Wording, "words", mistaken)
    desk.restart()
    story = desk.receipt(5, key, "failed")
    assert heard(story) == [(POLICE.id, "people", "nobody_told")]
    assert (broken(story), of(desk).owner) == (["MistakeError"], POLICE.id)
    desk.restart()
    assert heard(desk.receipt(6, key, "failed")) == []


def test_a_page_that_can_be_made_for_nobody_is_made_for_the_next_shift(mistake: pytest.MonkeyPatch) -> None:
    """Nobody knows of the crowd until then."""
    duty = Duty((Shift("early", NOW - 100, NOW + 10), Shift("late", NOW + 10, NOW + 400)))
    late = person("居委干部-3", "cadre", "G1", shifts=("late",))
    desk, key = crowd(CADRE, late, english(OFFICER), duty=duty)
    mistake.setattr(Wording, "words", mistaken)
    desk.restart()
    story = desk.receipt(5, key, "failed")
    assert (heard(story), broken(story)) == ([], ["MistakeError"])
    assert Reason.HELD_NOBODY in [one.reason for one in story.decisions.holds]
    desk.restart()
    assert (late.id, "people", "case_opened") in heard(desk.wait(CHANGE))


@pytest.mark.parametrize("wholly", [False, True])
def test_what_cannot_be_said_over_another_number_is_the_nexts(mistake: pytest.MonkeyPatch, wholly: bool) -> None:
    """Nor over what was left."""
    desk, key = crowd(english(by(TWO, OLD, MQTT)), OFFICER)
    desk.receipt(5, key.replace(":people", ":mqtt"), "failed")
    mistake.setattr(Wording, "words", mistaken)
    desk.restart()
    moved = english(by(TWO, NEW, Contact("mqtt", "other") if wholly else MQTT))
    story = desk.redefine(20, street(moved, OFFICER))
    assert (heard(story), broken(story)) == ([(OFFICER.id, "people", "nobody_told")], ["MistakeError"])


@pytest.mark.parametrize("over", [True, False])
def test_what_was_given_back_in_a_silence_is_the_next_ones_when_it_ends(over: bool) -> None:
    """Also when nobody nearer is there than who gave it back."""
    desk = Desk(calls.street(BESIDE, calls.CHIEF))
    desk.alert(0, Level.YELLOW)
    if over:
        desk.alert(10, Level.NONE)
    scope, until = Scope(places=("G1-L1",)), START + 10 * MINUTE
    desk.act(15, "silence", "operator", "quiet", scope=scope, note="施工", until=until, via="cli")
    assert heard(desk.act(20, "return", calls.CHIEF.id, note="换人")) == []
    desk.restart()
    assert BESIDE.id in [one[0] for one in heard(desk.wait(600))]

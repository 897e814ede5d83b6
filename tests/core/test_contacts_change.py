"""How people are reached changes while a case is open: nobody counts as told to whom nothing could be sent."""

from __future__ import annotations

import msgspec

from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk, told
from tests.core.street import definition

CADRE = Person("居委干部-1", "cadre", "G1", (Contact("people", "1"),))
POLICE = Person("派出所-1", "police", "street", (Contact("people", "2"),))
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

"""How people are reached changes while a case is open: nobody counts as told to whom nothing could be sent."""

from __future__ import annotations

import msgspec

from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE
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
    assert desk.case.told["居委干部-1"].failed == ["people"]

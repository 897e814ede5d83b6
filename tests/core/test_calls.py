"""A notice to a supervisor, a question for approval or a request to verify that is given up goes to somebody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sensord.core.cases.case import CaseEvent, State
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Hold, Notification, Reason
from sensord.core.cases.policy import Category, Policy, Role, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START, definition
from tests.core.test_given_up import heard, person

PLAN = Policy(
    "crowd", {"zh": "聚集"}, (Step(("cadre",)),), "after_report", "crowd", agree_for=MINUTE, supervisors=("officer",)
)
LIMITS = (Category("crowd", {"zh": "聚集"}, "01", "001", {State.DISPATCHED: 5 * MINUTE}),)
ROLES = tuple(Role(name, {}, {}, approves=name == "chief") for name in ("cadre", "officer", "police", "chief"))
CADRE, BESIDE = person("居委干部-1", "cadre", "G1"), person("居委干部-9", "cadre", "B1")
OFFICER, ABOVE = person("值班员-1", "officer", "B1"), person("值班员-9", "officer", "street")
POLICE, CHIEF = person("派出所-1", "police", "street"), person("科长-1", "chief", "street")
SMS = Contact("sms", "1", 2 * MINUTE)


def street(*people: Person, supervisors: tuple[str, ...] = ("officer",), **more: Any) -> Definition:
    """A street in which troubles are nobody's to hear of."""
    plans = (msgspec.structs.replace(PLAN, supervisors=supervisors), Policy("roster", {"zh": "值班"}, ()))
    whole = {"roles": ROLES, "categories": LIMITS, "built_in": {"others": "roster"}, "policies": plans, **more}
    return definition(people=(CADRE, *people), **whole)


def failed(desk: Desk, second: int, message: Notification) -> Story:
    """A message is given up, after a restart: what follows of crowds, whatever is said of contacts that fail."""
    desk.restart()
    story, crowds = desk.receipt(second, message.key, "failed"), Story()
    for one in story.told:
        if isinstance(one, CaseEvent) and one.policy == "crowd":
            crowds.tell(one)
        elif isinstance(one, Notification) and one.policy == "crowd":
            crowds.decisions.notify(one)
        elif isinstance(one, Hold) and "-crowd-" in one.case:
            crowds.decisions.hold(one)
    return crowds


def called(desk: Desk, why: Reason) -> list[Notification]:
    """A crowd of which supervisors hear: it is late, a report is denied, or somebody asks to void it; by 330 s."""
    desk.alert(0, Level.YELLOW)
    story = Story()
    if why is Reason.APPROVAL_ASKED:
        desk.act(20, "acknowledge", CADRE.id)
        story = desk.act(300, "void", CADRE.id, note="误报", via="link")
    elif why is Reason.DISAGREEMENT:
        desk.act(20, "dispersed", CADRE.id)
    story.go_on(desk.wait(330))
    found = [one for one in story.decisions.notifications if one.reason is why]
    assert found
    return found


OPENINGS = {
    Reason.OVERDUE: "派遣阶段已超过时限。",
    Reason.DISAGREEMENT: "",
    Reason.APPROVAL_ASKED: "居委干部-1申请作废：误报。",
}
EVERY = pytest.mark.parametrize("why", OPENINGS, ids=lambda why: why.value)


@EVERY
def test_the_next_supervisor_in_reach_hears_in_whose_stead(why: Reason) -> None:
    """In the words of the first message; the story says who was not reached, and said again it is once."""
    desk = Desk(street(OFFICER, ABOVE))
    (first,) = called(desk, why)
    assert first.receiver == OFFICER.id
    story = failed(desk, 340, first)
    assert heard(story) == [(ABOVE.id, "people", why.value)]
    (said,) = story.decisions.notifications
    assert said.title == first.title
    assert said.text == "值班员-1联系不上，未收到通知。" + first.text
    assert OPENINGS[why] in first.text
    assert [(one.cause, one.note) for one in story.events] == [("not reached", OFFICER.id)]
    assert not failed(desk, 341, first).told


@EVERY
def test_with_nobody_left_a_hold_says_so(why: Reason) -> None:
    """Also when who was told instead is not reached, either."""
    desk = Desk(street(OFFICER, ABOVE))
    (first,) = called(desk, why)
    (second,) = failed(desk, 340, first).decisions.notifications
    story = failed(desk, 350, second)
    assert heard(story) == []
    assert [(one.role, one.reason) for one in story.decisions.holds] == [("officer", Reason.HELD_NOBODY)]
    assert [(one.cause, one.note) for one in story.events] == [("not reached", ABOVE.id)]


@EVERY
def test_a_second_way_says_what_the_first_would_have_said(why: Reason) -> None:
    """Whoever has it is not given up; once it has failed, too, the next hears."""
    desk = Desk(street(person(OFFICER.id, "officer", "B1", SMS), ABOVE))
    (first,) = called(desk, why)
    assert heard(failed(desk, 340, first)) == []
    (second,) = desk.wait(1000).decisions.notifications
    assert (second.receiver, second.channel, second.reason) == (OFFICER.id, "sms", why)
    assert (second.title, second.text) == (first.title, first.text)
    assert heard(failed(desk, 1001, second)) == [(ABOVE.id, "people", why.value)]


def test_a_way_that_somebody_got_since_is_taken_at_once() -> None:
    """Nothing waits for it; and with it the next supervisor need not hear."""
    desk = Desk(street(OFFICER, ABOVE))
    (first,) = called(desk, Reason.APPROVAL_ASKED)
    more = msgspec.structs.replace(OFFICER, contacts=(*OFFICER.contacts, SMS))
    desk.redefine(335, street(more, ABOVE))
    story = failed(desk, 340, first)
    assert heard(story) == [(OFFICER.id, "sms", "approval_asked")]
    (said,) = story.decisions.notifications
    assert (said.title, said.text) == (first.title, first.text)
    assert heard(failed(desk, 350, said)) == [(ABOVE.id, "people", "approval_asked")]


def test_another_who_was_told_of_it_has_it() -> None:
    """Once they are not reached, either, a question goes to who else approves, and no notice does."""
    for why in (Reason.APPROVAL_ASKED, Reason.DISAGREEMENT):
        desk = Desk(street(OFFICER, POLICE, CHIEF, supervisors=("officer", "police")))
        first, second = called(desk, why)
        assert heard(failed(desk, 340, first)) == []
        story = failed(desk, 350, second)
        asks = why is Reason.APPROVAL_ASKED
        assert heard(story) == [(CHIEF.id, "people", "approval_asked")] * asks
        assert [one.reason for one in story.decisions.holds] == [Reason.HELD_NOBODY] * (not asks)


def test_who_asks_is_not_asked() -> None:
    """A supervisor who asks another does not hear the question in that one's stead."""
    asker = person(ABOVE.id, "officer", "street")
    desk = Desk(street(OFFICER, asker))
    desk.alert(0, Level.YELLOW)
    (first,) = desk.act(10, "void", asker.id, note="误报", via="link").decisions.notifications
    story = failed(desk, 20, first)
    assert heard(story) == []
    assert [one.reason for one in story.decisions.holds] == [Reason.HELD_NOBODY]


def test_whoever_has_done_something_since_knows() -> None:
    """They found it out in another way."""
    desk = Desk(street(OFFICER, ABOVE))
    (first,) = called(desk, Reason.APPROVAL_ASKED)
    desk.act(335, "acknowledge", OFFICER.id)
    assert not failed(desk, 340, first).told


@pytest.mark.parametrize("how", ["decided", "answered", "calm", "over", "delivered"])
def test_what_matters_no_more_is_nobodys(how: str) -> None:
    """A decision, an answer to a late stage, calm after a denied report; or a later message has come through."""
    why = {"decided": Reason.APPROVAL_ASKED, "answered": Reason.OVERDUE}.get(how, Reason.DISAGREEMENT)
    desk = Desk(street(OFFICER, ABOVE, CHIEF))
    (first,) = called(desk, why)
    if how == "decided":
        desk.act(335, "extend", CHIEF.id, note="原因")
    elif how == "answered":
        desk.act(335, "dispersed", CADRE.id)
    elif how in {"calm", "over"}:
        desk.alert(335, Level.NONE)
        if how == "over":
            desk.act(336, "void", CHIEF.id, note="误报")
    else:
        (later,) = (
            one
            for one in desk.act(335, "extend", CADRE.id, note="原因", via="link").decisions.notifications
            if one.receiver == OFFICER.id
        )
        desk.receipt(336, later.key, "delivered")
    assert not failed(desk, 340, first).told


def test_what_is_muted_is_held() -> None:
    """As a notice is that comes while the case is muted."""
    desk = Desk(street(OFFICER, ABOVE))
    (first,) = called(desk, Reason.OVERDUE)
    scope = Scope(places=("G1-L1",))
    desk.act(335, "silence", "operator", "quiet", scope=scope, note="施工", until=START + HOUR, via="cli")
    story = failed(desk, 340, first)
    assert heard(story) == []
    assert [one.reason for one in story.decisions.holds] == [Reason.HELD_SILENCED]


@pytest.mark.parametrize("way", [False, True])
def test_a_digest_that_is_given_up_has_told_nobody_of_it(way: bool) -> None:
    """Of each case in it the next hears. Whoever has another way hears over that: of the gravest case in its time."""
    desk = Desk(street(person(OFFICER.id, "officer", "B1", *(SMS,) * way), ABOVE, damping=Damping(per_hour=1)))
    for rule, place in (("density", "G1-L1"), ("density", "G1-L2"), ("crowd-sum", "G1")):
        desk.alert(0, Level.YELLOW, rule, place)
    said = [one for one in desk.wait(3000).decisions.notifications if one.receiver == OFFICER.id]
    (digest,) = (one for one in said if one.reason is Reason.DIGEST)
    story = failed(desk, 3001, digest)
    told = [(one.receiver, one.channel, one.place) for one in story.decisions.notifications]
    if way:
        assert [(one.channel, one.place) for one in said[-1:]] == [("sms", "G1-L2")]
        assert told == [(OFFICER.id, "sms", "G1")]
    else:
        assert told == [(ABOVE.id, "people", "G1-L2")]
        assert [(one.receiver, one.case[:8]) for one in story.decisions.holds] == [(ABOVE.id, "G1-crowd")], "its budget"


def test_what_a_second_way_says_counts_once() -> None:
    """An event is one of a person's hour, over however many contacts they hear of it."""
    desk = Desk(street(person(OFFICER.id, "officer", "B1", SMS), damping=Damping(per_hour=9)))
    called(desk, Reason.DISAGREEMENT)
    before = len(desk.book.state().damped.people[OFFICER.id])
    assert [one.channel for one in desk.wait(1000).decisions.notifications if one.receiver == OFFICER.id] == ["sms"]
    assert len(desk.book.state().damped.people[OFFICER.id]) == before


def test_what_was_given_back_as_it_was_over_is_the_nexts_to_verify() -> None:
    """Somebody has to go and see; who does not get it, either, is told of as any page is."""
    desk = Desk(street(BESIDE, CHIEF, POLICE))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.NONE)
    (asked,) = desk.act(20, "return", CHIEF.id, note="换人").decisions.notifications
    assert (asked.receiver, asked.reason.value) == (BESIDE.id, "verifying_asked")
    more = person("居委干部-5", "cadre", "street")
    desk.redefine(30, street(BESIDE, CHIEF, POLICE, more))
    story = failed(desk, 40, asked)
    assert heard(story) == [(more.id, "people", "nobody_told")]
    (said,) = story.decisions.notifications
    assert "居委干部-9联系不上，未收到通知。" in said.text
    assert "尚待现场核查并反馈结果" in said.text
    assert desk.book.open[asked.case].owner == more.id
    story = failed(desk, 50, said)
    assert heard(story) == []
    assert [(one.role, one.reason) for one in story.decisions.holds] == [("cadre", Reason.HELD_NOBODY)]


def test_what_a_case_keeps_of_it_is_bounded_and_ends_with_it() -> None:
    """Whoever asks again and again fills nothing."""
    desk = Desk(street(OFFICER, CHIEF))
    desk.alert(0, Level.YELLOW)
    for second in range(1, 50):
        desk.act(second, "void", CADRE.id, note="误报", via="link")
    case = desk.case
    assert len(case.calls) == 20
    desk.act(60, "void", CHIEF.id, note="误报")
    assert case.calls == []

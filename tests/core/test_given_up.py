"""A page that was given up has told nobody: whoever is nearest and in reach hears at once, and of whom."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Answer
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START, definition
from tests.core.test_handover import CHANGE, NOW

PLAN = Policy(
    "crowd", {"zh": "聚集"}, (Step(("cadre",)), Step(("police",), after=10 * MINUTE)), supervisors=("officer",)
)


def person(name: str, role: str, place: str, *more: Contact, shifts: tuple[str, ...] = ()) -> Person:
    """Somebody with a first way, perhaps with a second one."""
    return Person(name, role, place, (Contact("people", name), *more), shifts=shifts)


CADRE, POLICE = person("居委干部-1", "cadre", "G1"), person("派出所-1", "police", "street")
BESIDE, OFFICER = person("居委干部-9", "cadre", "B1"), person("值班员-1", "officer", "street")


def street(*people: Person, plan: Policy = PLAN, **more: object) -> Definition:
    """A street in which troubles are nobody's to hear of."""
    return definition(
        people=people, policies=(plan, Policy("roster", {"zh": "值班"}, ())), built_in={"others": "roster"}, **more
    )


def heard(story: Story) -> list[tuple[str, str, str]]:
    """Who is told over what, and why."""
    return [(one.receiver, one.channel, one.reason.value) for one in story.decisions.notifications]


def crowd(*people: Person, plan: Policy = PLAN, **more: object) -> tuple[Desk, str]:
    """A crowd of which the cadre is told, and the key of that page."""
    desk = Desk(street(*people, plan=plan, **more))
    keys = [one.key for one in desk.alert(0, Level.YELLOW).decisions.notifications if one.receiver == CADRE.id]
    desk.restart()
    return desk, keys[0]


def test_whoever_of_the_same_role_is_next_hears_at_once() -> None:
    """The block's cadre need not wait, reads who was not reached, and is asked; said again it is once."""
    desk, key = crowd(CADRE, BESIDE, POLICE)
    story = desk.receipt(5, key, "failed")
    assert heard(story) == [("居委干部-9", "people", "nobody_told")]
    (said,) = story.decisions.notifications
    assert "居委干部-1联系不上，未收到通知。" in said.text
    case = next(iter(desk.book.open.values()))
    assert (case.told["居委干部-9"].times, case.owner) == (1, "居委干部-9")
    desk.restart()
    assert heard(desk.receipt(5, key, "failed")) == heard(desk.receipt(6, key, "failed")) == []
    assert heard(desk.wait(600)) == [("派出所-1", "people", "step_due")]


def test_without_anybody_of_the_role_the_next_of_the_plan_hears() -> None:
    """A later step's people, else the supervisors: as when a contact is known to fail before."""
    desk, key = crowd(CADRE, POLICE, OFFICER)
    assert heard(desk.receipt(5, key, "failed")) == [("派出所-1", "people", "nobody_told")]
    desk, key = crowd(CADRE, OFFICER)
    assert heard(desk.receipt(5, key, "failed")) == [("值班员-1", "people", "nobody_told")]


def test_whoever_is_reached_in_another_way_is_not_given_up() -> None:
    """Two first ways, or a second one that is to come; once all have failed, the next hears."""
    desk, key = crowd(person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE)), POLICE)
    assert heard(desk.receipt(5, key, "failed")) == []
    (second,) = desk.wait(60).decisions.notifications
    assert heard(desk.receipt(65, second.key, "failed")) == [("派出所-1", "people", "nobody_told")]
    both, key = crowd(person(CADRE.id, "cadre", "G1", Contact("mqtt")), POLICE)
    assert heard(both.receipt(5, key, "failed")) == []


def test_nobody_else_hears_while_somebody_of_the_role_was_told() -> None:
    """Two cadres of the grid: one of them has it."""
    other = person("居委干部-2", "cadre", "G1")
    desk, key = crowd(CADRE, other, BESIDE, POLICE)
    assert heard(desk.receipt(5, key, "failed")) == []
    assert heard(desk.receipt(6, key.replace(CADRE.id, other.id), "failed")) == [
        ("居委干部-9", "people", "nobody_told")
    ]


def test_whoever_has_answered_knows() -> None:
    """They found it out in another way."""
    desk, key = crowd(CADRE, POLICE)
    desk.act(3, "acknowledge")
    assert heard(desk.receipt(5, key, "failed")) == []


@pytest.mark.parametrize("over", [True, False])
def test_what_is_over_is_nobody_elses(over: bool) -> None:
    """Nor while a report that it is over waits for the sensors."""
    plan = msgspec.structs.replace(PLAN, agree_for=HOUR)
    desk, key = crowd(CADRE, POLICE, plan=plan)
    if over:
        desk.alert(3, Level.NONE)
    else:
        desk.act(3, "dispersed", "operator", via="cli")
    assert heard(desk.receipt(5, key, "failed")) == []


def test_what_is_muted_is_told_when_the_mute_ends() -> None:
    """To whoever can be reached by then."""
    desk, key = crowd(CADRE, POLICE)
    scope = Scope(places=("G1-L1",))
    desk.act(3, "silence", "operator", "quiet", scope=scope, note="施工", until=START + 5 * MINUTE, via="cli")
    assert heard(desk.receipt(5, key, "failed")) == []
    assert ("派出所-1", "people", "nobody_told") in heard(desk.wait(300))


def test_with_nobody_in_reach_it_is_as_one_of_which_nobody_was_told() -> None:
    """Told as soon as a contact works again, and when the shift changes; the hold says that nobody could be."""
    duty = Duty((Shift("early", NOW - 100, NOW + 10), Shift("late", NOW + 10, NOW + 400)))
    late = person("居委干部-3", "cadre", "G1", shifts=("late",))
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))
    desk, key = crowd(CADRE, late, plan=plan, duty=duty)
    story = desk.receipt(5, key, "failed")
    assert [(one.role, one.reason) for one in story.decisions.holds] == [("cadre", Reason.HELD_NOBODY)]
    desk.restart()
    assert not desk.receipt(6, key, "failed").told, "once"
    assert heard(desk.wait(CHANGE - 1)) == []
    assert ("居委干部-3", "people", "case_opened") in heard(desk.wait(CHANGE))
    works, key = crowd(CADRE, plan=plan)
    works.receipt(5, key, "failed")
    again = works.receipt(60, key.replace(":2:", ":9:"), "sent")
    assert heard(again) == [("居委干部-1", "people", "case_opened")]


def test_a_digest_that_is_given_up_has_told_nobody_either() -> None:
    """Of each case in it the next hears."""
    desk = Desk(street(CADRE, POLICE, damping=Damping(per_minute={"people": 2})))
    desk.receipt(0, desk.alert(0, Level.YELLOW).decisions.notifications[0].key, "sent")
    desk.alert(1, Level.YELLOW, place="G1-L2")
    (digest,) = desk.wait(40).decisions.notifications
    assert digest.reason is Reason.DIGEST
    story = desk.receipt(50, digest.key, "failed")
    assert [(one.receiver, one.place) for one in story.decisions.notifications] == [("派出所-1", "G1-L2")]


def test_what_nobody_watches_and_nobody_was_reached_to_verify_is_the_nexts() -> None:
    """Somebody has to go and see."""
    desk, _ = crowd(CADRE, POLICE)
    (asked,) = desk.unwatched(100).decisions.notifications
    story = desk.receipt(110, asked.key, "failed")
    assert heard(story) == [("派出所-1", "people", "nobody_told")]
    assert "现场情况不明。尚待现场核查" in story.decisions.notifications[0].text


def test_the_page_of_a_contact_that_fails_says_whose() -> None:
    """And over which channel: whoever keeps the roster need not search."""
    plans = (PLAN, Policy("roster", {"zh": "值班"}, (Step(("officer",)),)))
    desk = Desk(definition(people=(CADRE, POLICE, OFFICER), policies=plans, built_in={"others": "roster"}))
    key = desk.alert(0, Level.YELLOW).decisions.notifications[0].key
    said = {one.receiver: one.text for one in desk.receipt(5, key, "failed").decisions.notifications}
    assert "居委干部-1（people）" in said["值班员-1"]


def test_a_step_that_asks_for_an_answer_comes_in_its_time_all_the_same() -> None:
    """Whoever hears instead has the time that anybody has; the plan's later steps have theirs."""
    late = Step(("officer",), after=5 * MINUTE, until=Answer.ACKNOWLEDGED)
    desk, key = crowd(CADRE, BESIDE, OFFICER, plan=msgspec.structs.replace(PLAN, steps=(Step(("cadre",)), late)))
    assert heard(desk.receipt(20, key, "failed")) == [("居委干部-9", "people", "nobody_told")]
    story = desk.wait(300)
    assert heard(story) == [("值班员-1", "people", "not_acknowledged")]
    assert story.decisions.notifications[0].at == START + 300 * SECOND


def test_the_first_role_that_has_somebody_new_hears() -> None:
    """A contact that has failed for this crowd works again for another one: its person is no new one for this."""
    two = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    desk, key = crowd(two, OFFICER)
    desk.receipt(5, key.replace(":people", ":mqtt"), "failed")
    other = desk.alert(6, Level.YELLOW, place="G1-L2").decisions.notifications
    desk.receipt(7, next(one.key for one in other if one.channel == "mqtt"), "sent")
    assert desk.book.undeliverable == []
    desk.restart()
    assert heard(desk.receipt(8, key, "failed")) == [("值班员-1", "people", "nobody_told")]


@pytest.mark.parametrize("ways", [(), (Contact("sms", "1", HOUR),)])
def test_what_is_to_be_verified_and_is_muted_is_asked_when_the_mute_ends(ways: tuple[Contact, ...]) -> None:
    """Nothing alarms by which anybody would hear; whoever has a second way has it in its time, or then."""
    desk, _ = crowd(person(CADRE.id, "cadre", "G1", *ways), POLICE, OFFICER)
    (asked,) = desk.unwatched(100).decisions.notifications
    scope = Scope(places=("G1-L1",))
    desk.act(105, "silence", "operator", "quiet", scope=scope, note="施工", until=START + 5 * MINUTE, via="cli")
    assert heard(desk.receipt(110, asked.key, "failed")) == []
    desk.restart()
    assert heard(desk.wait(299)) == []
    later = heard(desk.wait(4000))
    assert (CADRE.id, "sms", "not_delivered") in later if ways else (POLICE.id, "people", "verifying_asked") in later


def test_a_way_that_works_again_is_one_by_which_somebody_hears() -> None:
    """What failed once in the case is made up for; and an earlier message says nothing against a later one."""
    two = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    desk, key = crowd(two, POLICE, OFFICER)
    desk.receipt(5, key.replace(":people", ":mqtt"), "failed")
    told = desk.alert(100, Level.ORANGE).decisions.notifications
    keys = {one.channel: one.key for one in told if one.receiver == CADRE.id}
    desk.receipt(101, keys["mqtt"], "delivered")
    desk.restart()
    assert heard(desk.receipt(102, keys["people"], "failed")) == []
    assert heard(desk.receipt(103, key.replace(":people", ":mqtt"), "failed")) == []
    assert [one[1] for one in desk.book.undeliverable] == ["people"]
    assert heard(desk.receipt(104, keys["mqtt"], "failed")) == [(POLICE.id, "people", "nobody_told")], "the last word"


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("digest", [False, True])
def test_what_went_to_an_old_number_says_nothing_of_the_new_one(arrived: bool, digest: bool) -> None:
    """Whoever has moved was told anew; when that fails, too, the next hears."""
    desk, key = crowd(CADRE, POLICE, OFFICER, damping=Damping(per_minute={"people": 2} if digest else {}))
    place = "G1-L2" if digest else "G1-L1"
    if digest:
        desk.receipt(0, key, "sent")
        desk.alert(1, Level.YELLOW, place=place)
        key = desk.wait(40).decisions.notifications[0].key
    moved = street(msgspec.structs.replace(CADRE, contacts=(Contact("people", "new"),)), POLICE, OFFICER)
    anew = [one for one in desk.redefine(200, moved).decisions.notifications if one.place == place]
    assert [(one.receiver, one.reason.value) for one in anew] == [(CADRE.id, "not_delivered")]
    if arrived:
        desk.receipt(201, anew[0].key, "sent")
    desk.restart()
    assert heard(desk.receipt(220, key, "failed")) == []
    assert desk.book.undeliverable == []
    story = desk.receipt(230, anew[0].key, "failed")
    assert [(one.receiver, one.place) for one in story.decisions.notifications] == [(POLICE.id, place)]


def test_what_was_never_sent_is_no_way_by_which_somebody_may_hear() -> None:
    """They were away as the digest of a rise came due; the page before it failed, and a contact has come."""
    duty = Duty(changes=(Change(START + 20 * SECOND, START + MINUTE, ChangeReason.LEAVE, CADRE.id),))
    other, rate = person("居委干部-2", "cadre", "G1"), Damping(per_minute={"people": 2})
    desk, key = crowd(CADRE, other, OFFICER, duty=duty, damping=rate)
    assert heard(desk.alert(1, Level.ORANGE)) == []
    more = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    desk.redefine(10, street(more, other, OFFICER, duty=duty, damping=rate))
    desk.wait(90)
    desk.restart()
    assert heard(desk.receipt(100, key, "failed")) == [(CADRE.id, "mqtt", "not_delivered")]


def test_what_a_silence_has_kept_is_not_made_up_for_by_what_was_before() -> None:
    """The second way of a rise was not taken; that of the page before it has come through since."""
    desk, _ = crowd(person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE)), BESIDE, OFFICER)
    (before,) = desk.wait(60).decisions.notifications
    (rise,) = desk.alert(100, Level.ORANGE).decisions.notifications
    scope, until = Scope(people=(CADRE.id,)), START + 9 * MINUTE
    desk.act(110, "silence", "operator", "quiet", scope=scope, note="施工", until=until, via="cli")
    assert heard(desk.wait(170)) == []
    desk.receipt(200, before.key, "delivered")
    desk.restart()
    assert heard(desk.receipt(210, rise.key, "failed")) == [(BESIDE.id, "people", "nobody_told")]

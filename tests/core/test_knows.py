"""Who counts as knowing of a case: who was told, has been there since, and has answered or may hear of it."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Answer
from sensord.core.cases.damping import Damping
from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START
from tests.core.test_digest_ways import apart, by_sms, digest_of_two
from tests.core.test_given_up import BESIDE, CADRE, OFFICER, POLICE, crowd, heard, person, street
from tests.core.test_handover import CHANGE, NOW

DUTY = Duty((Shift("early", NOW - 400, NOW + 10), Shift("late", NOW + 10, NOW + 400)))
EARLY = person("居委干部-2", "cadre", "B1", shifts=("early",))
LATE = person("居委干部-3", "cadre", "B1", shifts=("late",))
NO_PLAN = Duty()
OTHER = Person("居委干部-2", "cadre", "G1", (Contact("chat"),))
PLAN = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), supervisors=("officer",))


def on_leave(person: Person, begin: int, end: int) -> Duty:
    """Somebody is away for a while, in seconds after START."""
    return Duty(changes=(Change(START + begin * SECOND, START + end * SECOND, ChangeReason.LEAVE, person.id),))


def silence(desk: Desk, second: int, *people: Person, until: int = 600) -> None:
    """These are to hear nothing, red or not, until a second."""
    scope = Scope(people=tuple(one.id for one in people), up_to=Level.RED)
    end = START + until * SECOND
    desk.act(second, "silence", "operator", "quiet", scope=scope, note="休假", until=end, via="cli")


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


def test_with_the_only_one_silenced_the_next_of_the_role_hears() -> None:
    """The case is theirs, and when the silence ends somebody has it."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN))
    silence(desk, 0, CADRE)
    story = desk.alert(1, Level.RED)
    assert heard(story) == [(BESIDE.id, "people", "nobody_told")]
    assert [(one.receiver, one.reason.value) for one in story.decisions.holds] == [(CADRE.id, "held_silenced")]
    assert (desk.case.state.value, desk.case.owner) == ("dispatched", BESIDE.id)
    desk.restart()
    assert heard(desk.wait(7200)) == []


def test_while_one_of_them_is_silenced_another_has_the_case() -> None:
    """Nobody is called besides."""
    desk = Desk(street(CADRE, OTHER, BESIDE, plan=PLAN))
    silence(desk, 0, CADRE)
    assert heard(desk.alert(1, Level.RED)) == [(OTHER.id, "chat", "case_opened")]
    assert desk.case.owner == OTHER.id


def test_no_step_waits_for_the_answer_of_somebody_silenced() -> None:
    """Whoever had answered has left, and of those who come nobody hears."""
    volunteer, early = person("志愿者-1", "volunteer", "G1"), person(CADRE.id, "cadre", "G1", shifts=("early",))
    steps = Step(("volunteer", "cadre")), Step(("officer",), after=5 * MINUTE, until=Answer.ACKNOWLEDGED)
    desk, _ = crowd(early, volunteer, LATE, OFFICER, plan=Policy("crowd", {"zh": "聚集"}, steps), duty=DUTY)
    desk.act(60, "acknowledge", CADRE.id)
    silence(desk, 70, LATE, until=2 * CHANGE)
    assert heard(desk.wait(CHANGE)) == [(OFFICER.id, "people", "not_acknowledged")]


@pytest.mark.parametrize("fails", [40, 100])
def test_a_second_way_that_a_silence_keeps_from_somebody_is_none_by_which_they_hear(fails: int) -> None:
    """The first has failed before, or does later: then whoever is next hears, and nobody once more."""
    two = person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE))
    desk, key = crowd(two, BESIDE, OFFICER, plan=PLAN)
    silence(desk, 30, two)
    said = {second: heard(desk.wait(second)) for second in range(fails)}
    said[fails] = heard(desk.receipt(fails, key, "failed"))
    desk.restart()
    said |= {second: heard(desk.wait(second)) for second in range(fails + 1, 700)}
    assert {second: told for second, told in said.items() if told} == {
        max(fails, 60): [(BESIDE.id, "people", "nobody_told")]
    }


def test_whoever_has_moved_and_is_silenced_hears_no_more() -> None:
    """What went to the old address may be lost, and over the new one they hear nothing: who is next does."""
    desk, _ = crowd(CADRE, BESIDE, OFFICER, plan=PLAN)
    silence(desk, 30, CADRE)
    moved = msgspec.structs.replace(CADRE, contacts=(Contact("people", "new"),))
    assert heard(desk.redefine(40, street(moved, BESIDE, OFFICER, plan=PLAN))) == [(BESIDE.id, "people", "nobody_told")]
    desk.restart()
    assert heard(desk.wait(7200)) == []


def test_a_second_way_that_a_mute_of_the_case_has_kept_is_one_afterwards() -> None:
    """All of it is told anew when the mute ends, and the way is awaited as ever."""
    two = person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE))
    desk, _ = crowd(two, BESIDE, OFFICER, plan=PLAN)
    scope, end = Scope(places=("G1-L1",)), START + 300 * SECOND
    desk.act(30, "silence", "operator", "quiet", scope=scope, note="施工", until=end, via="cli")
    (again,) = desk.wait(300).decisions.notifications
    desk.restart()
    assert heard(desk.receipt(310, again.key, "failed")) == []
    assert heard(desk.wait(360)) == [(CADRE.id, "sms", "not_delivered")]


def test_a_notice_of_which_a_silence_keeps_the_second_way_has_reached_nobody() -> None:
    """The case says so, as of one that is given up."""
    two = person(OFFICER.id, "officer", "street", Contact("sms", "1", MINUTE))
    desk, _ = crowd(CADRE, two, plan=msgspec.structs.replace(PLAN, agree_within=MINUTE))
    desk.act(3, "dispersed", "operator", via="cli")
    (notice,) = desk.wait(63).decisions.notifications
    silence(desk, 70, two)
    assert not desk.receipt(80, notice.key, "failed").decisions.holds
    desk.restart()
    holds = desk.wait(123).decisions.holds
    assert [(one.receiver, one.reason.value) for one in holds] == [(two.id, "held_silenced"), ("", "held_nobody")]


def test_with_all_of_the_role_silenced_the_next_of_the_plan_hears() -> None:
    """As when none of them can be reached."""
    desk = Desk(street(CADRE, BESIDE, OFFICER, plan=PLAN))
    silence(desk, 0, CADRE, BESIDE)
    assert heard(desk.alert(1, Level.RED)) == [(OFFICER.id, "people", "nobody_told")]


@pytest.mark.parametrize("lifted", [False, True])
def test_with_everybody_silenced_it_rests_and_is_told_when_the_first_silence_ends(lifted: bool) -> None:
    """Also when no shift ever changes."""
    desk = Desk(street(CADRE, OFFICER, plan=PLAN))
    silence(desk, 0, CADRE, OFFICER)
    assert heard(desk.alert(1, Level.RED)) == []
    assert desk.case.state.value == "filed"
    desk.restart()
    assert heard(desk.wait(599)) == []
    again = desk.act(599, "unsilence", "operator", "quiet", via="cli") if lifted else desk.wait(600)
    assert heard(again) == [(CADRE.id, "people", "case_opened")]
    assert desk.case.state.value == "dispatched"


def test_a_first_step_that_waits_finds_somebody_whom_no_silence_keeps() -> None:
    """Else it comes again when the silence ends."""
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",), after=MINUTE),))
    desk = Desk(street(CADRE, BESIDE, plan=plan))
    silence(desk, 0, CADRE)
    desk.alert(1, Level.YELLOW)
    assert heard(desk.wait(61)) == [(BESIDE.id, "people", "nobody_told")]
    alone = Desk(street(CADRE, plan=plan))
    silence(alone, 0, CADRE)
    alone.alert(1, Level.YELLOW)
    alone.restart()
    assert heard(alone.wait(599)) == []
    assert heard(alone.wait(600)) == [(CADRE.id, "people", "step_due")]


def test_whoever_is_silenced_takes_nothing_over_and_hears_in_nobodys_stead() -> None:
    """At a change of shift, and when a page is given up, it is as if they were not there, but for the reason."""
    desk, _ = crowd(person(CADRE.id, "cadre", "G1", shifts=("early",)), LATE, OFFICER, plan=PLAN, duty=DUTY)
    silence(desk, 5, LATE, until=2 * CHANGE)
    story = desk.wait(CHANGE)
    assert heard(story) == [(OFFICER.id, "people", "hand_over")]
    assert [(one.receiver, one.reason.value) for one in story.decisions.holds] == [(LATE.id, "held_silenced")]
    assert desk.case.owner == OFFICER.id
    given, key = crowd(CADRE, BESIDE, POLICE, OFFICER, plan=PLAN)
    silence(given, 1, BESIDE)
    assert heard(given.receipt(5, key, "failed")) == [(OFFICER.id, "people", "nobody_told")]


@pytest.mark.parametrize("more", [(BESIDE,), ()])
def test_a_page_that_was_given_up_while_a_report_stood_counts_when_the_sensors_deny_that(
    more: tuple[Person, ...],
) -> None:
    """Who is next hears then; while the report stands, and after that, nobody does, and a supervisor all the same."""
    plan = msgspec.structs.replace(PLAN, agree_within=MINUTE)
    desk, key = crowd(CADRE, *more, OFFICER, plan=plan)
    desk.act(3, "dispersed", "operator", via="cli")
    assert heard(desk.receipt(5, key, "failed")) == heard(desk.wait(62)) == []
    desk.restart()
    instead = more[0] if more else OFFICER
    story = desk.wait(63)
    assert heard(story) == [(OFFICER.id, "people", "disagreement"), (instead.id, "people", "nobody_told")]
    assert "居委干部-1联系不上，未收到通知。" in story.decisions.notifications[1].text
    assert heard(desk.wait(600)) == []


def test_where_the_level_rises_though_it_was_reported_over_all_are_told_and_once() -> None:
    """Nobody needs to hear of it in somebody's stead as well."""
    desk, key = crowd(CADRE, BESIDE, plan=PLAN)
    desk.act(3, "dispersed", "operator", via="cli")
    desk.receipt(5, key, "failed")
    rises = [(BESIDE.id, "people", "level_rose"), (CADRE.id, "people", "level_rose")]
    assert heard(desk.alert(10, Level.RED)) == rises
    assert heard(desk.wait(600)) == []


def test_a_digest_that_fails_while_a_report_stands_goes_over_what_is_left() -> None:
    """As a second way does that falls due then."""
    desk = apart()
    digest = digest_of_two(desk)
    desk.act(
        33, "dispersed", "operator", next(name for name in desk.book.open if name.startswith("G1-crowd")), via="cli"
    )
    assert by_sms(desk.receipt(35, digest.key, "failed")) == [(35, "G1", Level.YELLOW, "not_delivered")]


RATE = Damping(per_minute={"people": 2, "mqtt": 2})


def crowded(*people: Person, duty: Duty = NO_PLAN) -> tuple[Desk, dict[str, str]]:
    """Of a second crowd the first of these hears only by a digest, at 31 s; the pages of the others, by receiver."""
    desk = Desk(street(*people, plan=PLAN, duty=duty, damping=RATE))
    for one in desk.alert(0, Level.YELLOW, place="G1-L2").decisions.notifications:
        desk.receipt(0, one.key, "sent")
    story = desk.alert(1, Level.YELLOW)
    assert {(one.receiver, one.reason.value) for one in story.decisions.holds} == {(people[0].id, "held_rate")}
    return desk, {one.receiver: one.key for one in story.decisions.notifications}


def test_what_was_dropped_from_a_digest_has_told_nobody() -> None:
    """They were away for a moment, and the page of whoever heard as well is given up later."""
    desk, keys = crowded(CADRE, OTHER, OFFICER, duty=on_leave(CADRE, 20, 60))
    assert heard(desk.wait(90)) == []
    assert all(not case.told[CADRE.id].held for case in desk.book.open.values())
    desk.restart()
    assert heard(desk.receipt(100, keys[OTHER.id], "failed")) == [(CADRE.id, "people", "nobody_told")]


def test_of_what_was_dropped_nobody_off_duty_hears_the_end() -> None:
    """They have heard of it neither then nor before."""
    desk, _ = crowded(CADRE, OTHER, duty=on_leave(CADRE, 20, 600))
    desk.wait(90)
    desk.restart()
    assert heard(desk.alert(100, Level.NONE)) == [(OTHER.id, "chat", "case_closed")]


def test_whoever_has_lost_the_contact_of_a_digest_hears_over_another() -> None:
    """At once: nothing else was sent to them, and no second way is awaited before the digest is."""
    both = person(CADRE.id, "cadre", "G1", Contact("sms", "1", MINUTE))
    desk, _ = crowded(both)
    less = street(msgspec.structs.replace(both, contacts=both.contacts[1:]), plan=PLAN, damping=RATE)
    assert heard(desk.redefine(20, less)) == [(CADRE.id, "sms", "case_opened")]
    desk.restart()
    assert CADRE.id not in {name for name, *_ in heard(desk.wait(3000))}


def test_what_waits_for_another_digest_still_is_no_less_told() -> None:
    """It is dropped from the first, for they are away, and the second asks them."""
    both = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    away = on_leave(both, 30, 40)
    elsewhere = Person("居委干部-3", "cadre", "G2", (Contact("mqtt"),))
    desk = Desk(street(both, OTHER, elsewhere, plan=PLAN, duty=away, damping=RATE))
    desk.alert(0, Level.YELLOW, place="G1-L2")
    desk.alert(1, Level.YELLOW, place="G2-L1")
    desk.alert(15, Level.YELLOW)
    desk.wait(35)
    desk.restart()
    assert heard(desk.wait(46)) == [(both.id, "people", "digest")]
    (case,) = (one for one in desk.book.open.values() if one.place == "G1-L1")
    assert (case.told[both.id].times, case.told[both.id].held) == (1, [])


def test_whoever_cannot_be_reached_is_asked_once_at_an_instant() -> None:
    """However often it is looked at them then: nobody else may be asked to verify."""
    desk, _ = crowd(CADRE, plan=PLAN)
    (asked,) = desk.unwatched(10).decisions.notifications
    assert not desk.receipt(20, asked.key, "failed").decisions.notifications
    assert heard(desk.redefine(60, desk.definition)) == [(CADRE.id, "people", "verifying_asked")]
    desk.restart()
    assert heard(desk.redefine(60, desk.definition)) == []


def test_who_came_back_and_is_given_up_hears_nothing_in_their_own_stead() -> None:
    """Their other contact works again, but nothing of this case went over it; and somebody else knows."""
    two = person(CADRE.id, "cadre", "G1", Contact("mqtt"))
    desk = Desk(street(two, OTHER, OFFICER, plan=PLAN, duty=on_leave(two, 30, 60)))
    keys = {one.channel: one.key for one in desk.alert(0, Level.YELLOW).decisions.notifications}
    desk.receipt(5, keys["mqtt"], "failed")
    again = desk.alert(6, Level.YELLOW, place="G1-L2").decisions.notifications
    desk.receipt(7, next(one.key for one in again if one.channel == "mqtt"), "sent")
    desk.wait(60)
    desk.restart()
    assert heard(desk.receipt(100, keys["people"], "failed")) == []


def test_a_lesser_alert_of_which_silences_keep_everybody_waits_for_their_end() -> None:
    """It is not looked at as if the graver one, which they hear of, could tell it."""
    desk = Desk(street(CADRE, plan=PLAN))
    scope, end = Scope(people=(CADRE.id,), up_to=Level.YELLOW), START + 600 * SECOND
    desk.act(0, "silence", "operator", "quiet", scope=scope, note="休假", until=end, via="cli")
    desk.alert(1, Level.ORANGE)
    assert heard(desk.alert(2, Level.YELLOW, rule="empty")) == []
    desk.restart()
    assert not desk.redefine(60, desk.definition).told
    assert heard(desk.wait(600)) == [(CADRE.id, "people", "another_alert")]

"""A shift changes while a case goes on: whoever comes hears of it, and what those who left have said holds nothing."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Answer
from sensord.core.cases.damping import Damping
from sensord.core.cases.policy import Mode, Policy, Role, Step
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START, definition

BEGINNING = to_datetime(START, "Asia/Shanghai")
NOW = BEGINNING.hour * 60 + BEGINNING.minute
SHIFTS = (Shift("early", NOW - 400, NOW + 10), Shift("late", NOW + 10, NOW + 400))
CHANGE = 10 * 60 - BEGINNING.second
"""In seconds after START: the early shift goes, the late one comes."""


def person(name: str, role: str, *shifts: str, place: str = "G1") -> Person:
    """Somebody with one contact."""
    return Person(name, role, place, (Contact("people"),), shifts=shifts)


EARLY, LATE = person("早", "cadre", "early"), person("晚", "cadre", "late")
ALWAYS, POLICE = person("全", "cadre"), person("警", "police", place="street")
OFFICER = person("值", "officer", place="street")
STEPS = (
    Step(("cadre",)),
    Step(("cadre",), after=3 * MINUTE, until=Answer.ACKNOWLEDGED, mode=Mode.REPLACEMENT),
    Step(("officer",), after=5 * MINUTE, until=Answer.ACKNOWLEDGED),
    Step(("police",), after=20 * MINUTE, until=Answer.ON_THE_SCENE),
)


def street(*people: Person, steps: tuple[Step, ...] = STEPS, **more: object) -> Definition:
    """A street with one plan for crowds, and two shifts."""
    plan = Policy("crowd", {"zh": "聚集"}, steps, "after_report", agree_for=MINUTE, supervisors=("officer",))
    made = definition(people=people, policies=(plan,), duty=Duty(SHIFTS))
    return msgspec.structs.replace(made, **more)


def begun(*people: Person, **more: object) -> Desk:
    """A crowd of nine minutes before the change, saved and restored just before it."""
    desk = Desk(street(*people, **more))  # type: ignore[arg-type]
    desk.alert(CHANGE - 540, Level.YELLOW)
    return desk


def change(desk: Desk) -> Story:
    """The shift changes, after a restart."""
    assert not told(desk.wait(CHANGE - 1))
    desk.restart()
    return desk.wait(CHANGE)


def heard(story: Story) -> list[tuple[str, str]]:
    """Who is told, and why."""
    return [(receiver, reason) for receiver, _, reason in told(story)]


def test_whoever_comes_hears_that_the_one_who_acknowledged_has_left() -> None:
    """The escalation begins anew with them, as does the stage; the ledger keeps what the other has said."""
    desk = begun(EARLY, LATE, POLICE, OFFICER)
    desk.act(CHANGE - 500, "acknowledge", "早")
    story = change(desk)
    (said,) = story.decisions.notifications
    assert (said.receiver, said.reason.value) == ("晚", "hand_over")
    assert "早曾于 11-15 06:14:40 接单，现已下班" in said.text
    assert "交接班" in said.title
    assert (desk.case.state.value, desk.case.owner) == ("dispatched", "晚")
    assert desk.case.told["早"].acknowledged_at
    assert heard(desk.wait(CHANGE + 299)) == []
    assert heard(desk.wait(CHANGE + 301)) == [("值", "not_acknowledged")]
    assert heard(desk.wait(CHANGE + 1201)) == [("警", "not_on_the_scene")]


def test_an_answer_of_whoever_has_come_holds_the_steps_again() -> None:
    """The officer need not hear."""
    desk = begun(EARLY, LATE, OFFICER)
    desk.act(CHANGE - 500, "acknowledge", "早")
    change(desk)
    desk.act(CHANGE + 60, "acknowledge", "晚")
    assert heard(desk.wait(CHANGE + 3000)) == []
    assert desk.case.state.value == "handling"


def test_where_nobody_has_answered_the_steps_keep_their_times() -> None:
    """Whoever comes gets no more time than whoever left: the police are called twenty minutes after the beginning."""
    desk = begun(EARLY, LATE, POLICE, steps=(STEPS[0], STEPS[3]))
    story = change(desk)
    assert heard(story) == [("晚", "hand_over")]
    assert "此前无人答复" in story.decisions.notifications[0].text
    assert heard(desk.wait(CHANGE + 659)) == []
    assert heard(desk.wait(CHANGE + 661)) == [("警", "not_on_the_scene")]


def test_an_answer_of_somebody_who_is_on_duty_still_holds() -> None:
    """The police are there: the late cadre hears so, and nobody is called for want of an answer."""
    desk = begun(EARLY, LATE, POLICE, OFFICER)
    desk.act(CHANGE - 500, "acknowledge", "早")
    desk.act(CHANGE - 400, "on_the_scene", "警")
    story = change(desk)
    assert heard(story) == [("晚", "hand_over")]
    assert "警已于 11-15 06:16:20 到场，仍在岗" in story.decisions.notifications[0].text
    assert (desk.case.state.value, desk.case.owner) == ("handling", "警")
    assert heard(desk.wait(CHANGE + 3000)) == []


def test_nobody_is_told_again_while_somebody_who_knows_stays() -> None:
    """Nor is anything written down; also when others come."""
    desk = begun(EARLY, ALWAYS, LATE, steps=STEPS[:1])
    story = change(desk)
    assert not story.told


def test_whoever_stays_hears_that_the_one_who_had_acknowledged_has_left() -> None:
    """They relied on that; and so do those who come."""
    desk = begun(EARLY, ALWAYS, LATE, steps=STEPS[:1])
    desk.act(CHANGE - 500, "acknowledge", "早")
    assert sorted(heard(change(desk))) == [("全", "hand_over"), ("晚", "hand_over")]


def test_when_nobody_comes_the_next_steps_are_due_at_once() -> None:
    """The volunteer stays, and there is no cadre for whose answer anybody could wait."""
    volunteer = person("志", "volunteer")
    desk = begun(EARLY, volunteer, OFFICER, steps=(Step(("volunteer", "cadre")), STEPS[2]))
    desk.act(CHANGE - 500, "acknowledge", "早")
    assert heard(change(desk)) == [("值", "not_acknowledged")]
    assert desk.case.state.value == "dispatched"


def test_when_nobody_who_knows_is_left_whoever_of_the_plan_is_there_takes_over() -> None:
    """As when a case is opened, and then the steps count for them."""
    desk = begun(EARLY, OFFICER, steps=(STEPS[0], STEPS[2]))
    desk.act(CHANGE - 500, "acknowledge", "早")
    assert heard(change(desk)) == [("值", "hand_over")]
    assert desk.case.owner == "值"


def test_with_nobody_at_all_the_next_shift_takes_over() -> None:
    """Hours after the early one has gone, nobody has been there."""
    later = (SHIFTS[0], Shift("late", NOW + 60, NOW + 400))
    desk = begun(EARLY, LATE, steps=STEPS[:1], duty=Duty(later))
    desk.act(CHANGE - 500, "acknowledge", "早")
    assert heard(change(desk)) == []
    assert heard(desk.wait(CHANGE + 49 * 60)) == []
    assert heard(desk.wait(CHANGE + 50 * 60)) == [("晚", "hand_over")]


def test_a_calm_case_is_handed_over_to_nobody() -> None:
    """It waits for a report, or ends as unreported; its supervisors hear when that takes too long."""
    desk = begun(EARLY, LATE, OFFICER)
    desk.act(CHANGE - 500, "acknowledge", "早")
    desk.alert(CHANGE - 100, Level.NONE)
    assert not change(desk).told


def test_a_muted_case_is_told_when_the_mute_ends_and_is_held_back_by_nobody_who_has_left() -> None:
    """In between nobody hears; the steps wait for an answer of who is there."""
    desk = begun(EARLY, LATE, OFFICER)
    desk.act(CHANGE - 500, "acknowledge", "早")
    silence = {"scope": Scope(places=("G1-L1",)), "note": "施工", "until": START + HOUR, "via": "cli"}
    desk.act(CHANGE - 400, "silence", "operator", "quiet", **silence)
    assert heard(change(desk)) == []
    assert heard(desk.wait(3599)) == []
    assert heard(desk.wait(3600)) == [("晚", "mute_ended")]
    assert heard(desk.wait(3901)) == [("值", "not_acknowledged")]


def test_while_a_report_stands_the_case_is_nobody_elses() -> None:
    """Once the sensors have denied it, it is handed over."""
    desk = begun(EARLY, LATE, OFFICER)
    desk.act(CHANGE - 60, "dispersed", "早")
    assert heard(change(desk)) == []
    assert ("晚", "hand_over") in heard(desk.wait(CHANGE + 300))


def test_whoever_stays_on_after_their_shift_says_so_and_is_counted() -> None:
    """What they said before the change they may say anew; it holds until the next."""
    desk = begun(EARLY, LATE, OFFICER)
    desk.act(CHANGE - 500, "on_the_scene", "早")
    change(desk)
    assert desk.act(CHANGE + 10, "on_the_scene", "早").outcomes[0].verdict == "noted"
    assert heard(desk.wait(CHANGE + 3000)) == []


@pytest.mark.parametrize("answers", [False, True])
def test_a_stand_in_takes_over_as_the_roster_changes(answers: bool) -> None:
    """A swap comes into force while the case goes on."""
    desk = begun(EARLY, person("替", "cadre", "late"), steps=STEPS[:1])
    if answers:
        desk.act(CHANGE - 500, "acknowledge", "早")
    swap = Change(START, START + HOUR, ChangeReason.SWAP, off="早", on="替")
    story = desk.redefine(CHANGE - 300, msgspec.structs.replace(desk.definition, duty=Duty(SHIFTS, changes=(swap,))))
    assert heard(story) == [("替", "hand_over")]
    assert heard(desk.wait(CHANGE)) == []


def test_what_nobody_watches_any_more_is_handed_over() -> None:
    """The rule's hours ended shortly before the shift: who comes is asked to verify, for who was asked has left."""
    desk = Desk(street(EARLY, LATE, OFFICER, steps=(Step(("cadre",)),)))
    desk.alert(0, Level.RED)
    desk.unwatched(CHANGE - 30)
    desk.act(CHANGE - 20, "on_the_way", "早")
    assert heard(change(desk)) == [("晚", "verifying_asked")]
    assert heard(desk.wait(CHANGE + 60)) == []


def test_a_report_is_awaited_of_what_people_knew_before_the_night() -> None:
    """A second alert came while nobody was there; as both are over, the morning hears of it, and closes nothing."""
    shifts = (Shift("early", NOW - 60, NOW + 10), Shift("late", NOW + 120, NOW + 400))
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), "after_report", unreported_after=72 * HOUR)
    for another in (False, True):
        desk = Desk(definition(people=(EARLY, LATE), policies=(plan,), duty=Duty(shifts)))
        desk.alert(0, Level.YELLOW)
        if another:
            desk.alert(CHANGE + 600, Level.YELLOW, "crowd-sum")
            desk.alert(CHANGE + 900, Level.NONE, "crowd-sum")
        desk.alert(CHANGE + 1000, Level.NONE)
        assert ("晚", "another_alert") in heard(desk.wait(2 * HOUR // SECOND + 60)) or not another
        assert [case.state.value for case in desk.book.open.values()] == ["verifying"]


def test_whose_role_is_gone_has_left() -> None:
    """A reload takes out a role with its people: what they said holds no step back any more."""
    roles = tuple(Role(name, {"zh": name}, {}) for name in ("cadre", "police", "volunteer"))
    late = Step(("police",), after=10 * MINUTE, until=Answer.ON_THE_SCENE)
    cadre, helper = person("干", "cadre"), person("志", "volunteer")
    desk = Desk(street(cadre, helper, POLICE, steps=(Step(("volunteer", "cadre")), late), roles=roles))
    desk.alert(0, Level.YELLOW)
    desk.act(30, "on_the_scene", "志")
    desk.redefine(60, street(cadre, POLICE, steps=(Step(("cadre",)), late), roles=roles[:2]))
    assert ("警", "not_on_the_scene") in heard(desk.wait(2000))


@pytest.mark.parametrize("damping", [Damping(), Damping(storm_at=1)], ids=["at once", "in a digest"])
def test_a_second_look_at_one_instant_hands_nothing_over_again(damping: Damping) -> None:
    """The next morning whoever was told the day before comes back, and hears it once; a silence is lifted just then."""
    shifts = Duty((Shift("early", NOW - 100, NOW + 10), SHIFTS[1]))
    desk, morning = begun(EARLY, LATE, steps=STEPS[:1], damping=damping, duty=shifts), CHANGE + 1330 * 60
    scope = Scope(places=("G2",))
    desk.act(CHANGE - 530, "silence", "operator", "quiet", scope=scope, note="施工", until=START + 30 * HOUR, via="cli")
    desk.wait(morning - 1)
    story = desk.wait(morning)
    asked = [one.receiver for one in story.decisions.notifications]
    assert asked + [one.receiver for one in story.decisions.holds] == ["早"]
    desk.restart()
    assert not desk.act(morning, "unsilence", "operator", "quiet", via="cli").told


@pytest.mark.parametrize("supervises", ["officer", "police"])
def test_who_supervises_and_comes_on_duty_takes_over_all_the_same(supervises: str) -> None:
    """To hear that report and sensors disagree is not to be asked to see after it."""
    early, late = person("值早", "officer", "early", place="street"), person("值晚", "officer", "late", place="street")
    desk = Desk(street(early, late, POLICE, steps=(Step(("officer",)),)))
    plan = msgspec.structs.replace(desk.definition.policies[0], supervisors=(supervises,), agree_for=10 * MINUTE)
    desk = Desk(msgspec.structs.replace(desk.definition, policies=(plan,)))
    desk.alert(0, Level.YELLOW)
    desk.act(300, "dispersed", early.id)
    desk.restart()
    said = [one for second in range(301, 1000) for one in told(desk.wait(second)) if one[0] == late.id]
    assert [one[2] for one in said] == ["disagreement"] * (supervises == "officer") + ["hand_over"]
    assert (desk.case.owner, desk.case.told[late.id].times) == (late.id, 1)


BACK = CHANGE + 600
"""In seconds after START: whoever was there at first comes again."""
AGAIN = Duty((SHIFTS[0], Shift("late", NOW + 10, NOW + 20), Shift("again", NOW + 20, NOW + 400)))
FIRST = person("早", "cadre", "early", "again")


@pytest.mark.parametrize("by", ["晚", "警", "operator"])
def test_whoever_comes_back_while_a_report_stands_takes_over_once_it_is_denied(by: str) -> None:
    """They were told before the night, and of the report, or of the night, they know nothing."""
    desk = begun(FIRST, LATE, POLICE, OFFICER, steps=STEPS[:1], duty=AGAIN)
    assert heard(change(desk)) == [("晚", "hand_over")]
    desk.act(BACK - 10, "dispersed", by, via="cli")
    desk.restart()
    assert heard(desk.wait(BACK + 289)) == []
    story = desk.wait(BACK + 290)
    assert heard(story) == [("值", "disagreement"), ("早", "hand_over")]
    assert desk.case.owner == ("警" if by == "警" else "早")
    desk.restart()
    assert heard(desk.wait(BACK + 3000)) == []


def test_whoever_has_said_something_since_they_came_back_knows() -> None:
    """Nobody asks them to take over what they look after."""
    desk = begun(FIRST, LATE, OFFICER, steps=STEPS[:1], duty=AGAIN)
    change(desk)
    desk.act(BACK - 10, "dispersed", "晚")
    desk.act(BACK + 100, "on_the_way", "早")
    assert heard(desk.wait(BACK + 290)) == [("值", "disagreement")]


def test_whoever_came_back_while_another_had_it_is_asked_when_that_one_leaves() -> None:
    """Shifts overlap: nobody was asked as the first came again, for the other stayed."""
    shifts = Duty((SHIFTS[0], Shift("late", NOW + 10, NOW + 30), Shift("again", NOW + 20, NOW + 400)))
    desk = begun(FIRST, LATE, steps=STEPS[:1], duty=shifts)
    assert heard(change(desk)) == [("晚", "hand_over")]
    assert heard(desk.wait(BACK + 599)) == []
    desk.restart()
    assert heard(desk.wait(BACK + 600)) == [("早", "hand_over")]
    assert heard(desk.wait(BACK + 3000)) == []


def test_what_nobody_watches_is_asked_of_whoever_comes_back() -> None:
    """Whoever was asked to verify in between has left, and the first has had the night since they were asked."""
    desk = Desk(street(FIRST, LATE, steps=STEPS[:1], duty=AGAIN))
    desk.alert(0, Level.RED)
    assert heard(desk.unwatched(CHANGE - 30)) == [("早", "verifying_asked")]
    assert heard(change(desk)) == [("晚", "verifying_asked")]
    desk.restart()
    assert heard(desk.wait(BACK)) == [("早", "verifying_asked")]
    assert heard(desk.wait(BACK + 3000)) == []

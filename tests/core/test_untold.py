"""Each alert of an open case is told once, by its own level; what cannot be told when it comes is told later."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.cases.untold import COMES_BACK, MOST_UNTOLD
from sensord.core.definition import Definition
from sensord.core.instant import DAY, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from sensord.core.rules.derived import Trend
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from tests.core.desk import Desk
from tests.core.street import START, definition

PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("派出所-1", "police", "street", (Contact("people"),)),
)
PLAN = Policy("vehicle", {"zh": "车辆"}, (Step(("cadre",)), Step(("police",), Level.ORANGE)))
LATER = 20 + COMES_BACK // SECOND


def rule(name: str, *, each: bool = False) -> Rule:
    """A rule on vehicles at a place."""
    return Rule(
        name, {"zh": name}, Stream.VISIT, "gate", "vehicle", (LevelSpec(Level.BLUE, 1.0),), Clear((0.0,), MINUTE),
        value=Value(Aggregate.COUNT), each=each, message={"zh": "{rule}，{vehicle}，{level}预警，{time}。"},
    )  # fmt: skip


def street(plan: Policy = PLAN) -> Definition:
    """Somebody, a rule that tells of each vehicle, and two that count."""
    rules = (rule("watched", each=True), rule("queue"), rule("arrivals"))
    return definition(people=PEOPLE, policies=(plan,), rules=rules)


def read(story: Story) -> list[tuple[str, str, str]]:
    """Who is told, why, and at which level."""
    return [(one.receiver, one.reason.value, one.level.word) for one in story.decisions.notifications]


def silence(desk: Desk, *rules: str, minutes: int = 4) -> None:
    """Nobody is told of these rules for some minutes."""
    until = START + minutes * MINUTE
    desk.act(0, "silence", "operator", "", scope=Scope(rules=rules), note="施工", until=until, via="cli")


@pytest.mark.parametrize("level", [Level.BLUE, Level.YELLOW], ids=["lower", "as high"])
def test_an_alert_no_higher_than_its_case_is_told(level: Level) -> None:
    """A queue behind a vehicle that people know of already is something else: they hear of it, and of its end."""
    desk = Desk(street())
    desk.alert(0, Level.YELLOW, "arrivals")
    story = desk.alert(50, level, "queue")
    assert read(story) == [("居委干部-1", "another_alert", level.word)]
    assert "queue" in story.decisions.notifications[0].text
    desk.alert(90, Level.NONE, "arrivals")
    (end,) = desk.alert(99, Level.NONE, "queue").decisions.notifications
    assert "arrivals、queue已解除" in end.text


def test_an_alert_that_comes_back_soon_is_no_news() -> None:
    """It is told again when it rises above what was told, or has been over for an hour; not when it comes and goes."""
    desk = Desk(street())
    desk.alert(0, Level.RED, "arrivals")
    assert read(desk.alert(5, Level.BLUE, "queue"))
    for second in range(10, 20, 2):
        desk.alert(second, Level.NONE, "queue")
        assert not read(desk.alert(second + 1, Level.BLUE, "queue"))
    desk.restart()
    assert ("派出所-1", "another_alert", "orange") in read(desk.alert(20, Level.ORANGE, "queue"))
    desk.alert(21, Level.YELLOW, "queue")
    assert not read(desk.alert(22, Level.ORANGE, "queue"))
    desk.alert(23, Level.NONE, "queue")
    assert not read(desk.alert(LATER, Level.ORANGE, "queue"))
    desk.alert(LATER + 1, Level.NONE, "queue")
    assert read(desk.alert(2 * LATER, Level.BLUE, "queue")) == [("居委干部-1", "another_alert", "blue")]


def test_one_silent_camera_is_no_news_while_its_whole_gate_is_known_to_be_silent() -> None:
    """Two cameras that die together are one message; one that stays away when the other is back is another."""
    silent = [msgspec.structs.replace(rule(name), absent=3.0, value=None) for name in ("gate", "camera")]
    desk = Desk(definition(people=PEOPLE, policies=(PLAN,), rules=(*silent, rule("battery"))))
    desk.alert(1, Level.YELLOW, "gate")
    assert not read(desk.alert(1, Level.BLUE, "camera"))
    assert read(desk.alert(2, Level.BLUE, "battery"))
    desk.alert(3, Level.NONE, "camera")
    desk.alert(4, Level.NONE, "gate")
    assert read(desk.alert(5, Level.BLUE, "camera")) == [("居委干部-1", "another_alert", "blue")]


def test_all_that_came_before_a_case_was_filed_is_told_when_it_is() -> None:
    """With ``wait`` the last vehicle is that of the case; those before it are told as well. What rose is told once."""
    desk = Desk(street(msgspec.structs.replace(PLAN, wait=MINUTE)))
    desk.alert(0, Level.BLUE, "queue")
    desk.alert(1, Level.YELLOW, "queue")
    desk.restart()
    assert read(desk.wait(60)) == [("居委干部-1", "case_opened", "yellow")]
    desk = Desk(street(msgspec.structs.replace(PLAN, wait=MINUTE)))
    desk.alert(0, Level.YELLOW, "watched")
    for second in (10, 20, 30):
        desk.another(second, Level.YELLOW, "watched")
    desk.another(40, Level.YELLOW, "watched")
    desk.restart()
    story = desk.wait(60)
    assert [one.reason for one in story.decisions.notifications] == [Reason.CASE_OPENED] + [Reason.ANOTHER_VEHICLE] * 4
    assert not read(desk.wait(600))


@pytest.mark.parametrize("meanwhile", ["reload", "unsilence", "contact"])
def test_a_case_that_waits_to_be_filed_is_told_by_then_and_no_sooner(meanwhile: str) -> None:
    """Whatever makes us look again at what nobody has heard of: its time has not come."""
    desk = Desk(street(msgspec.structs.replace(PLAN, wait=MINUTE)))
    page, *_ = desk.alert(0, Level.RED, "watched", "G2-L1").decisions.notifications
    desk.receipt(1, page.key, "failed")
    until = START + 5 * MINUTE
    desk.act(2, "silence", "operator", "quiet", scope=Scope(rules=("queue",)), note="施工", until=until, via="cli")
    desk.alert(10, Level.YELLOW, "arrivals")
    if meanwhile == "reload":
        story = desk.redefine(20, desk.definition)
    elif meanwhile == "unsilence":
        story = desk.act(20, "unsilence", "operator", "quiet", via="cli")
    else:
        story = desk.receipt(20, page.key, "sent")
    assert not [one for one in story.decisions.notifications if one.place == "G1-L1"]
    assert [one.reason for one in desk.wait(70).decisions.notifications if one.place == "G1-L1"] == [Reason.CASE_OPENED]


def test_all_that_came_during_a_silence_is_told_when_it_ends() -> None:
    """Three vehicles under a silence are three when it ends, each with the instant at which it came."""
    desk = Desk(street())
    silence(desk, "watched")
    desk.alert(30, Level.YELLOW, "watched")
    desk.another(90, Level.YELLOW, "watched")
    desk.restart()
    desk.another(150, Level.YELLOW, "watched")
    story = desk.wait(300)
    assert [one.reason.value for one in story.decisions.notifications] == ["mute_ended", *["another_vehicle"] * 2]
    came = [one.text.partition("。")[0][-2:] for one in story.decisions.notifications]
    assert came == ["50", "50", "50"]
    assert not read(desk.wait(900))


def test_a_lesser_alert_under_a_silence_is_told_when_it_ends() -> None:
    """The case is told as ever; what alone was silenced follows, unless it is over by then."""
    desk = Desk(street())
    silence(desk, "queue", "watched")
    desk.alert(5, Level.ORANGE, "arrivals")
    desk.alert(10, Level.ORANGE, "queue")
    desk.alert(11, Level.BLUE, "queue")
    desk.alert(12, Level.BLUE, "watched")
    desk.alert(20, Level.NONE, "watched")
    assert not read(desk.wait(239))
    assert read(desk.wait(240)) == [("居委干部-1", "another_alert", "blue")]


def test_a_case_owes_so_much_and_no_more() -> None:
    """Of a crowd of vehicles under a silence the gravest and latest are told, and the state stays small."""
    desk = Desk(street())
    silence(desk, "watched", "queue")
    desk.alert(1, Level.ORANGE, "queue")
    desk.alert(1, Level.BLUE, "watched")
    for second in range(2, 2 + 2 * MOST_UNTOLD):
        desk.another(second, Level.BLUE, "watched")
    assert len(desk.case.untold) == MOST_UNTOLD
    assert desk.case.untold[0].rule == "queue"
    assert desk.case.untold[-1].subject_at == START + (1 + 2 * MOST_UNTOLD) * SECOND


def by_day(close: str = "when_clear", **plan: object) -> Desk:
    """A desk at night; somebody comes on duty at START + 6,400 s (08:00), for twelve hours, and nobody before."""
    cadre = msgspec.structs.replace(PEOPLE[0], shifts=("day",))
    whole = definition(
        people=(cadre,), policies=(Policy("vehicle", PLAN.name, PLAN.steps[:1], close, **plan),),  # type: ignore[arg-type]
        rules=(rule("watched", each=True), rule("queue")), duty=Duty(shifts=(Shift("day", 8 * 60, 20 * 60),)),
    )  # fmt: skip
    return Desk(whole)


@pytest.mark.parametrize("close", ["when_clear", "after_report"])
def test_what_is_over_when_the_shift_begins_is_told_all_the_same(close: str) -> None:
    """Two vehicles of the night are two in the morning, when they came; then the case is over for whoever heard."""
    desk = by_day(close, agree_for=MINUTE, unreported_after=10 * MINUTE)
    desk.alert(0, Level.YELLOW, "watched")
    desk.another(60, Level.YELLOW, "watched")
    desk.alert(400, Level.NONE, "watched")
    desk.restart()
    assert not read(desk.wait(6399))
    story = desk.wait(6400)
    reasons = [one.reason.value for one in story.decisions.notifications]
    assert reasons == ["case_opened", "another_vehicle", "case_closed"]
    assert all("06:1" in one.text for one in story.decisions.notifications[:2])
    assert not desk.book.open


def test_what_comes_back_in_the_night_is_one_case_in_the_morning() -> None:
    """The morning's messages are as many as there were vehicles and alerts, however often the alarm came and went."""
    desk = by_day()
    for second in range(0, 2000, 100):
        desk.alert(second, Level.BLUE, "queue")
        desk.alert(second + 50, Level.NONE, "queue")
    assert [one.reason.value for one in desk.wait(6400).decisions.notifications] == ["case_opened", "case_closed"]


def test_a_case_waits_for_a_shift_for_a_day_and_no_longer() -> None:
    """Where nobody ever comes the case ends, unheard of but in its story."""
    desk = by_day(unreported_after=10 * MINUTE)
    away = Change(START, START + 10 * DAY, ChangeReason.LEAVE, "居委干部-1")
    whole = desk.definition
    duty = msgspec.structs.replace(whole.duty, changes=(away,))
    desk.redefine(0, msgspec.structs.replace(whole, duty=duty))
    desk.alert(10, Level.YELLOW, "watched")
    desk.alert(400, Level.NONE, "watched")
    desk.wait(DAY // SECOND)
    assert desk.book.open
    assert not read(desk.wait(DAY // SECOND + 400))
    assert not desk.book.open


def test_a_vehicle_after_a_false_alarm_opens_a_case() -> None:
    """The word of a person was about the one before; the alert has gone on since, and nothing raises it anew."""
    desk = Desk(street())
    desk.alert(0, Level.ORANGE, "watched")
    desk.act(60, "void", "operator", note="本单位车辆", via="cli")
    assert not desk.book.open
    desk.restart()
    story = desk.another(120, Level.ORANGE, "watched")
    assert read(story) == [("居委干部-1", "case_opened", "orange"), ("派出所-1", "case_opened", "orange")]
    assert read(desk.another(200, Level.ORANGE, "watched"))[0] == ("居委干部-1", "another_vehicle", "orange")
    assert desk.case.alerts == {"watched:G1-L1": Level.ORANGE}
    desk.alert(300, Level.NONE, "watched")
    assert not desk.book.open


def early(plan: Policy = PLAN, contacts: tuple[Contact, ...] = (Contact("people"),)) -> Desk:
    """A desk with a queue, and an early warning of one: at yellow it warns of orange."""
    coming = msgspec.structs.replace(rule("coming"), trend=Trend(15 * MINUTE, 30 * MINUTE))
    return Desk(
        definition(
            people=(Person("居委干部-1", "cadre", "G1", contacts),), policies=(plan,), rules=(rule("queue"), coming)
        )
    )


def test_nobody_is_warned_of_a_level_that_is_there_already() -> None:
    """Of orange a yellow place is warned, an orange one is not; of red it is."""
    desk = early()
    desk.alert(0, Level.YELLOW, "queue")
    assert read(desk.alert(10, Level.YELLOW, "coming")) == [("居委干部-1", "another_alert", "yellow")]
    desk = early()
    desk.alert(0, Level.ORANGE, "queue")
    assert not read(desk.alert(10, Level.YELLOW, "coming"))
    assert read(desk.alert(20, Level.ORANGE, "coming")) == [("居委干部-1", "another_alert", "orange")]


def test_a_warning_that_is_late_by_then_is_not_told_late() -> None:
    """Under a silence, or where the first way did not deliver: once the place is orange, the warning of it is void."""
    desk = early()
    silence(desk, "queue", "coming")
    desk.alert(5, Level.YELLOW, "coming")
    desk.alert(10, Level.ORANGE, "queue")
    desk.restart()
    assert read(desk.wait(240)) == [("居委干部-1", "mute_ended", "orange")]
    desk = early(contacts=(Contact("people"), Contact("sms", "x", 2 * MINUTE)))
    desk.alert(5, Level.YELLOW, "coming")
    desk.alert(10, Level.ORANGE, "queue")
    desk.restart()
    assert read(desk.wait(240)) == [("居委干部-1", "not_delivered", "orange")]

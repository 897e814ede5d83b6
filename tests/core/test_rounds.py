"""What becomes of words that turn out to be wrong, or old: escalation goes on, and later words count."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.cases.case import Answer, Due, State
from sensord.core.cases.figures import figures, silent
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Mode, Policy, Step
from sensord.core.cases.score import Score, mark
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START
from tests.core.test_answers import desk, happenings

SHIPPED = Path(__file__).parents[2] / "config" / "sensord.yaml"


@pytest.fixture(scope="module")
def shipped() -> Definition:
    """The definition that comes with sensord."""
    return load(SHIPPED).definition


def _first(one: Desk, role: str) -> str:
    return next(name for name, line in one.case.told.items() if line.role == role)


@pytest.mark.parametrize("report", ["false_alarm", "dispersed"])
@pytest.mark.parametrize("role", ["volunteer", "cadre"])
def test_a_report_that_is_wrong_does_not_stop_the_escalation(shipped: Definition, report: str, role: str) -> None:
    """One tap, and the crowd stands for an hour: stand-ins, street, police and block are told after all."""
    one = Desk(shipped)
    one.alert(0, Level.YELLOW, "lane-crowding", next(place.id for place in shipped.places if place.kind == "lane"))
    one.act(10, report, by=_first(one, role))
    assert not any("replacement" in entry for entry in told(one.wait(300)))
    heard = one.wait(3600)
    roles = {note.role for note in heard.decisions.notifications if note.reason.value.startswith(("not_", "repl"))}
    assert roles == {"cadre", "duty_officer", "police", "block_officer"}
    assert one.case.answer is Answer.NONE


def test_what_was_said_before_a_wrong_report_still_holds() -> None:
    """Acknowledged, then a false alarm, then the sensors say no: people are as far as acknowledged."""
    late = Step(("police",), after=2 * MINUTE, until=Answer.ACKNOWLEDGED)
    later = Step(("volunteer",), after=2 * MINUTE, until=Answer.ON_THE_SCENE)
    one = desk(steps=(Step(("cadre",)), late, later), supervisors=())
    one.alert(0, Level.YELLOW)
    one.act(10, "acknowledge")
    one.act(20, "false_alarm")
    assert told(one.wait(150)) == []
    one.restart()
    assert [name for name, _, _ in told(one.wait(300))] == ["志愿者-1"], "passed over for the report alone"
    assert (one.case.answer, one.case.false_alarm) == (Answer.ACKNOWLEDGED, False)


def test_a_second_report_counts_after_a_disagreement_and_a_return() -> None:
    """The first was wrong, the second is heard; given back by a supervisor, the third of the same person is, too."""
    one = desk()
    one.alert(0, Level.RED)
    one.act(10, "dispersed")
    one.wait(200)
    assert happenings(one.act(210, "dispersed")) == ["dispersed"]
    assert one.case.state is State.VERIFYING
    one.act(220, "return", by="派出所-1", note="未散，重办")
    assert happenings(one.act(225, "acknowledge")) == ["acknowledge"]
    assert happenings(one.act(230, "dispersed")) == ["dispersed"]
    assert happenings(one.alert(240, Level.NONE)) == ["all_clear", "close"]


def test_help_is_called_for_again_and_a_double_tap_is_one() -> None:
    """The same call within minutes is one tap delivered twice; a quarter of an hour later it is another."""
    one = desk()
    one.alert(0, Level.RED)
    assert told(one.act(10, "need_help"))
    assert told(one.act(12, "need_help")) == []
    one.wait(1000)
    assert told(one.act(1000, "need_help", note="又来了一批")) == [("派出所-1", "people", "help_needed")]


def test_saying_it_again_gives_no_more_time() -> None:
    """Two people report one after the other: the sensors' time runs from the first."""
    one = desk()
    one.alert(0, Level.RED)
    one.act(10, "dispersed")
    one.act(150, "dispersed", by="志愿者-1")
    assert happenings(one.wait(190)) == ["disagree"]


def test_who_did_their_part_is_not_silent_after_a_relapse() -> None:
    """On the scene at ten seconds, off duty as the alarm comes back: neither silent nor late; the one told again is."""
    minute = (moment := to_datetime(START, "Asia/Shanghai")).hour * 60 + moment.minute
    people = (
        Person("志愿者-1", "volunteer", "G1-1", (Contact("people"),), shifts=("early",)),
        Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    )
    steps = (Step(("volunteer", "cadre")),)
    base = desk(steps=steps, agree_for=10 * MINUTE, supervisors=(), close="when_clear").definition
    one = Desk(msgspec.structs.replace(base, people=people, duty=Duty((Shift("early", minute, minute + 10),))))
    one.alert(0, Level.YELLOW)
    for second, verb in ((10, "on_the_scene"), (20, "dispersed")):
        one.act(second, verb, by="志愿者-1")
    one.act(30, "acknowledge")
    one.alert(60, Level.NONE)
    one.alert(650, Level.YELLOW)
    line = one.case.told["志愿者-1"]
    assert [(at - START) // SECOND for at in (line.at, line.on_the_scene_at, line.dispersed_at)] == [0, 10, 20]
    assert [entry.person for entry in silent([one.case])] == ["居委干部-1"], "told again, and silent since"
    assert figures([one.case], START, START + HOUR).answered == 1
    one.act(700, "on_the_scene")
    case = one.case
    one.alert(710, Level.NONE)
    one.wait(1400)
    assert silent([case]) == []
    marks = mark([case], Score(), "volunteer")
    assert (marks.acknowledged, marks.arrived) == (1.0, 1.0)


def test_a_notice_to_supervisors_asks_for_nothing() -> None:
    """Who only heard of a disagreement and of the end has not been paged, and owes no answer."""
    one = desk()
    one.alert(0, Level.RED)
    case = one.case
    one.act(10, "dispersed")
    one.wait(300)
    one.act(400, "dispersed")
    one.alert(410, Level.NONE)
    assert not one.book.open
    assert (case.told["派出所-1"].times, silent([case]), mark([case], Score()).pages) == (0, [], 1)


def test_a_false_alarm_may_be_called_from_home() -> None:
    """It answers, and arrives nowhere."""
    one = desk()
    one.alert(0, Level.RED)
    one.act(10, "false_alarm")
    line = one.case.told["居委干部-1"]
    assert (one.case.arrived_at, line.on_the_scene_at, line.acknowledged_at) == (0, 0, START + 10 * SECOND)


def test_a_round_ends_with_whom_it_kept_busy() -> None:
    """On the way when the alarm came back: free for the nearest dispatch elsewhere, also after a restart."""
    nearest = Policy("vehicle", {}, (Step(("cadre",), mode=Mode.NEAREST, count=1),))
    base = desk(agree_for=MINUTE).definition
    one = Desk(msgspec.structs.replace(base, policies=(*base.policies, nearest)))
    one.alert(0, Level.YELLOW)
    one.act(10, "on_the_way")
    one.alert(20, Level.NONE)
    one.alert(30, Level.YELLOW)
    one.restart()
    assert told(one.alert(40, Level.BLUE, "visitors", "C1-N"))[0][0] == "居委干部-1"


def test_the_shipped_plan_calls_all_together_and_the_nearest_at_red(shipped: Definition) -> None:
    """At orange only people of the place and police; at red cadres of the grid beside as well, led by the police."""
    one = Desk(shipped)
    lane = next(place.id for place in shipped.places if place.kind == "lane")
    one.alert(0, Level.ORANGE, "lane-crowding", lane)
    cadres = {person for person, line in one.case.told.items() if line.role == "cadre"}
    assert {person.split("-")[1] for person in cadres} == {"G01"}
    assert one.case.lead == ""
    one.alert(10, Level.RED, "lane-crowding", lane)
    cadres = {person for person, line in one.case.told.items() if line.role == "cadre"}
    assert {person.split("-")[1] for person in cadres} == {"G01", "G02"}
    assert one.case.lead == "派出所-01"


def _calm(**plan: object) -> Desk:
    """A desk whose crowd is over, and nobody has reported."""
    one = desk(steps=(Step(("cadre",)), Step(("volunteer",), after=MINUTE, every=MINUTE)), **plan)
    one.alert(0, Level.YELLOW)
    one.alert(10, Level.NONE)
    return one


@pytest.mark.parametrize(
    ("between", "state"),
    [(None, State.DISPATCHED), ("acknowledge", State.HANDLING), ("silence", State.FILED)],
)
def test_a_crowd_comes_back_after_its_case_was_given_back(between: str | None, state: State) -> None:
    """Whatever stage the case has by then, it is filed and dispatched again."""
    one = _calm()
    if between == "silence":
        far = START + HOUR
        one.act(15, between, "派出所-1", "", note="施工", scope=Scope(policies=("crowd",)), until=far, via="cli")
    one.act(20, "return", by="派出所-1", note="请派人去看")
    if between == "acknowledge":
        one.act(30, between, by="居委干部-2")
    assert (one.case.state, bool(one.case.cleared_at)) == (state, True)
    story = one.alert(40, Level.YELLOW)
    assert happenings(story)[0] == "relapse"
    assert one.case.cleared_at == 0
    assert bool(told(story)) == (between != "silence")


def test_whoever_gets_a_case_that_is_over_is_asked_to_verify() -> None:
    """No word of a level or of an order to go and act, and nothing of nobody on duty; later steps await nothing."""
    one = _calm()
    story = one.act(20, "return", by="派出所-1", note="请派人去看")
    (asked,) = story.decisions.notifications
    assert (asked.receiver, asked.reason) == ("居委干部-2", Reason.VERIFYING_ASKED)
    assert asked.title == "【请核查】小区C1 1弄"
    assert "已平静" in asked.text
    assert not any(word in asked.text for word in ("正常", "请到场", "阈值"))
    assert [step for _, due, step in one.case.pending if due is Due.STEP] == [1]  # that of the beginning
    assert not told(one.wait(120))


def test_verifying_is_asked_for_once_a_silence_ends() -> None:
    """Nobody may be told when the case is given back: then they hear later of the same."""
    one = _calm()
    quiet = {"note": "施工", "scope": Scope(policies=("crowd",)), "until": START + MINUTE, "via": "cli"}
    one.act(15, "silence", "派出所-1", "", **quiet)
    assert not told(one.act(20, "return", by="派出所-1", note="请派人去看"))
    assert told(one.wait(60))[0] == ("居委干部-2", "people", "verifying_asked")

"""An open case and a lesser alert: each speaks by its own level, and ends for those who heard of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.cases.casebook import Story
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Record, RecordKind, Scope
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from sensord.core.token import word
from sensord.core.vehicles.tracking import PlateAreas, Watched
from tests.core import traffic
from tests.core.desk import Desk
from tests.core.street import START, definition, grouped

PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("派出所-1", "police", "street", (Contact("people"),)),
)
PLAN = Policy("vehicle", {"zh": "车辆"}, (Step(("cadre",)), Step(("police",), Level.ORANGE)))
SHIPPED = Path(__file__).resolve().parents[2] / "config" / "sensord.yaml"


def rule(name: str, level: Level) -> Rule:
    """A rule that tells of each vehicle."""
    return Rule(
        name, {"zh": name}, Stream.VISIT, "gate", "vehicle", (LevelSpec(level, 1.0),), Clear((0.0,), MINUTE),
        value=Value(Aggregate.COUNT), each=True, message={"zh": "{rule}，{vehicle}，{level}预警。"},
    )  # fmt: skip


def opened() -> Desk:
    """A desk with the open case of a watched vehicle."""
    rules = (rule("watched", Level.ORANGE), rule("stranger", Level.BLUE), rule("cloned", Level.ORANGE))
    desk = Desk(definition(people=PEOPLE, policies=(PLAN,), rules=rules))
    desk.alert(0, Level.ORANGE, "watched")
    return desk


def words(story: Story) -> dict[str, str]:
    """What each person reads."""
    return {one.receiver: f"{one.title} {one.text}" for one in story.decisions.notifications}


@pytest.mark.parametrize("stands", [False, True], ids=["its first vehicle", "its second vehicle"])
def test_a_lesser_alert_is_told_by_its_own_level(stands: bool) -> None:
    """Police hear of orange; a blue vehicle in an orange case stays blue, and is the cadres' alone."""
    desk = opened()
    story = desk.alert(50, Level.BLUE, "stranger")
    if stands:
        story = desk.another(60, Level.BLUE, "stranger")
    (told,) = story.decisions.notifications
    assert (told.receiver, told.level, told.reason) == ("居委干部-1", Level.BLUE, Reason.ANOTHER_VEHICLE)
    assert told.case_level is Level.ORANGE
    assert told.title.startswith("【又一辆·蓝色】")
    assert "stranger" in told.text
    assert "蓝色预警" in told.text
    assert (desk.case.level, desk.case.rule, desk.case.owner) == (Level.ORANGE, "watched", "居委干部-1")


def test_an_equal_alert_is_told_to_everybody_of_its_level() -> None:
    """A second orange one is the police's, too."""
    desk = opened()
    assert set(words(desk.alert(50, Level.ORANGE, "cloned"))) == {"居委干部-1", "派出所-1"}
    assert desk.case.rule == "cloned"


def test_the_end_names_what_its_receiver_was_told_of() -> None:
    """Whoever never heard of the stranger does not hear that it is over; whoever heard of both hears of both."""
    desk = opened()
    desk.alert(50, Level.BLUE, "stranger")
    desk.alert(90, Level.NONE, "watched")
    desk.another(100, Level.BLUE, "stranger")
    end = words(desk.alert(200, Level.NONE, "stranger"))
    assert "watched、stranger已解除" in end["居委干部-1"]
    assert "watched已解除" in end["派出所-1"]
    assert "stranger" not in end["派出所-1"]


def test_a_silence_on_the_lesser_alert_keeps_only_that_one_quiet() -> None:
    """The case goes on being told, and is not taken for muted."""
    desk = opened()
    until = START + HOUR
    desk.act(10, "silence", "operator", "", scope=Scope(rules=("stranger",)), note="施工", until=until, via="cli")
    story = desk.alert(50, Level.BLUE, "stranger")
    assert not story.decisions.notifications
    assert {hold.reason for hold in story.decisions.holds} == {Reason.HELD_SILENCED}
    assert desk.case.muted == ""
    assert words(desk.another(60, Level.ORANGE, "watched"))


def test_the_shipped_rules_leave_an_ordinary_vehicle_to_the_cadres() -> None:
    """A watched vehicle, then one from out of town at a gate: the police hear of the one, cadres of the other."""
    found = load(SHIPPED, lenient=True).definition
    assert found is not None
    watched = (Watched(word(traffic.token("沪A12345"))),)
    whole = msgspec.structs.replace(found, plate_keys=traffic.KEYS, plates=PlateAreas(("沪",), (), watched))
    records = [definition_record(whole, traffic.START)]
    for second, plate in ((10, "沪A12345"), (60, "苏E24680")):
        topic = whole.topics.format(compound="C01", kind="plate", device="cam-C01-N-entry")
        body = {"plate": plate, "direction": "in", "confidence": 0.97}
        records.append(Record(RecordKind.MESSAGE, traffic.START + second * SECOND, topic, msgspec.json.encode(body)))
    records += [Record(RecordKind.TICK, traffic.START + second * SECOND) for second in (61, 900)]
    following, told = Site(None, traffic.SECRETS), list[Notification]()
    for group in grouped(records, [1]):
        told += [one for one in following.step(group).notifications if one.place == "C01-N"]
    police = [one for one in told if one.role == "police"]
    assert [one.reason for one in police] == [Reason.CASE_OPENED, Reason.CASE_CLOSED]
    assert "布控车辆已解除" in police[1].text
    assert "外地" not in "".join(one.text for one in police)
    cadres = [(one.reason, one.level) for one in told if one.role == "cadre" and one.reason is not Reason.CASE_CLOSED]
    assert set(cadres) == {(Reason.CASE_OPENED, Level.BLUE)}

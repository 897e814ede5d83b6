"""Whom the plan finds: the three modes, replacements, reminders, second ways; and the ledger of who did not answer."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Answer, State
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Category, Mode, Policy, Step
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Place, PlaceKind, Places
from tests.core.desk import Desk, told
from tests.core.street import START, definition
from tests.core.street import places as street_places

PEOPLE = (
    Person("志愿者-1", "volunteer", "G1-1", (Contact("people"),)),
    Person("志愿者-2", "volunteer", "G2-1", (Contact("people"),)),
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("居委干部-2", "cadre", "G2", (Contact("people"),)),
    Person("派出所-1", "police", "street", (Contact("people"),)),
)


def desk(*steps: Step, people: tuple[Person, ...] = PEOPLE, **plan: object) -> Desk:
    """A desk with one plan for crowds."""
    policy = Policy("crowd", {"zh": "聚集"}, steps, **plan)  # type: ignore[arg-type]
    return Desk(definition(people=people, policies=(policy,)))


def names(story: object) -> list[str]:
    """Who was told."""
    return [receiver for receiver, _, _ in told(story)]  # type: ignore[arg-type]


def test_nearest_takes_who_is_free_from_the_neighbouring_grid() -> None:
    """The volunteer of the place is on the way elsewhere: the neighbouring grid's is told."""
    one = desk(Step(("volunteer",), mode=Mode.NEAREST, count=1))
    assert names(one.alert(0, Level.BLUE)) == ["志愿者-1"]
    one.act(5, "on_the_way", by="志愿者-1")
    assert names(one.alert(10, Level.BLUE, place="G1-L2")) == ["志愿者-2"]
    assert names(one.alert(20, Level.BLUE, place="G2-L2")) == ["志愿者-2"], "told is not busy"


@pytest.mark.parametrize(("beside", "first"), [((), "志愿者-2"), (("G3",), "志愿者-3")])
def test_nearest_goes_by_stated_neighbours_before_the_tree(beside: tuple[str, ...], first: str) -> None:
    """Grid three is of another block; where the register says that it is next door, its volunteer comes first."""
    places = (
        *(msgspec.structs.replace(one, neighbours=beside if one.id == "G1" else ()) for one in street_places()),
        Place("B3", PlaceKind.BLOCK, "街区三", parent="street"),
        Place("G3", PlaceKind.GRID, "居民区三", parent="B3"),
        Place("G3-1", PlaceKind.MICRO_GRID, "微网格三", parent="G3"),
    )
    people = (PEOPLE[1], Person("志愿者-3", "volunteer", "G3-1", (Contact("people"),)))
    policy = Policy("crowd", {}, (Step(("volunteer",), mode=Mode.NEAREST, count=1),))
    one = Desk(definition(places=places, people=people, policies=(policy,)))
    assert names(one.alert(0, Level.BLUE)) == [first]
    one.act(5, "on_the_way", by=first)
    assert names(one.alert(10, Level.BLUE, place="G1-L2")) == ["志愿者-2" if first == "志愿者-3" else "志愿者-3"]


def test_nearest_goes_by_distance_where_positions_say_it() -> None:
    """Of two stated neighbours the nearer comes first; then the others by distance, whatever the names and the tree."""
    east = {"G2": 40, "G3": 10, "G4": 30, "G5": 20}
    places = [*street_places()]
    places = [msgspec.structs.replace(one, position=(31.3, 121.4)) if one.id == "C1" else one for one in places]
    places = [one for one in places if not one.id.startswith(("G2", "C2"))]
    for grid, metres in east.items():
        where = (31.3, 121.4 + metres / 1000)
        places += [
            Place(grid, PlaceKind.GRID, grid, parent="B1" if grid == "G2" else "B9"),
            Place(f"{grid}-1", PlaceKind.MICRO_GRID, grid, parent=grid),
            Place(f"C{grid}", PlaceKind.COMPOUND, grid, parent=grid, micro_grids=(f"{grid}-1",), position=where),
        ]
    places = [msgspec.structs.replace(one, neighbours=("G2", "G4")) if one.id == "G1" else one for one in places]
    places.append(Place("B9", PlaceKind.BLOCK, "街区九", parent="street"))
    people = tuple(Person(f"志愿者-{grid[1]}", "volunteer", grid, (Contact("people"),)) for grid in east)
    policy = Policy("crowd", {}, (Step(("volunteer",), mode=Mode.NEAREST, count=9),))
    one = Desk(definition(places=tuple(places), devices=(), people=people, policies=(policy,)))
    assert names(one.alert(0, Level.BLUE)) == ["志愿者-4", "志愿者-2", "志愿者-3", "志愿者-5"]


def test_of_two_neighbours_one_need_name_the_other() -> None:
    """What one grid says of another holds for both."""
    places = [msgspec.structs.replace(one, neighbours=("G2",) if one.id == "G1" else ()) for one in street_places()]
    tree = Places(places, ())
    assert tree.beside("G1") == {"G2"}
    assert tree.beside("G2") == {"G1"}


def test_joint_tells_all_parties_and_says_who_leads() -> None:
    """Everybody is told, the police lead and own the case, and the text says so."""
    one = desk(Step(("volunteer", "cadre", "police"), mode=Mode.JOINT, lead="police"))
    story = one.alert(0, Level.BLUE)
    assert names(story) == ["志愿者-1", "居委干部-1", "派出所-1"]
    assert (one.case.lead, one.case.owner) == ("派出所-1", "派出所-1")
    one.act(3, "acknowledge", by="居委干部-1")
    assert one.case.owner == "派出所-1"
    assert "牵头：派出所-1" in one.alert(5, Level.RED).decisions.notifications[0].text


def test_the_silent_are_replaced_and_those_who_answered_are_not() -> None:
    """After three minutes the neighbouring cadre stands in for the silent one; the volunteer had answered."""
    one = desk(Step(("volunteer", "cadre")), Step(("volunteer", "cadre"), after=3 * MINUTE, mode=Mode.REPLACEMENT))
    one.alert(0, Level.BLUE)
    one.act(60, "acknowledge", by="志愿者-1")
    assert told(one.wait(180)) == [("居委干部-2", "people", "replacement")]


def test_reminders_go_on_until_people_have_come_that_far() -> None:
    """Every two minutes, until somebody is on the scene."""
    one = desk(Step(("cadre",)), Step(("police",), after=MINUTE, every=2 * MINUTE, until=Answer.ON_THE_SCENE))
    one.alert(0, Level.BLUE)
    one.act(30, "acknowledge")
    heard = [(second, reason) for second in range(60, 400, 60) for _, _, reason in told(one.wait(second))]
    assert heard == [(60, "not_on_the_scene"), (180, "not_on_the_scene"), (300, "not_on_the_scene")]
    one.act(400, "on_the_scene")
    story = one.wait(420)
    assert [hold.reason.value for hold in story.decisions.holds] == ["held_acknowledged"]
    assert told(one.wait(3000)) == []


def test_red_tells_everybody_at_once() -> None:
    """The steps that would come later speak now, and still come when nobody answers."""
    steps = (Step(("cadre",)), Step(("police",), after=10 * MINUTE, until=Answer.ACKNOWLEDGED))
    assert names(desk(*steps).alert(0, Level.ORANGE)) == ["居委干部-1"]
    assert names(desk(*steps).alert(0, Level.RED)) == ["居委干部-1", "派出所-1"]
    assert names(desk(*steps, everybody_at=Level.ORANGE).alert(0, Level.ORANGE)) == ["居委干部-1", "派出所-1"]


def test_nearby_cases_are_linked_and_others_are_not() -> None:
    """Two lanes of one grid are one event; the lane of the other grid is not. The text counts them."""
    one = desk(Step(("cadre",)), link="grid")
    one.alert(0, Level.BLUE)
    story = one.alert(5, Level.BLUE, place="G1-L2")
    assert "link" in [event.happening.value for event in story.events]
    assert "邻近相关案件 1 起" in story.decisions.notifications[0].text
    one.alert(9, Level.BLUE, place="G2-L1")
    first, second, other = one.book.open.values()
    assert (first.links, second.links, other.links) == ([second.id], [first.id], [])


SECOND_WAY = (Person("居委干部-1", "cadre", "G1", (Contact("people"), Contact("sms", "0", 60 * SECOND))),)


def test_the_second_way_is_taken_when_the_first_does_not_deliver() -> None:
    """A minute without a receipt, and the second channel speaks; with one it does not."""
    silent = desk(Step(("cadre",)), people=SECOND_WAY)
    assert told(silent.alert(0, Level.BLUE)) == [("居委干部-1", "people", "case_opened")]
    assert told(silent.wait(60)) == [("居委干部-1", "sms", "not_delivered")]
    heard = desk(Step(("cadre",)), people=SECOND_WAY)
    (first,) = heard.alert(0, Level.BLUE).decisions.notifications
    heard.receipt(3, first.key, "sent")
    assert told(heard.wait(61)) == []
    heard.alert(70, Level.RED)
    assert told(heard.wait(131)) == [("居委干部-1", "sms", "not_delivered")], "each message by itself"


def test_the_ledger_shows_who_did_not_respond() -> None:
    """Sent, delivered, seen, acknowledged, on the scene: each first time, per person; the silent one's is empty."""
    one = desk(Step(("volunteer", "cadre")))
    notes = one.alert(0, Level.BLUE).decisions.notifications
    for second, delivery in ((1, "sent"), (2, "delivered"), (9, "delivered"), (4, "seen")):
        one.receipt(max(second, 9) if second == 4 else second, notes[0].key, delivery)
    one.act(20, "on_the_scene", by="志愿者-1")
    line, silent = one.case.told["志愿者-1"], one.case.told["居委干部-1"]
    stamps = [line.sent_at, line.delivered_at, line.seen_at, line.acknowledged_at, line.on_the_scene_at]
    assert [(stamp - START) // SECOND for stamp in stamps] == [1, 2, 9, 20, 20]
    assert (silent.sent_at, silent.answered, silent.times) == (0, False, 1)


def failed(one: Desk, *people: str) -> None:
    """The only contact of each of them fails for good."""
    for second, person in enumerate(people, 1):
        one.receipt(second, f"G2-L1-crowd-20231115T061320:1:{person}:people", "failed")


def test_a_contact_that_fails_is_tried_all_the_same_until_it_is_another() -> None:
    """The only cadre's only contact fails: the next alarm goes to them anyway, for there is nobody else."""
    one = desk(Step(("cadre",)))
    (first,) = one.alert(0, Level.BLUE).decisions.notifications
    one.receipt(5, first.key, "failed")
    case = next(iter(one.book.open.values()))
    assert case.told["居委干部-1"].failed == ["people"]
    story = one.alert(10, Level.BLUE, place="G1-L2")
    assert told(story) == [("居委干部-1", "people", "case_opened")]
    assert story.decisions.holds == []
    assert [(person, channel) for person, channel, _ in one.book.undeliverable] == [("居委干部-1", "people")]
    moved = Person("居委干部-1", "cadre", "G1", (Contact("people", "new"),))
    one.redefine(20, definition(people=(moved, *PEOPLE[3:]), policies=one.definition.policies))
    assert one.book.undeliverable == []


def test_whom_nothing_reaches_is_told_and_somebody_else_instead() -> None:
    """The cadre's contact fails: they hear of the next alarm if they can; the police hear of it, and own the case."""
    one = desk(Step(("cadre",)), Step(("police",), after=MINUTE))
    failed(one, "居委干部-1")
    story = one.alert(10, Level.BLUE)
    assert told(story) == [("居委干部-1", "people", "case_opened"), ("派出所-1", "people", "nobody_told")]
    assert one.book.open[story.decisions.notifications[0].case].owner == "派出所-1"


def test_a_level_below_the_first_step_tells_nobody() -> None:
    """The cadre is there: nobody is told that nobody is. The case rests, is late for nobody, and ends unheard."""
    limits = Category("crowd", {"zh": "聚集"}, "04", "080", {State.FILED: 2 * MINUTE})
    steps = (Step(("volunteer", "cadre"), Level.YELLOW), Step(("police",), Level.YELLOW, MINUTE))
    one = desk(*steps, supervisors=("police",), category="crowd")
    one.redefine(0, msgspec.structs.replace(one.definition, categories=(limits,)))
    story = one.alert(1, Level.BLUE)
    assert told(story) == []
    assert [hold.reason for hold in story.decisions.holds] == [Reason.HELD_NO_STEP] * 3
    assert one.case.state.value == "filed"
    assert told(one.alert(2, Level.BLUE, rule="crowd-sum")) == [], "nor of another such alert"
    one.restart()
    assert told(one.wait(9000)) == []
    assert sorted(names(one.alert(9001, Level.YELLOW))) == ["居委干部-1", "志愿者-1"]
    one.alert(9002, Level.BLUE)
    assert one.case.state.value == "dispatched"


def test_what_ends_below_the_first_step_waits_for_nobody() -> None:
    """Nobody is owed it: the case is over with its alert, also when a shift is about to begin."""
    one = desk(Step(("cadre",), Level.YELLOW))
    one.alert(1, Level.BLUE)
    assert told(one.alert(5, Level.NONE)) == []
    assert not one.book.open


def test_steps_that_wait_are_not_taken_for_steps_that_found_nobody() -> None:
    """The plan asks for the cadre once it has lasted: before, nobody is told; then it is dispatched."""
    one = desk(Step(("police",), Level.RED), Step(("cadre",), after=3 * MINUTE, until=Answer.ACKNOWLEDGED))
    assert told(one.alert(0, Level.YELLOW)) == []
    one.restart()
    assert told(one.wait(181)) == [("居委干部-1", "people", "not_acknowledged")]
    assert one.case.state is State.DISPATCHED


def test_whoever_is_there_hears_when_the_first_step_that_comes_due_finds_nobody() -> None:
    """The step has waited and finds no cadre: the police hear instead, once."""
    one = desk(Step(("cadre",), after=3 * MINUTE), Step(("police",), Level.RED), people=PEOPLE[4:])
    assert told(one.alert(0, Level.YELLOW)) == []
    assert told(one.wait(3600)) == [("派出所-1", "people", "nobody_told")]
    assert one.case.state is State.DISPATCHED


def test_the_next_circle_hears_besides_when_nobody_of_the_nearest_can_be_reached() -> None:
    """Two cadres of the grid: while one can be reached it is theirs; when none can, the street's hears it, too."""
    more = (("居委干部-9", "street"), ("居委干部-0", "G1"))
    people = (*PEOPLE, *(Person(name, "cadre", place, (Contact("people"),)) for name, place in more))
    one = desk(Step(("cadre",)), people=people)
    failed(one, "居委干部-0")
    assert names(one.alert(10, Level.BLUE)) == ["居委干部-1", "居委干部-0"], "who can be reached owns the case"
    failed(one, "居委干部-1")
    assert names(one.alert(20, Level.BLUE, place="G1-L2")) == ["居委干部-9", "居委干部-0", "居委干部-1"]


def test_the_nearest_is_told_though_out_of_reach_and_the_nearest_in_reach() -> None:
    """One is wanted: who cannot be reached takes nobody's place, and loses none; when nobody can, one is told."""
    one = desk(Step(("volunteer",), mode=Mode.NEAREST, count=1))
    failed(one, "志愿者-1")
    assert names(one.alert(10, Level.BLUE)) == ["志愿者-2", "志愿者-1"]
    failed(one, "志愿者-2")
    assert names(one.alert(20, Level.BLUE, place="G1-L2")) == ["志愿者-1"]


@pytest.mark.parametrize("mode", [Mode.RESPONSIBLE, Mode.NEAREST, Mode.JOINT])
def test_a_channel_on_which_everybody_fails_silences_nobody(mode: Mode) -> None:
    """All contacts fail for ten seconds: the next crowd is told as ever; one that gets through, and all are trusted."""
    one = desk(Step(("volunteer", "cadre", "police"), mode=mode, lead="police"))
    failed(one, *(person.id for person in PEOPLE))
    story = one.alert(10, Level.BLUE)
    pages = story.decisions.notifications
    assert {page.receiver for page in pages} >= {"志愿者-1", "居委干部-1", "派出所-1"}
    assert story.decisions.holds == []
    one.receipt(11, pages[0].key, "sent")
    assert one.book.undeliverable == []
    assert all(case.rule == "density" for case in one.book.open.values() if case.alerts), "nobody is out of reach"


def test_a_wrong_number_stays_one_though_the_channel_delivers() -> None:
    """Others being reached says nothing of it, so its case does not end and begin with each page."""
    one = desk(Step(("cadre", "police")))
    failed(one, "居委干部-1")
    for second, place in ((10, "G1-L1"), (20, "G1-L2")):
        for page in one.alert(second, Level.BLUE, place=place).decisions.notifications:
            one.receipt(second + 1, page.key, "failed" if page.receiver == "居委干部-1" else "sent")
    assert [(person, at) for person, _, at in one.book.undeliverable] == [("居委干部-1", START + SECOND)]
    assert sum(case.rule == "contact-undeliverable" for case in one.book.open.values()) == 1


def test_an_answer_for_a_person_who_was_never_told_is_noted() -> None:
    """An operator's account is not on the roster: the ledger has it as such."""
    one = desk(Step(("cadre",)))
    one.alert(0, Level.BLUE)
    assert one.act(5, "acknowledge", by="operator-a").outcomes[0].accepted
    assert one.case.told["operator-a"].role == "operator"
    assert names(one.alert(9, Level.NONE)) == ["居委干部-1"]


@pytest.mark.parametrize("kept", [True, False], ids=["plan kept", "plan gone"])
def test_an_alert_whose_rule_is_told_by_another_plan_since_is_no_second_case(kept: bool) -> None:
    """It keeps its case, and ends it; where that has no plan any more, the new plan's people hear, in one case."""
    one = desk(Step(("cadre",)))
    one.alert(0, Level.YELLOW)
    (plan,) = one.definition.policies
    other = msgspec.structs.replace(plan, id="night", steps=(Step(("police",)),))
    rules = tuple(msgspec.structs.replace(rule, dispatch="night") for rule in one.definition.rules)
    plans = (plan, other) if kept else (other,)
    one.redefine(10, msgspec.structs.replace(one.definition, policies=plans, rules=rules))
    story = one.alert(20, Level.ORANGE)
    assert [name for name, _, reason in told(story) if reason != "case_closed"] == [
        "居委干部-1" if kept else "派出所-1"
    ]
    assert (one.case.policy, one.case.level) == ("crowd" if kept else "night", Level.ORANGE)
    one.alert(30, Level.NONE)
    assert not one.book.open

"""A reload takes out a rule over an alert that stands: only the rule is gone, and nobody has seen that the crowd is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.cases.notification import Notification
from sensord.core.cases.policy import Policy
from sensord.core.cases.policy import Step as PlanStep
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact
from sensord.core.record import Action, Scope, Verb
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Logic, Rule, Value
from sensord.core.site import Site, action_record, definition_record
from sensord.core.stream import Stream
from tests.core.failing import DENSITY, Following, both, street, tick
from tests.core.street import START, density_rule, devices, message

CHANGED = 60
SINGLE = density_rule(
    value=Value(Aggregate.LAST, "density"), window=0, every=0, levels=(LevelSpec(Level.YELLOW, 1.0),),
    clear=Clear((0.0,), 10 * SECOND),
)  # fmt: skip
OTHER = replace(DENSITY, id="other")
PLAN = Policy("crowd", {"zh": "聚集"}, (PlanStep(("cadre",)),), agree_for=20 * SECOND)
CHANGES: dict[str, tuple[Rule, tuple[Rule, ...]]] = {
    "it is taken out": (DENSITY, (OTHER,)),
    "one without a window is taken out": (SINGLE, (OTHER,)),
    "its place is taken out of it": (DENSITY, (replace(DENSITY, where={"grid": ("G2",)}),)),
    "it looks at something else": (DENSITY, (replace(DENSITY, by="grid"),)),
    "its level is taken out": (SINGLE, (replace(SINGLE, levels=(LevelSpec(Level.RED, 9.0),)),)),
}


def whole(*rules: Rule, policies: tuple[Policy, ...] = (PLAN,)) -> Definition:
    """The street with these rules and a plan for crowds that closes when it is clear."""
    return replace(street(*rules), policies=policies)


class Street(Following):
    """A street whose rules change, with what people are told."""

    def change(self, second: int, definition: Definition) -> list[Notification]:
        """Put another definition into force; what is told by that."""
        return self.step(definition_record(definition, START + second * SECOND)).notifications


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_not_told_as_calm(name: str) -> None:
    """People are asked to verify; their word closes it, at once, after a restart too, and nothing else does."""
    rule, rules = CHANGES[name]
    street = Street(rule)
    street.until(CHANGED, 100, 1)
    told = [one for one in street.change(CHANGED, whole(*rules)) if one.place == "G1-L1"]
    assert {one.reason.value for one in told} == {"verifying_asked"}
    asked = told[0]
    assert "停用或修改，不再监测，没有看到已解除，现场情况不明。请到现场核查并反馈结果" in asked.text
    assert (CHANGED, rule.id, "G1-L1", Change.WITHDRAWN) in street.changes
    street.site = Site.restored(street.site.snapshot())
    (case,) = [one for one in street.site.book.open.values() if rule.id == one.rule and one.place == "G1-L1"]
    assert case.unwatched == [f"{rule.id}:G1-L1"]
    street.until(CHANGED + 200, 0, CHANGED + 1)
    assert case.id in street.site.book.open
    word = Action(Verb.DISPERSED, case.id, asked.receiver)
    street.step(action_record(word, START + (CHANGED + 201) * SECOND))
    assert case.id not in street.site.book.open


def test_english_says_so_too() -> None:
    """In the receiver's language."""
    people = tuple(replace(one, language="en") for one in whole().people)
    street = Street(DENSITY)
    street.change(0, replace(whole(DENSITY), people=people))
    street.until(CHANGED, 100, 1)
    asked = street.change(CHANGED, replace(whole(OTHER), people=people))[0]
    assert "was taken out or changed at" in asked.text
    assert "nobody has seen that it is over" in asked.text


def test_a_rule_that_is_edited_carries_its_level_on() -> None:
    """Nobody is told anything, and it ends by what its sensors see."""
    street = Street(DENSITY)
    street.until(CHANGED, 100, 1)
    assert street.change(CHANGED, whole(replace(DENSITY, levels=(LevelSpec(Level.YELLOW, 1.5),)))) == []
    street.until(CHANGED + 100, 0, CHANGED + 1)
    assert street.changes[-1][2:] == ("G1-L1", Change.CLEARED)
    assert not street.site.book.open


def test_the_case_stays_open_by_another_rule_that_still_alerts() -> None:
    """Nothing is told of the one that is gone; when the other is over, somebody must see after the first."""
    street = Street(DENSITY, OTHER)
    street.until(CHANGED, 100, 1)
    assert street.change(CHANGED, whole(OTHER)) == []
    (case,) = street.site.book.open.values()
    assert (list(case.alerts), case.unwatched) == (["other:G1-L1"], ["density:G1-L1"])
    street.until(CHANGED + 100, 0, CHANGED + 1)
    (case,) = street.site.book.open.values()
    assert (case.state.value, case.unwatched) == ("verifying", ["density:G1-L1"])


def test_what_happened_is_over_with_its_rule() -> None:
    """A finding is none the less made: nobody is sent to see whether it is."""
    finding = density_rule(
        id="finding", stream=Stream.REPORT, by="compound", value=Value(Aggregate.LAST, "grade"), window=0, every=0,
        levels=(LevelSpec(Level.YELLOW, 1.0),), clear=Clear((0.0,), 600 * SECOND),
    )  # fmt: skip
    street = Street(finding)
    street.step(message(devices()[5], START + SECOND, {"severity": "red", "seq": 1}), tick(2))
    told = street.change(CHANGED, whole(DENSITY))
    assert "verifying_asked" not in [one.reason.value for one in told]


def test_a_combination_whose_part_is_taken_back_is_not_over() -> None:
    """It stood on what nobody watches any more."""
    street = Street(DENSITY, OTHER, both(Logic.ANY, "density"))
    street.until(CHANGED, 100, 1)
    street.change(
        CHANGED,
        whole(replace(DENSITY, by="grid", levels=(LevelSpec(Level.RED, 99.0),)), OTHER, both(Logic.ANY, "density")),
    )
    street.step(tick(CHANGED + 20))
    assert ("both", Change.UNWATCHED) in {(rule, change) for _, rule, _, change in street.changes}


def test_a_place_that_is_gone_is_no_place_to_send_anybody_to() -> None:
    """Its case is void, and nothing else is said of it."""
    street = Street(DENSITY)
    street.until(CHANGED, 100, 1)
    before = whole(DENSITY)
    places = tuple(one for one in before.places if one.id != "G1-L1")
    told = street.change(CHANGED, replace(before, places=places, devices=before.devices[1:]))
    assert {one.reason.value for one in told} == {"case_void"}


def test_who_moves_with_the_same_reload_is_asked_over_the_new_way() -> None:
    """What they were asked at this instant went over the old one, and may be lost with it."""
    street = Street(DENSITY)
    street.until(CHANGED, 100, 1)
    new = whole(OTHER)
    moved = replace(new, people=tuple(replace(one, contacts=(Contact("duty", "9"),)) for one in new.people))
    told = [one for one in street.change(CHANGED, moved) if one.place == "G1-L1"]
    assert {(one.receiver, one.channel) for one in told if one.reason.value == "not_delivered"} == {
        (one.receiver, "duty") for one in told
    }
    assert street.change(CHANGED + 1, moved) == []


@pytest.mark.parametrize("silent", [False, True])
def test_what_waits_to_be_filed_is_somebodys_to_see_after(silent: bool) -> None:
    """It has been seen, and nobody has seen it end: it is filed, and people are asked, after a silence too."""
    plan = replace(PLAN, wait=300 * SECOND)
    street = Street(DENSITY)
    street.change(0, whole(DENSITY, policies=(plan,)))
    street.until(CHANGED, 100, 1)
    (case,) = street.site.book.open.values()
    assert case.state.value == "accepted"
    if silent:
        quiet = Action(
            Verb.SILENCE, "quiet", "cli", scope=Scope(places=("G1-L1",)), note="施工", until=START + 90 * SECOND
        )
        street.step(action_record(quiet, START + CHANGED * SECOND))
    told = street.change(CHANGED, whole(OTHER, policies=(plan,)))
    assert silent is (told == [])
    street.site = Site.restored(street.site.snapshot())
    if silent:
        told = street.step(tick(91)).notifications
    assert {(one.place, one.reason.value) for one in told} == {("G1-L1", "verifying_asked")}
    (case,) = street.site.book.open.values()
    assert (case.state.value, case.unwatched) == ("verifying", ["density:G1-L1"])
    street.until(400, 0, 92)
    assert case.id in street.site.book.open

"""A new definition comes into force while alerts stand: what it changes at once reaches the cases."""

from __future__ import annotations

from msgspec.structs import replace

from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Place, PlaceKind
from sensord.core.record import Record
from sensord.core.rules.rule import Clear, Combination, LevelSpec, Logic, Part, Rule
from sensord.core.site import Site, definition_record
from tests.core.street import START, definition, density_rule, devices, grouped, message

A = density_rule(id="a", levels=(LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 9.0)), clear=Clear((0.0, 0.0), 0))
B = density_rule(id="b", levels=(LevelSpec(Level.YELLOW, 1.5),), clear=Clear((0.0,), 0))


def both(name: str, by: str, *parts: Part) -> Rule:
    """A red alert when all parts are on, or were within five minutes."""
    rungs, end = (LevelSpec(Level.RED, 1.0),), Clear((0.0,), MINUTE)
    combined = Combination(Logic.ALL, parts, 5 * MINUTE)
    return Rule(name, {"zh": "两者", "en": "both"}, None, by, "crowd", rungs, end, combination=combined)


BOTH = both("both", "compound", Part("a"), Part("b"))


def people(count: int, start: int, stop: int) -> list[Record]:
    """So many people in the first lane (50 m²), said every five seconds; seconds from START on."""
    body = {"count": count, "boot": 1}
    return [message(devices()[0], START + second * SECOND, {**body, "seq": second}) for second in range(start, stop, 5)]


def told(*records: Record) -> list[str]:
    """What is decided on records, each a group of its own, with a restart after each: rules' changes, cases' events."""
    site, said = Site(), list[str]()
    for group in grouped(records, [1]):
        step = site.step(group)
        said += [f"{(one.at - START) // SECOND} {one.rule} {one.change} {one.level.word}" for one in step.transitions]
        said += [f"{(one.at - START) // SECOND} {one.case[:-16]} {one.happening}" for one in step.events]
        site = Site.restored(site.snapshot())
    return said


def redefined(*definitions: Definition) -> list[Record]:
    """A crowd that stays, and definitions that come into force while it is there, a minute apart."""
    records = [definition_record(definitions[0], START)]
    for number, new in enumerate(definitions[1:], 1):
        records += [*people(100, 60 * number - 59, 60 * number), definition_record(new, START + 60 * number * SECOND)]
    return [*records, *people(100, 60 * len(definitions) - 59, 60 * len(definitions))]


def test_a_combination_of_what_stands_already() -> None:
    """A combination that comes while its parts are on is raised at once, and opens its case."""
    said = told(*redefined(definition(rules=(A, B)), definition(rules=(A, B, BOTH))))
    assert [one for one in said if one.startswith("60 ")] == [
        "60 both raised red",
        "60 C1-crowd level_rose",
        "60 C1-crowd file",
        "60 C1-crowd dispatch",
    ]


def test_a_combination_at_a_place_that_is_new() -> None:
    """It may even be about a place that comes with it."""
    before = definition(rules=(A, B))
    places = tuple(replace(place, compound="CX") if place.compound == "C1" else place for place in before.places)
    another = Place("CX", PlaceKind.COMPOUND, "小区CX", parent="G1")
    said = told(*redefined(before, replace(before, rules=(A, B, BOTH), places=(*places, another))))
    assert "60 CX-crowd dispatch" in said

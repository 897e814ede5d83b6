"""Lengths of stay that rules want to hear of: thresholds of single places, changed ones, and entries that come late."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.record import Record
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Override, Rule, Value
from sensord.core.site import Site, definition_record
from sensord.core.vehicles.marks import Lengths
from sensord.core.vehicles.tracker import Tracker
from tests.core import traffic
from tests.core.follower import A, B, Follower, at, tick
from tests.core.street import grouped
from tests.core.traffic import SECRETS, START, passage, sign, ticks

HERE, THERE = "C1-N", "C2-N"


def overstay(*hours: float, **changes: object) -> Rule:
    """A rule on stays, blue and then yellow."""
    levels = tuple(LevelSpec(level, after) for level, after in zip((Level.BLUE, Level.YELLOW), hours, strict=False))
    clear = Clear((0.0,) * len(levels), 10 * SECOND)
    rule = traffic.rule("overstay", "stay", 0.0, {"event": ("staying",)}, by="compound", levels=levels, clear=clear)
    return replace(rule, **changes)


def own(place: str, hours: float) -> tuple[Override, ...]:
    """A blue threshold of a place's own."""
    return (Override(place, (LevelSpec(Level.BLUE, hours),), (0.0,)),)


def hours(*wanted: float) -> tuple[int, ...]:
    """Hours as marks."""
    return tuple(round(one * HOUR) for one in wanted)


def marks(*rules: Rule) -> dict[str, tuple[int, ...]]:
    """What rules want to hear of in the first two compounds."""
    definition = traffic.definition()
    found = Lengths(rules, Places(definition.places, definition.devices)).marks
    return {place: found.get(place, ()) for place in ("C1", "C2")}


RULES: dict[str, tuple[Rule, tuple[int, ...], tuple[int, ...]]] = {
    "each level's threshold": (overstay(24, 72), hours(24, 72), hours(24, 72)),
    "a compound's own, instead of the rule's": (overstay(24, 72, overrides=own("C1", 2)), hours(2, 72), hours(24, 72)),
    "a gate's own": (overstay(24, by="gate", overrides=own(HERE, 2)), hours(2, 24), hours(24)),
    "one compound alone": (overstay(24, where={"event": ("staying",), "compound": ("C1",)}), hours(24), ()),
    "a stay that is short": (overstay(24, comparison=Comparison.BELOW), (), ()),
    "nights": (traffic.rule("nights", "nights", 2.0, {}), (), ()),
    "passages": (traffic.rule("passages", "stay", 2.0, {"event": ("passed",)}), (), ()),
}


@pytest.mark.parametrize("name", RULES)
def test_marks_are_the_thresholds_that_apply_in_a_compound(name: str) -> None:
    """Those of a rule on stays, or the compound's own."""
    rule, here, there = RULES[name]
    assert marks(rule) == {"C1": here, "C2": there}


def test_a_threshold_of_a_compound_is_told_of_there_and_then() -> None:
    """Two hours in the one, a day in the other, and neither hears of the other's."""
    follower = Follower(rules=(overstay(24, overrides=own("C1", 2)),))
    rows = follower.see(at(0, A, gate=HERE), at(0, B, gate=THERE), tick(90_000))
    assert [(row.at / 3600, row.vehicle) for row in rows if row.event == "staying"] == [(2.0, A), (24.0, B)]


def stays(follower: Follower, *records: Record) -> list[float]:
    """How long vehicles have been inside, in hours, as it is said."""
    return [row.numbers["stay"] for row in follower.see(*records) if row.event == "staying"]


def trusted(*rules: Rule) -> Follower:
    """A follower that has heard the first gate's camera for an hour, and knows that its clock is right."""
    follower = Follower(rules=rules)
    follower.see(*(at(second, B, "out", gate=HERE) for second in range(-3600, 0, 60)))
    return follower


def stored(second: float, way: str, comes: float = 6 * 3600) -> Record:
    """A reading of a vehicle by the first gate's camera, which could not send it before."""
    return passage(HERE, START + round(comes * SECOND), A, way, stamp=START + round(second * SECOND))


def test_a_stored_entry_is_told_of_once_its_exit_had_time_to_come() -> None:
    """It comes six hours late: the mark at five is said a quarter of an hour after, the one at seven at its time."""
    follower = trusted(overstay(5, 7))
    assert stays(follower, stored(0, "in"), tick(6.2 * 3600)) == []
    assert stays(follower, tick(8 * 3600)) == [6.25, 7.0]


def test_a_stored_visit_that_is_over_is_no_stay() -> None:
    """Its exit is stored, too, and comes a minute later."""
    records = stored(0, "in"), stored(5.5 * 3600, "out", 6 * 3600 + 60), tick(9 * 3600)
    assert stays(trusted(overstay(5)), *records) == []


def said(site: Site, records: list[Record], size: int) -> list[tuple[float, str, float | None]]:
    """The hour, change and value of each transition."""
    steps = [site.step(group) for group in grouped(records, [size])]
    return [((one.at - START) / HOUR, one.change.value, one.value) for step in steps for one in step.transitions]


def changed(after: Definition, hour: int) -> list[Record]:
    """A vehicle comes, and the definition changes at an hour; then another hour goes by."""
    time = START + hour * HOUR
    first = [definition_record(traffic.definition(rules=(overstay(5),)), START), passage(HERE, START, A)]
    return [*first, *ticks(time), definition_record(after, time), *ticks(time + HOUR + MINUTE, time)]


@pytest.mark.parametrize("size", [1, 500])
@pytest.mark.parametrize(
    ("threshold", "hour", "wanted"),
    [
        (2, 3, [(3.0, 3.0)]),
        (3, 3, [(3.0, 3.0)]),
        (4, 3, [(4.0, 4.0)]),
        (5, 6, [(5.0, 5.0)]),
        (9, 6, [(5.0, 5.0)]),
        (2, 6, [(5.0, 5.0)]),
    ],
)
def test_a_lowered_threshold_that_has_passed_is_told_of_at_once(
    size: int, threshold: float, hour: int, wanted: list[tuple[float, float]]
) -> None:
    """Whoever is inside for longer is said as the change comes; what was said before is not said again."""
    records = changed(traffic.definition(rules=(overstay(threshold),)), hour)
    raised = [(time, value) for time, change, value in said(Site(None, SECRETS), records, size) if change == "raised"]
    assert raised == wanted


SHORT, OTHER = overstay(5, 7), replace(overstay(2), id="other")
NEWS: dict[str, tuple[tuple[Rule, ...], list[tuple[str, str]]]] = {
    "nothing": ((SHORT,), []),
    "a graver level that has passed": ((overstay(5, 6),), [("overstay", "yellow")]),
    "a rule on others": ((SHORT, replace(OTHER, where={**OTHER.where, "class": ("key_area",)})), []),
    "a rule on others, by certainty": ((SHORT, replace(OTHER, where={**OTHER.where, "certainty": ("doubtful",)})), []),
    "a rule at another compound": ((SHORT, replace(OTHER, where={**OTHER.where, "compound": ("C2",)})), []),
    "a rule on its like, and the other rule does not say it again": (
        (SHORT, replace(OTHER, where={**OTHER.where, "class": ("local",), "certainty": ("certain",)})),
        [("other", "blue")],
    ),
    "a rule at the very length of now": ((SHORT, replace(overstay(6.5), id="other")), [("other", "blue")]),
    "a rule that asks for others, too": (
        (replace(SHORT, where={"event": ("staying",), "class": ("local", "special")}),),
        [],
    ),
}


@pytest.mark.parametrize("name", NEWS)
def test_what_a_change_says_of_who_has_been_told_of(name: str) -> None:
    """A vehicle has been inside for six hours and a half, and was told of at five: it is due only where it is news."""
    rules, wanted = NEWS[name]
    time = START + round(6.5 * HOUR)
    first = [definition_record(traffic.definition(rules=(SHORT,)), START), passage(HERE, START, A)]
    after = [definition_record(traffic.definition(rules=rules), time), *ticks(time + 5 * MINUTE, time)]
    site = Site(None, SECRETS)
    steps = [site.step(group) for group in grouped([*first, *ticks(time), *after], [1])]
    changes = (one for step in steps for one in step.transitions if one.at >= time and one.level)
    assert sorted((one.rule, one.level.word) for one in changes) == wanted


@pytest.mark.parametrize("size", [1, 500])
def test_a_rule_hears_nothing_of_the_lengths_of_others(size: int) -> None:
    """Two rules, three thresholds: each tells once at each of its own, and not again at the other's."""
    longest = overstay(2, id="max", window=HOUR, every=HOUR, value=Value(Aggregate.MAX, "stay"))
    rules = overstay(2, 4), replace(overstay(3), id="other"), longest
    first = [definition_record(traffic.definition(rules=rules), START)]
    site = Site(None, SECRETS)
    alive = [sign(gate, time) for time in range(START, START + 6 * HOUR, MINUTE) for gate in traffic.GATES]
    records = [*first, passage(HERE, START, A), *alive]
    steps = [site.step(group) for group in grouped(records, [size])]
    told = [(one.rule, one.level.word, one.value) for step in steps for one in step.transitions if one.rises]
    assert sorted(told) == [
        ("max", "blue", 2.0), ("other", "blue", 3.0), ("overstay", "blue", 2.0), ("overstay", "yellow", 4.0)
    ]  # fmt: skip


def test_what_is_news_is_said_whatever_happens_next() -> None:
    """It is said with the record of the definition itself: a restart right after it neither loses nor repeats it."""
    records = changed(traffic.definition(rules=(overstay(2),)), 3)
    changes = [one for step in traffic.lived(records, [1], 1) for one in step.transitions]
    told = [((one.at - START) / HOUR, one.value) for one in changes if one.rises]
    assert told == [(3.0, 3.0)]


def reloaded(follower: Follower, after: float, second: float) -> None:
    """Let a definition with another threshold take over at a second, and the daemon start anew right then."""
    follower.definition, before = traffic.definition(rules=(overstay(after),)), follower.tracker
    follower.tracker = Tracker(follower.definition, follower.places)
    follower.tracker.carry_over(before, START + round(second * SECOND))
    follower.restart()


def test_a_stored_entry_waits_for_its_exit_across_a_reload() -> None:
    """The mark that it had passed is neither lost nor said sooner."""
    follower = trusted(overstay(5))
    follower.see(stored(0, "in"), tick(6 * 3600 + 5))
    reloaded(follower, 5, 6 * 3600 + 10)
    assert stays(follower, tick(8 * 3600)) == [6.25]

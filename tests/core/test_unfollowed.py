"""Without site keys nobody is followed: that is unknown to rules and tallies, and never quiet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.alert import Transition
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.record import Record
from sensord.core.rules.probe import Doubt
from sensord.core.rules.rule import Clear, Comparison, LevelSpec
from sensord.core.site import Site, Step, definition_record
from sensord.core.vehicles.tally import Occupancy
from sensord.core.vehicles.tracking import Tracking
from tests.core.street import grouped
from tests.core.test_probe import Everything
from tests.core.traffic import GATES, SECRETS, START, count, definition, lived, passage, rule, rules, sign, ticks, wild

SURGE = definition(rules=tuple(one for one in rules() if one.id == "surge"))
OFF, ON = 40 * MINUTE, 80 * MINUTE
"""When the keys go, and when they come back, after the start."""


def unkeyed(whole: Definition) -> Definition:
    """The same without site keys, as it is put into force when their file cannot be read."""
    return replace(whole, plate_keys=())


def defined(whole: Definition, *changes: tuple[int, Definition]) -> list[Record]:
    """A definition, and those that come later."""
    return [definition_record(one, START + at) for at, one in ((-5 * MINUTE, whole), *changes)]


def busy(until: int, since: int = 0) -> list[Record]:
    """Vehicles at one gate, three a minute, and the other cameras' signs of life."""
    drives = [passage("C1-N", at, f"沪A{at // SECOND % 100_000:05d}") for at in _every(20 * SECOND, since, until)]
    return [*drives, *(sign(gate, at) for gate in GATES[1:] for at in _every(MINUTE, since, until))]


def _every(period: int, since: int, until: int) -> range:
    return range(START + since, START + until, period)


def stepped(records: list[Record], sizes: list[int], following: Site | None = None) -> list[Step]:
    """Step a site through records in order of arrival."""
    site = following or Site(None, SECRETS)
    ordered = sorted(records, key=lambda one: (one.received_at, one.topic != ""))
    return [site.step(group) for group in grouped(ordered, sizes)]


def changes(steps: list[Step]) -> list[Transition]:
    """What changed, in order."""
    return [one for step in steps for one in step.transitions]


@pytest.mark.parametrize("size", [1, 500])
def test_what_is_active_stays_while_nobody_is_followed(size: int) -> None:
    """A surge that goes on unseen is not over; nor is it when the keys are back, until a whole window was seen."""
    records = [*defined(SURGE, (OFF, unkeyed(SURGE)), (ON, SURGE)), *busy(3 * HOUR)]
    assert [one.change.value for one in changes(stepped(records, [size]))] == ["raised"]


def test_what_is_over_is_cleared_when_that_is_seen() -> None:
    """The surge ended while nobody looked: it is cleared after a whole quiet window under keys."""
    records = [*defined(SURGE, (OFF, unkeyed(SURGE)), (ON, SURGE)), *busy(OFF)]
    records += [passage("C1-N", at, "沪A12345") for at in _every(2 * MINUTE, OFF, 3 * HOUR)]
    raised, cleared = changes(stepped(records, [50]))
    assert (raised.change.value, cleared.change.value) == ("raised", "cleared")
    assert cleared.at - START >= ON + 10 * MINUTE


FULL = definition(
    tracking=Tracking(believed=2 * HOUR, remember=3 * HOUR),
    rules=tuple(
        replace(
            one,
            window=10 * MINUTE,
            every=MINUTE,
            levels=(LevelSpec(Level.YELLOW, 75.0), LevelSpec(Level.ORANGE, 150.0)),
            clear=Clear((0.0, 0.0), MINUTE),
        )
        for one in rules()
        if one.id == "nearly-full"
    ),
)
"""Four spaces, of which three are taken, or six."""


def filled(*more: int) -> list[Record]:
    """Four vehicles stay in C1; one comes and goes every five minutes; others come at minutes."""
    came = [passage("C1-N", START + second * SECOND, f"沪A1000{second}") for second in range(4)]
    for number, at in enumerate(range(START + MINUTE, START + 5 * HOUR, 5 * MINUTE)):
        ways = (("in", at), ("out", at + MINUTE))
        came += [passage("C1-N", when, f"沪B{10_000 + number}", direction) for direction, when in ways]
    came += [passage("C1-N", START + minute * MINUTE, f"沪C{10_000 + minute}") for minute in more]
    return [*came, *(sign(gate, at) for gate in GATES for at in _every(MINUTE, 0, 5 * HOUR))]


@pytest.mark.parametrize("size", [1, 5000])
def test_who_is_inside_and_not_counted_any_more_has_not_left(size: int) -> None:
    """A full compound is cleared when nobody can stand in it any more who came before the keys were back."""
    records = [*defined(FULL, (OFF, unkeyed(FULL)), (ON, FULL)), *filled()]
    raised, cleared = changes(stepped(records, [size]))
    assert (raised.change.value, cleared.change.value) == ("raised", "cleared")
    assert ON + 3 * HOUR <= cleared.at - START <= ON + 3 * HOUR + 3 * MINUTE


def test_who_is_counted_anew_counts_as_a_least_number() -> None:
    """What suffices by itself raises and escalates, also across a restart; what does not says why it is unknown."""
    coming = range(ON // MINUTE + 20, ON // MINUTE + 27)
    records = [*defined(FULL, (OFF, unkeyed(FULL)), (ON, FULL)), *filled(*coming)]
    probe, site, said = Everything(), Site(None, SECRETS), list[Transition]()
    for group in grouped(sorted(records, key=lambda one: one.received_at), [60]):
        site.watch(probe)
        said += site.step(group).transitions
        site = Site.restored(site.snapshot(), SECRETS)
    assert [one.change.value for one in said] == ["raised", "escalated", "lowered", "cleared"]
    assert said[1].at - START < ON + HOUR
    assert said[2].at - START >= ON + 3 * HOUR
    later = [one.doubt for one in probe.sights["nearly-full", "C1"] if one.at >= START + ON + 12 * MINUTE]
    assert later[:5] == [Doubt.RECOUNTED] * 5
    assert later[-5:] == [Doubt.NONE] * 5


def test_nothing_is_missed_while_nobody_is_followed() -> None:
    """A rule on few vehicles raises nothing, and says that it is blind: every camera sends."""
    few = rule(
        "few",
        None,
        2.0,
        {"event": ("passed",)},
        window=10 * MINUTE,
        every=MINUTE,
        min_samples=0,
        comparison=Comparison.BELOW,
    )
    whole = unkeyed(definition(rules=(few,)))
    site = Site(None, SECRETS)
    assert changes(stepped([*defined(whole), *busy(HOUR)], [7], site)) == []
    assert site.engine.look("few", "C1-N").doubt is Doubt.BLIND


def stretches(steps: list[Step]) -> dict[int, int]:
    """When the busy camera was blind, in minutes after the start: since -> until, 0 while it is."""
    found = {one.since: one.until for step in steps for one in step.blind if one.device == "cam-C1-N"}
    return {
        (since - START) // MINUTE if since else -99: (end - START) // MINUTE if end else 0
        for since, end in found.items()
    }


def test_cameras_are_blind_while_nobody_is_followed() -> None:
    """Whatever they send; from the last that was counted on, until they are heard under keys again."""
    off = [*defined(SURGE, (OFF, unkeyed(SURGE))), *busy(2 * HOUR)]
    assert stretches(stepped(off, [9])) == {-99: -5, -5: 0, 39: 0}
    assert stretches(stepped([*off, *defined(SURGE, (ON, SURGE))[1:]], [9])) == {-99: -5, -5: 0, 39: 80, 80: 80}


def test_a_backlog_does_not_open_eyes_that_were_shut() -> None:
    """What a camera sends again after the keys are back is a part of what passed meanwhile, and no more."""
    stored = passage("C1-N", START + ON + SECOND, "沪A12345", stamp=START + OFF + MINUTE)
    records = [*defined(SURGE, (OFF, unkeyed(SURGE)), (ON, SURGE)), *busy(OFF), stored]
    assert stretches(stepped(records, [9])) == {-99: -5, -5: 0, 39: 80, 80: 80}


def test_keys_that_cannot_be_read_at_a_start_shut_the_eyes() -> None:
    """The daemon goes on from its state without them: from the last that was counted on nobody knows."""
    site = Site(None, SECRETS)
    stepped([*defined(SURGE), *busy(OFF)], [9], site)
    blind = Site.restored(site.snapshot(), {}, lenient=True)
    assert stretches(stepped(busy(HOUR, OFF), [9], blind)) == {39: 0}


def outcome(records: list[Record], sizes: list[int], restart_every: int = 0) -> tuple[object, ...]:
    """All that is written down of a journal."""
    steps = lived(records, sizes, restart_every)
    inside = {(one.at, one.compound): one for step in steps for one in step.occupancy}
    blind = [one for step in steps for one in step.blind]
    return b"".join(step.decisions() for step in steps), inside, blind


@pytest.mark.parametrize(("off", "lasting"), [(7, 0), (16, 20), (50, 70)])
@pytest.mark.parametrize(("sizes", "restart"), [([41, 3, 17], 4), ([1000], 0)])
def test_any_cut_and_any_restart(sizes: list[int], restart: int, off: int, lasting: int) -> None:
    """Keys that go and come back give the same, however the journal is cut."""
    whole = definition()
    times = (off * MINUTE, unkeyed(whole)), ((off + lasting) * MINUTE + SECOND, whole)
    records = [*defined(whole, *times), *wild(3, 1), *ticks(START + 2 * HOUR)]
    records.sort(key=lambda one: one.received_at)
    assert outcome(records, sizes, restart) == outcome(records, [1])


@pytest.mark.parametrize("size", [1, 500])
def test_who_was_inside_when_the_keys_went_is_written_down(size: int) -> None:
    """The row of the quarter that is running, also when the vehicles came in the same group."""
    records = [*defined(SURGE, (2 * MINUTE, unkeyed(SURGE))), *busy(MINUTE)]
    inside = {one for step in stepped(records, [size]) for one in step.occupancy if one.compound == "C1"}
    assert Occupancy(START + 15 * MINUTE, "C1", 3, 0) in inside


AT_ONCE = replace(
    FULL,
    rules=tuple(
        replace(one, window=0, every=0, levels=one.levels[:1], clear=Clear((0.0,), 10 * MINUTE)) for one in FULL.rules
    ),
)
"""The same without a window: each reading by itself."""


def when(steps: list[Step]) -> list[tuple[str, int]]:
    """What changed, and how many minutes after the start."""
    return [(one.change.value, (one.at - START) // MINUTE) for one in changes(steps)]


@pytest.mark.parametrize("size", [1, 5000])
@pytest.mark.parametrize("whole", [FULL, AT_ONCE])
def test_a_count_by_hand_ends_the_doubt(whole: Definition, size: int) -> None:
    """Somebody has counted one: the full compound is cleared at once, and not when all have been forgotten."""
    counted = count(START + 100 * MINUTE + SECOND, 1)
    records = [*defined(whole, (OFF, unkeyed(whole)), (ON, whole)), *filled(), counted]
    raised, cleared = when(stepped(records, [size]))
    assert raised[0] == "raised"
    assert cleared[0] == "cleared"
    assert 100 < cleared[1] <= 111


@pytest.mark.parametrize("size", [1, 5000])
def test_without_a_window_what_is_unknown_is_kept(size: int) -> None:
    """Nobody is followed, or too few are in the number: the level runs out when that is over, and no sooner."""
    records = [*defined(AT_ONCE, (OFF, unkeyed(AT_ONCE)), (ON, AT_ONCE)), *filled()]
    assert when(stepped(records, [size])) == [("raised", 0), ("cleared", (ON + 3 * HOUR + 10 * MINUTE) // MINUTE)]
    site = Site(None, SECRETS)
    off = [*defined(AT_ONCE, (OFF, unkeyed(AT_ONCE))), *filled()]
    assert when(stepped(off, [size], site)) == [("raised", 0)]
    assert site.engine.look("nearly-full", "C1").doubt is Doubt.BLIND


def test_too_few_raise_nothing_while_others_are_in_no_number() -> None:
    """A rule on an empty compound without a window: those that are counted are not all."""
    empty = rule("empty", "inside", 3.0, {}, by="compound", comparison=Comparison.BELOW, clear=Clear((0.0,), MINUTE))
    whole = definition(rules=(empty,), tracking=Tracking(believed=2 * HOUR, remember=3 * HOUR))
    records = [*defined(whole, (OFF, unkeyed(whole)), (ON, whole)), *filled()]
    raised = [at for change, at in when(stepped(records, [50])) if change == "raised"]
    assert raised[0] == 0
    assert [at for at in raised if OFF // MINUTE < at < (ON + 3 * HOUR) // MINUTE] == []


def test_a_key_of_several_compounds_is_whole_when_all_are_counted() -> None:
    """A grid's number lacks whoever stands in the other compound still."""
    many = rule("many", "inside", 3.0, {}, by="grid", window=10 * MINUTE, every=MINUTE, clear=Clear((0.0,), MINUTE))
    whole = definition(rules=(many,))
    one, other = (count(START + minute * MINUTE + SECOND, 1, place) for place, minute in (("C1", 100), ("C2", 130)))
    records = [*defined(whole, (OFF, unkeyed(whole)), (ON, whole)), *filled()]
    assert [change for change, _ in when(stepped([*records, one], [50]))] == ["raised"]
    (_, cleared) = when(stepped([*records, one, other], [50]))
    assert cleared[0] == "cleared"
    assert 130 < cleared[1] <= 135

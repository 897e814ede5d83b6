"""A rule without a window in a silence: how a place is that nobody sees is not known, so its level is kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Group, Record
from sensord.core.rules.probe import Doubt
from sensord.core.rules.rule import Aggregate, Clear, Rule, Value
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from tests.core.failing import crowd, frozen, tick
from tests.core.street import START, definition, density_rule, devices, grouped, message

CLEAR = 20
PLAIN = density_rule(
    id="plain", value=Value(Aggregate.LAST, "count"), window=0, every=0, clear=Clear((0.0, 0.0), CLEAR * SECOND)
)
"""Yellow above one person and red above three, for twenty seconds; sensors speak every ten, and are blind after 30."""


def said(since: int, until: int, count: int, *lanes: int, every: int = 10) -> list[Record]:
    """What sensors say in some lanes, the first unless they are named, from a second on to before another."""
    return [crowd(second, count, lane) for second in range(since, until, every) for lane in lanes or (0,)]


def changes(records: Sequence[Record], *rules: Rule, size: int = 1, restart: int = 0) -> list[tuple[int, str, str]]:
    """When (s) which alert of the rule changes, and how, with the journal cut into groups of a size."""
    site, found = Site(), list[tuple[int, str, str]]()
    ordered = [definition_record(definition(rules=rules or (PLAIN,)), START)]
    ordered += sorted(records, key=lambda record: record.received_at)
    for number, group in enumerate(grouped(ordered, [size]), 1):
        step = site.step(group)
        found += [
            ((one.at - START) // SECOND, one.key, one.change.value) for one in step.transitions if one.rule == "plain"
        ]
        if restart and number % restart == 0:
            site = Site.restored(site.snapshot())
    return found


RAISED = (1, "G1-L1", "raised")
CASES: dict[str, tuple[list[Record], tuple[Rule, ...], list[tuple[int, str, str]]]] = {
    "its sensor falls silent, and sees nobody when it is heard again": (
        [*said(1, 12, 9), *said(1000, 1200, 0), tick(1300)],
        (PLAIN,),
        [RAISED, (1011, "G1-L1", "cleared")],
    ),
    "its sensor stays silent": ([*said(1, 12, 9), tick(3000)], (PLAIN,), [RAISED]),
    "its time to clear is over before it counts as silent": (
        [*said(1, 2, 9), *said(25, 60, 0), tick(70)],
        (replace(PLAIN, clear=Clear((0.0, 0.0), 5 * SECOND)),),
        [RAISED, (26, "G1-L1", "cleared")],
    ),
    "it is alive, and says nothing of the crowd": (
        [*said(1, 2, 9), *(message(devices()[0], START + at * SECOND, {"battery": 90, "seq": at}, "status")
                           for at in range(2, 200, 10)), tick(300)],
        (PLAIN,),
        [RAISED],
    ),
    "it sees nobody any more": (
        [*said(1, 12, 9), *said(21, 100, 0), tick(110)],
        (PLAIN,),
        [RAISED, (31, "G1-L1", "cleared")],
    ),
    "another sensor of the place is silent": (
        [*said(1, 12, 9, 0, 1), *said(21, 400, 0), tick(410)],
        (replace(PLAIN, by="grid"),),
        [(1, "G1", "raised")],
    ),
    "it shows zero, as a sensor does that is stuck": (
        [*said(1, 12, 9), *said(21, 300, 0), tick(310)],
        (replace(PLAIN, clear=Clear((0.0, 0.0), 50 * SECOND)), frozen()),
        [RAISED],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("size", "restart"), [(1, 0), (1000, 0), (7, 2)], ids=["one by one", "at once", "restarts"])
def test_a_level_ends_by_what_is_known_only(name: str, size: int, restart: int) -> None:
    """However the journal is cut: it is over when all sensors of the place are heard and none said last that it is."""
    records, rules, wanted = CASES[name]
    assert changes(records, *rules, size=size, restart=restart) == wanted


def test_what_happened_is_over_in_a_silence_too() -> None:
    """A finding is an event: nobody waits for another one to hear that there is none."""
    finding = density_rule(
        id="plain", stream=Stream.REPORT, by="compound", value=Value(Aggregate.LAST, "grade"), window=0, every=0,
        clear=Clear((0.0, 0.0), MINUTE),
    )  # fmt: skip
    found = message(devices()[5], START + SECOND, {"severity": "red", "seq": 1})
    assert changes([found, tick(100000)], finding) == [(1, "C2", "raised"), (61, "C2", "cleared")]


def test_a_change_of_the_rule_in_a_silence_ends_nothing() -> None:
    """What its sensor said last holds on under other thresholds, after a restart, too, until it says otherwise."""
    site, found = Site(), list[str]()
    longer = replace(PLAIN, clear=Clear((0.0, 0.0), 25 * SECOND))
    for records in (
        (definition_record(definition(rules=(PLAIN,)), START), crowd(1, 9)),
        (definition_record(definition(rules=(longer,)), START + 5 * SECOND),),
        (tick(500),),
        (*said(510, 560, 0), tick(570)),
    ):
        step = site.step(Group(1, tuple(records)))
        found += [f"{(one.at - START) // SECOND} {one.change.value}" for one in step.transitions]
        site = Site.restored(site.snapshot())
    assert found == ["1 raised", "526 cleared"]


def test_an_explanation_names_who_is_not_seen() -> None:
    """A level that is kept is kept for a reason."""
    site = Site(definition(rules=(replace(PLAIN, by="grid"),)))
    site.step(Group(1, (*said(1, 12, 9, 0, 1), *said(21, 100, 0), tick(110))))
    engine = site.engine
    sight = engine.look("plain", "G1")
    assert (sight.doubt, sight.unseen) == (Doubt.PARTLY_BLIND, ("crowd-1",))
    site.step(Group(2, (tick(300),)))
    assert engine.look("plain", "G1").doubt is Doubt.BLIND

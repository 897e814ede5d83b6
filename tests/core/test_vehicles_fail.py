"""When following vehicles fails, crowds go on; vehicles are followed anew, and nobody is believed to have left."""

from __future__ import annotations

from typing import Any

import pytest

from sensord.core.batch import Batch
from sensord.core.failure import Part
from sensord.core.instant import DAY, MINUTE, SECOND
from sensord.core.rules.probe import Doubt
from sensord.core.rules.rule import Aggregate, Clear, Comparison, Value
from sensord.core.site import Site
from sensord.core.vehicles.blind import Blindness
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.spaces import Spaces
from sensord.core.vehicles.tracker import Tracker
from tests.core.street import grouped
from tests.core.traffic import GATES, ROOM, SECRETS, START, count, definition, passage, rule, sign, told, wild

pytestmark = pytest.mark.usefixtures("in_service")
INSIDE = {
    "window": 10 * MINUTE,
    "every": MINUTE,
    "clear": Clear((0.0,), MINUTE),
    "by": "compound",
    "value": Value(Aggregate.LAST, "inside"),
    "comparison": Comparison.AT_LEAST,
}


class MistakeError(Exception):
    """What nobody has thought of."""


def fail(*_: Any) -> Any:
    """Fail."""
    raise MistakeError


@pytest.mark.parametrize("culprit", [Tracker, Blindness])
def test_who_is_inside_is_unknown_from_then_on(culprit: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full compound stays full until it is known that it is not; that cameras told nothing meanwhile is said."""
    site = Site(definition(rules=(rule("full", "inside", 2.0, {}, **INSIDE),)), SECRETS)
    told([passage("C1-N", START + SECOND, "沪A12345"), passage("C1-N", START + 9 * SECOND, "沪B67890")], site)
    told([sign(gate, START + minute * MINUTE) for minute in (1, 2) for gate in GATES], site)
    told([passage("C2-N", START + 3 * MINUTE, "苏E24680")], site)
    assert [(one.rule, one.key) for one in site.engine.active()] == [("full", "C1")]
    with monkeypatch.context() as patch:
        patch.setattr(culprit, "take", fail)
        steps = told([passage("C1-N", START + 4 * MINUTE, "沪A12345", "out")], site)
    (failure,) = (failure for step in steps for failure in step.failures)
    assert (failure.part, failure.what, failure.why) == (Part.VEHICLES, "tracker", "MistakeError")
    assert all(not place.inside for place in site.tracker.presence.compounds.values())
    blind = {(one.device, one.until) for step in told([sign("C1-N", START + 5 * MINUTE)], site) for one in step.blind}
    assert ("cam-C1-N", START + 5 * MINUTE) in blind
    for minute in range(6, 60):
        told([sign(gate, START + minute * MINUTE) for gate in GATES], site)
    told([passage("C1-N", START + 59 * MINUTE + SECOND, "沪C8888D")], site)
    told([sign(gate, START + minute * MINUTE) for minute in (60, 61, 62) for gate in GATES], site)
    assert site.engine.look("full", "C1").doubt is Doubt.RECOUNTED
    assert [(one.rule, one.key) for one in site.engine.active()] == [("full", "C1")]


def test_a_count_by_hand_that_fails_leaves_the_rest_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counted hears that it was taken; vehicles are followed anew, and the next count is taken."""
    site = Site(definition(rules=()), SECRETS)
    told([passage("C1-N", START + SECOND, "沪A12345")], site)
    counts = [count(START + minute * MINUTE, 3) for minute in (1, 2)]
    with monkeypatch.context() as patch:
        patch.setattr(Compound, "count", fail)
        (step,) = told(counts[:1], site)
    assert [(one.part, one.what) for one in step.failures] == [(Part.VEHICLES, "tracker")]
    assert (step.by_hand, site.tracker.presence.compounds["C1"].inside) == ([], 0)
    (step,) = told(counts[1:], site)
    assert (step.failures, site.tracker.presence.compounds["C1"].inside) == ([], 3)


def test_restarts_decide_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vehicles are followed anew at the end of the group in which that failed."""
    whole, groups = Tracker.take, grouped(wild(1, 2), [25])

    def half(self: Tracker, batch: Batch) -> Batch:
        after = whole(self, batch)
        if len(batch) and int(batch.received_at[0]) // MINUTE % 30 < 6:
            raise MistakeError
        return after

    monkeypatch.setattr(Tracker, "take", half)

    def run(restart: int) -> tuple[list[bytes], list[int], list[object], bytes]:
        site, decided, failed, blind = Site(definition(), SECRETS), list[bytes](), list[int](), list[object]()
        for number, group in enumerate(groups, 1):
            step = site.step(group)
            decided.append(step.decisions())
            failed += [failure.at for failure in step.failures]
            blind += step.blind
            if restart and number % restart == 0:
                site = Site.restored(site.snapshot(), SECRETS)
        return decided, failed, blind, site.snapshot()

    straight = run(0)
    assert straight[1]
    assert b"".join(straight[0]).count(b"raised") > 3
    assert run(1) == run(3) == straight


@pytest.mark.parametrize("where", ["beside", "observe"])
def test_who_is_told_is_told_without_free_spaces(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom to send elsewhere is worth nothing beside whom to tell."""
    many = rule("many", None, 1.0, {"event": ("passed",)}, message=ROOM)
    site = Site(definition(rules=(many,)), SECRETS)
    monkeypatch.setattr(Spaces, where, fail)
    steps = told([passage("C1-N", START + SECOND, "沪A12345"), sign("C1-N", START + DAY // 24)], site)
    assert [one.rule for step in steps for one in step.transitions] == ["many", "many"]
    assert {failure.what for step in steps for failure in step.failures} == {"spaces"}

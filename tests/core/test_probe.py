"""The probe: it sees what the evaluators saw, and changes nothing."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import pytest

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.record import Record, RecordKind
from sensord.core.rules.evaluator import Evaluator
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Comparison, Flapping
from sensord.core.site import Site
from tests.core import street
from tests.core.street import START


class Everything:
    """Notes every sight of every rule and key, and how many readings each rule was handed."""

    def __init__(self) -> None:
        self.sights: dict[tuple[str, str], list[Sight]] = defaultdict(list)
        self.handed: dict[str, int] = defaultdict(int)

    def taking(self, evaluator: Evaluator, batch: Batch) -> None:
        """Count."""
        self.handed[evaluator.rule.id] += len(batch)

    def evaluated(self, evaluator: Evaluator, liveness: Liveness) -> None:
        """Note every key."""
        for number, key in enumerate(evaluator.table.keys):
            self.sights[evaluator.rule.id, key].append(evaluator.look(number, liveness))


def run(records: list[Record], size: int, probe: Everything | None) -> tuple[bytes, list[Transition]]:
    """Step a site through the records, and return the decisions' bytes and the transitions."""
    site, said, changes = Site(), b"", list[Transition]()
    site.watch(probe)
    for group in street.grouped(records, [size], street.definition()):
        step = site.step(group)
        said += step.decisions()
        changes += step.transitions
    return said, changes


@pytest.mark.parametrize("size", [1, 50])
def test_a_probe_changes_nothing(size: int) -> None:
    """With and without a probe the decisions are the same bytes."""
    records = street.stream_of(3, minutes=4)
    assert run(records, size, Everything()) == run(records, size, None)


def test_the_last_sight_before_a_transition_is_what_it_was_decided_on() -> None:
    """Every transition of a rule over a window carries the value and the samples that the probe saw at that instant."""
    probe = Everything()
    _, changes = run(street.stream_of(4, minutes=5), 20, probe)
    windowed = [one for one in changes if one.rule in ("density", "crowd-max", "visitors")]
    assert windowed
    for change in windowed:
        (sight,) = [one for one in probe.sights[change.rule, change.key] if one.at == change.at]
        assert (sight.end, sight.value, sight.samples) == (change.end, change.value, change.samples)
        assert (sight.level, sight.doubt) == (change.level, Doubt.NONE)


def test_why_a_value_is_unknown() -> None:
    """Too few readings, a window not covered yet, and a silent sensor each have a name."""
    device = street.devices()[0]
    rules = (
        street.density_rule(min_samples=3),
        street.density_rule(
            id="empty", comparison=Comparison.BELOW, levels=street.rules()[8].levels, clear=street.rules()[8].clear
        ),
    )
    records = [
        street.message(device, START + second * SECOND, {"count": 20, "seq": second}) for second in range(0, 120, 5)
    ]
    records.append(Record(RecordKind.TICK, START + 200 * SECOND))
    probe, site = Everything(), Site(street.definition(rules=rules))
    site.watch(probe)
    for group in street.grouped(records, [1]):
        site.step(group)
    busy = [sight.doubt for sight in probe.sights["density", "G1-L1"]]
    assert busy[:2] == [Doubt.TOO_FEW, Doubt.TOO_FEW]
    assert Doubt.NONE in busy
    assert busy[-1] is Doubt.BLIND
    assert probe.sights["empty", "G1-L1"][0].doubt is Doubt.WARMING_UP
    assert {sight.doubt for sight in probe.sights["density", "G2-L1"]} >= {Doubt.TOO_FEW}
    assert all(sight.level is Level.NONE for sight in probe.sights["density", "G1-L1"])


def test_a_silent_key_is_seen_in_seconds() -> None:
    """A rule on silence says for how many seconds nothing was heard."""
    records = [Record(RecordKind.TICK, START + second * SECOND) for second in range(40)]
    probe, site = Everything(), Site(street.definition())
    site.watch(probe)
    for group in street.grouped(records, [1]):
        site.step(group)
    last = probe.sights["silent", "crowd-0"][-1]
    assert last.value == (last.at - START) / SECOND
    assert last.level is Level.BLUE


def test_a_key_that_flaps_is_seen_to() -> None:
    """From its second raise on a key is held longer, and the sight says so; before that it does not."""
    device, rule = street.devices()[0], street.density_rule(flapping=Flapping(2, 3600 * SECOND, 600 * SECOND))
    counts = [200] * 60 + [0] * 120 + [200] * 60 + [0] * 120
    records = [street.message(device, START + n * SECOND, {"count": count, "seq": n}) for n, count in enumerate(counts)]
    probe, site = Everything(), Site(street.definition(rules=(rule,)))
    site.watch(probe)
    for group in street.grouped(records, [20]):
        site.step(group)
    sights = probe.sights["density", "G1-L1"]
    raised = [now.at for before, now in pairwise(sights) if now.level and not before.level]
    assert len(raised) == 2
    assert {one.flapping for one in sights if one.at < raised[1]} == {False}
    assert {one.flapping for one in sights if one.at > raised[1]} == {True}
    assert sights[-1].level, "it would have been cleared long ago"

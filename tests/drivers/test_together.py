"""Several sets of rules over one recording: each decides what it decides alone."""

from __future__ import annotations

import pytest

from sensord.backtest.outcome import Collector
from sensord.core.cases.notice import Notice, Trouble
from sensord.core.instant import SECOND
from sensord.core.record import Record, RecordKind
from sensord.core.site import Site, definition_record, notice_record
from sensord.drivers.replay import replay_together, unchanged
from tests.core.street import START, definition, devices, grouped, message

DISK = "sensord-disk-full"


def recorded() -> list[Record]:
    """A crowd amid which the disk is full for a second, and full again."""
    records = [definition_record(definition(), START)]
    for second in range(1, 60, 3):
        records.append(message(devices()[0], START + second * SECOND, {"count": 400, "seq": second, "boot": 1}))
        records.append(Record(RecordKind.TICK, START + (second + 1) * SECOND))
    for second, active in ((31, True), (32, False), (41, True)):
        records.append(notice_record(Notice(Trouble.DISK_FULL, active), START + second * SECOND))
    return sorted(records, key=lambda record: record.received_at)


def decided(sets: int, size: int) -> list[bytes]:
    """What so many sets of the same rules decide, one after the other."""
    sites, said = [Site() for _ in range(sets)], [b""] * sets
    for steps in replay_together(grouped(recorded(), [size]), sites, [unchanged] * sets):
        said = [so_far + step.decisions() for so_far, step in zip(said, steps, strict=True)]
    return said


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_sets_of_rules_side_by_side_decide_what_one_does_alone(size: int) -> None:
    """What the daemon said of itself counts for each of them."""
    (alone,) = decided(1, size)
    assert DISK.encode() in alone
    assert decided(3, size) == [alone] * 3


@pytest.mark.parametrize("size", [1, 1000])
def test_a_trouble_that_is_over_within_one_step_is_a_case_of_its_rule(size: int) -> None:
    """Also where the rules of the definition know nothing of it."""
    site = Site()
    collector = Collector("as recorded", site)
    for group in grouped(recorded(), [size]):
        collector.take(site.step(group))
    assert [one.rule for one in collector.outcome.cases].count(DISK) == 2

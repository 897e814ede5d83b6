"""What is counted does not depend on how the journal is cut, and is whole across a new definition."""

from __future__ import annotations

from collections import Counter

import pytest

from sensord.core.instant import SECOND
from sensord.core.record import Record, RecordKind
from sensord.core.site import Site, definition_record
from tests.core.street import grouped
from tests.core.traffic import SECRETS, START, definition, passage


def counted(size: int) -> Counter[tuple[str, str]]:
    """What is counted of three readings of one passage, and a new definition behind them, in groups of a size."""
    site, counts = Site(None, SECRETS), Counter[tuple[str, str]]()
    records = [
        definition_record(definition(rules=()), START),
        *(passage("C1-N", START + number * SECOND, "沪A12345") for number in range(1, 4)),
        definition_record(definition(rules=(), site="another"), START + 5 * SECOND),
        Record(RecordKind.TICK, START + 60 * SECOND),
    ]
    for group in grouped(records, [size]):
        counts.update(site.step(group).counts)
    return counts


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_new_definition_in_the_group_loses_no_count(size: int) -> None:
    """The tracker of the definition before has counted something, too."""
    assert counted(size) == {("plate", "accepted"): 3, ("visit", "entered"): 1, ("visit", "merged"): 2}

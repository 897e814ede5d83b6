"""A receiver that fails in every way: nobody is told less for it, nor twice without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.receivers import WAYS, failing_receiver, second_ways
from tests.faults.waiting import well_again, worst_first


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", list(WAYS)[:-4])  # of each kind one; ``make torture`` has the others, too
def test_a_receiver_that_fails_gets_every_page_later(way: str, tmp_path: Path) -> None:
    """Cut, hung, 500, 429, 404, or a 200 that lies: each page arrives once it is well, and the other channel never waits."""
    row = failing_receiver(tmp_path, range(1), 4, way)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_first_way_that_fails_is_followed_by_the_second(tmp_path: Path) -> None:
    """Each person who has one is told over it, once, and not before its time; others hear when the first is well."""
    row = second_ways(tmp_path, range(2), 4, after=5)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
    assert len(row.recovery) == 4


@pytest.mark.timeout(240)
def test_the_worst_goes_out_first_when_many_pages_wait(tmp_path: Path) -> None:
    """Red before orange and yellow, the red of a crowd that has come last too; what is less bad follows, all of it."""
    row = worst_first(tmp_path, range(1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_what_was_put_off_follows_as_soon_as_the_receiver_is_well(tmp_path: Path) -> None:
    """The first page that arrives takes all others with it, whose own turn would be minutes later."""
    row = well_again(tmp_path, range(1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row

"""The spool: records in order of arrival, as sorting all of them at once would give them."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError
from sensord.recordings import spool
from sensord.recordings.spool import Spool


@settings(max_examples=60)
@given(times=st.lists(st.integers(1, 40), max_size=80), run=st.integers(1, 20), block=st.integers(1, 7))
def test_it_sorts_like_a_list(times: list[int], run: int, block: int) -> None:
    """Whatever the runs, the order is that of a stable sort, and it can be read twice at once."""
    records = [Record(RecordKind.MESSAGE, at, f"topic/{number}", b"x" * number) for number, at in enumerate(times)]
    wanted = sorted(records, key=lambda record: record.received_at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "RUN", run)
        patch.setattr(spool, "BLOCK", block)
        one = Spool()
        for record in records:
            one.add(record)
        assert len(one) == len(records)
        assert list(zip(one, one, strict=True)) == list(zip(wanted, wanted, strict=True))


def test_what_is_in_order_is_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many runs that follow one another in time one remains, and no more than a block of it is held."""
    monkeypatch.setattr(spool, "RUN", 10)
    monkeypatch.setattr(spool, "BLOCK", 5)
    one = Spool()
    for at in range(1000):
        one.add(Record(RecordKind.MESSAGE, at // 2))
    assert len(one._runs) == 1
    assert len(one._held) < 10


def test_no_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder that cannot be written to is named, with what to do."""
    monkeypatch.setattr(spool, "RUN", 1)
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")
    with pytest.raises(StoreError, match=r"/dev/null.*TMPDIR"):
        Spool().add(Record(RecordKind.MESSAGE, 1))

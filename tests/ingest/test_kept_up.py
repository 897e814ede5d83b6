"""The journal's upkeep on its thread: at once when the disk is full, and said when it fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sensord.errors import StoreError
from sensord.ingest.committer import Committer
from tests.ingest.bench import Bench, FullRoom
from tests.ingest.support import SILENT, message
from tests.support import wait_until


@pytest.mark.parametrize("silence", [True, False])
def test_what_is_past_its_keeping_goes_at_once_when_the_disk_is_full(
    bench: Bench, start: Callable[..., Committer], monkeypatch: pytest.MonkeyPatch, silence: bool
) -> None:
    """It may be what fills the disk; neither readings nor ticks wait for anybody then."""
    monkeypatch.setattr("sensord.ingest.committer._SETTLED", SILENT)
    full = FullRoom()

    def makes_space() -> None:
        full.has_space = True

    if not silence:
        bench.queue.put(message(b"a reading", mid=1))
    committer = start(tick_interval=0.02 if silence else SILENT, room=full, upkeep=makes_space)
    wait_until(lambda: full.has_space and not committer.blocked and bench.journal.groups)
    assert bench.acknowledged == ([] if silence else [(1, 1)])


def test_the_journal_is_kept_up_for_as_long_as_the_disk_is_full(bench: Bench, start: Callable[..., Committer]) -> None:
    """What was needed, or not past its keeping, a while ago may go now; a failure holds nobody up."""
    full, calls = FullRoom(), list[int]()

    def upkeep() -> None:
        calls.append(len(bench.acknowledged))
        raise StoreError("a day cannot be deleted")

    bench.queue.put(message(b"a reading", mid=1))
    start(room=full, every=0.0, upkeep=upkeep)
    wait_until(lambda: calls.count(0) >= 3)
    full.has_space = True
    wait_until(lambda: bench.acknowledged == [(1, 1)])


def test_why_the_journal_cannot_be_kept_up_is_known_until_it_can(
    bench: Bench, start: Callable[..., Committer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and the thread goes on."""
    monkeypatch.setattr("sensord.ingest.committer._SETTLED", 0.0)
    errors = [StoreError("a day cannot be deleted")]

    def upkeep() -> None:
        if errors:
            raise errors[0]

    committer = start(every=0.0, upkeep=upkeep)
    bench.queue.put(message(b"a reading", mid=1))
    wait_until(lambda: committer.unkept == "a day cannot be deleted")
    errors.clear()
    bench.queue.put(message(b"another", mid=2))
    wait_until(lambda: committer.unkept == "")
    assert committer.alive

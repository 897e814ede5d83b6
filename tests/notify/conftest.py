"""Fixtures of the notification tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sensord.core.cases.notification import Notification
from tests.notify.parts import Outboxes, StoredOutbox


@pytest.fixture
def outboxes(tmp_path: Path) -> Iterator[Outboxes]:
    """Make an outbox with these notifications, in a state database of its own."""
    made: list[StoredOutbox] = []

    def make(*notifications: Notification) -> StoredOutbox:
        directory = tmp_path / f"state-{len(made)}"
        directory.mkdir()
        made.append(StoredOutbox(directory, *notifications))
        return made[-1]

    yield make
    for outbox in made:
        outbox.store.close()

"""Who may approve: supervisors, and accounts whose right was checked where they came in."""

from __future__ import annotations

import pytest

from sensord.core.case import Happening, State
from sensord.core.level import Level
from tests.core.desk import Desk


@pytest.mark.parametrize(
    ("by", "via", "approved"),
    [
        ("console", "api:console", True),
        ("cli", "cli", True),
        ("console", "mqtt", False),
        ("somebody", "link", False),
        ("somebody", "api", False),
        ("居委干部-1", "api:console", False),
        ("居委干部-1", "link", False),
    ],
)
def test_a_void_that_nobody_checked_is_only_asked_for(by: str, via: str, approved: bool) -> None:
    """Over MQTT and links a name is only a claim: the case stays open, and the supervisors hear the wish."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (case,) = desk.book.open.values()
    story = desk.act(10, "void", by, via=via, note="twice the same")
    happened = [event.happening for event in story.events]
    assert (Happening.VOID in happened, Happening.ASK in happened) == (approved, not approved)
    assert (case.state is State.VOID) == approved

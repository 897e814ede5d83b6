"""A group chat is one robot, whoever is mentioned: its messages share one rate and one digest."""

from __future__ import annotations

from sensord.core.cases.damping import Damped, Damper, Damping
from sensord.core.cases.notification import Reason
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from tests.notify.parts import START, notification


def test_whoever_is_mentioned_the_group_has_one_rate() -> None:
    """Four a minute: of yellow messages two go out, to whomever; over a channel to persons everybody has their own."""
    damper = Damper(Damping(per_minute={"group": 4, "desk": 4}, groups=("group",)), frozenset(), Damped())
    told = {
        channel: [
            damper.offer(notification(n, channel, address=f"1380000000{n}", level=Level.YELLOW, at=START + n * SECOND))
            for n in range(6)
        ]
        for channel in ("group", "desk")
    }
    assert [held is None for held in told["group"]] == [True, True, False, False, False, False]
    assert {held[0] for held in told["group"] if held} == {Reason.HELD_RATE}
    assert told["desk"] == [None] * 6


def test_one_digest_holds_what_the_group_was_not_told() -> None:
    """Everything that waits, whoever it was meant for; a red message finds room meanwhile."""
    damper = Damper(Damping(per_minute={"group": 4}, groups=("group",)), frozenset(), Damped())
    messages = [
        notification(n, "group", address=f"1380000000{n}", level=Level.YELLOW, at=START + n * SECOND) for n in range(6)
    ]
    waiting = [message for message in messages if damper.offer(message) is not None]
    assert damper.offer(notification(9, "group", address="13900000000", at=START + 7 * SECOND)) is None
    assert damper.flush("group", START + 2 * MINUTE) == waiting

"""What is sent long after it was decided says so."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.notify.body import encode_body
from sensord.notify.text import text_of, title_of
from tests.notify.parts import Clock, Outboxes, ScriptedChannel, entry, notification, until, working

MINUTE, HOUR = 60, 3600
TITLE = "临汾路99弄 拥挤"


async def test_the_nights_page_says_how_late_it_is(outboxes: Outboxes) -> None:
    """A receiver that was away for seven hours; what is decided when it is back comes in time."""
    clock, channel = Clock(), ScriptedChannel()
    clock.advance(7 * HOUR)
    outbox = outboxes(notification(1), notification(2, at=clock()))
    async with working(channel, outbox, clock=clock):
        await until(lambda: set(outbox.states()) == {"sent"})
    titles = {one.notification.case: title_of(one) for one in channel.entries}
    assert titles == {"case-1": f"（迟到 7 小时）{TITLE}", "case-2": TITLE}
    bodies = {one.notification.case: encode_body(one) for one in channel.entries}
    assert b'"late_seconds":25200,' in bodies["case-1"]
    assert b'"late_seconds":0,' in bodies["case-2"]


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (5 * MINUTE - 1, "", ""),
        (5 * MINUTE, "（迟到 5 分钟）", "(5 min late) "),
        (2 * HOUR - 1, "（迟到 119 分钟）", "(119 min late) "),
        (2 * HOUR, "（迟到 2 小时）", "(2 h late) "),
    ],
)
async def test_in_minutes_then_in_hours(seconds: int, zh: str, en: str, outboxes: Outboxes) -> None:
    """In the receiver's language; a clock that runs behind the decision is not late."""
    clock, channel = Clock(), ScriptedChannel()
    clock.advance(seconds)
    outbox = outboxes(notification(1), notification(2, language="en"), notification(3, at=clock() + 10**12))
    async with working(channel, outbox, clock=clock):
        await until(lambda: set(outbox.states()) == {"sent"})
    titles = {one.notification.case: title_of(one) for one in channel.entries}
    assert titles == {"case-1": zh + TITLE, "case-2": en + TITLE, "case-3": TITLE}


def test_a_text_that_is_cut_keeps_the_mark() -> None:
    """As it keeps that of a repeat."""
    text = text_of(replace(entry(repeated=True, text="x" * 500), late=9 * HOUR * 10**9), 120)
    assert text.startswith(f"（迟到 9 小时）（可能重复）{TITLE}\nx")
    assert len(text.encode()) <= 120

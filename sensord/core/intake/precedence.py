"""Precedence: what is made of a message that comes ahead of its turn, and of those that it overtakes.

While the broker's queue for us is long, some messages come twice: *ahead*, as they are published, and again in their
turn (``ingest/fresh.py``). The first of the two counts and the other one is a repeat: known by its number, or by its
content if it is stamped. A message with neither could not be told apart from a new one when its turn comes; it is left
for its turn.

What comes in its turn, and was said before something that came ahead, is history. Its event time is its stamp by what
is known of the device's clock, and no later than the arrival of what overtook it; so panes that are sealed stay as they
are, and what happened in which order is not turned round. It teaches us nothing of the clock, for how long it waited is
not the clock's doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensord.core.intake.clock import ANCIENT, PLAUSIBLE, Clock

if TYPE_CHECKING:
    from sensord.core.intake.memory import Memory


def goes_ahead(memory: Memory, stamp: int | None, identity: int) -> bool:
    """Say whether a reading without a number that came ahead counts, and remember it by the hash of its content."""
    if stamp is None or memory.repeats.await_content(identity):
        return False
    memory.lead = max(memory.lead, stamp)
    return True


def overtaken_at(memory: Memory, number: tuple[int, int] | None, stamp: int | None, at: int) -> int:
    """Return when (ns) the first message came that overtook one whose turn has come at ``at``; 0: none did."""
    if number is not None:
        return memory.repeats.overtaken(*number)
    if stamp is None or stamp > memory.lead:
        memory.lead = 0
        return 0
    return at


def history(clock: Clock, stamp: int | None, received_at: int, overtaken: int) -> tuple[int, bool]:
    """Return (event time, suspect?) of a reading that was overtaken."""
    if stamp is None or not clock.minima or not -PLAUSIBLE < received_at - stamp < ANCIENT:
        return overtaken, True
    return min(stamp + clock.offset, overtaken), False

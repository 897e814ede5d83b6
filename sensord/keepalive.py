"""For how long a broker may be silent, on every connection to it: one and a half keepalives.

paho pings after one keepalive without a word, and waits for the answer for another one. Half of it is enough.

A broker may dictate a keepalive (MQTT 5, 3.2.2.3.14), and paho takes it as it is. With 0, which asks for none, or with
a quarter of an hour, a dead connection would not be found for as long. A client may ping more often than it has to, so
the shorter of ours and the dictated one is in force.
"""

from __future__ import annotations

SILENCE = 1.5
"""Keepalives for which the broker may be silent."""
_BEAT = 0.5
"""Longest time between two of paho's keepalive checks, in seconds."""


def in_force(ours: int, dictated: int) -> int:
    """Return the keepalive that holds, in seconds; ``dictated`` is 0 where the broker asks for none."""
    return min(ours, dictated or ours)


def patience(heard: float, keepalive: int, now: float) -> float:
    """Return for how many seconds more the broker may be silent that was heard last at ``heard`` (s)."""
    return heard + SILENCE * keepalive - now


def beat(keepalive: int) -> float:
    """Return the seconds between two keepalive checks: a ping must have time for its answer before patience ends."""
    return min(_BEAT, keepalive / 8)

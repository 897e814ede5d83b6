"""How a send can end, and when to try again.

A send that may or may not have arrived (no answer after the request went out) is *in doubt*. It is repeated,
and the receiver is told so; a send that is known not to have arrived is simply tried again. An answer that may mean
either is as good as it gets: whoever gives it gives the same to the next send, and each may ring a phone.
"""

from __future__ import annotations

import email.utils
import random
from datetime import UTC

from sensord.errors import DeliveryError


class InDoubtError(DeliveryError):
    """The notification may have arrived: the next attempt says "possibly repeated". Always retryable."""


class UnclearError(InDoubtError):
    """The receiver has answered, and that may mean either."""


def parse_retry_after(text: str | None, now: int) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date, RFC 9110 section 10.2.3) as seconds from ``now`` (ns).

    None when it is absent or unreadable; a moment in the past is 0.
    """
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now / 1e9)
    except (ValueError, OverflowError):
        return None


def backoff(attempt: int, base: float, longest: float) -> float:
    """Full jitter: a random share of ``base * 2**attempt`` seconds, at most ``longest``; the first is 0.

    Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    return random.random() * min(longest, base * 2.0 ** min(attempt, 32))

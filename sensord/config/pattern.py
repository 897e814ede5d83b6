"""The compact notation of a series in rule tests: ``10*6 20..60*5 _*3 30``.

Tokens stand apart by spaces: ``v`` is one value, ``v*n`` n of them, ``a..b*n`` n values in even steps from a to b
(whole numbers when both ends are), and ``_`` a turn at which nothing is sent.
"""

from __future__ import annotations

import re

Item = float | int | str | None
"""A value, or None for silence."""

MOST = 100_000
_TOKEN = re.compile(r"(?P<what>[^\s*]+)(?:\*(?P<times>[0-9]{1,6}))?", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)
_RAMP = re.compile(rf"({_NUMBER.pattern})\.\.({_NUMBER.pattern})", re.ASCII)


def read_pattern(text: str | float) -> list[Item]:
    """Return the values in order; raises ``ValueError`` saying which token is wrong and how to write it."""
    items: list[Item] = []
    for token in str(text).split():
        items += _read(token)
        if len(items) > MOST:
            raise ValueError(f"more than {MOST} values; make the test shorter")
    if not items:
        raise ValueError("the series is empty; write for example 10*6 60*12")
    return items


def _read(token: str) -> list[Item]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(f"{token!r} is no value; write 10, 10*6, 20..60*5, or _ for silence")
    times, what = int(found["times"] or 1), found["what"]
    if not times:
        raise ValueError(f"{token!r} stands for nothing; write *1 or more")
    ramp = _RAMP.fullmatch(what)
    if ramp is not None:
        return _ramp(token, _number(ramp[1]), _number(ramp[3]), times)
    if what == "_":
        return [None] * times
    return [_number(what) if _NUMBER.fullmatch(what) else what] * times


def _ramp(token: str, first: float, last: float, times: int) -> list[Item]:
    if times < 2:
        raise ValueError(f"{token!r} needs a number of steps of at least 2; write {token.partition('*')[0]}*5")
    step, digits = (last - first) / (times - 1), None if isinstance(first, int) and isinstance(last, int) else 9
    return [round(first + step * number, digits) for number in range(times)]


def _number(text: str) -> float | int:
    return float(text) if "." in text else int(text)

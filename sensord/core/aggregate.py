"""Aggregates: which components an aggregate keeps, and how a window of them becomes one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sensord.core.batch import Float64
from sensord.core.rule import Aggregate, Value
from sensord.core.window import COUNT, GREATEST, LEAST, SUM, Component

COMPONENTS: dict[Aggregate, tuple[Component, ...]] = {
    Aggregate.COUNT: (COUNT,),
    Aggregate.SUM: (COUNT, SUM),
    Aggregate.MEAN: (COUNT, SUM),
    Aggregate.RATE: (COUNT, SUM),
    Aggregate.MIN: (COUNT, LEAST),
    Aggregate.MAX: (COUNT, GREATEST),
    Aggregate.LAST: (COUNT,),
}
"""``last`` keeps its value beside these, with its time."""

Finish = Callable[[Mapping[str, Float64], Value, int], Float64]


def _mean(window: Mapping[str, Float64], _value: Value, _length: int) -> Float64:
    count = window["count"]
    return np.divide(window["sum"], count, out=np.full_like(count, np.nan), where=count > 0)


def _rate(window: Mapping[str, Float64], value: Value, length: int) -> Float64:
    return window["sum"] * (value.per / length)


def _where_any(name: str) -> Finish:
    def finish(window: Mapping[str, Float64], _value: Value, _length: int) -> Float64:
        return np.where(window["count"] > 0, window[name], np.nan)

    return finish


FINISH: dict[Aggregate, Finish] = {
    Aggregate.COUNT: lambda window, _value, _length: window["count"],
    Aggregate.SUM: lambda window, _value, _length: window["sum"],
    Aggregate.MEAN: _mean,
    Aggregate.RATE: _rate,
    Aggregate.MIN: _where_any("least"),
    Aggregate.MAX: _where_any("greatest"),
    Aggregate.LAST: lambda window, _value, _length: window["last"],
}
"""Per aggregate: (the window's components, the spec, the window's length in ns) -> value per key (NaN: none)."""

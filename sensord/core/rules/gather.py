"""Which window a rule asks for: its shape (sliding, session, last N readings) and its aggregate."""

from __future__ import annotations

from sensord.core.batch import Int32
from sensord.core.rules.occupancy import Occupancy
from sensord.core.rules.recent import Recent
from sensord.core.rules.rule import Aggregate, Rule
from sensord.core.rules.session import Session
from sensord.core.rules.sketch import Distinct, Percentile
from sensord.core.rules.summary import Plain, Summary, summary_of
from sensord.core.rules.total import Total
from sensord.core.rules.window import Sliding, Window


def window_of(rule: Rule, keys: int, of_device: Int32, depth: int) -> Window:
    """Make the window of a rule for so many keys, with ``depth`` open panes; ``of_device`` are the keys of devices."""
    value = rule.value
    assert value is not None
    if value.aggregate is Aggregate.OCCUPANCY:
        return Occupancy(keys, rule.every, depth, value.anchor)
    if rule.readings:
        return Recent(value, keys, rule.readings, rule.every, depth)
    length, gap = rule.window // rule.every, rule.session // rule.every
    if value.aggregate is Aggregate.TOTAL:
        apart = Sliding(summary_of(value, rule.every, rule.window), len(of_device), length, depth)
        return Total(apart, keys, of_device, rule.min_samples)
    if value.aggregate is Aggregate.PERCENTILE:
        return Percentile(keys, length, depth, value.rank, gap)
    if value.aggregate is Aggregate.DISTINCT:
        counting = Plain("", lambda window: window["count"])
        return Distinct(keys, _shaped(counting, keys, length, gap, depth), gap)
    return _shaped(summary_of(value, rule.every, rule.window), keys, length, gap, depth)


def _shaped(summary: Summary, keys: int, length: int, gap: int, depth: int) -> Window:
    return Session(summary, keys, gap, depth) if gap else Sliding(summary, keys, length, depth)

"""Numbers as people read them: the value of a rule and its threshold with their unit, in Chinese and English."""

from __future__ import annotations

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, format_duration
from sensord.core.rules.rule import Aggregate, Rule, Value

_UNITS = {
    "count": ("人", "people"),
    "enter": ("人", "people"),
    "exit": ("人", "people"),
    "density": ("人/平方米", "people/m2"),
    "battery": ("%", "%"),
    "signal": ("dBm", "dBm"),
    "uptime": ("秒", "s"),
    "stay": ("小时", "h"),
    "nights": ("夜", "nights"),
    "days_away": ("天", "days"),
    "visits": ("次", "visits"),
    "short_visits": ("次", "visits"),
    "compounds": ("个小区", "compounds"),
    "inside": ("辆", "vehicles"),
    "unsure": ("辆", "vehicles"),
    "filled": ("%", "%"),
}
"""By field, in Chinese and English; the others have none, or one that nobody but the device knows."""
_DISTINCT = {"vehicle": ("辆", "vehicles"), "device": ("台", "devices")}
_TIMES = {SECOND: ("秒", "s"), MINUTE: ("分钟", "min"), HOUR: ("小时", "h"), DAY: ("天", "day")}


def measured(rule: Rule | None, value: float | None, language: str) -> str:
    """Write a value of a rule, or its threshold: at most two decimals, no trailing zeros, and the unit."""
    unit = "" if rule is None or value is None else unit_of(rule, language)
    return number(value) + (unit if unit in ("", "%") else f" {unit}")


def unit_of(rule: Rule, language: str) -> str:
    """The unit of a rule's values; of several, or of none that is known, nothing."""
    which = 0 if language == "zh" else 1
    if rule.absent or rule.stuck is not None:
        return _TIMES[SECOND][which]
    if rule.percent_of is not None:
        return "%"
    if rule.value is None:
        return ""
    unit = _unit(rule.value, which)
    if rule.value.aggregate not in (Aggregate.RATE, Aggregate.SLOPE):
        return unit
    per = _TIMES[rule.value.per][which] if rule.value.per in _TIMES else format_duration(rule.value.per)
    return f"{unit}/{per}"


def number(value: float | None) -> str:
    """Write a number as people do: at most two decimals, no trailing zeros."""
    if value is None:
        return "-"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _unit(value: Value, which: int) -> str:
    if value.aggregate is Aggregate.COUNT:
        return ("次", "")[which]
    if value.aggregate is Aggregate.OCCUPANCY:
        return _UNITS["count"][which]
    units = _DISTINCT if value.aggregate is Aggregate.DISTINCT else _UNITS
    return units.get(value.field or "", ("", ""))[which]

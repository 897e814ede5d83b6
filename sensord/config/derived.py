"""Reads a rule's ``baseline`` and ``trend``, and the levels that are written in spreads or as multiples of the usual.

::

    baseline: {season: week}              levels: {yellow: {above: 4 sigma}, orange: {above: 6 sigma}}
    baseline: {season: day}               levels: {yellow: {ratio: 2}, orange: {ratio: 3}}
    trend: {within: 15m}                  levels: {orange: {above: 2.17}}      # warns yellow, 15 min ahead
"""

from __future__ import annotations

import re

import msgspec

from sensord.config.findings import Findings
from sensord.config.ruletext import RuleText, Rung
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, HOUR, SECOND, format_duration
from sensord.core.level import BY_WORD, Level
from sensord.core.rules.derived import Baseline, Measure, Season, Trend
from sensord.core.rules.rule import Aggregate, LevelSpec, Override, Value
from sensord.core.rules.trend import FURTHEST

MOST_LOOKED_BACK = 120
"""Panes that a trend may look back on; each costs 8 bytes a key."""
LEAST_LOOKED_BACK = 4
_COMPARISONS = ("above", "at_least", "below", "at_most", "outside")
_COUNTED = ("count", "enter", "exit")
_WHOLE = 100.0
_SIGMA = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})? sigma", re.ASCII)
Limit = float | str | tuple[float, ...]


def read_baseline(findings: Findings, path: KeyPath, text: RuleText, value: Value, every: int) -> Baseline | None:
    """Read ``baseline``; notes what is wrong with it. ``every`` is in ns, 0 for a rule without a window."""
    given = text.baseline
    if given is None:
        return None
    if text.trend is not None:
        message = "a rule has either a baseline or a trend"
        findings.error((*path, "trend"), message, "make two rules of it")
    if not every:
        findings.error((*path, "baseline"), "a baseline needs a window", "add window: 30m")
    elif every > HOUR:
        message = f"a baseline learns hour by hour, but the rule looks only every {format_duration(every)}"
        findings.error((*path, "every" if text.every else "window"), message, "write every: 1h or less")
    smallest = given.smallest
    if smallest is None:
        smallest = 1.0 if value.aggregate is Aggregate.COUNT or value.field in _COUNTED else 0.0
    share = float(given.learn_from_alarms.rstrip("%")) / _WHOLE
    if share > 1:
        findings.error((*path, "baseline", "learn_from_alarms"), "a share is at most 100%")
    rungs = (text.levels or {}).values()
    return Baseline(
        season=Season(given.season),
        measure=Measure.RATIO if any(rung.ratio is not None for rung in rungs) else Measure.SIGMA,
        outside=any(rung.outside is not None for rung in rungs),
        smallest=smallest,
        learn_from_alarms=share,
    )


def read_trend(findings: Findings, path: KeyPath, text: RuleText, every: int) -> Trend | None:
    """Read ``trend``; notes what is wrong with it. ``every`` is in ns, 0 for a rule without a window."""
    given = text.trend
    if given is None:
        return None
    if not every:
        findings.error((*path, "trend"), "a trend needs a window", "add window: 2m and every: 30s")
        return None
    within = findings.duration((*path, "trend", "within"), given.within, SECOND, DAY)
    over_path = (*path, "trend", "over" if given.over else "within")
    least = LEAST_LOOKED_BACK * every
    over = findings.duration(over_path, given.over, SECOND, DAY) if given.over else max(within, least)
    written, panes = format_duration(over), over // every
    if not LEAST_LOOKED_BACK <= panes <= MOST_LOOKED_BACK:
        message = f"looking back {written} is {panes} values, one every {format_duration(every)}"
        most = format_duration(MOST_LOOKED_BACK * every)
        findings.error(over_path, message, f"write over: between {format_duration(least)} and {most}")
    elif within > FURTHEST * over:
        message = f"looking {given.within} ahead needs more than the last {written}"
        findings.error(over_path, message, f"write over: {format_duration(-(-within // FURTHEST // SECOND) * SECOND)}")
    for word in text.levels or {}:
        if BY_WORD[word] is Level.BLUE:
            message = "a trend warns one level lower, and there is none below blue"
            findings.error((*path, "levels", word), message, "begin with yellow: it warns blue")
    return Trend(within, over)


def one_level_lower(levels: tuple[LevelSpec, ...]) -> tuple[LevelSpec, ...]:
    """An early warning is one level lower than what is expected."""
    return tuple(
        msgspec.structs.replace(rung, level=Level(rung.level - 1)) for rung in levels if rung.level > Level.BLUE
    )


def lowered(overrides: tuple[Override, ...]) -> tuple[Override, ...]:
    """The same for thresholds of single places."""
    return tuple(msgspec.structs.replace(one, levels=one_level_lower(one.levels)) for one in overrides)


def plain_levels(findings: Findings, path: KeyPath, text: RuleText) -> RuleText | None:
    """Return the rule with levels in plain numbers, as the ladder reads them; None when they make no sense.

    ``below: 4 sigma`` becomes ``below: -4``, ``outside: 4 sigma`` ``above: 4`` (of the distance without its sign),
    ``ratio: 2`` ``at_least: 2`` and ``ratio: 0.5`` ``at_most: 0.5``.
    """
    if text.levels is None:
        return text
    before = len(findings.errors)
    plain = {word: _plain(findings, (*path, "levels", word), rung, text) for word, rung in text.levels.items()}
    if text.baseline is not None and len({_measure(rung) for rung in text.levels.values()}) > 1:
        message = "some levels are in sigma and some are a ratio"
        findings.error((*path, "levels"), message, "use the same measure on every level")
    elif len({rung.outside is None for rung in text.levels.values()}) > 1:
        message = "some levels are outside and some are on one side"
        findings.error((*path, "levels"), message, "use the same comparison on every level")
    return msgspec.structs.replace(text, levels=plain) if len(findings.errors) == before else None


def _measure(rung: Rung) -> Measure:
    return Measure.RATIO if rung.ratio is not None else Measure.SIGMA


def _plain(findings: Findings, path: KeyPath, rung: Rung, text: RuleText) -> Rung:
    given = {word: limit for word in _COMPARISONS if (limit := getattr(rung, word)) is not None}
    if rung.ratio is not None and given:
        findings.error(path, "a level takes one comparison, not several", "write one of them")
    plain: dict[str, Limit | None] = {}
    for word, limit in given.items():
        plain |= _in_spreads(findings, (*path, word), word, limit, text)
    if rung.ratio is not None:
        plain |= _multiple(findings, (*path, "ratio"), rung.ratio, text)
    return msgspec.structs.replace(rung, **{**dict.fromkeys((*_COMPARISONS, "ratio")), **plain})


def _in_spreads(findings: Findings, path: KeyPath, word: str, limit: Limit, text: RuleText) -> dict[str, Limit | None]:
    if not isinstance(limit, str):
        if text.baseline is not None:
            number = (limit or (4.0,))[-1] if isinstance(limit, tuple) else limit
            message = f"a rule with a baseline measures from the usual; {number:g} does not say in what"
            findings.error(path, message, f"write {word}: {abs(number):g} sigma, or ratio: 2")
        return {word: limit}
    if _SIGMA.fullmatch(limit) is None:
        findings.error(path, f"{limit!r} is no distance from the usual", "write outside: 4 sigma, or outside: [2, 8]")
        return {}
    spreads = float(limit.removesuffix(" sigma"))
    if text.baseline is None:
        findings.error(path, f"{limit} is a distance from the usual", "add baseline: {season: week}")
    elif spreads == 0:
        findings.error(path, "every value is at least 0 sigma from the usual", "write 4 sigma")
    if word in ("below", "at_most"):
        return {word: -spreads}
    return {"above" if word == "outside" else word: spreads}


def _multiple(findings: Findings, path: KeyPath, ratio: float, text: RuleText) -> dict[str, Limit | None]:
    if text.baseline is None:
        findings.error(path, "a ratio is a multiple of the usual", "add baseline: {season: week}")
    elif ratio == 1:
        findings.error(path, "once the usual is the usual", "write ratio: 2 for twice, ratio: 0.5 for half of it")
    return {"at_least" if ratio > 1 else "at_most": ratio}

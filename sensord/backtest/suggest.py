"""Suggestions from what operators answered: which value of a rule would have spared them false alarms.

An answered case is a labelled stretch: ``false_alarm`` says that nothing happened; who was on the scene, dispersed a
crowd or needed help says that something did. A suggestion is never a guess: each value is run over the recording, and
one is proposed only when every true case is still told of.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sensord.backtest.labels import Incident
from sensord.backtest.outcome import CaseSummary, Episode, Outcome
from sensord.backtest.variant import Setting, Sweep, number_of
from sensord.core.instant import MINUTE
from sensord.core.level import NAMES, Level
from sensord.words import language, say

FALSE = frozenset({"false_alarm"})
TRUE = frozenset({"on_the_scene", "dispersed", "need_help"})
LEAST = 3
"""So few false alarms are no pattern."""
_STEPS = 16


class Suggestion(msgspec.Struct, frozen=True):
    """A change that would have spared ``spared`` of ``false`` false alarms and kept all of ``true`` true cases.

    It is about cases that reached ``level``: for the rule's lowest level (``lowest``) spared means not told of, else
    told of, but not at that level.
    """

    setting: str
    level: Level
    lowest: bool
    old: str
    new: str
    false: int
    spared: int
    true: int
    patch: str


def verdict(case: CaseSummary) -> bool | None:
    """What the answers say of a case: True, False, or None (nobody said; or they contradict each other)."""
    said = set(case.answers)
    return None if bool(said & TRUE) == bool(said & FALSE) else bool(said & TRUE)


def answered(outcome: Outcome, rule: str, level: Level) -> tuple[list[CaseSummary], list[CaseSummary]]:
    """The cases of a rule that reached a level: those that were true, and those that were false alarms."""
    cases = [case for case in outcome.cases if case.rule == rule and case.peak >= level]
    return [case for case in cases if verdict(case) is True], [case for case in cases if verdict(case) is False]


def as_incidents(outcome: Outcome) -> list[Incident]:
    """The true cases as labelled incidents, of the kind that their rule finds."""
    return [
        Incident(case.place, case.opened, case.closed or outcome.end, outcome.rules[case.rule].kinds[0])
        for case in outcome.cases
        if case.rule in outcome.rules and verdict(case) is True
    ]


def to_try(outcome: Outcome, setting: Setting, level: Level) -> Sweep | None:
    """Thresholds of a level worth trying: from the present one up to three times it (down to nothing, when falling)."""
    if len(answered(outcome, setting.rule, level)[1]) < LEAST:
        return None
    now = number_of(setting.old)
    rising = setting.path.endswith(("above", "at_least"))
    step = now / _STEPS * (2 if rising else -1)
    values = dict.fromkeys(f"{now + step * number:.3g}" for number in range(1, _STEPS + 1))
    return Sweep(setting, tuple(values)) if now > 0 else None


def choose(
    before: Outcome, tried: Sequence[tuple[str, Outcome]], setting: Setting, level: Level, *, lowest: bool
) -> Suggestion | None:
    """The value that spares most false alarms of those that keep every true case; of equals the smallest change."""
    true, false = answered(before, setting.rule, level)
    best: Suggestion | None = None
    for value, outcome in tried:
        reached = [one for one in outcome.episodes if one.rule == setting.rule and one.peak >= level]
        kept = sum(any(_same_stretch(case, one, before.end) for one in reached) for case in true)
        spared = len(false) - sum(any(_same_stretch(case, one, before.end) for one in reached) for case in false)
        if kept == len(true) and spared > (best.spared if best is not None else 0):
            counts = len(false), spared, len(true)
            best = Suggestion(setting.name, level, lowest, setting.old, value, *counts, setting.patch(value))
    return best


def _same_stretch(case: CaseSummary, episode: Episode, end: int) -> bool:
    closed = case.closed or end
    return (
        episode.place == case.place and episode.start <= closed + MINUTE and episode.until(end) >= case.opened - MINUTE
    )


def in_words(one: Suggestion) -> str:
    """What the suggestion is good for, in a sentence."""
    if one.lowest:
        return say(
            f"处置人员报为误报的 {one.false} 次中可少 {one.spared} 次；{one.true} 次真实情况全部保留。",
            f"Spares {one.spared} of {one.false} alarms that responders called false; keeps all {one.true} true ones.",
        )
    name = NAMES[language()][one.level]
    return say(
        f"升到{name}而处置人员报为误报的 {one.false} 次中，{one.spared} 次不再升到{name}；"
        f"{one.true} 次真实情况仍到{name}。",
        f"Of {one.false} alarms that rose to {name} and that responders called false, {one.spared} would not have "
        f"risen so far; all {one.true} true ones still would.",
    )

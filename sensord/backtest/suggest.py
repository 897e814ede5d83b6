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

FALSE = frozenset({"false_alarm"})
TRUE = frozenset({"on_the_scene", "dispersed", "need_help"})
LEAST = 3
"""So few false alarms are no pattern."""
_STEPS = 16


class Suggestion(msgspec.Struct, frozen=True):
    """A change that would have spared ``spared`` of ``false`` false alarms and kept all of ``true`` true cases."""

    setting: str
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


def answered(outcome: Outcome, rule: str) -> tuple[list[CaseSummary], list[CaseSummary]]:
    """The cases of a rule that were true, and those that were false alarms."""
    cases = [case for case in outcome.cases if case.rule == rule]
    return [case for case in cases if verdict(case) is True], [case for case in cases if verdict(case) is False]


def as_incidents(outcome: Outcome) -> list[Incident]:
    """The true cases as labelled incidents, of the kind that their rule finds."""
    return [
        Incident(case.place, case.opened, case.closed or outcome.end, outcome.rules[case.rule].kinds[0])
        for case in outcome.cases
        if case.rule in outcome.rules and verdict(case) is True
    ]


def to_try(outcome: Outcome, setting: Setting) -> Sweep | None:
    """Thresholds worth trying: from the present one up to three times it (down to nothing, for falling rules)."""
    if len(answered(outcome, setting.rule)[1]) < LEAST:
        return None
    now = number_of(setting.old)
    rising = setting.path.endswith(("above", "at_least"))
    step = now / _STEPS * (2 if rising else -1)
    values = dict.fromkeys(f"{now + step * number:.3g}" for number in range(1, _STEPS + 1))
    return Sweep(setting, tuple(values)) if now > 0 else None


def choose(before: Outcome, tried: Sequence[tuple[str, Outcome]], setting: Setting) -> Suggestion | None:
    """The value that spares most false alarms of those that keep every true case; of equals the smallest change."""
    true, false = answered(before, setting.rule)
    best: Suggestion | None = None
    for value, outcome in tried:
        kept = sum(any(_same_stretch(case, one, before.end) for one in _of(outcome, setting.rule)) for case in true)
        left = sum(any(_same_stretch(case, one, before.end) for one in _of(outcome, setting.rule)) for case in false)
        spared = len(false) - left
        if kept == len(true) and spared > (best.spared if best is not None else 0):
            patch = setting.patch(value)
            best = Suggestion(setting.name, setting.old, value, len(false), spared, len(true), patch)
    return best


def _of(outcome: Outcome, rule: str) -> list[Episode]:
    return [episode for episode in outcome.episodes if episode.rule == rule]


def _same_stretch(case: CaseSummary, episode: Episode, end: int) -> bool:
    closed = case.closed or end
    return (
        episode.place == case.place and episode.start <= closed + MINUTE and episode.until(end) >= case.opened - MINUTE
    )

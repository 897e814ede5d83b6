"""What can be seen of the engine: active alerts, blind places, who is still learning. Read only."""

from __future__ import annotations

import msgspec
import numpy as np

from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.evaluator import Evaluator
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.occupancy import Drift
from sensord.core.rules.probe import Sight, Silence
from sensord.core.rules.windowed import WindowedRule


class ActiveAlert(msgspec.Struct, frozen=True):
    """One active alert, for views. ``flapping``: it was raised too often lately, and is held up for longer."""

    rule: str
    key: str
    place: str
    level: Level
    flapping: bool = False


class Views:
    """The part of the engine that shows it; ``now`` is the journal time that it has come to."""

    def __init__(self, places: Places, liveness: Liveness) -> None:
        self._places, self._liveness = places, liveness
        self._evaluators: list[Evaluator] = []
        self.now = 0

    def active(self) -> list[ActiveAlert]:
        """List the active alerts in rule order."""
        return [
            ActiveAlert(
                evaluator.rule.id,
                evaluator.table.keys[key],
                evaluator.table.places[key],
                Level(int(levels[key])),
                isinstance(evaluator, WindowedRule) and evaluator.ladder.flaps(int(key), self.now),
            )
            for evaluator in self._evaluators
            for levels in (evaluator.active(),)
            for key in np.flatnonzero(levels)
        ]

    def learning(self) -> dict[str, list[str]]:
        """Return, per rule with a baseline or a trend, the keys of which too little has been seen to say anything."""
        return {
            evaluator.rule.id: [evaluator.table.keys[key] for key in np.flatnonzero(evaluator.learning())]
            for evaluator in self._evaluators
            if isinstance(evaluator, WindowedRule) and evaluator.learning().any()
        }

    def unknown(self) -> set[str]:
        """Return the places that are blind now: a registered sensor there is silent, was never heard, or is stuck."""
        return {self._places.devices[index].place for index in self._liveness.blind(self.now)}

    def drifts(self) -> list[Drift]:
        """Return what occupancy rules had to correct: per rule and key."""
        return [
            drift
            for evaluator in self._evaluators
            if isinstance(evaluator, WindowedRule)
            for drift in evaluator.drifts()
        ]

    def evaluator_of(self, rule: str) -> Evaluator | None:
        """Return the rule at work, for those who look on; None when no such rule is in force."""
        return next((one for one in self._evaluators if one.rule.id == rule), None)

    def look(self, rule: str, key: str) -> Sight:
        """Say what a rule in force saw of a key when it was evaluated last."""
        evaluator = self.evaluator_of(rule)
        assert evaluator is not None
        return evaluator.look(evaluator.table.keys.index(key), self._liveness)

    def silent_of(self, rule: str, key: str) -> dict[str, Silence]:
        """Return the silent or stuck devices of a rule's key."""
        evaluator = self.evaluator_of(rule)
        if evaluator is None or key not in evaluator.table.keys:
            return {}
        table, liveness = evaluator.table, self._liveness
        feeding = table.feeding(table.keys.index(key) // table.width * table.width)
        return {
            self._places.devices[device].id: Silence(int(liveness.heard_at[device]), bool(liveness.unheard[device]))
            for device in liveness.blind(self.now)
            if device in feeding
        }

"""What rules on silence and on stillness have in common: they look on a fixed grid of instants, and keep a ladder."""

from __future__ import annotations

from sensord.core.batch import Batch
from sensord.core.instant import SECOND
from sensord.core.rules.evaluator import NEVER, Array, Emission, Setting
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import Ladder
from sensord.core.rules.rule import Rule
from sensord.core.rules.window import Table


class GridRule:
    """The common part; see :class:`sensord.core.rules.evaluator.Evaluator`.

    The grid is a tenth of ``shortest`` (ns, the shortest time that the rule allows), in whole seconds. Where it stands
    follows from the instant ``since`` of a start or restart, and is no part of the state: another definition may have
    other periods, and so another grid.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, since: int, shortest: int) -> None:
        self.rule, self.table, self.ladder = rule, table, Ladder(rule, len(table))
        self._schedule = setting.schedule(rule)
        self._every = max(shortest // 10 // SECOND * SECOND, SECOND)
        self._slot = since // self._every + 1
        self._looked_at = since

    @property
    def due(self) -> int:
        """The next instant of the grid."""
        return self._slot * self._every if len(self.table) else NEVER

    def settle(self) -> None:
        """Nothing waits."""

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Nothing: what such a rule knows is in step with the grid."""
        return []

    def active(self) -> Array:
        """Return the level of each key."""
        return self.ladder.active

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        return {f"ladder.{name}": array for name, array in self.ladder.arrays().items()}

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def numbers(self) -> dict[str, int]:
        """Everything is in the arrays."""
        return {}

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """The ladder's arrays were filled."""
        self.ladder.restored()

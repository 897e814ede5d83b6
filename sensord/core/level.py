"""The alert ladder: blue < yellow < orange < red.

Source: Emergency Response Law of the PRC (2024), article 63: four warning levels, of which level 1 (red) is the
highest.
"""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """A warning level; ``NONE`` means that no alert is active."""

    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """The level as configuration and messages write it: ``blue`` ... ``red``."""
        return self.name.lower()


LADDER = (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)
BY_WORD = {level.word: level for level in LADDER}
NAMES = {
    "zh": {Level.NONE: "正常", Level.BLUE: "蓝色", Level.YELLOW: "黄色", Level.ORANGE: "橙色", Level.RED: "红色"},
    "en": {level: level.word for level in Level},
}

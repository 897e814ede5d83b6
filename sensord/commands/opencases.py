"""What ``sensord cases`` prints: a line for each open case, the worst first, in the terminal's language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sensord.core.cases.case import STAGES, State
from sensord.core.level import NAMES, Level
from sensord.words import language, say


def lines(cases: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Write the cases of the overview; of one level the oldest comes first."""
    spoken = language()
    for case in sorted(cases, key=lambda case: (-_level(case), case["opened_at"], case["id"])):
        level, stage = NAMES[spoken][_level(case)], STAGES[State(case["state"])][spoken]
        place = case["place_name" if spoken == "zh" else "place_name_en"]
        yield "  ".join((case["id"], level, stage, place, case["opened_at"][:19].replace("T", " ")))
    if not cases:
        yield say("没有未结案件", "no open cases")


def _level(case: dict[str, Any]) -> Level:
    """The level; a case that is verified has none."""
    return Level[case["level"].upper()]

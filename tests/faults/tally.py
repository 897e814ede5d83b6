"""What an experiment amounts to: a row of the table in ``docs/reliability.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Row:
    """One fault: how often it was caused, and what was lost, doubled or invented over all of these.

    ``lost`` and ``doubled`` count what the fault's line in the document names (readings, pages, points, rows);
    ``marked`` are pages that arrived again and said so; ``recovery`` are seconds from the fault's end to readiness;
    ``made`` says with what the experiment was run.
    """

    fault: str
    runs: int
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    marked: int = 0
    recovery: list[float] = field(default_factory=list)
    remark: str = ""
    made: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as text, one text a column."""
        again = f"{self.doubled}" + (f" ({self.marked} marked repeats)" if self.marked else "")
        times = sorted(self.recovery)
        shown = f"{times[len(times) // 2]:.2f} s, at most {times[-1]:.2f} s" if times else "–"
        return self.fault, f"{self.runs:,}", f"{self.lost}", again, f"{self.invented}", shown, self.remark, self.made


HEADING = (
    "fault",
    "runs",
    "lost",
    "duplicated",
    "invented",
    "recovery (median, worst)",
    "what was counted",
    "run with",
)


def table(rows: list[Row]) -> str:
    """Write rows as a Markdown table."""
    return _table(row.cells() for row in rows)


def merged(old: str, rows: list[Row]) -> str:
    """Write a table anew: rows of the same fault are replaced where they stand, the others stay, new ones follow."""
    lines = [line.strip("|\n ").split(" | ") for line in old.splitlines() if line.startswith("|")]
    known = {cells[0]: tuple(cells) for cells in lines[2:] if len(cells) == len(HEADING)}
    return _table((known | {row.fault: row.cells() for row in rows}).values())


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = [HEADING, ("---",) * len(HEADING), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)

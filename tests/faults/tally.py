"""What an experiment amounts to: a row of the table in ``docs/reliability.md``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Row:
    """One fault: how often it was caused, and what was lost, doubled or invented over all of these.

    ``lost`` and ``doubled`` count what the fault's line in the document names (readings, pages, points, rows);
    ``marked`` are pages that arrived again and said so; ``recovery`` are seconds from the fault's end to readiness.
    """

    fault: str
    runs: int
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    marked: int = 0
    recovery: list[float] = field(default_factory=list)
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as text, one text a column."""
        again = f"{self.doubled}" + (f" ({self.marked} marked repeats)" if self.marked else "")
        times = sorted(self.recovery)
        shown = f"{times[len(times) // 2]:.2f} s, at most {times[-1]:.2f} s" if times else "–"
        return self.fault, f"{self.runs:,}", f"{self.lost}", again, f"{self.invented}", shown, self.remark


HEADING = ("fault", "runs", "lost", "duplicated", "invented", "recovery (median, worst)", "what was counted")


def table(rows: list[Row]) -> str:
    """Write rows as a Markdown table."""
    lines = [HEADING, ("---",) * len(HEADING), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)

"""Draws what ``soak.py`` wrote: ``python soakplot.py soak.csv soak.png``. Needs matplotlib, and nothing of sensord."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

CURVES = (
    ("rss_mib", "resident memory, MiB"),
    ("descriptors", "file descriptors"),
    ("disk_mib", "state, MiB"),
    ("waiting", "readings not yet\nat the broker"),
)
WARM_UP = 600.0
"""Seconds that do not count for the slopes: caches fill, and the first hour of each roll-up is begun."""


def slope(rows: list[dict[str, str]], column: str) -> float:
    """How much a curve rises in an hour, by least squares, after the warm-up and without starts of the daemon."""
    points = [(float(row["seconds"]) / 3600, float(row[column])) for row in rows if float(row["seconds"]) > WARM_UP]
    hours, values = zip(*points, strict=True)
    middle, mean = sum(hours) / len(hours), sum(values) / len(values)
    rise = sum((hour - middle) * (value - mean) for hour, value in points)
    return float(rise / sum((hour - middle) ** 2 for hour in hours))


def main(source: Path, target: Path) -> None:
    """One curve below the other, and a line at each fault; prints the slopes."""
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    alive = [row for row in rows if row["lag_seconds"] != "nan"]
    for column, label in CURVES[:3]:
        values = [float(row[column]) for row in alive]
        shown = f"{slope(alive, column):+.1f} an hour, at most {max(values):g}, {values[-1]:g} at the end"
        print(f"{label}: {shown}")  # noqa: T201
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure, axes = plt.subplots(len(CURVES), 1, sharex=True, figsize=(9, 7))
    for axis, (column, label) in zip(axes, CURVES, strict=True):
        axis.plot(minutes, [float(row[column]) for row in rows], linewidth=1)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        for minute, row in zip(minutes, rows, strict=True):
            if row["fault"]:
                axis.axvline(minute, color="tab:red" if row["fault"] == "shoot" else "tab:orange", linewidth=0.5)
    axes[-1].set_xlabel("minutes (red: the daemon was shot; orange: another fault)")
    figure.tight_layout()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

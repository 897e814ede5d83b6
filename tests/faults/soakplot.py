"""Draws what ``soak.py`` wrote: ``python soakplot.py soak.csv soak.png``. Needs matplotlib, and nothing of sensord."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

CURVES = (("rss_mib", "resident memory, MiB"), ("descriptors", "file descriptors"), ("disk_mib", "state, MiB"))


def main(source: Path, target: Path) -> None:
    """One curve below the other, and a line at each fault."""
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure, axes = plt.subplots(len(CURVES), 1, sharex=True, figsize=(9, 6))
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

"""One baseline rule over eight files of the Numenta Anomaly Benchmark, through the whole core.

Method: ``bench/nab-rule.yaml`` is read like any rule file; each file is replayed row by row through ``Site.step`` and
the rule learns online from that file alone. A detection is the row on whose arrival the alert is raised, so nothing
later than that row has been seen. Scores as in ``bench/nab_score.py``.

Published scores on these eight files, for the standard profile, are computed from the detectors' own results; their
thresholds were tuned to the whole corpus of 58 files. This rule was designed while looking at these eight files: its
score says what the method can do here, not what it does on files that nobody has seen.

``--sensitivity`` changes every number by a fifth, one after the other.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from bench.nab_score import PROFILES, Marks, mark, normalised, probation
from sensord.config.mapping import load_mapping
from sensord.config.rules import World, load_rules
from sensord.core.alert import Change
from sensord.core.definition import decode_definition
from sensord.core.instant import HOUR, MINUTE, parse_instant
from sensord.core.record import Group, RecordKind
from sensord.core.rules import baseline
from sensord.core.rules.derived import Baseline
from sensord.core.rules.rule import Rule
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from sensord.recordings.recording import groups
from sensord.recordings.series import read_series

HERE = Path(__file__).resolve().parent
PUBLISHED = {
    "ARTime": 87.1,
    "relative entropy": 81.2,
    "HTM": 80.4,
    "CAD-OSE": 76.9,
    "random cut forest": 51.8,
    "windowed Gaussian": 47.4,
    "Twitter": 42.5,
}
TARGET = 80.4


@dataclass(frozen=True, slots=True)
class Series:
    """A file: its name, the instants of its rows, its records, and its labelled windows as rows."""

    name: str
    at: list[int]
    groups: list[Group]
    windows: tuple[tuple[int, int], ...]


def data_folder() -> Path:
    """Return the folder of the benchmark's files: in ``SENSORD_DATA``, or in ``shared/data`` beside the checkout."""
    return Path(os.environ.get("SENSORD_DATA", HERE.parents[1] / "shared" / "data")) / "nab"


def read(folder: Path, rule: Rule) -> list[Series]:
    """Read the eight files; the rule is put into each file's journal as its first record."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = []
    for path in [*sorted((folder / "realTraffic").glob("*.csv")), folder / "nyc_taxi.csv"]:
        name = f"{'realTraffic' if path.parent != folder else 'realKnownCause'}/{path.name}"
        found.append(_series(path, labels[name], rule))
    return found


def _series(path: Path, labels: Sequence[tuple[str, str]], rule: Rule) -> Series:
    with path.open(newline="") as file:
        at = [parse_instant(row["timestamp"], "UTC") for row in csv.DictReader(file)]
    series = read_series(path, load_mapping(HERE / "nab-mapping.yaml"))
    # Rows come in order of time, so nothing has to be waited for: the lateness is zero.
    definition = msgspec.structs.replace(series.definition, rules=(rule,), zone="UTC", lateness={Stream.LEVEL.word: 0})
    windows = []
    for first, last in labels:
        inside = [
            row for row, when in enumerate(at) if parse_instant(first, "UTC") <= when <= parse_instant(last, "UTC")
        ]
        windows.append((inside[0], inside[-1]))
    return Series(path.stem, at, list(groups(series.records, definition_record(definition, 0))), tuple(windows))


def detections(series: Series) -> list[int]:
    """Replay a file row by row; return the rows on whose arrival an alert was raised."""
    site, found, row = Site(), [], -1
    for group in series.groups:
        for record in group.records:
            row += record.kind == RecordKind.MESSAGE
            step = site.step(Group(group.seq, (record,)))
            found += [row for one in step.transitions if one.change is Change.RAISED]
    return found


def run(files: Sequence[Series]) -> list[Marks]:
    """Replay and mark all files."""
    return [mark(len(series.at), series.windows, detections(series)) for series in files]


def the_rule() -> Rule:
    """Read the one rule."""
    return load_rules(HERE / "nab-rule.yaml", World()).rules[0]


def with_rule(files: Sequence[Series], rule: Rule) -> list[Series]:
    """Put another rule into the files' journals."""
    changed = []
    for series in files:
        first = series.groups[0]
        definition = decode_definition(first.records[0].payload)
        record = definition_record(msgspec.structs.replace(definition, rules=(rule,)), first.records[0].received_at)
        head = msgspec.structs.replace(first, records=(record, *first.records[1:]))
        changed.append(Series(series.name, series.at, [head, *series.groups[1:]], series.windows))
    return changed


def weeks_of(series: Series) -> float:
    """Weeks that count and lie outside of the labelled windows."""
    start = probation(len(series.at))
    total = series.at[-1] - series.at[start]
    inside = sum(series.at[last] - series.at[max(first, start)] for first, last in series.windows)
    return (total - inside) / (7 * 24 * HOUR)


def report(files: Sequence[Series], marks: Sequence[Marks]) -> None:
    """Print a line per file and the totals beside the published ones."""
    print(f"{'file':18} {'score':>6} {'found':>6} {'false':>6} {'per week':>9}  first detection in each window")
    for series, one in zip(files, marks, strict=True):
        found = sum(row is not None for row in one.found)
        where = ", ".join(_where(window, row) for window, row in zip(one.windows, one.found, strict=True))
        print(
            f"{series.name:18} {normalised([one], PROFILES[0]):>6.1f} {found:>3}/{len(one.found)} {len(one.false):>7}"
            f" {len(one.false) / weeks_of(series):>9.2f}  {where}"
        )
    false, weeks = sum(len(one.false) for one in marks), sum(map(weeks_of, files))
    found, windows = sum(row is not None for one in marks for row in one.found), sum(len(one.found) for one in marks)
    print(
        f"\nfound {found} of {windows} windows; {false} false alarms in {weeks:.1f} weeks: {false / weeks:.2f} a week"
    )
    delays = [delay for series, one in zip(files, marks, strict=True) for delay in _delays(series, one)]
    print(
        f"detection after the beginning of the window: median {np.median([d[0] for d in delays]):.1f} h;"
        f" after its middle (windows are laid around the labelled moment): {np.median([d[1] for d in delays]):+.1f} h"
    )
    for profile in PROFILES:
        print(f"{profile.name:20} {normalised(marks, profile):.1f}")
    score = normalised(marks, PROFILES[0])
    print("published, standard  " + ", ".join(f"{name} {value}" for name, value in PUBLISHED.items()))
    print(f"target {TARGET}: {'met' if score > TARGET else 'missed'} ({score:.1f})")


def _where(window: tuple[int, int], row: int | None) -> str:
    if row is None:
        return "missed"
    first, last = window
    return f"{(row - first) / (last - first):.0%}"


def _delays(series: Series, marks: Marks) -> Iterator[tuple[float, float]]:
    for (first, last), row in zip(marks.windows, marks.found, strict=True):
        if row is not None:
            since = (series.at[row] - series.at[first]) / HOUR
            yield since, since - (series.at[last] - series.at[first]) / 2 / HOUR


def missed(files: Sequence[Series], marks: Sequence[Marks], rule: Rule) -> None:
    """Say of each missed window from which threshold on it would be found, and what that would cost."""
    for series, one in zip(files, marks, strict=True):
        for number, row in enumerate(one.found):
            if row is None:
                print(f"{series.name}, window {number + 1}: {_needed(series, number, rule, len(one.false))}")


def _needed(series: Series, number: int, rule: Rule, false: int) -> str:
    for threshold in np.arange(rule.levels[0].threshold - 0.25, 0.9, -0.25):
        [again] = run(with_rule([series], _at(rule, float(threshold))))
        if again.found[number] is not None:
            return (
                f"found from {threshold} sigma on, with {len(again.false)} false alarms in this file instead of {false}"
            )
    return "not found at one sigma either"


def _at(rule: Rule, threshold: float) -> Rule:
    rung = msgspec.structs.replace(rule.levels[0], threshold=threshold)
    return msgspec.structs.replace(
        rule,
        levels=(rung,),
        clear=msgspec.structs.replace(
            rule.clear, margin=(rule.clear.margin[0] * threshold / rule.levels[0].threshold,)
        ),
    )


@contextmanager
def _constant(name: str, value: object) -> Iterator[None]:
    before = getattr(baseline, name)
    setattr(baseline, name, value)
    try:
        yield
    finally:
        setattr(baseline, name, before)


def sensitivity(files: Sequence[Series], rule: Rule) -> None:
    """Print the score with each number a fifth lower and higher."""
    print(f"\n{'changed':34} {'score':>6} {'found':>6} {'false':>6}")

    def line(what: str, changed: Rule) -> None:
        marks = run(with_rule(files, changed))
        found, false = sum(row is not None for one in marks for row in one.found), sum(len(one.false) for one in marks)
        print(f"{what:34} {normalised(marks, PROFILES[0]):>6.1f} {found:>6} {false:>6}", flush=True)

    replace, clear = msgspec.structs.replace, rule.clear
    line("nothing", rule)
    for share in (0.8, 0.9, 1.1, 1.2):
        line(f"threshold {rule.levels[0].threshold * share:.2f} sigma", _at(rule, rule.levels[0].threshold * share))
    for share in (0.8, 1.2):
        minutes = round(rule.window * share / MINUTE)
        line(f"window {minutes} min", replace(rule, window=minutes * MINUTE, every=minutes * MINUTE))
        line(
            f"clear.for {clear.hold * share / MINUTE:.0f} min",
            replace(rule, clear=replace(clear, hold=round(clear.hold * share))),
        )
        line(f"clear.margin {0.3 * share:.0%}", replace(rule, clear=replace(clear, margin=(clear.margin[0] * share,))))
    for share in (0.0, 0.04, 0.06, 1.0):
        spec = replace(rule.baseline or Baseline(), learn_from_alarms=share)
        line(f"learn_from_alarms {share:.0%}", replace(rule, baseline=spec))
    constants: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("TAIL", (0.88, 0.92)),
        ("LEAST_SAMPLES", (5, 7)),
        ("LEAST_ERRORS", (19, 29)),
        ("ERRORS", (307, 461)),
        ("STEP", (24 * MINUTE, 36 * MINUTE)),
        ("_SHAPES", ({"day": (48, 19), "week": (168, 6)}, {"day": (48, 29), "week": (168, 10)})),
    )
    for name, values in constants:
        for value in values:
            with _constant(name, value):
                line(f"{name} {value}"[:34], rule)


def main() -> None:
    """Print the report; with ``--sensitivity`` the sensitivity, too."""
    print(describe(__doc__))
    folder = data_folder()
    if not folder.is_dir():
        print("the benchmark's files are not here: set SENSORD_DATA to the folder that holds nab/")
        return
    rule = the_rule()
    files = read(folder, rule)
    marks = run(files)
    report(files, marks)
    print("\nwhat it does not find")
    missed(files, marks, rule)
    if "--sensitivity" in sys.argv[1:]:
        sensitivity(files, rule)


if __name__ == "__main__":
    main()

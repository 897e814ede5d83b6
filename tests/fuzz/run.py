"""Feed every target for long with atheris (coverage-guided): ``python -m tests.fuzz.run --runs 100000``.

Each target is a process of its own, with a limit on memory (1 GiB) and on the time of one input (20 s). What fails is
kept in ``.fuzz/TARGET/``; what is worth keeping belongs into ``tests/fuzz/found/TARGET/``, for every test run to try.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

CORPORA = Path(".fuzz")
MEMORY_MIB, PATIENCE = 1024, 20
_EXECUTED = re.compile(r"^stat::number_of_executed_units: (\d+)|^Done (\d+) runs|^#(\d+)", re.MULTILINE)
_PEAK = re.compile(r"^stat::peak_rss_mb:\s+(\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one target: inputs tried, edges of our code reached, the process's peak in MiB, seconds."""

    name: str
    good: bool
    inputs: int
    edges: int
    peak: int
    seconds: float
    log: str

    def __str__(self) -> str:
        """One row."""
        verdict = "ok" if self.good else "FOUND"
        counts = f"{self.inputs:>10,} inputs {self.edges:>6,} edges {self.peak:>5} MiB"
        return f"{verdict:6}{self.name:28}{counts} {self.seconds:>6.0f} s"


def one(name: str, runs: int, seed: int) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris  # noqa: PLC0415  # no part of what tests need

    with atheris.instrument_imports(include=["sensord", "simulators"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # instrumented as it is imported
    target = TARGETS[name]
    corpus = CORPORA / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(text)
    limits = [f"-rss_limit_mb={MEMORY_MIB}", f"-timeout={PATIENCE}", "-max_len=8192"]
    options = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={corpus}/", "-print_final_stats=1", *limits]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.feed)
    atheris.Fuzz()


def all_of(names: list[str], runs: int, seed: int) -> int:
    """Fuzz target after target; prints a line for each and returns how many failed."""
    began, results = time.monotonic(), []
    for name in names:
        results.append(result := apart(name, runs, seed))
        say(str(result))
        if not result.good:
            say(result.log[-3000:])
    failed, total = sum(not result.good for result in results), sum(result.inputs for result in results)
    say(f"{total:,} inputs in {time.monotonic() - began:.0f} s; {failed} of {len(names)} targets failed")
    return failed


def apart(name: str, runs: int, seed: int) -> Result:
    """Fuzz one target in a process of its own, with files in memory where that is possible."""
    memory = Path("/dev/shm")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, "--runs", str(runs), "--seed", str(seed)]
        environment = {**os.environ, "TMPDIR": scratch}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    log = done.stdout + done.stderr
    inputs, edges, peak = (greatest(pattern, log) for pattern in (_EXECUTED, _COVERED, _PEAK))
    return Result(name, done.returncode == 0, inputs, edges, peak, time.monotonic() - began, log)


def greatest(pattern: re.Pattern[str], log: str) -> int:
    """The greatest number that the pattern finds."""
    return max((int(number) for found in pattern.finditer(log) for number in found.groups() if number), default=0)


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201  # the report


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="a target's name; may be repeated")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.runs, given.seed)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # a fuzzed process instruments it

    if find_spec("atheris") is None:
        say("atheris does not run here: hypothesis alone, with as many examples")
        os.environ["FUZZ_EXAMPLES"] = str(given.runs)
        sys.exit(pytest.main(["tests/fuzz", "-q", "--timeout=0"]))
    sys.exit(1 if all_of(given.only or list(TARGETS), given.runs, given.seed) else 0)


if __name__ == "__main__":
    main()

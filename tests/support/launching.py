"""The process that starts daemons, from the side of the test: orders in, answers out (it is ``launcher.py``)."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Launcher:
    """One such process: it has imported the program, which takes a second, and lives as long as the tests do.

    One whose answer was not waited for is given up, with its daemons: what it says next would be taken for the answer
    to another order.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def order(self, **order: Any) -> Any:
        """Have an order carried out; returns its answer."""
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return self._answer(process)
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[str]:
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._answer(process)
        return process

    def _answer(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the launcher has ended"
        return json.loads(line)

    def close(self) -> None:
        """End it, and every daemon of it that still runs."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(30)


@cache
def launcher() -> Launcher:
    """That of this test process."""
    found = Launcher()
    atexit.register(found.close)
    return found


class Forked:
    """``sensord`` with a command line, forked; what tests use of ``subprocess.Popen``."""

    def __init__(self, command: Sequence[str], out: Path, err: Path, environment: Mapping[str, str]) -> None:
        files = {"out": str(out), "err": str(err)}
        self.pid = int(launcher().order(command=list(command), environment=dict(environment), **files))
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code (negative: the signal), or None while it runs."""
        if self._code is None:
            self._code = launcher().order(wait=self.pid, patience=0)
        return self._code

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns its exit code; raises ``subprocess.TimeoutExpired``."""
        if self._code is None:
            self._code = launcher().order(wait=self.pid, patience=timeout)
        if self._code is None:
            raise subprocess.TimeoutExpired("sensord", timeout)
        return self._code

    def send_signal(self, how: signal.Signals) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self._code is None:
            os.kill(self.pid, how)


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of sensord to its end, forked: for tests of what it says and does, not of how it comes up."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        started = Forked(command, out, err, environment)
        try:
            code = started.wait(60)
        except subprocess.TimeoutExpired:
            started.send_signal(signal.SIGKILL)
            raise
        said = (path.read_text(encoding="utf-8") for path in (out, err))
        return subprocess.CompletedProcess(["sensord", *command], code, *said)

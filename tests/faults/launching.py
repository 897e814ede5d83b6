"""The process that starts daemons, from the side of the test: orders in, answers out (it is ``launcher.py``)."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from tests.support.daemon import ROOT


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
            [sys.executable, "-m", "tests.faults.launcher"],
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

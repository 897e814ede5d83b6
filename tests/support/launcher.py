"""Starts daemons and commands: ``python -m tests.support.launcher``, orders as JSON lines on stdin, answers on stdout.

A fresh interpreter imports for a second or two before the daemon does anything; a thousand kills would be a thousand
times that. So this process imports once and forks: the child is the daemon, from its command line on. With ``exec`` it
is a fresh interpreter all the same, as systemd starts it: recovery times are taken from those. What an experiment with
faults changes inside (``experiment``) is changed in the child; without one it is as it is in service.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import sensord.api.application  # what the daemon imports late
import sensord.app
import sensord.cli
import sensord.ingest.committer
import sensord.notify.worker
from sensord.drivers.live import LiveCore
from sensord.ingest.clock import ArrivalClock
from tests.faults.names import show
from tests.faults.points import put_in

AGES = "SENSORD_TEST_AGES"
"""How long workers may be silent, in seconds (JSON, by kind), when a test cannot wait for minutes."""
PUT_OFF = "SENSORD_TEST_PUT_OFF"
"""Seconds until a page is tried again that failed, as after many failures."""
SNAPSHOT_INTERVAL = 0.7
"""Seconds: two minutes in the field, but a daemon that is to be killed does not live so long."""
FIRST_UPKEEP = 2.0
"""Seconds from the start until old days are deleted: five in the field."""


def start(order: dict[str, Any]) -> int:
    """Fork a daemon, or another command of sensord; returns its process id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        _redirect(order)
        experiment = order.get("experiment")
        if experiment and experiment["resolver"]:
            show(Path(experiment["resolver"]))
        if experiment and experiment["exec"]:
            os.execv(sys.executable, [sys.executable, "-m", "sensord", *order["command"]])
        sys.argv = ["sensord", *order["command"]]
        if experiment:
            _alter(experiment)
        sensord.cli.main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        if status == 99:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _redirect(order: dict[str, Any]) -> None:
    """Take the environment and the files of an order."""
    os.environ.clear()
    os.environ.update(order["environment"])
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, order["out"], append), (2, order["err"], append)):
        os.dup2(os.open(name, flags, 0o600), number)


def _alter(experiment: dict[str, Any]) -> None:
    """Change this process as an experiment asks."""
    defaults = LiveCore.__init__.__kwdefaults__
    assert defaults is not None
    defaults["snapshot_interval"] = SNAPSHOT_INTERVAL
    sensord.ingest.committer._SETTLED = FIRST_UPKEEP
    if experiment["ahead"]:
        _set_clock(experiment["ahead"])
    if AGES in os.environ:
        sensord.app._AGES.update(json.loads(os.environ[AGES]))
    if PUT_OFF in os.environ:
        put_off = float(os.environ[PUT_OFF])
        vars(sensord.notify.worker)["backoff"] = lambda *_: put_off
    if experiment["point"]:
        put_in(experiment["point"], experiment["nth"], experiment["deed"])


def _set_clock(ahead: float) -> None:
    """Show this process a time that is so many seconds ahead: the journal's clock, and who asks for the time."""
    true, true_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: true() + ahead, lambda: true_ns() + round(ahead * 1e9)
    ArrivalClock.__init__.__defaults__ = (0, time.time_ns, time.monotonic_ns)


def end(pid: int, patience: float) -> int | None:
    """Wait for a daemon's end; returns its exit code (negative: the signal), or None when it lives on."""
    deadline = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def main() -> None:
    """Obey until stdin ends, then leave no child behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: set[int] = set()
    print(json.dumps({"from": str(Path.cwd())}), flush=True)  # noqa: T201  # the answer
    for line in sys.stdin:
        order = json.loads(line)
        answer: int | None = 0
        if "wait" in order:
            answer = end(order["wait"], order["patience"])
            children -= {order["wait"]} if answer is not None else set()
        elif "leave" in order:
            _shoot(children & set(order["leave"]))
            children -= set(order["leave"])
        else:
            answer = start(order)
            children.add(answer)
        print(json.dumps(answer), flush=True)  # noqa: T201  # the answer
    _shoot(children)


def _shoot(children: set[int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()

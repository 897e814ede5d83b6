"""A start that takes long: who waits for it hears how far it is, and it ends in good order when it is told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sensord.core.instant import SECOND
from sensord.core.record import Record, RecordKind
from sensord.store.journal import Journal
from sensord.store.state import StateStore
from sensord.telemetry.startprogress import FILE
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd

ROOT = Path(__file__).resolve().parents[1]
SLOW = """
import sys, time
from sensord.cli import main
from sensord.core.site import Site
from sensord.telemetry import startprogress
startprogress.EVERY = 0.0
step = Site.step
Site.step = lambda site, group: (time.sleep(0.05), step(site, group))[1]
sys.argv = ["sensord", "run", "--config", sys.argv[1]]
main()
"""
"""A daemon that takes a twentieth of a second for each group."""
GROUPS = 600


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Play systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        yield listener


def applied_since(daemon: Daemon) -> int:
    """Let the daemon live for a moment; then, from its last saved state on, groups that were applied as well."""
    daemon.start()
    assert daemon.stop() == 0
    with closing(Journal(daemon.state / "journal")) as journal, closing(StateStore(daemon.state)) as state:
        at = journal.last_received_at
        for number in range(GROUPS):
            topic, payload = crowd(1, 5, number)
            journal.append([Record(RecordKind.MESSAGE, at + number * SECOND // 100, topic, payload)])
        with state._database.transaction("applying") as connection:
            connection.execute("UPDATE position SET seq = ?, at = ?", (journal.last_seq, journal.last_received_at))
        return journal.last_seq


def test_it_is_told_of_and_ends_in_good_order(tmp_path: Path, broker: Mosquitto, manager: socket.socket) -> None:
    """Systemd waits, doctor says how far it is; after SIGTERM the next start goes on from there."""
    daemon = Daemon(tmp_path / "street", broker.port, "http://127.0.0.1:1/nobody")
    last = applied_since(daemon)
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(daemon.config)], stdout=log, stderr=log, cwd=ROOT, env=environment
        )
    try:
        said = [manager.recv(4096).decode() for _ in range(2)]
        for one in said:
            assert one.startswith("EXTEND_TIMEOUT_USEC=300000000\nWATCHDOG=1\nSTATUS=starting: ")
        stepped, of = map(int, re.findall(r"(\d+) of (\d+) groups", said[1])[0])
        assert 0 < stepped < of < last + 1
        found = daemon.command("doctor").stdout
        assert re.search(r"重算到第 \d+ 组，共 \d+ 组|\d+ of \d+ groups stepped again", found), found
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
    assert not (daemon.state / FILE).exists()
    assert json.loads((daemon.state / "starts").read_text()) == {"early": [], "runs": False, "deaths": 0}
    daemon.start()
    assert daemon.stop() == 0
    rest = re.findall(r'"stepped_again": (\d+).*"the core is ready"', daemon.log.read_text(encoding="utf-8"))[-1]
    assert int(rest) < of - stepped, "what was stepped is not stepped once more"

"""``sensord prepare`` as people give it: beside a daemon that runs, and on what a released version left behind."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sensord.commands.doctor import Finding, examine
from sensord.commands.preparing import lines
from sensord.config.settings import Mqtt
from sensord.drivers import restoring
from sensord.drivers.preparing import Preparation
from sensord.store.copies import PREPARED
from simulators.screens import running_screens
from tests.drivers.test_restoring import unread
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd
from tests.test_long_start import ROOT, applied_since

RELEASED = sorted(Path(__file__).parent.glob("*/released/*.tar.xz"))
INTERRUPTED = """
import os, signal, sys
from sensord.cli import main
from sensord.commands import preparing as command
from sensord.core.site import Site
from sensord.drivers import preparing
preparing.READ_GROUPS, command._APART = 50, 0.0
step, steps = Site.step, []
def stepped(site, group):
    steps.append(group.seq)
    if len(steps) == 75:
        os.kill(os.getpid(), signal.SIGINT)
    return step(site, group)
Site.step = stepped
sys.argv = ["sensord", "prepare", "--config", sys.argv[1]]
main()
"""
"""The command, with a line at each look, and Ctrl-C after the seventy-fifth group."""


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands say is read here."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")


def stepped_again(daemon: Daemon) -> int:
    """How many groups the latest start has stepped again."""
    return int(re.findall(r'"stepped_again": (\d+).*"the core is ready"', daemon.log.read_text(encoding="utf-8"))[-1])


def test_it_is_made_beside_a_daemon_that_runs(tmp_path: Path, broker: Mosquitto, people: Receiver) -> None:
    """Interrupted, it goes on; the daemon goes on, too, and the next start steps only what has come since."""
    daemon = Daemon(tmp_path / "street", broker.port, people.url)
    applied_since(daemon)
    daemon.start()
    assert daemon.stop() == 0
    unread(daemon.state)
    daemon.start()
    groups = stepped_again(daemon)
    line = [sys.executable, "-c", INTERRUPTED, str(daemon.config)]
    found = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert found.returncode == 130, found.stderr
    assert re.fullmatch(r"stopped at group 100 of \d+; the same command goes on\n", found.stdout), found.stdout
    told = re.findall(r"^group (\d+) of \d+; \d+ a second, about \d+ min left$", found.stderr, re.MULTILINE)
    assert told == ["50", "100"], found.stderr
    numbers = count(10_000)

    def seen() -> bool:
        broker.publish_all([crowd(1, 150, next(numbers))])
        return bool(daemon.overview()["cases"])

    wait_until(seen, 30, "the daemon sees the crowd")
    found = daemon.command("prepare")
    assert found.returncode == 0, found.stderr
    upto, stepped = map(int, re.findall(r"prepared up to group (\d+) \((\d+) stepped\)", found.stdout)[0])
    assert (stepped, upto > groups) == (upto - 100, True)
    cases = {case["id"] for case in daemon.overview()["cases"]}
    daemon.kill()
    assert (daemon.state / PREPARED).exists()
    daemon.start()
    assert stepped_again(daemon) < 100
    assert {case["id"] for case in daemon.overview()["cases"]} >= cases
    assert daemon.stop() == 0
    assert not (daemon.state / PREPARED).exists()
    found = daemon.command("prepare")
    assert (found.returncode, "nothing is to be prepared" in found.stdout) == (0, True)


def test_a_log_is_told_every_ten_seconds_how_far_it_is() -> None:
    """Without a terminal, as under systemd: a line for ten seconds of work, none before, and none for each look."""
    now, work, said = [0.0], SimpleNamespace(position=1000, end=100_000), list[str]()
    show = lines(cast("Preparation", work), said.append, lambda: now[0])
    for second in range(31):
        now[0], work.position = float(second), 1000 + 100 * second
        show(100 * second)
    assert said == [
        f"group {2000 + 1000 * number} of 100000; 100 a second, about {17 - (number > 1)} min left"
        for number in range(3)
    ]


def spoken_of(daemon: Daemon) -> list[Finding]:
    """What the doctor says of the saved state."""
    return [finding for finding in examine(daemon.config) if finding.subject == "saved state"]


@pytest.mark.parametrize("archive", RELEASED, ids=lambda path: f"{path.parts[-3]}-{path.name.removesuffix('.tar.xz')}")
def test_what_a_released_daemon_left_is_prepared_for(
    archive: Path, tmp_path: Path, broker: Mosquitto, people: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files stay its own until this version starts on them; then no case is forgotten."""
    daemon = Daemon(tmp_path / "street", broker.port, people.url, journal={"keep": "3650d"})
    with tarfile.open(archive) as packed:
        packed.extractall(daemon.state, filter="data")
    monkeypatch.setattr(restoring, "REACH", 10)
    (said,) = spoken_of(daemon)
    assert not said.ok
    assert re.search(r"run sensord prepare first \(about \d+ groups\)", said.detail)
    found = daemon.command("prepare")
    assert found.returncode == 0, found.stderr
    assert spoken_of(daemon) == []
    with closing(sqlite3.connect(daemon.state / "state.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        applied = database.execute("SELECT seq FROM position").fetchone()[0]
        cases = {row[0] for row in database.execute("SELECT id FROM cases WHERE closed_at = 0")}
    assert f"prepared up to group {applied} ({applied} stepped)" in found.stdout
    with running_screens(Mqtt(port=broker.port, alerts="t/alerts/{grid}")):
        daemon.start()
        assert stepped_again(daemon) == 0
        assert daemon.fact("state") is True
        assert cases <= {case["id"] for case in daemon.overview()["cases"]}
        assert daemon.stop() == 0


def test_a_refused_configuration_is_taken_as_a_start_takes_it(
    tmp_path: Path, broker: Mosquitto, people: Receiver
) -> None:
    """With a mistake in a rule the definition in force holds; without the site keys nothing is made."""
    daemon = Daemon(tmp_path / "street", broker.port, people.url)
    applied_since(daemon)
    daemon.start()
    assert daemon.stop() == 0
    unread(daemon.state)
    rules = daemon.directory / "rules" / "crowd.yaml"
    sound = rules.read_text(encoding="utf-8")
    rules.write_text(sound.replace("above: 1}", "abov: 1}"), encoding="utf-8")
    found = daemon.command("prepare")
    assert (found.returncode, "prepared up to" in found.stdout) == (0, True), found.stderr
    (daemon.state / PREPARED).unlink()
    rules.write_text(sound, encoding="utf-8")
    keys = daemon.state / "plate.keys"
    keys.write_text("torn", encoding="ascii")
    found = daemon.command("prepare")
    assert (found.returncode, "would know no vehicle" in found.stderr) == (3, True)
    assert not (daemon.state / PREPARED).exists()
    shutil.rmtree(daemon.state / "journal")
    keys.unlink()
    assert daemon.command("prepare").returncode != 0

"""The demonstration from end to end: broker, daemon, simulated street, receiver, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.small import eventually

ROOT = Path(__file__).resolve().parents[1]


class Performance:
    """A running demonstration; its output goes into a file, so it has no terminal."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._log = folder / "demo.log"
        temporary = folder / "tmp"
        temporary.mkdir()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "simulators.demo", "--language", "en", *options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(temporary), "COLUMNS": "100"},
            )

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8")

    def children(self) -> list[int]:
        """Return the process ids of what it has started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text(encoding="ascii").split()]

    def command(self, pid: int) -> str:
        """Return a child's command line."""
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()

    def left_over(self) -> list[Path]:
        """Return files of the demonstration that are still there."""
        return list((self._folder / "tmp").iterdir())


@pytest.fixture
def performances(tmp_path: Path) -> Iterator[list[Performance]]:
    """Whatever a test starts ends with it."""
    started: list[Performance] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(60)


def begin(performances: list[Performance], folder: Path, *options: str) -> Performance:
    """Start a demonstration."""
    performances.append(Performance(folder, *options))
    return performances[-1]


def gone(pid: int) -> bool:
    """Whether a process exists no more."""
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("broker", ["mosquitto", "amqtt"])
def test_the_story_of_a_crowd_in_one_lane(performances: list[Performance], tmp_path: Path, broker: str) -> None:
    """A crowd forms, only those who answer for the lane are told, it disperses, the case closes, all is cleaned up."""
    demo = begin(performances, tmp_path, "--speed", "4", "--broker", broker)
    assert demo.process.wait(150) == 0, demo.text
    text = demo.text
    assert "case opened  G01 Lane 99 Linfen Road passage 001" in text
    assert text.index("case opened") < text.index("told") < text.index("\nclosed") if "\nclosed" in text else True
    assert re.search(r"[1-9]\d* people were told \(.*\); 0 of them do not answer for this place", text)
    told = re.search(r"(\d+) of (\d+) were told that it is over", text)
    assert told is not None
    assert told[1] == told[2]
    assert "False alarms: 0" in text
    answers = re.findall(r"answer  (\S+)  (takes the case|is on the scene|reports that the crowd has gone)", text)
    assert [what for _, what in answers] == ["takes the case", "is on the scene", "reports that the crowd has gone"]
    silent = re.search(r"who did not answer: (.*)", text)
    assert silent is not None
    assert answers[0][0] not in silent[1].split(", ")
    receivers = set(re.findall(r"told  (\S+) \((?:cadre|volunteer)\)", text))
    assert receivers
    assert all("-G01-" in receiver for receiver in receivers)
    sent = re.search(r"(\d+) simulated messages were sent, (\d+) acknowledged", text)
    assert sent is not None
    assert sent[1] == sent[2]
    assert demo.left_over() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_everything(
    performances: list[Performance], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C or SIGTERM: the exit code is the usual one, no child lives on, no file is left."""
    demo = begin(performances, tmp_path)
    assert eventually(lambda: "daemon: http://" in demo.text, 60), demo.text
    children = demo.children()
    assert len(children) == 2
    demo.process.send_signal(number)
    assert demo.process.wait(60) == code, demo.text
    assert all(gone(pid) for pid in children)
    assert "Traceback" not in demo.text
    assert demo.left_over() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("name", "program"), [("sensord", "-m sensord run"), ("broker", "mosquitto")])
def test_a_part_that_dies_is_named(performances: list[Performance], tmp_path: Path, name: str, program: str) -> None:
    """A child that is killed ends the demonstration with exit code 1, its name and the end of its log."""
    demo = begin(performances, tmp_path)
    assert eventually(lambda: "daemon: http://" in demo.text, 60), demo.text
    children = demo.children()
    (victim,) = [pid for pid in children if program in demo.command(pid)]
    os.kill(victim, signal.SIGKILL)
    assert demo.process.wait(60) == 1, demo.text
    assert f"{name} has ended with exit code -9" in demo.text
    assert all(gone(pid) for pid in children)
    assert demo.left_over() == []


@pytest.mark.timeout(120)
def test_a_story_that_does_not_complete_is_a_failure(performances: list[Performance], tmp_path: Path) -> None:
    """When the time is up before the story is over, the exit code is 1 and the summary says so."""
    demo = begin(performances, tmp_path, "--duration", "3")
    assert demo.process.wait(90) == 1, demo.text
    assert "the story was not complete in time" in demo.text
    assert demo.left_over() == []


@pytest.mark.timeout(60)
def test_a_silence_that_nobody_would_notice_is_refused(performances: list[Performance], tmp_path: Path) -> None:
    """At a speed that makes the silence too short for the rule, the demonstration says so at once."""
    demo = begin(performances, tmp_path, "--scenario", "silent-sensor", "--speed", "4")
    assert demo.process.wait(60) == 2, demo.text
    assert "choose a smaller --speed" in demo.text

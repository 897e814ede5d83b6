"""The command line as a person types it: what is printed, in which language, and the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from tests.notify.receiver import Receiver
from tests.support import free_port, wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("run", "check", "doctor", "simulate", "replay", "acknowledge", "close", "cases", "dead-letters", "schema")


def sensord(*arguments: str | Path, language: str = "en") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sensord", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "SENSORD_LANGUAGE": language, "COLUMNS": "100"},
        check=False,
    )


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A copy of the configuration as it is shipped, with its state in the test's folder."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    config = tmp_path / "config" / "sensord.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("/var/lib/sensord", str(tmp_path / "state")), encoding="utf-8")
    return config


def test_help_names_every_command_and_the_exit_codes() -> None:
    """``--help`` says in both languages what there is and what an exit code means."""
    for language, word in (("en", "Exit codes"), ("zh", "退出码")):
        done = sensord("--help", language=language)
        assert done.returncode == 0
        assert all(f"  {command}" in done.stdout for command in COMMANDS)
        assert word in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_chinese(command: str) -> None:
    """Each command explains itself to an operator, whose default is Chinese."""
    done = sensord(command, "--help", language="zh")
    assert done.returncode == 0
    assert any("\u4e00" <= character <= "\u9fff" for character in done.stdout.partition("Options")[0])


def test_check_accepts_what_is_shipped(street: Path) -> None:
    """The shipped configuration is valid without a warning; the street has the numbers that it should have."""
    done = sensord("check", "--config", street)
    assert done.returncode == 0, done.stderr
    assert "0 warnings" in done.stdout
    assert done.stdout.startswith("valid: ")


def test_check_names_every_mistake_of_every_file(street: Path) -> None:
    """Mistakes in several files are all named with file:line:column, and the exit code is 3."""
    rules = street.parent.parent / "rules" / "crowd.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("yellow: {above", "yelow: {above"), encoding="utf-8")
    roster = street.parent / "roster.yaml"
    roster.write_text(roster.read_text(encoding="utf-8").replace("role: police", "role: polise", 1), encoding="utf-8")
    done = sensord("check", "--config", street)
    assert done.returncode == 3
    line = next(number for number, text in enumerate(rules.read_text("utf-8").splitlines(), 1) if "yelow" in text)
    assert f"crowd.yaml:{line}:7: error: unknown key 'yelow' (did you mean yellow?)" in done.stderr
    assert "roster.yaml:" in done.stderr
    assert "polise" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    """A wrong path or option is one clear text and exit code 2."""
    for arguments in (["check", "--config", "nowhere.yaml"], ["check", "--colour"], ["replay"]):
        done = sensord(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_run_refuses_a_second_daemon_and_a_wrong_configuration(broker: Mosquitto, tmp_path: Path, street: Path) -> None:
    """A second daemon on the same state ends with a clear text (1); a mistake in the configuration likewise (3)."""
    daemon = Daemon(tmp_path / "one", broker.port, "http://127.0.0.1:9")
    daemon.fresh = True
    daemon.start()
    try:
        second = daemon.command("run")
        assert second.returncode == 1
        last = second.stderr.strip().splitlines()[-1]
        assert str(daemon.state) in last
        assert "另一个 sensord" in last
        assert "Traceback" not in second.stderr
    finally:
        daemon.kill()
    street.write_text("site: [", encoding="utf-8")
    done = sensord("run", "--config", street)
    assert done.returncode == 3
    assert "sensord.yaml:2:1: error" in done.stderr


def test_doctor_tells_what_is_reachable(broker: Mosquitto, tmp_path: Path) -> None:
    """With broker and receiver up the doctor is content, the daemon running or not; it pages nobody."""
    with Receiver() as people:
        daemon = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify")
        daemon.fresh = True
        before = daemon.command("doctor")
        assert before.returncode == 0, before.stdout
        daemon.start()
        try:
            during = daemon.command("doctor")
        finally:
            daemon.kill()
        assert during.returncode == 0
        assert "✗" not in during.stdout
        assert during.stdout.count("✓") == before.stdout.count("✓") + 1, "the daemon was found"
        assert people.requests == []


def test_doctor_tells_what_is_not_reachable(tmp_path: Path) -> None:
    """Without broker, database and receiver each is named with its address, and the exit code is 4."""
    mqtt, influx, web = free_port(), free_port(), free_port()
    sinks = [{"type": "influxdb1", "name": "influx", "url": f"http://127.0.0.1:{influx}", "database": "x"}]
    daemon = Daemon(tmp_path / "sensord", mqtt, f"http://127.0.0.1:{web}/notify", sinks=sinks)
    done = daemon.command("doctor")
    assert done.returncode == 4
    bad = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert len(bad) == 3
    assert all(any(str(port) in line for line in bad) for port in (mqtt, influx, web))


def test_cases_and_dead_letters(broker: Mosquitto, tmp_path: Path) -> None:
    """An open case is listed, acknowledged and refused to close; a bad message is listed with its reason only."""
    with Receiver() as people:
        daemon = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify").start()
        try:
            assert len(daemon.command("cases").stdout.splitlines()) == 1
            broker.publish("t/C1/crowd/crowd-1", b'{"count": "secret"}')
            # One reading a second makes windows of four; numbered, so that none is taken for a repetition.
            for seq in range(200):
                broker.publish(*crowd(1, 150, seq))
                if daemon.overview()["cases"]:
                    break
            wait_until(lambda: daemon.overview()["cases"], 20, "a case is open")
            name = daemon.overview()["cases"][0]["id"]
            assert name in daemon.command("cases").stdout
            assert daemon.command("acknowledge", name, "--by", "居委干部-1").returncode == 0
            unknown = daemon.command("acknowledge", "no-such-case", "--by", "居委干部-1")
            assert unknown.returncode == 1
            assert "no-such-case" in unknown.stderr
            letters = daemon.command("dead-letters").stdout
            assert "t/C1/crowd/crowd-1" in letters
            assert "wrong_shape" in letters
            assert "secret" not in letters
        finally:
            daemon.kill()


def test_schema_prints_each_schema() -> None:
    """Without a name the names are listed; with one, that schema is printed; an unknown one is refused."""
    names = sensord("schema").stdout.split()
    assert {"rules", "places", "roster", "dispatch", "sensord"} <= set(names)
    shown = json.loads(sensord("schema", "rules").stdout)
    assert shown["$schema"].startswith("https://json-schema.org/")
    for name in names:  # in this process: to start another takes longer than to make a schema
        assert json.loads(CliRunner().invoke(cli, ["schema", name]).stdout)["$schema"] == shown["$schema"]
    assert sensord("schema", "weather").returncode == 2


def test_generate_writes_a_street_that_is_valid(street: Path, tmp_path: Path) -> None:
    """Another street is written, passes the check, and is never overwritten."""
    arguments = ("--blocks", "2", "--grids", "6", "--micro-grids", "30", "--compounds", "10", "--gates", "14")
    folder = tmp_path / "other"
    assert sensord("generate", folder, *arguments).returncode == 0
    for name in ("places.yaml", "roster.yaml"):
        shutil.copy(folder / name, street.parent / name)
    done = sensord("check", "--config", street)
    assert done.returncode == 0, done.stderr
    assert sensord("generate", folder, *arguments).returncode == 2


def test_a_command_without_a_daemon_says_so(street: Path) -> None:
    """Commands that need the daemon say in one line that it does not answer."""
    done = sensord("cases", "--config", street)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


FAILING = """
import sys, structlog
from sensord import cli

@cli.cli.command()
def fail():
    plate, lines = "沪A·12345", ["one"]
    try:
        lines[len(plate)]
    except IndexError:
        structlog.get_logger("test").exception("a file is damaged", path="/x")
    structlog.get_logger("test").info("a detail")
    print("the answer")

sys.argv = ["sensord", "fail"]
cli.main()
"""


def test_what_a_command_logs_is_kept_apart_from_its_answer() -> None:
    """On standard error, from warnings on, as a plain traceback: the values of variables may be plates."""
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "the answer\n"
    assert "a file is damaged" in done.stderr
    assert "IndexError" in done.stderr
    assert "a detail" not in done.stderr
    assert "12345" not in done.stderr

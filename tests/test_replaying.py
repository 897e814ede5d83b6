"""Replaying: interrupted and continued it gives the same bytes; what it prints is what was decided."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.commands.replaying import Resumable
from sensord.config.load import load
from sensord.core.instant import SECOND
from sensord.core.intake.topic import Route, all_routes
from sensord.core.place import Places
from sensord.core.stream import Stream
from sensord.errors import SnapshotError
from sensord.recordings.recording import GROUP_RECORDS
from sensord.recordings.writer import write
from sensord.source import Source
from tests.core.street import START
from tests.recordings.parts import decisions, journal
from tests.support import wait_until

CONFIG = "config/sensord.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in both forms."""
    path = tmp_path_factory.mktemp("replaying") / "whole"
    records = [record for seed in (1, 2) for record in journal(seed)]
    records.sort(key=lambda record: record.received_at)
    write(path, records, records[-1].received_at + 60 * SECOND, readings=True)
    return path


@pytest.mark.parametrize("raw", [True, False])
def test_stop_and_resume(folder: Path, tmp_path: Path, raw: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after every single piece and continued each time, the file is the same as in one go."""
    monkeypatch.setattr("sensord.recordings.recording.GROUP_RECORDS", 60)
    opened = Source(folder, raw=raw).open()
    output, state = tmp_path / "out.jsonl", tmp_path / "state"
    turns = 0
    while not Resumable(opened, output, state).run(lambda: True):
        turns += 1
        with output.open("ab") as file:
            file.write(b"half a line that a crash left")
    assert turns > 3
    assert not state.exists()
    assert output.read_bytes() == decisions(opened.recorded())


def test_a_foreign_state_is_refused(folder: Path, tmp_path: Path) -> None:
    """A progress file that is none is not taken for a beginning."""
    (tmp_path / "state").write_bytes(b"{}")
    with pytest.raises(SnapshotError, match="remove it to begin anew"):
        Resumable(Source(folder).open(), tmp_path / "out", tmp_path / "state").run()


@pytest.mark.parametrize("show", ["alerts", "cases", "notifications"])
def test_the_tables(folder: Path, show: str) -> None:
    """Each table has rows, and the summary counts the readings."""
    result = CliRunner().invoke(cli, ["replay", str(folder), "--show", show, "--limit", "5"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert result.output.count("2023-11-15 ") == 5
    assert "readings/s" in result.output or "条读数" in result.output


def test_json_is_the_same_in_every_run(folder: Path, tmp_path: Path) -> None:
    """Two runs write the same bytes; readings and raw messages, too."""
    texts = []
    for number, more in enumerate(([], [], ["--raw"])):
        path = tmp_path / f"{number}.jsonl"
        command = ["replay", str(folder), "--format", "json", "--output", str(path), *more]
        assert CliRunner().invoke(cli, command).exit_code == 0
        texts.append(path.read_bytes())
    assert texts[0] == texts[1] == texts[2] == decisions(Source(folder).open().recorded())


def test_the_commands_on_recordings(folder: Path, tmp_path: Path) -> None:
    """Cut, merge, anonymise and info work from the command line."""
    run = CliRunner()
    parts = []
    for name, bounds in (("a", ["--to", "2023-11-15T06:16:00"]), ("b", ["--from", "2023-11-15T06:16:00"])):
        parts.append(str(tmp_path / name))
        done = run.invoke(cli, ["recording", "cut", str(folder), parts[-1], *bounds])
        assert done.exit_code == 0, done.output
    assert run.invoke(cli, ["recording", "merge", *parts, str(tmp_path / "c")]).exit_code == 0
    assert run.invoke(cli, ["recording", "anonymise", str(tmp_path / "c"), str(tmp_path / "d")]).exit_code == 0
    text = run.invoke(cli, ["recording", "info", str(tmp_path / "d")], env={"SENSORD_LANGUAGE": "en"}).output
    told = run.invoke(cli, ["recording", "info", str(folder)], env={"SENSORD_LANGUAGE": "en"}).output
    count = next(line for line in told.splitlines() if "message/crowd" in line)
    assert (
        count.split("  ")[2:4] == next(line for line in text.splitlines() if "message/crowd" in line).split("  ")[2:4]
    )
    faults = tmp_path / "faults.yaml"
    faults.write_text("faults:\n  - {kind: outage, devices: all, start: 1m}\n", "utf-8")
    done = run.invoke(cli, ["recording", "cut", str(folder), str(tmp_path / "e"), "--faults", str(faults)])
    assert done.exit_code == 0, done.output
    assert "faults.yaml" in run.invoke(cli, ["recording", "info", str(tmp_path / "e")]).output


def long_file(path: Path) -> None:
    """A sensor that is crowded every other minute; many times more than a replay takes at once."""
    topic = next(text for text, route in _routes().items() if route.stream is Stream.CROWD)
    lines = []
    for number in range(4 * GROUP_RECORDS):
        count = 400 if number // 400 % 2 else 1
        body = {"received_at_ns": START + number * SECOND // 10, "topic": topic, "payload": f'{{"count": {count}}}'}
        lines.append(json.dumps(body) + "\n")
    path.write_text("".join(lines), "utf-8")


def _routes() -> dict[str, Route]:
    whole = load(Path(CONFIG)).definition
    return all_routes(whole, Places(whole.places, whole.devices))


def test_ctrl_c_stops_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Interrupted by a signal in the middle and started again, the file is that of an unbroken run."""
    source, output, state, whole = (tmp_path / name for name in ("source.jsonl", "out", "state", "whole"))
    long_file(source)
    command = [sys.executable, "-m", "sensord", "replay", str(source), "--config", CONFIG, "--format", "json"]
    resumable = [*command, "--output", str(output), "--state", str(state)]
    with subprocess.Popen(resumable, stderr=subprocess.PIPE) as process:
        wait_until(lambda: output.exists() and output.stat().st_size > 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert state.exists()
    stopped = output.stat().st_size
    for done in (resumable, [*command, "--output", str(whole)]):
        assert subprocess.run(done, check=False, timeout=60).returncode == 0
    assert output.read_bytes() == whole.read_bytes()
    assert 0 < stopped < whole.stat().st_size
    assert not state.exists()

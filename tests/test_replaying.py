"""Replaying: interrupted and continued it gives the same bytes; what it prints is what was decided."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns

import msgspec
import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.commands.resuming import Resumable
from sensord.config.load import load
from sensord.core.cases.caseflow import Flow
from sensord.core.instant import SECOND
from sensord.core.intake.topic import Route, all_routes
from sensord.core.record import Group, Record, RecordKind
from sensord.core.stream import Stream
from sensord.errors import SnapshotError
from sensord.recordings.recording import GROUP_RECORDS, open_recording
from sensord.recordings.writer import write
from sensord.source import Source
from tests.backtest.parts import recording
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


SHOT = """
import os, signal, sys
from sensord.cli import cli
from sensord.commands import resuming
from sensord.recordings import recording
recording.GROUP_RECORDS, resuming._SAVE_EVERY, left = 10, -1.0, int(sys.argv[2])
def shot(function):
    def called(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return called
module = resuming if sys.argv[1] == "replay" else os
setattr(module, sys.argv[1], shot(getattr(module, sys.argv[1])))
cli(sys.argv[3:])
"""
"""The command line, which shoots itself when it calls a function for the n-th time; it saves after every piece."""


def test_sigkill_at_any_moment_costs_no_byte(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a piece, before and between what brings output and progress onto the disk; at last it goes through."""
    monkeypatch.setattr("sensord.recordings.recording.GROUP_RECORDS", 10)
    output, state = tmp_path / "out.jsonl", tmp_path / "state"
    command = ["replay", str(folder), "--raw", "--format", "json", "--output", str(output), "--state", str(state)]
    for function, number in (("replay", 3), ("fsync", 4), ("fsync", 2), ("replace", 2), ("replace", 1), ("replay", 9)):
        process = subprocess.run([sys.executable, "-c", SHOT, function, str(number), *command], check=False, timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert state.exists()
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert output.read_bytes() == decisions(Source(folder, raw=True).open().recorded())


@pytest.mark.parametrize("raw", [True, False])
def test_stop_and_resume(folder: Path, tmp_path: Path, raw: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after every single piece and continued each time, the file is the same as in one go."""
    monkeypatch.setattr("sensord.recordings.recording.GROUP_RECORDS", 60)
    source = Source(folder, raw=raw)
    opened = source.open()
    output, state = tmp_path / "out.jsonl", tmp_path / "state"
    turns = 0
    while not Resumable(source, opened, output, state).run(lambda: True):
        turns += 1
        with output.open("ab") as file:
            file.write(b"half a line that a crash left")
    assert turns > 3
    assert not state.exists()
    assert output.read_bytes() == decisions(opened.recorded())


def test_a_foreign_state_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress file that is none is not taken for a beginning."""
    (tmp_path / "state").write_bytes(b"{}")
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    with pytest.raises(SnapshotError, match="remove it to begin anew"):
        Resumable(Source(folder), Source(folder).open(), tmp_path / "out", tmp_path / "state").run()


MIDDLE = "2023-11-15T06:16:00"
REFUSALS = {
    "another recording": "another recording",
    "a recording that changed": "another recording",
    "another stretch": "--from, --to or --raw",
    "other rules": "rules or configuration",
    "another configuration": "rules or configuration",
    "a shorter output": "does not begin with the",
    "another output": "does not begin with the",
    "no output": "is gone",
}


@pytest.mark.parametrize("change", REFUSALS)
def test_it_goes_on_only_with_what_it_was_begun_with(
    folder: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another source, stretch, rule set or output is refused in words; nothing is written, and the old way goes on."""
    monkeypatch.setattr("sensord.recordings.recording.GROUP_RECORDS", 60)
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    output, state, lines = (tmp_path / name for name in ("out.jsonl", "state", "lines.jsonl"))
    messages = list(Source(folder, raw=True).open().messages())
    bodies = [{"received_at_ns": one.received_at, "topic": one.topic, "payload": one.payload.decode("latin-1")}
              for one in messages[:600]]  # fmt: skip
    lines.write_text("".join(json.dumps(body) + "\n" for body in bodies), "utf-8")
    config, rules = Path(CONFIG), tmp_path / "rules"
    copytree("rules", rules)
    source = Source(lines, config=config, rules=rules)

    def resumed(source: Source, start: int = 0) -> Resumable:
        return Resumable(source, source.open(), output, state, start)

    turns = (stop for stop in (False, False, True))
    assert not resumed(source).run(lambda: next(turns))
    kept = output.read_bytes()
    assert kept
    start, other = 0, source
    match change:
        case "another recording":
            other = Source(folder, raw=True, config=config, rules=rules)
        case "a recording that changed":
            lines.write_text(lines.read_text("utf-8") + json.dumps(bodies[-1]) + "\n", "utf-8")
        case "another stretch":
            start = messages[1].received_at
        case "other rules":
            rule = next(path for path in sorted(rules.rglob("*.yaml")) if "every: 10s" in path.read_text("utf-8"))
            rule.write_text(rule.read_text("utf-8").replace("every: 10s", "every: 20s"), "utf-8")
        case "another configuration":
            other = Source(lines, config=_with_another_zone(tmp_path), rules=rules)
        case "a shorter output":
            output.write_bytes(kept[:-1])
        case "another output":
            output.write_bytes(bytes(len(kept)))
        case "no output":
            output.unlink()
    changed = output.read_bytes() if output.exists() else None
    with pytest.raises(SnapshotError, match=REFUSALS[change]):
        resumed(other, start).run()
    assert (output.read_bytes() if output.exists() else None) == changed
    assert state.exists()


def _with_another_zone(folder: Path) -> Path:
    copytree("config", folder / "config", ignore=ignore_patterns("examples"))
    path = folder / "config" / "sensord.yaml"
    text = path.read_text("utf-8")
    assert "Asia/Shanghai" in text
    path.write_text(text.replace("Asia/Shanghai", "Asia/Urumqi"), "utf-8")
    return path


def test_a_stretch_begins_with_what_was_in_force(tmp_path: Path) -> None:
    """Cut right before an action, the definition comes first; raw messages and readings decide the same bytes."""
    records = [
        msgspec.structs.replace(one, received_at=one.received_at + (one.kind == RecordKind.ACTION))
        for one in open_recording(recording(tmp_path / "as-it-was") / "recording").records()
    ]
    write(tmp_path / "cut", records, records[-1].received_at + 60 * SECOND, readings=True)
    starts = [one.received_at for one in records if one.kind == RecordKind.ACTION]
    assert len(starts) > 3
    for start in starts[:: len(starts) // 3]:
        first, decided = list[Record](), list[bytes]()
        for raw in (True, False):
            opened = Source(tmp_path / "cut", raw=raw).open()
            begin = next(opened.recorded(start))
            assert isinstance(begin, Group)
            first.append(begin.records[0])
            decided.append(decisions(opened.recorded(start)))
        assert first[0] == first[1]
        assert first[0].kind == RecordKind.DEFINITION
        assert decided[0] == decided[1]
    assert decided[0]


def test_a_stretch_can_be_resumed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--state`` minds ``--from`` and ``--to``, from the command line too."""
    run, texts = CliRunner(), []
    for number, more in enumerate(([], ["--state", str(tmp_path / "state")])):
        path = tmp_path / f"{number}.jsonl"
        command = ["replay", str(folder), "--format", "json", "--output", str(path), "--from", MIDDLE]
        assert run.invoke(cli, [*command, *more]).exit_code == 0
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]
    assert 0 < len(texts[0]) < len(decisions(Source(folder).open().recorded()))


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ("--who --format json --output FILE", "--output, --format"),
        ("--who --show cases", "--show"),
        ("--format table --output FILE", "--output"),
        ("--format json --show cases --limit 3", "--show, --limit"),
        ("--publish --config CONFIG --format json --output FILE --state FILE", "--format, --output, --state"),
        ("--state FILE --format json --output FILE --who", "--who"),
        ("--state FILE --format json --output FILE --processes 2", "--processes"),
        ("--speed 3", "--speed"),
    ],
)
def test_an_option_without_effect_is_refused(folder: Path, tmp_path: Path, options: str, idle: str) -> None:
    """What would do nothing is said, in both languages, and no file appears."""
    words = [{"FILE": str(tmp_path / "file"), "CONFIG": CONFIG}.get(word, word) for word in options.split()]
    for tongue, text in (("en", "cannot be combined with"), ("zh", "不能同用")):
        done = CliRunner().invoke(cli, ["replay", str(folder), *words], env={"SENSORD_LANGUAGE": tongue})
        assert done.exit_code == 2
        assert text in done.output
        assert all(option in done.output for option in idle.split(", "))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("in_service")
def test_what_cannot_be_handled_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay goes on, as the daemon did, and nobody takes it for a whole one."""

    def mistaken(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(Flow, "raised", mistaken)
    result = CliRunner().invoke(cli, ["replay", str(folder), "--limit", "1"], env={"SENSORD_LANGUAGE": "en"})
    assert result.exit_code == 0
    assert "could not be handled: KeyError" in result.stderr
    assert "in mistaken" in result.stderr


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


def _routes() -> Mapping[str, Route]:
    return all_routes(load(Path(CONFIG)).definition)


def test_ctrl_c_stops_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Interrupted by a signal in the middle and started again, the file is that of an unbroken run."""
    source, output, state, whole = (tmp_path / name for name in ("source.jsonl", "out", "state", "whole"))
    long_file(source)
    command = [sys.executable, "-m", "sensord", "replay", str(source), "--config", CONFIG, "--format", "json"]
    resumable = [*command, "--output", str(output), "--state", str(state)]
    with subprocess.Popen(resumable, stderr=subprocess.PIPE) as process:
        wait_until(lambda: output.exists() and output.stat().st_size > 0, 60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert state.exists()
    stopped = output.stat().st_size
    for done in (resumable, [*command, "--output", str(whole)]):
        assert subprocess.run(done, check=False, timeout=60).returncode == 0
    assert output.read_bytes() == whole.read_bytes()
    assert 0 < stopped < whole.stat().st_size
    assert not state.exists()

"""Two processes for one replay: the same bytes as one, the same errors, and nobody is left behind."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.ahead import read_ahead
from sensord.backtest.page import replayed
from sensord.backtest.run import Setup
from sensord.cli import cli
from sensord.core.instant import SECOND
from sensord.core.record import Record
from sensord.core.site import Site
from sensord.drivers.replay import prepare, replay
from sensord.errors import ConfigError, UnavailableError
from sensord.recordings.writer import write
from sensord.source import Source
from tests.backtest.parts import RULES
from tests.recordings.parts import decisions, journal

CONFIG = Path(__file__).resolve().parents[1] / "config" / "sensord.yaml"


def records() -> list[Record]:
    """Readings of every kind, actions, a trouble of the daemon itself, and a definition in the middle."""
    both = [record for seed in (1, 2) for record in journal(seed)]
    return sorted(both, key=lambda record: record.received_at)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in both forms."""
    path = tmp_path_factory.mktemp("ahead") / "whole"
    write(path, records(), records()[-1].received_at + 60 * SECOND, readings=True)
    return path


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("size", [1, 60, 10_000])
def test_what_is_prepared_decides_the_same(folder: Path, raw: bool, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is cut, what one site has decoded another decides on as if it had read it itself."""
    monkeypatch.setattr("sensord.recordings.recording.GROUP_RECORDS", size)
    opened = Source(folder, raw=raw).open()
    prepared = prepare(opened.recorded(), Site(), opened.override)
    assert b"".join(step.decisions() for step in replay(prepared, Site())) == decisions(opened.recorded())


def test_two_processes_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """From the command line, a stretch of it and under other rules."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, "utf-8")
    texts = []
    for number in ("1", "2"):
        path = tmp_path / number
        more = ["--raw", "--rules", str(rules), "--from", "2023-11-15T06:16:00", "--processes", number]
        done = CliRunner().invoke(cli, ["replay", str(folder), "--format", "json", "--output", str(path), *more])
        assert done.exit_code == 0, done.output
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].count(b'"rule":"crowd"') > 5
    assert not multiprocessing.active_children()


def test_the_outcome_for_a_page_is_the_same(folder: Path) -> None:
    """What the page of a replay is made of, too."""
    outcomes = [replayed(Setup.of(Source(folder), processes=number)) for number in (1, 2)]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].readings > 100


def test_what_is_wrong_in_the_other_process_is_said_here(tmp_path: Path) -> None:
    """A damaged line is named with its file and line; the replay ends there."""
    path = tmp_path / "messages.jsonl"
    path.write_text('{"received_at_ns": 1, "topic": "t", "payload": "{}"}\nno line\n', "utf-8")
    with pytest.raises(ConfigError, match=r"messages.jsonl:2:1: error: not a recorded message") as caught:
        list(read_ahead(Source(path, config=CONFIG)))
    assert caught.value.problems[0].line == 2
    assert not multiprocessing.active_children()


def test_a_process_that_is_gone_is_noticed(folder: Path) -> None:
    """Killed in the middle, it is not waited for; nor is half a replay taken for a whole."""
    pieces = read_ahead(Source(folder, raw=True))
    next(pieces)
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(UnavailableError, match="--processes 1"):
        list(pieces)


def test_whoever_stops_listening_ends_it(folder: Path) -> None:
    """A replay that is given up leaves no process behind."""
    pieces = read_ahead(Source(folder, raw=True))
    next(pieces)
    pieces.close()
    assert not multiprocessing.active_children()

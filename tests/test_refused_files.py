"""A mistake in a rule file is the daemon's trouble, and goes on under the rules in force: every other command works."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sensord.cli import cli
from sensord.config.load import load
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.errors import ConfigError, UnavailableError
from sensord.store.journal import Journal
from sensord.store.state import StateStore
from tests.support import free_port
from tests.support.daemon import Daemon, crowd


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """A street whose definition and one reading are in the journal, and whose rule file has a mistake since."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    made = Daemon(tmp_path / "sensord", free_port(), f"http://127.0.0.1:{free_port()}")
    now = time.time_ns()
    message = Record(RecordKind.MESSAGE, now, *crowd(1, 30, 0))
    with closing(StateStore(made.state)), closing(Journal(made.state / "journal")) as journal:
        journal.append([definition_record(load(made.config).definition, now)])
        journal.append([message])
    rules = made.directory / "rules" / "crowd.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("above: 1}", "abov: 1}"), encoding="utf-8")
    with pytest.raises(ConfigError):
        load(made.config)
    return made


def ran(daemon: Daemon, *arguments: str) -> Result:
    """What became of a command."""
    return CliRunner().invoke(cli, [*arguments, "--config", str(daemon.config)])


@pytest.mark.parametrize(
    "command",
    [
        "token list",
        "token revoke x",
        "audit verify",
        "dead-letters",
        "explain --rule crowding --key L1",
        "report daily",
        "report vehicles",
        "list responsibilities",
    ],
)
def test_what_asks_the_stores_answers(daemon: Daemon, command: str) -> None:
    """By the settings alone, or by the definition in force."""
    found = ran(daemon, *command.split())
    assert not isinstance(found.exception, ConfigError), found.exception
    assert found.exit_code == (2 if "revoke" in command else 0), (found.output, found.exception)


@pytest.mark.parametrize(
    "command",
    [
        "cases",
        "acknowledge G1 --by x",
        "close G1 --by x",
        "silence --place L1 --for 10m --note x",
        "unsilence x",
        "reload",
    ],
)
def test_what_asks_the_daemon_asks_it(daemon: Daemon, command: str) -> None:
    """It does not run here, and that is all that is said."""
    assert isinstance(ran(daemon, *command.split()).exception, UnavailableError)


def test_a_backup_is_taken_and_put_back(daemon: Daemon) -> None:
    """When a box dies, nobody has to mend a rule first."""
    assert ran(daemon, "backup", str(daemon.directory / "kept")).exit_code == 0
    daemon.state.rename(daemon.directory / "away")
    assert ran(daemon, "restore", str(daemon.directory / "kept")).exit_code == 0
    assert (daemon.state / "state.db").exists()


def test_the_doctor_names_the_mistake_and_goes_on(daemon: Daemon) -> None:
    """With its place; what it looks at otherwise is looked at all the same."""
    said = ran(daemon, "doctor").output
    assert "✗ configuration: " in said
    assert "crowd.yaml:11:16" in said
    assert "state directory" in said
    assert "✗ channel people" in said

"""The commands about the registers: what was done to them is said, and what is in them is only shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.ports import Change
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from tests.config.rejection import STREET


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def config(tmp_path: Path, state: Path) -> Path:
    """The small street with that state directory."""
    path = shutil.copytree(STREET, tmp_path / "street") / "sensord.yaml"
    path.write_text(path.read_text(encoding="utf-8") + f"state_dir: {state}\n", encoding="utf-8")
    return path


def run(*arguments: str) -> str:
    """Run a command and return what it prints; it must succeed."""
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_reason_forges_no_line_of_the_list(config: Path, state: Path) -> None:
    """What is in a reason or a name stays in its column: no second line, no other columns, nothing for the terminal."""
    forged = "x\n2  2026-11-30T05:00:01+08:00  派出所-02  " + "1" * 16 + "  reveal  协查\x1b[2K\u202e\u2028\t."
    AccessLog(state).append(at="-", by="a  b", reason=forged, vehicle="0" * 16, via="refused")
    AuditLog(state).append(Change("-", "a\nb", "admin", "reload", 0, {"to": "\x1b[1A"}))
    said = run("audit", "list", "--config", str(config))
    assert said.count("\n") == 1
    assert [len(said.split("  ")), said.split("  ")[2]] == [7, "a b"]
    assert not {*"\x1b\u202e\u2028\t"} & {*said}
    assert (r"x\n2 2026-11-30" in said, r"协查\x1b[2K" in said) == (True, True)
    assert run("audit", "changes", "--config", str(config)) == "1  -  a\\nb  admin  reload  to=\\x1b[1A\n"


def test_a_line_that_a_crash_left_is_said_and_is_no_damage(
    config: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain is intact, and what stands behind it never counted."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    AccessLog(state).append(at="-", by="-", reason="-", vehicle="0" * 16, via="reveal")
    with (state / "access.log").open("ab") as file:
        file.write(b'{"number":2,"at":"20')
    said = run("audit", "verify", "--config", str(config))
    assert ("intact: 1 accesses" in said, "access.log: after it a crash left a line" in said) == (True, True)

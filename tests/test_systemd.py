"""The shipped systemd units: what systemd thinks of them, and whether they fit the daemon that they start.

And the installation documents: both languages give the same commands.
"""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from sensord.bulkheads import THREADS
from sensord.cli import cli
from sensord.config.lint import MOST_WAYS
from tests.support import program

ROOT = Path(__file__).resolve().parents[1]
UNITS = [ROOT / "systemd/sensord.service", ROOT / "systemd/sensord-simulator.service"]
MOST_EXPOSED = 1.2
PROGRAM = "/opt/sensord/venv/bin/sensord"
_EXPOSURE = re.compile(r"Overall exposure level for \S+: ([0-9.]+) ")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; it needs no running systemd for what we ask."""
    line = [program("systemd-analyze"), "--no-pager", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def settings(unit: Path, section: str = "Service") -> dict[str, str]:
    """The settings of a section; of one that is given several times, the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's documentation says
    parser.read_string(unit.read_text(encoding="utf-8"))
    return dict(parser[section])


def complaints(unit: Path) -> list[str]:
    """What systemd has against a unit, apart from its program, which is not installed here."""
    said = analyze("verify", "--man=no", str(unit)).stderr.splitlines()
    return [line for line in said if unit.name in line and f"Command {PROGRAM} is not executable" not in line]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_exposure(unit: Path) -> None:
    """The daemon, and the simulator too, are locked in as far as their work allows."""
    found = _EXPOSURE.search(analyze("security", "--offline=true", str(unit)).stdout)
    assert found is not None, "systemd-analyze gave no number"
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line(unit: Path) -> None:
    """No option is misspelt, in the wrong section, or has a value that systemd ignores."""
    assert complaints(unit) == []


def test_a_misspelt_option_would_be_found(tmp_path: Path) -> None:
    """The check above is not blind: systemd names an option that it does not know."""
    broken = tmp_path / UNITS[0].name
    broken.write_text(UNITS[0].read_text("utf-8").replace("NoNewPrivileges=", "NoNewPrivilege="), encoding="utf-8")
    assert any("NoNewPrivilege" in line for line in complaints(broken))


@pytest.mark.parametrize(
    ("unit", "name", "expected"),
    [
        (UNITS[0], "run", {"config": "/etc/sensord/sensord.yaml"}),
        (UNITS[1], "simulate", {"config": "/etc/sensord/simulator.yaml", "scenario": "everyday"}),
    ],
    ids=["sensord", "sensord-simulator"],
)
def test_command_line_is_accepted(
    unit: Path, name: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command line takes the arguments of ``ExecStart=``; only the files are not looked for."""
    called, command_name, *arguments = shlex.split(settings(unit)["ExecStart"])
    assert (called, command_name) == (PROGRAM, name)
    command = cli.commands[command_name]
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter, "type", click.Path(path_type=Path))  # one that does not ask for existence
    context = command.make_context(command_name, arguments)
    assert {key: str(context.params[key]) for key in expected} == expected


def test_unit_and_configuration_name_the_same_state_directory() -> None:
    """The unit makes the directory that ``sensord.yaml`` writes to; everything else is read-only."""
    shipped = yaml.safe_load((ROOT / "config/sensord.yaml").read_text(encoding="utf-8"))
    unit = settings(UNITS[0])
    assert shipped["state_dir"] == f"/var/lib/{unit['StateDirectory']}"
    assert (unit["StateDirectoryMode"], unit["ProtectSystem"]) == ("0700", "strict")


def test_of_the_configuration_only_the_rules_can_be_written() -> None:
    """They change over the REST API: the unit opens their folder, as the documents install it, and nothing else."""
    (opened,) = settings(UNITS[0])["ReadWritePaths"].split()
    made = re.search(r"install -d -m 0770 -g sensord (\S+)", (ROOT / "docs/install.md").read_text(encoding="utf-8"))
    assert made is not None
    assert opened == f"-{made[1]}"


def test_nothing_is_left_lying_about() -> None:
    """No core dump, which would hold plates and keys; and no file that others can read, whatever makes it."""
    unit = settings(UNITS[0])
    assert (unit["LimitCORE"], unit["UMask"], unit["NoNewPrivileges"], unit["PrivateTmp"]) == (
        "0",
        "0077",
        "yes",
        "yes",
    )


def test_as_many_channels_as_are_not_warned_of_fit_into_the_unit() -> None:
    """Each channel or sink and its worker have their threads, and enough are left for everything else."""
    assert int(settings(UNITS[0])["TasksMax"]) >= 2 * THREADS * MOST_WAYS + 200
    assert 2 * THREADS == 8, "as sensord check says"


def test_the_daemon_is_started_again_for_ever() -> None:
    """No end of crashes makes systemd give up, and a daemon that hangs is found by the watchdog."""
    unit = settings(UNITS[0])
    assert settings(UNITS[0], "Unit")["StartLimitIntervalSec"] == "0"
    assert (unit["Type"], unit["NotifyAccess"], unit["Restart"], unit["WatchdogSec"]) == (
        "notify",
        "main",
        "always",
        "60",
    )


def test_credentials_are_those_that_the_configuration_names() -> None:
    """Each ``LoadCredential=`` line, commented or not, has a name that ``sensord.yaml`` uses."""
    named = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/([a-z-]+)", (ROOT / "config/sensord.yaml").read_text("utf-8")))
    line = r"^#?LoadCredential=([^:]+):/etc/sensord/secrets/(\S+)$"
    loaded = re.findall(line, UNITS[0].read_text("utf-8"), re.MULTILINE)
    assert len(loaded) == 4
    assert all(name == file and name in named for name, file in loaded)


def test_installation_documents_give_the_same_commands() -> None:
    """Whoever follows the Chinese text types the same as whoever follows the English one."""
    commands = [
        re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / name).read_text("utf-8"), re.DOTALL | re.MULTILINE)
        for name in ("install.md", "install.zh-CN.md")
    ]
    assert commands[0]
    assert commands[0] == commands[1]

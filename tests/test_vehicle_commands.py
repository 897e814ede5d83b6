"""The commands about vehicles, on a state directory of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.config.load import Loaded, load, with_keys
from sensord.config.platekeys import load_keys
from sensord.core.instant import HOUR
from sensord.core.site import Site, Step
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.tally import PassageCount
from sensord.store.state import StateStore
from tests.config.rejection import STREET
from tests.core.traffic import MONDAY


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small street with a state directory and a site key."""
    folder = shutil.copytree(STREET, tmp_path / "street")
    path = folder / "sensord.yaml"
    extra = f"state_dir: {tmp_path / 'state'}\n"
    path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
    (tmp_path / "state").mkdir()
    with_keys(load(path), MONDAY)
    return path


def counted(config: Path) -> Loaded:
    """Write some passages of Monday into the state."""
    loaded = load(config)
    gate = next(place.id for place in loaded.definition.places if place.kind == "gate")
    store = StateStore(loaded.resolve(loaded.settings.state_dir))
    passages = [PassageCount(MONDAY + 9 * HOUR, gate, "in", "out_of_town", "苏", "fuel", 42)]
    store.apply(Step(1, MONDAY + 10 * HOUR, passages=passages))
    store.close()
    return loaded


def run(*arguments: str, text: str | None = None) -> str:
    """Run a command and return what it prints; it must succeed."""
    done = CliRunner().invoke(cli, arguments, input=text, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("form", ["md", "html", "csv", "json"])
def test_the_report_is_printed_or_written(config: Path, tmp_path: Path, form: str) -> None:
    """In every form, in Chinese or English, to the terminal or into a file."""
    counted(config)
    asked = ("report", "vehicles", "--config", str(config), "--day", "2025-11-24", "--format", form)
    assert "42" in run(*asked)
    run(*asked, "--language", "en", "--output", str(tmp_path / "report"))
    assert "42" in (tmp_path / "report").read_text(encoding="utf-8")
    assert CliRunner().invoke(cli, [*asked[:-2], "--day", "yesterday"]).exit_code == 2


def test_a_key_is_rotated_by_command(config: Path, tmp_path: Path) -> None:
    """The new key stands after the old one, and the configuration loads with both."""
    path = tmp_path / "state" / "plate.keys"
    assert "k2" in run("plate-key", str(path), "--since", "2027-01-01T00:00:00+08:00")
    assert [key.id for key in load(config).definition.plate_keys] == ["k1", "k2"]
    assert CliRunner().invoke(cli, ["plate-key", str(path), "--since", "soon"]).exit_code == 2


def test_a_pseudonym_is_made_without_showing_the_plate(config: Path, tmp_path: Path) -> None:
    """What is typed is not echoed; what is printed is the vehicle's pseudonym."""
    said = run("pseudonym", "--config", str(config), text="沪A·12345\n")
    ring = load_keys(tmp_path / "state" / "plate.keys")
    assert word(Pseudonymiser(ring.keys, 0, ring.secrets).identify("沪A12345", MONDAY).token) in said
    assert "12345" not in said


def test_a_site_is_what_the_configuration_says(config: Path) -> None:
    """A core built from a loaded configuration takes its keys, and follows vehicles."""
    loaded = load(config)
    assert Site(loaded.definition, loaded.secrets).tracker.on

"""An installed configuration finds its schemas: ``sensord schema --wire``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest

from sensord.config.load import load
from sensord.config.modeline import wire
from sensord.config.yamlfile import MAX_BYTES_REGISTER, read_yaml
from tests.config.rejection import STREET
from tests.support.cli import sensord

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The shipped configuration, laid out as the install guide does: rules beside ``sensord.yaml``."""
    folder = tmp_path / "etc" / "sensord"
    (folder / "rules").mkdir(parents=True)
    for path in (ROOT / "config").glob("*.yaml"):
        shutil.copy(path, folder)
    for path in (ROOT / "rules").glob("*.yaml"):
        shutil.copy(path, folder / "rules")
    config = folder / "sensord.yaml"
    config.write_text(config.read_text().replace("rules: ../rules", "rules: rules"))
    return config


def schema_of(path: Path) -> Path:
    """Where a file's first line says that its schema is."""
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])
    assert found is not None
    return (path.parent / found[1]).resolve()


def test_every_file_leads_to_its_schema(installed: Path) -> None:
    """Each first line names a file that is there and accepts the file; nothing else has changed."""
    before = load(installed).definition
    wire(installed)
    files = [*installed.parent.glob("*.yaml"), *installed.parent.glob("rules/*.yaml")]
    assert len(files) >= 9
    for path in files:
        schema = schema_of(path)
        assert schema.parent == installed.parent / "schema"
        data = read_yaml(path, MAX_BYTES_REGISTER).data
        jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(data)
    assert load(installed).definition == before


def test_a_second_time_changes_nothing_but_the_schemas(installed: Path) -> None:
    """It can be run after every update."""
    wire(installed)
    texts = {path: path.read_text() for path in installed.parent.glob("**/*.yaml")}
    assert all(path.suffix == ".json" for path in wire(installed))
    assert texts == {path: path.read_text() for path in installed.parent.glob("**/*.yaml")}


def test_a_file_without_the_line_gets_it(tmp_path: Path) -> None:
    """The text of the file follows unchanged."""
    folder = tmp_path / "street"
    shutil.copytree(STREET, folder)
    before = (folder / "dispatch.yaml").read_text()
    wire(folder / "sensord.yaml")
    assert (folder / "dispatch.yaml").read_text() == f"# yaml-language-server: $schema=schema/dispatch.json\n{before}"
    assert schema_of(folder / "rules" / "crowd.yaml") == folder / "schema" / "rules.json"


def test_the_commands(installed: Path) -> None:
    """``schema`` lists, prints and wires; ``check --strict`` fails on a warning."""
    assert "ruletest" in sensord("schema").stdout.split()
    assert json.loads(sensord("schema", "rules").stdout)["$schema"].startswith("https://json-schema.org/")
    assert sensord("schema", "nothing").returncode == 2
    wired = sensord("schema", "--wire", str(installed))
    assert str(installed) in wired.stdout.splitlines()
    assert sensord("check", "--strict", "--config", str(installed)).returncode == 0
    rules = installed.parent / "rules" / "devices.yaml"
    rules.write_text(rules.read_text().replace("stream: level", "stream: crowd"))
    assert sensord("check", "--config", str(installed)).returncode == 0
    assert sensord("check", "--strict", "--config", str(installed)).returncode == 1

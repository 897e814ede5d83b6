"""What documents claim about tests and metrics is so: each that they name exists."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import cast

import click
import pytest

from sensord.cli import cli
from sensord.core.cases.verdict import Verdict
from sensord.core.outcome import Outcome
from sensord.telemetry.metrics import METRICS, PREFIX

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("security.md", "operations.md", "operations.zh-CN.md", "reliability.md")


@cache
def known() -> frozenset[str]:
    """Every test function, by name."""
    return frozenset(
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def named(name: str, pattern: str) -> list[str]:
    """What a document names in code style."""
    return re.findall(f"`{pattern}`", (ROOT / "docs" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_that_is_named_exists(name: str) -> None:
    """By function, or by file."""
    functions, files = named(name, r"(test_\w+)"), named(name, r"(tests/[\w/]+\.py)")
    assert [one for one in functions if one not in known()] == []
    assert [one for one in files if not (ROOT / one).is_file()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_metric_that_is_named_exists(name: str) -> None:
    """With its prefix; labels may follow."""
    metrics = {f"{PREFIX}{metric.name}" for metric in METRICS}
    assert [one for one in named(name, rf"({PREFIX}[a-z_]+)(?:\{{[^`]*\}})?(?: 0| 1)?") if one not in metrics] == []


@pytest.mark.parametrize("name", ["channels.md", "channels.zh-CN.md"])
def test_the_result_of_a_command_is_described_as_it_is(name: str) -> None:
    """Every field of what is published, and no verdict that there is not."""
    section = (ROOT / "docs" / name).read_text(encoding="utf-8").partition("linfen/results/{")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert {field for row in rows for field in re.findall("`(\\w+)`", row.split("|")[1])} == {
        *Outcome.__struct_fields__
    }
    verdicts = re.findall("`(\\w+)`", next(row for row in rows if "`verdict`" in row).split("|")[2])
    assert len(verdicts) > 5
    assert set(verdicts) <= {verdict.value for verdict in Verdict}


def test_security_names_a_test_for_every_threat_and_most_bounds() -> None:
    """A threat without a test is a wish."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    threats = text.partition("## Who may try what")[2].partition("##")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ") and not line.startswith("| who | may try")]
    assert len(rows) > 10
    assert [row for row in rows if "test" not in row.rsplit("|", 2)[1]] == []


BACKSLASH = re.compile(r"\s*\\\n\s*")
COMMAND = re.compile(r"^(?:runuser \S+ \S+ -- )?(?:\S+/)?sensord +([a-z].*?)(?:\s+[#>·].*)?$", re.MULTILINE)
PAGES = sorted(path for path in (*(ROOT / "docs").glob("*.md"), *ROOT.glob("README*.md")))


def commands(page: Path) -> list[str]:
    """The command lines of a document's examples, of several words to choose from the first."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = [line for block in blocks for line in COMMAND.findall(BACKSLASH.sub(" ", block))]
    return [re.sub(r"\|[\w|]+|\$\([^)]*\)", "", line) for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_that_is_shown_is_one(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line takes it, with each of its options; files of the repository that it names are there."""
    monkeypatch.setattr(click.Path, "convert", lambda _type, value, *_: Path(value))
    for line in commands(page):
        words, command = shlex.split(line), cast(click.Command, cli)
        missing = [word for word in words if re.match("(config|rules)/", word) and not (ROOT / word).exists()]
        assert missing == [], line
        assert "--rules" in words or not {"--sweep", "--suggest"} & {*words}, f"which rule files? {line}"
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.make_context("sensord", words)


def test_commands_are_shown_at_all() -> None:
    """Nobody changes how examples are written, and nothing is looked at any more."""
    assert sum(len(commands(page)) for page in PAGES) > 100

"""The rules handbook: every rule in it is good, every test in it passes, and both languages say the same rules."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sensord.commands.answer import Answer
from sensord.config.load import load
from sensord.config.ruletest import RuleTests, load_tests
from sensord.core.record import Group
from sensord.core.site import Site, definition_record
from sensord.drivers.explain import explain
from sensord.drivers.made import Messages
from sensord.drivers.ruletest import run

ROOT = Path(__file__).resolve().parents[1]
BOOKS = ("docs/rules.md", "docs/rules.zh-CN.md")
_HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDED = ("lane-crowding", "key-area-vehicle")
"""Rules that combinations look at; they stand in other sections."""


@dataclass
class Section:
    """The YAML blocks of one section: rules, and tests of them."""

    title: str
    rules: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)


def sections(book: str) -> list[Section]:
    """Read a book; a block that begins with ``- id:`` holds rules, one that begins with ``- name:`` tests."""
    text = (ROOT / book).read_text(encoding="utf-8")
    found = []
    marks = [*_HEADING.finditer(text)]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        section = Section(mark[1])
        for block in _BLOCK.findall(text[mark.end() : following.start() if following else len(text)]):
            assert block.startswith(("- id: ", "- name: ")), f"{book}: what is this block? {block[:40]!r}"
            (section.rules if block.startswith("- id: ") else section.tests).append(block)
        if section.rules:
            found.append(section)
    return found


def blocks_by_id(book: str) -> dict[str, str]:
    """Each rule of a book by its id, as text."""
    rules = [
        rule
        for section in sections(book)
        for block in section.rules
        for rule in re.split(r"^(?=- id: )", block, flags=re.MULTILINE)
    ]
    return {rule.split("\n", 1)[0].removeprefix("- id: "): rule.rstrip("\n") for rule in rules if rule}


def indented(blocks: list[str]) -> str:
    """Put blocks of list items below a key."""
    return "".join(f"  {line}\n" if line else "\n" for block in blocks for line in block.splitlines())


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """The street of the rule tests, without rules; returns its ``sensord.yaml``."""
    for path in (ROOT / "rules" / "tests" / "street").glob("*.yaml"):
        shutil.copy(path, tmp_path)
    config = tmp_path / "sensord.yaml"
    text = config.read_text(encoding="utf-8").replace("../../../config/", f"{ROOT}/config/")
    config.write_text(text.replace("rules: ../..", "rules: rules"), encoding="utf-8")
    (tmp_path / "rules").mkdir()
    return config


def written(section: Section, test: str, config: Path) -> RuleTests:
    """Write a section's rules, and those that they look at, and one of its tests; returns the test, read."""
    combined = any(word in "".join(section.rules) for word in ("\n  all:", "\n  sequence:", "\n  after:"))
    needed = [blocks_by_id(BOOKS[0])[rule] for rule in NEEDED] if combined else []
    rules = config.parent / "rules" / "section.yaml"
    rules.write_text(f"rules:\n{indented([*needed, *section.rules])}", encoding="utf-8")
    path = config.parent / "tests.yaml"
    path.write_text(f"config: sensord.yaml\ntests:\n{indented([test])}", encoding="utf-8")
    return load_tests(path)


@pytest.mark.parametrize("section", sections(BOOKS[0]), ids=lambda section: section.title)
def test_what_the_handbook_says_is_so(section: Section, street: Path) -> None:
    """The rules of a section load without a warning about themselves, and its tests pass on the real core."""
    for test in section.tests or ["- {name: it loads, expect: [{at: 1s}]}"]:
        assert [result.failures for result in run(written(section, test, street)) if result.failures] == []
    assert [str(warning) for warning in load(street).warnings if "section.yaml" in warning.file] == []


@pytest.mark.parametrize("section", [one for one in sections(BOOKS[0]) if one.tests], ids=lambda one: one.title)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_whatever_the_handbook_shows_can_be_explained(
    section: Section, street: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each rule and key of a section's first test, at its last check, there is an answer of one screen."""
    monkeypatch.setenv("SENSORD_LANGUAGE", language)
    tests = written(section, section.tests[0], street)
    messages = Messages(tests.definition, tests.start)
    records = (definition_record(tests.definition, tests.start), *map(messages.record, tests.tests[0].sent))
    at, answers = tests.start + tests.tests[0].checks[-1].at, 0
    for rule in tests.definition.rules:
        for name in ("L1", "C1-N", "G1", "B1", "crowd-1", "parking-1", "camera-1"):
            found = explain([Group(1, records)], Site(), rule.id, name, at)
            if found is not None:
                lines = list(Answer(found, "Asia/Shanghai", lambda _case: {}).lines())
                assert rule.id in "".join(lines)
                assert 3 <= len(lines) < 45
                answers += 1
    assert answers >= len(tests.definition.rules)


def test_both_languages_show_the_same_rules_and_tests() -> None:
    """Blocks are the same, in the same order; only the words around them differ."""
    english, chinese = ([(one.rules, one.tests) for one in sections(book)] for book in BOOKS)
    assert english == chinese


def test_every_construct_has_its_example() -> None:
    """Whatever a rule can say stands in the handbook at least once."""
    text = "".join(blocks_by_id(BOOKS[0]).values())
    words = ("window:", "every:", "where:", "percent_of:", "overrides:", "flapping:", "active:", "absent:", "stuck:",
             "baseline:", "trend:", "all:", "sequence:", "after:", "not:", "within:", "outside:", "message:", "labels:",
             "runbook:", "session", "readings", "3 of 5", "sigma", "occupancy(", "rate(")  # fmt: skip
    assert [word for word in words if word not in text] == []

"""A document in two languages is one document: the same headings, tables and examples, and each names the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WANTED = {"api", "backtest", "cases", "channels", "install", "operations", "privacy", "reports", "rules"}
"""The documents that operators read: each has a Chinese twin."""
TWINS = sorted(str(path.relative_to(ROOT)).removesuffix(".zh-CN.md") for path in (ROOT / "docs").glob("*.zh-CN.md"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(^|\s+)(#|//).*$")
_WORDS = re.compile(r"[\w.-]*[\u4e00-\u9fff][\w.\u4e00-\u9fff-]*|\b[A-Z]{2,}\b|<[^>]*>")
"""Words that each language has of its own: Chinese ones, and placeholders such as ``CASE``."""
_SHOWN = ("", "text", "mermaid")
"""Examples of these kinds show what is printed, or a drawing: only their commands are the same in both."""
_COMMAND = re.compile(r"\s*(sensord|runuser|systemctl|curl|make|\S*/bin/|install|apt|mosquitto|cp|cd|python|pip|git)\b")


def pair(name: str) -> tuple[str, str]:
    """The English and the Chinese text."""
    return tuple((ROOT / f"{name}{end}.md").read_text(encoding="utf-8") for end in ("", ".zh-CN"))  # type: ignore[return-value]


def prose(text: str) -> list[str]:
    """The lines outside of examples."""
    return _FENCE.sub("", text).splitlines()


def headings(text: str) -> list[int]:
    """The level of each heading."""
    return [len(line) - len(line.lstrip("#")) for line in prose(text) if re.match("#+ ", line)]


def tables(text: str) -> list[tuple[int, int]]:
    """Of each table the number of rows and of columns."""
    found: list[tuple[int, int]] = []
    before = False
    for line in prose(text):
        is_row = line.startswith("|")
        if is_row and before:
            found[-1] = (found[-1][0] + 1, found[-1][1])
        elif is_row:
            found.append((1, line.replace("\\|", "").count("|") - 1))
        before = is_row
    return found


def examples(text: str) -> list[tuple[str, list[str]]]:
    """Each example's language and code, without comments and without what each language calls its own."""
    found = []
    for kind, body in _FENCE.findall(text):
        code = [line for line in body.splitlines() if kind not in _SHOWN or _COMMAND.match(line)]
        lines = [" ".join(_WORDS.sub("~", _COMMENT.sub("", line)).split()) for line in code]
        found.append((kind, [line for line in lines if line]))
    return found


def test_what_operators_read_is_there_in_chinese() -> None:
    """None of the documents of their day is in English only."""
    assert {f"docs/{name}" for name in WANTED} <= set(TWINS)


@pytest.mark.parametrize("name", TWINS)
def test_each_names_the_other(name: str) -> None:
    """In its first lines, for whoever reads the wrong one."""
    english, chinese = pair(name)
    base = name.rpartition("/")[2]
    assert f"({base}.zh-CN.md)" in english[:200]
    assert f"({base}.md)" in chinese[:200]


@pytest.mark.parametrize("name", TWINS)
def test_they_have_the_same_shape(name: str) -> None:
    """Headings level by level, and tables row by row."""
    english, chinese = pair(name)
    assert headings(english) == headings(chinese)
    assert tables(english) == tables(chinese)


@pytest.mark.parametrize("name", TWINS)
def test_they_show_the_same_examples(name: str) -> None:
    """Up to comments, Chinese words and placeholders."""
    english, chinese = pair(name)
    assert examples(english) == examples(chinese)

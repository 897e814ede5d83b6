"""The phrasebook has the Chinese of every mistake and failure that the code speaks of, and nothing that it does not."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sensord.cli import main
from sensord.errors import ConfigError, Problem, StoreError
from sensord.phrasebook import BOOK, chinese, shown, shown_problem
from sensord.store.sqlite import OPENING, READING, translate
from tests.config.rejection import REJECTED, problems_of

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "sensord/config"
MADE_FOR_FILES = {"export.py", "generate.py", "modeline.py"}
"""Write documents and samples; what they hold is no message."""
FOR_MACHINES = {
    "DecodeError",
    "DeliveryError",
    "InDoubtError",
    "UnclearError",
    "AssertionError",
    "TypeError",
    "KeyError",
    "OSError",
}
"""Names in logs and metrics, of what devices and receivers did; nobody reads them as sentences."""
SELF_TALK = {
    "a length of more than four bytes",
    "a packet of type {0}",
    "a PUBLISH is cut short",
    "an array of {0}{1} does not fit {2}{3}",
    "the document lacks {0} ... {1}",
    "the places of a sentence are numbered in order, from 0: {0}",
    "unknown format byte {0}",
    "a journal group holds at least one record; journal a tick to say that time has passed",
}
"""What only a mistake in the code itself, or a stranger in the place of a broker, would bring to light."""
PUT_TOGETHER = {
    *("{0} is not {1}: {2}", "the key is not {0}: {1}", "{0} and {1}", "{0} or {1}"),
    *("at least {0}", "at most {0}", "more than {0}", "less than {0}"),
    *("text", "nothing", "empty"),
    *("[Errno {0}] {1}: {2}", "No such file or directory", "Permission denied", "Is a directory", "Not a directory"),
    *("Read-only file system", "No space left on device"),
}
"""Parts of sentences that come together as the program runs, or from the operating system."""
SQLITE = {
    *("attempt to write a readonly database", "database disk image is malformed", "database is locked"),
    *("database or disk is full", "database schema has changed", "database table is locked", "disk I/O error"),
    *("file is not a database", "out of memory", "unable to open database file"),
}
"""What SQLite says itself of a file that fails."""
PARSER = {
    *("could not find expected ':'", "did not find expected key", "did not find expected node content"),
    *("did not find expected ',' or '}}'", "did not find expected ',' or ']'", "did not find expected '-' indicator"),
    *("mapping values are not allowed in this context", "block sequence entries are not allowed in this context"),
    *("found character that cannot start any token", "found unexpected end of stream"),
    *("while scanning a simple key", "while scanning a quoted scalar", "while scanning for the next token"),
    *("while parsing a flow mapping", "while parsing a flow sequence", "while parsing a flow node"),
    *("while parsing a block mapping", "while parsing a block collection"),
}
"""What the YAML parser says itself of a file that is none."""
DOING = re.compile(r"(?!nothing)[a-z]+ing( [a-z'-]+)*")
"""What the store was doing: a part of each sentence about a database that fails."""
SAME_IN_BOTH = {"[Errno {0}] {1}: {2}", "HTTP {0}", "DELETE /api/v1/roster/changes/{0}"}
"""No words of a language."""
SAID_OF_ITSELF = {"set_fact": 2, "_end": 1}
"""Calls by which the daemon says how it stands, and which argument people read (``sensord doctor``)."""
HAN = re.compile(r"[\u4e00-\u9fff]")
_SENTENCE = re.compile(r"[A-Za-z]{2,} | [a-z]{2,}")
_PATTERN = re.compile(r"\[[0-9]-|\[0-9\]|\\d|yaml-language-server")


def template(node: ast.AST) -> str | None:
    """Write a text of the code as the book has it: with numbers for what varies; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{", "{{").replace("}", "}}")
    if not isinstance(node, ast.JoinedStr):
        return None
    text, places = "", 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value).replace("{", "{{").replace("}", "}}")
        else:
            text, places = f"{text}{{{places}}}", places + 1
    return text


def is_sentence(text: str) -> bool:
    """Whether people would read it: English words, and no pattern."""
    return " " in text.strip() and bool(_SENTENCE.search(text)) and not HAN.search(text) and not _PATTERN.search(text)


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def in_configuration() -> Iterator[str]:
    """Every sentence in what reads the configuration."""
    for path in CONFIG.glob("*.py"):
        if path.name not in MADE_FOR_FILES:
            yield from sentences(tree(path))


def sentences(module: ast.Module) -> Iterator[str]:
    """Every sentence in a file that is no docstring and no part of another text."""
    inner = {node.value for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            inner.update(part for part in node.values if isinstance(part, ast.Constant))
    for node in ast.walk(module):
        text = None if node in inner else template(node)
        if text is not None and is_sentence(text):
            yield text


def raised() -> Iterator[str]:
    """Every sentence that is raised, or noted as a mistake, anywhere."""
    for folder in ("sensord", "simulators"):
        for path in (ROOT / folder).rglob("*.py"):
            named = assigned(tree(path))
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call):
                    said = (one for part in said_by(node) for one in sides(part, named))
                    yield from (text for one in said if (text := template(one)) and is_sentence(text))


def assigned(module: ast.Module) -> dict[str, list[ast.expr]]:
    """Everything that is given a name somewhere in a file, by name: texts are often named before they are raised."""
    found: dict[str, list[ast.expr]] = {}
    for node in (one for one in ast.walk(module) if isinstance(one, ast.Assign)):
        for target in node.targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=False):
                    if isinstance(one, ast.Name):
                        found.setdefault(one.id, []).append(value)
    return found


def sides(said: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[ast.expr]:
    """What an expression may stand for: both sides of a condition, and what was given its name."""
    for one in named.get(said.id, []) if isinstance(said, ast.Name) else [said]:
        yield from (one.body, one.orelse) if isinstance(one, ast.IfExp) else (one,)


def said_by(call: ast.Call) -> tuple[ast.expr, ...]:
    """What a call that raises or notes something says."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "Problem":
        return (*call.args[3:5],)
    if name in SAID_OF_ITSELF:
        return (*call.args[SAID_OF_ITSELF[name] :],)
    if name == "Refused":
        return (*call.args[1:2],)
    if name == "_refused" and isinstance(call.func, ast.Name):
        return tuple(call.args)
    if name == "store_error" or (name.endswith("Error") and name not in FOR_MACHINES):
        return (*call.args[:1],)
    return ()


@cache
def book() -> dict[str, str]:
    """The book as it is written."""
    entries: dict[str, str] = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    return entries


def test_no_sentence_is_missing() -> None:
    """Whoever writes a new message writes it in both languages."""
    missing = {*in_configuration(), *raised()} - set(book()) - SELF_TALK
    assert missing == set()


def test_nothing_is_in_the_book_that_nobody_says() -> None:
    """A message that is gone is gone from the book, too."""
    said = {
        text for folder in ("sensord", "simulators") for path in (ROOT / folder).rglob("*.py") for text in every(path)
    }
    assert set(book()) - said - PUT_TOGETHER - SQLITE - PARSER == set()


def every(path: Path) -> Iterator[str]:
    """Every text in a file."""
    return (text for node in ast.walk(tree(path)) if (text := template(node)) is not None)


def test_a_phrase_says_in_chinese_what_it_says_in_english() -> None:
    """Nothing that varies is lost, and the book gives for each text its own phrase."""
    wrong = {english: found for english in book() if (found := _lookup(english)) != _expected(english)}
    assert wrong == {}
    assert {english for english, said in book().items() if not HAN.search(said)} == SAME_IN_BOTH


def _values(english: str) -> list[str]:
    """Something for each place, in quotes, as what people wrote."""
    return [f"'v{number}'" for number in range(english.count("{"))]


def _lookup(english: str) -> str:
    return chinese(english.format(*_values(english)))


def _expected(english: str) -> str:
    return book()[english].format(*_values(english))


@pytest.mark.parametrize("path", sorted(REJECTED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_refused_file_is_explained_in_chinese(path: Path) -> None:
    """Message and hint both: no file that tests know as bad is answered in English."""
    for problem in problems_of(path):
        assert HAN.search(chinese(problem.message)), problem.message
        assert not problem.hint or HAN.search(chinese(problem.hint)), problem.hint


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("unknown key 'yelow'", "不认识的键 'yelow'"),
        ("lanes[0].area_m2 must be more than 0, not 0", "lanes[0].area_m2 应为大于 0，而不是 0"),
        ("the file must be a list or text, not 5", "文件 应为列表或文字，而不是 5"),
        (
            "the key is not a label: lower-case letters, digits and underscores: 'A b'",
            "键不是标签：小写字母、数字和下划线：'A b'",
        ),
        (
            "id is not a rule id: lower-case letters, digits and hyphens, at most 64: 'A'",
            "id 不是规则编号：小写字母、数字和连字符，最多 64 个：'A'",
        ),
        (
            "L001: the threshold of red (3) must be more than that of yellow (4)",
            "L001：red 的阈值（3）必须大于 yellow 的阈值（4）",
        ),
        ("the file cannot be read: Permission denied", "文件读不出来：没有权限"),
        ("unknown key 'at least 3'", "不认识的键 'at least 3'"),
        (
            "this is not YAML: did not find expected ',' or '}'",
            "这不是 YAML：少了 ',' 或 '}'",
        ),
        ("while parsing a flow mapping that began in line 3", "从第 3 行开始的大括号"),
        (
            "a sweep and suggestions change a rule file, and none is given",
            "参数扫描和改进建议都要改规则文件，而没有给出规则文件",
        ),
        (
            "the message is wrong: {地点} is no placeholder; known: place, grid",
            "消息模板有错：{地点} 不是占位符；可用：place, grid",
        ),
        ("something that is not ours", "something that is not ours"),
        ("已经是中文", "已经是中文"),
    ],
)
def test_what_varies_is_said_in_chinese_too(english: str, expected: str) -> None:
    """Parts of sentences are looked up; what somebody wrote into a file stays as it is."""
    assert chinese(english) == expected


@given(st.text(max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    """Whatever the text, looking it up ends, and raises nothing."""
    assert isinstance(chinese(text), str)


def done_by_the_store() -> set[str]:
    """Everything that a failure of a database may be said to have happened at."""
    folder = ROOT / "sensord" / "store"
    calls = [node for path in folder.glob("*.py") for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    given = [argument for call in calls for argument in call.args[:2]]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return {text for text in texts if DOING.fullmatch(text)} - {"pending", "sending"} | {OPENING, READING}


@pytest.mark.parametrize("doing", sorted(done_by_the_store()))
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_FULL, "database or disk is full"),
        (sqlite3.SQLITE_BUSY, "database is locked"),
        (sqlite3.SQLITE_CORRUPT, "database disk image is malformed"),
        (sqlite3.SQLITE_IOERR, "disk I/O error"),
        (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
        (None, "Could not decode to UTF-8 column 'x' with text 'y'"),
    ],
)
def test_a_database_that_fails_is_told_of_in_chinese_alone(doing: str, code: int | None, said: str) -> None:
    """What was being done, what SQLite says, and what to do: no English is left between the Chinese words."""
    error = sqlite3.OperationalError(said)
    if code is not None:
        error.sqlite_errorcode = code
    told = chinese(str(translate(error, Path("/s/state.db"), doing)))
    english = re.findall(r"[A-Za-z]+", told.removeprefix("/s/state.db：").replace("I/O", ""))
    assert set(english) <= {"sensord", "fuser", "dmesg"}, told


def test_a_problem_keeps_the_form_that_editors_can_jump_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """File, line and column come first in both languages."""
    problem = Problem("rules/crowd.yaml", 25, 7, "unknown key 'yelow'", "did you mean yellow?")
    monkeypatch.setenv("SENSORD_LANGUAGE", "zh")
    assert shown_problem(problem) == "rules/crowd.yaml:25:7: 错误：不认识的键 'yelow'（是不是想写 yellow？）"
    assert shown(ConfigError([problem, problem])).splitlines() == [shown_problem(problem)] * 2
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    assert shown_problem(problem) == str(problem)
    assert shown(StoreError("x")) == "x"


def test_the_command_line_speaks_chinese_of_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``sensord check`` on a file with a mistake, as an operator sees it who has set nothing."""
    config = tmp_path / "sensord.yaml"
    config.write_text("mqqt: {}\n", encoding="utf-8")
    monkeypatch.delenv("SENSORD_LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setattr("sys.argv", ["sensord", "check", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert f"{config}:1:1: 错误：不认识的键 'mqqt'（是不是想写 mqtt？）" in capsys.readouterr().err

"""Says in Chinese what is written in English where it is raised: mistakes in files, refused requests, failures.

An error is written once, in English, where it is found; it is also a log line, and an answer to other programs. What a
person reads of it is looked up in ``phrasebook.yaml``: the English sentence, with ``{0}``, ``{1}`` for what varies, and
the Chinese one. What varies is looked up, too, so that parts of sentences (``at least 3``) need an entry once. A text
that the book does not have is shown as it is; ``tests/test_phrasebook.py`` holds that no text of ours is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

import yaml

from sensord.errors import ConfigError, Problem
from sensord.words import language

BOOK = Path(__file__).with_suffix(".yaml")
_QUOTED = re.compile(r"(['\"]).*\1", re.DOTALL)
_SEVERITY = {"error": "错误", "warning": "提醒"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with places for what varies."""

    patterns: tuple[re.Pattern[str], re.Pattern[str]]
    """Two ways to share a text out among the places: the first as little as possible, or as much."""
    chinese: str
    literal: int
    """Characters outside of the places; of several phrases that fit, the one with the most is meant."""


def shown(error: Exception) -> str:
    """Return what a person at a terminal reads of an error, in the terminal's language."""
    if isinstance(error, ConfigError):
        return "\n".join(shown_problem(problem) for problem in error.problems)
    return told(str(error))


def told(text: str) -> str:
    """Return a text of ours in the terminal's language."""
    return text if language() == "en" else chinese(text)


def shown_problem(problem: Problem) -> str:
    """Return one mistake in the terminal's language, after its position in the form that editors can jump to."""
    if language() == "en":
        return str(problem)
    hint = f"（{chinese(problem.hint)}）" if problem.hint else ""
    where = f"{problem.file}:{problem.line}:{problem.column}"
    return f"{where}: {_SEVERITY.get(problem.severity, problem.severity)}：{chinese(problem.message)}{hint}"


def chinese(text: str) -> str:
    """Return a text of ours in Chinese; as it is when the book does not have it."""
    return _sentence(text) or _after_a_name(text) or text


def _sentence(text: str) -> str | None:
    """Look a whole text up; None when no phrase fits."""
    exact, phrases = _book()
    if text in exact:
        return exact[text]
    for phrase in phrases:
        parts = [match.groups() for pattern in phrase.patterns if (match := pattern.fullmatch(text))]
        if parts:
            best = max(parts, key=lambda found: sum(part in exact for part in found))
            return phrase.chinese.format(*map(_part, best))
    return None


def _after_a_name(text: str) -> str | None:
    """Look up what follows the name of what it is about: ``levels.red is empty``, ``L001: the value is ...``."""
    for separator, joint in ((": ", "："), (" ", " ")):
        name, found, rest = text.partition(separator)
        if found and (said := _sentence(rest)) is not None:
            return f"{_part(name)}{joint}{said}"
    return None


def _part(text: str) -> str:
    """Return what stands in a place; what somebody wrote into a file (in quotes) stays as it is."""
    if not text or _QUOTED.fullmatch(text):
        return text
    return _sentence(text) or text


@cache
def _book() -> tuple[dict[str, str], list[Phrase]]:
    """Read the book: sentences without places, and phrases, those with the most words of their own first."""
    entries: dict[str, str] = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    exact, phrases = dict[str, str](), list[Phrase]()
    for english, said in entries.items():
        parts = [(literal, name) for literal, name, *_ in Formatter().parse(english)]
        if any(name is not None for _, name in parts):
            phrases.append(_phrase(parts, said))
        else:
            exact[english.format()] = said.format()
    return exact, sorted(phrases, key=lambda phrase: -phrase.literal)


def _phrase(parts: list[tuple[str, str | None]], said: str) -> Phrase:
    """Make a phrase of words and the places that follow them; a place is known by its number."""
    names = [name for _, name in parts if name is not None]
    if names != [str(number) for number in range(len(names))]:
        raise ValueError(f"the places of a sentence are numbered in order, from 0: {said}")
    little, much = (
        re.compile("".join(re.escape(literal) + (place if name else "") for literal, name in parts), re.DOTALL)
        for place in ("(.+?)", "(.+)")
    )
    return Phrase((little, much), said, sum(len(literal) for literal, _ in parts))

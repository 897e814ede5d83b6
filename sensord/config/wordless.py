"""Says what is wrong with a file that may hold a plate by mistake, without repeating a word of it.

What is wrong with a file is shown to whoever asks how the daemon is, stands in logs, and is mailed about. Of most files
it names what somebody wrote; of this kind only where it stands, and what should stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sensord.config.files import read_regular
from sensord.config.yamlfile import MAX_BYTES
from sensord.core.vehicles.blot import without_plates
from sensord.errors import ConfigError, Problem

_WORD = re.compile(r"[^\s,.:;|=#&*!(){}<>\[\]\"']+")
_REMARK = re.compile(r"^\s*#.*", re.MULTILINE)
_HARMLESS = re.compile(r"[a-z_]+|.|[0-9]{1,3}[a-z]{0,2}|[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""Names of keys, single characters, durations and small numbers, dates: no piece of a plate, and worth being told."""


def wordless(error: ConfigError, path: Path) -> ConfigError:
    """The same mistakes of the file at ``path``, with dots for what stands in it."""
    try:
        raw, _ = read_regular(path, MAX_BYTES)
    except OSError:  # then nothing of it has been read
        return error
    text = _REMARK.sub("", raw.decode("utf-8", "replace"))
    words = {word for word in _WORD.findall(text) if not _HARMLESS.fullmatch(word)}
    return ConfigError([_without(problem, words) for problem in error.problems])


def _without(problem: Problem, words: Iterable[str]) -> Problem:
    """A long word may have been cut off where it was quoted, so that its beginning counts."""

    def dots(found: re.Match[str]) -> str:
        word = found[0]
        known = not _HARMLESS.fullmatch(word) and any(one.startswith(word) for one in words)
        return "…" if known else word

    message, hint = (without_plates(_WORD.sub(dots, text), "…") for text in (problem.message, problem.hint))
    return replace(problem, message=message, hint=hint)

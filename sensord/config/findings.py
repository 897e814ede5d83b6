"""Collects what is wrong with one file beyond its schema, so that a person sees everything in one go."""

from __future__ import annotations

from collections.abc import Collection

from sensord.config.schema import did_you_mean
from sensord.config.yamlfile import MAX_PROBLEMS, Document, KeyPath
from sensord.core.instant import DAY, format_duration, parse_duration
from sensord.errors import ConfigError, Problem

LONGEST = 36_600 * DAY
"""A century: longer durations are typing errors, and with a date they would not fit into 64 bits."""
_SUGGESTIONS = 20
"""Finding the word that was meant is slow in a large register; after so many problems it is not done."""


class Findings:
    """Problems of one document; ``errors`` refuse the file, ``warnings`` do not."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, path: KeyPath, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note a mistake at ``path``; beyond the hundredth nothing is kept."""
        if len(self.errors) < MAX_PROBLEMS:
            self.errors.append(self.document.problem(path, message, hint, key=key))

    def warn(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Note something that is allowed but probably not meant."""
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(self.document.problem(path, message, hint, severity="warning"))

    def suggest(self, word: str, known: Collection[str]) -> str:
        """Hint which known word was probably meant; empty once there are many problems."""
        return did_you_mean(word, known) if len(self.errors) < _SUGGESTIONS else ""

    def duration(self, path: KeyPath, text: str, least: int = 0, most: int = LONGEST) -> int:
        """Read a duration as ns, from ``least`` to ``most``; else note an error and return ``least``."""
        try:
            duration = parse_duration(text)
        except ValueError as error:
            self.error(path, str(error))
            return least
        if not least <= duration <= most:
            bound = f"at least {format_duration(least)}" if duration < least else f"at most {format_duration(most)}"
            self.error(path, f"{text} is out of range: it must be {bound}")
            return least
        return duration

    def finish(self) -> list[Problem]:
        """Return the warnings, or raise ``ConfigError`` when there is an error."""
        if self.errors:
            raise ConfigError(self.errors + self.warnings)
        return self.warnings

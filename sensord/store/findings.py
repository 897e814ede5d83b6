"""What a start has found damaged about the journal: written down in ``found.json``, until people are sure to be told.

A start that is shot after its repair would leave a journal that looks sound, and nobody would hear of the damage.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from sensord.config.files import PRIVATE, write_whole
from sensord.decoders import json_decoder

FILE = "found.json"
_FINDINGS = json_decoder(list[str])

log = structlog.get_logger(__name__)


class Findings:
    """The findings in a journal's directory, those of earlier starts of which nobody was told first."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self.texts = self._read()

    def _read(self) -> list[str]:
        try:
            return _FINDINGS.decode(self._path.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []

    def add(self, text: str) -> None:
        """Write one down, before what it tells of is repaired; a disk that is full must not keep that from it."""
        if text in self.texts:
            return
        self.texts.append(text)
        try:
            write_whole(self._path, msgspec.json.encode(self.texts), PRIVATE)
        except OSError as error:
            log.warning("what was found could not be written down", file=str(self._path), why=str(error))


def forget(directory: Path) -> None:
    """People are sure to be told."""
    try:
        (directory / FILE).unlink(missing_ok=True)
    except OSError as error:
        log.warning("people will be told again", file=str(directory / FILE), why=str(error))

"""Who changed what over the API or with tokens: a chained register (``chain``), written before a change is answered.

The journal holds every change that alters an outcome; this register also holds what only changes files, and finds it by
person. It has no plate, no address and no text that somebody wrote. Nothing is ever deleted from it: the law on network
security (art. 21) asks for six months of such logs at least.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from sensord.core.vehicles.blot import without_plates
from sensord.decoders import json_decoder
from sensord.errors import StoreError
from sensord.ports import Change
from sensord.store.chain import Chain

FILE, HEAD = "audit.log", "audit.head"
VERSION = 1


class Audited(msgspec.Struct, frozen=True):
    """One line: the change, and what chains it."""

    number: int
    change: Change
    before: str
    hash: str = ""
    version: int = VERSION


_DECODER = json_decoder(Audited)


class AuditLog(Chain[Audited]):
    """The register of a state directory; several processes may append."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, FILE, HEAD, Audited, VERSION)

    def append(self, change: Change) -> None:
        """Write one change down durably; raises ``StoreError``."""
        about = {name: without_plates(text) for name, text in change.about.items()}
        self.add(lambda number, before: Audited(number, msgspec.structs.replace(change, about=about), before))

    def last(self, limit: int, name: str = "") -> list[Change]:
        """The newest changes first; those of one token when ``name`` is given. Raises ``StoreError``.

        A line that cannot be read is passed over: ``sensord audit verify`` is there to find it.
        """
        found: deque[Change] = deque(maxlen=limit)
        try:
            with self.path.open("rb") as file:
                for line in file:
                    change = _decoded(line)
                    if change is not None and name in ("", change.token):
                        found.append(change)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read ({error.strerror})") from error
        return list(reversed(found))


def _decoded(line: bytes) -> Change | None:
    try:
        return _DECODER.decode(line).change
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

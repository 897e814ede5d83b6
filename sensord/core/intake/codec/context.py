"""What a codec may know besides the message, and what comes of many messages that are decoded together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from sensord.core.batch import Bools, Float64


@dataclass(frozen=True, slots=True)
class Context:
    """``zone`` is the time zone of stamps that have none."""

    zone: str


@dataclass(frozen=True, slots=True)
class Together:
    """The one reading of each of many messages, as columns; the words are those of ``Reading``.

    ``positions`` says which of the messages, ascending; ``fields`` are float64 (NaN: the reading has none).
    """

    positions: Sequence[int]
    stamps: list[int | None]
    boots: list[int | None]
    seqs: list[int | None]
    fields: dict[str, Float64]

    def only(self, wanted: Bools) -> Together:
        """The readings that are wanted; ``wanted`` has one truth for each."""
        lists = (self.positions, self.stamps, self.boots, self.seqs)
        positions, stamps, boots, seqs = (list(compress(one, wanted.tolist())) for one in lists)
        fields = {name: column[wanted] for name, column in self.fields.items()}
        return Together(positions, stamps, boots, seqs, fields)  # type: ignore[arg-type]

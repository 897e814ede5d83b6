"""What a codec may know besides the message, and what comes of many messages that are decoded together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sensord.core.batch import Bools, Float64, Int64
from sensord.core.place import Device

NONE = -(2**63)
"""In a column of whole numbers: the reading does not say."""
Colours = Mapping[str, Mapping[str, str]]
"""By device: the camera's own word for a colour, and ours."""
_FARTHEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Context:
    """``zone`` is the time zone of stamps that have none, ``colours`` what cameras' own words for colours mean."""

    zone: str
    colours: Colours = field(default_factory=dict)

    @classmethod
    def of(cls, zone: str, devices: Iterable[Device]) -> Context:
        """What codecs may know of a site."""
        return cls(zone, {device.id: dict(device.colours) for device in devices if device.colours})


@dataclass(frozen=True, slots=True)
class Together:
    """The one reading of each of many messages, as columns (n,); the words are those of ``Reading``.

    ``positions`` says which of the messages, ascending; it and the next three are int64 (``NONE``: it does not say),
    ``fields`` are float64 (NaN: the reading has none).
    """

    positions: Int64
    stamp: Int64
    boot: Int64
    seq: Int64
    fields: dict[str, Float64]

    def only(self, wanted: Bools) -> Together:
        """The readings that are wanted; ``wanted`` has one truth for each."""
        fields = {name: column[wanted] for name, column in self.fields.items()}
        return Together(self.positions[wanted], self.stamp[wanted], self.boot[wanted], self.seq[wanted], fields)


def whole_numbers(values: Sequence[int | None]) -> Int64:
    """Make a column; what is farther than it can say (a stamp of the year 9999) becomes the farthest it can."""
    try:
        return np.array(values, np.int64)
    except (TypeError, OverflowError):
        bounded = [NONE if one is None else max(min(one, _FARTHEST), -_FARTHEST) for one in values]
        return np.array(bounded, np.int64)

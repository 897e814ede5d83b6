"""Tallies: how many vehicles passed, by quarter of an hour, gate and kind; what reports add up. Nobody is in them."""

from __future__ import annotations

import msgspec
import numpy as np

from sensord.core.batch import Batch, Int64
from sensord.core.instant import MINUTE
from sensord.core.place import Places
from sensord.core.region import PROVINCES
from sensord.core.stream import DIRECTION, ENERGY, EVENT, PLATE_CLASS, PROVINCE, Stream

ELSEWHERE = ("out_of_town", "key_area")
"""The classes of vehicles that are registered elsewhere."""
SLOT = 15 * MINUTE
"""Passages are counted by so much of event time, and who is inside is noted so often: so finely may a report's
beginning and end lie."""
_COLUMNS = (DIRECTION, PLATE_CLASS, PROVINCE, ENERGY)
_WORDS = [np.array(["", *label.words], np.object_) for label in _COLUMNS]
"""The words of each column's codes, the first for the code -1."""


class PassageCount(msgspec.Struct, frozen=True):
    """``count`` passages of one kind in one ``SLOT`` that begins at ``start`` (ns); the words are those of the labels.

    ``province`` is the plate's first character; of vehicles from elsewhere, whose cities are counted, too, it is
    followed by the letter behind it. ``province`` and ``energy`` are "" where a plate does not tell.
    """

    start: int
    gate: str
    direction: str
    sort: str
    province: str
    energy: str
    count: int


class Occupancy(msgspec.Struct, frozen=True):
    """Who is inside a compound at the end ``at`` (ns) of a ``SLOT``: vehicles, and by how many that may be wrong.

    Of the slot that is running it says how things are now, until its end says it anew.
    """

    at: int
    compound: str
    inside: int
    unsure: int


def quarter(at: int) -> int:
    """The end of the ``SLOT`` that is running at an instant (ns)."""
    return (at // SLOT + 1) * SLOT


def count_passages(batch: Batch, places: Places) -> list[PassageCount]:
    """Count the decided passages of a batch by the slot of their event time."""
    event = batch.labels.get(EVENT.name)
    if event is None:
        return []
    rows = np.flatnonzero((batch.stream == Stream.VISIT) & (event == EVENT.words.index("passed")))
    if not len(rows):
        return []
    slot = batch.event_at[rows] // SLOT
    first = slot.min()
    codes = [batch.labels[label.name][rows].astype(np.int64) + 1 for label in _COLUMNS]
    columns = [slot - first, batch.device[rows].astype(np.int64), *codes, _letters(batch, rows)]
    # As one number for each kind, in the order of the columns: those sort quickly.
    shape = tuple(int(column.max()) + 1 for column in columns)
    kinds, counts = np.unique(np.ravel_multi_index(columns, shape), return_counts=True)
    slot, device, *codes, letter = np.unravel_index(kinds, shape)
    direction, sort, province, energy = (words[code].tolist() for words, code in zip(_WORDS, codes, strict=True))
    prefix = [one + chr(other) if other else one for one, other in zip(province, letter.tolist(), strict=True)]
    gate = [places.devices[number].place for number in device.tolist()]
    made = (((first + slot) * SLOT).tolist(), gate, direction, sort, prefix, energy, counts.tolist())
    return list(map(PassageCount, *made))


def _letters(batch: Batch, rows: Int64) -> Int64:
    """The letter behind the province of a vehicle from elsewhere, as its code; 0: none, or it is not counted."""
    letters = np.zeros(len(rows), np.int64)
    if batch.sightings is None:
        return letters
    elsewhere = np.isin(batch.labels[PLATE_CLASS.name][rows], [PLATE_CLASS.words.index(word) for word in ELSEWHERE])
    for place in np.flatnonzero(elsewhere).tolist():
        mask = batch.sightings.masks[rows[place]]
        if mask[:1] in PROVINCES and "A" <= mask[1:2] <= "Z":
            letters[place] = ord(mask[1])
    return letters

"""To whom a stay is said: a rule on stays hears of those that have reached a length which it asks for itself. Pure.

Lengths are the thresholds of rules, and a vehicle that reaches one is said once, in one reading for all of them. To a
rule whose own threshold it is not, that is nothing new: it has told of the vehicle, or does not want to hear of it yet.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensord.core.batch import Batch, Int64
from sensord.core.stream import EVENT

_STAYING = EVENT.words.index("staying")
Others = Mapping[str, Mapping[int, frozenset[float]]]
"""By rule and device (its position in the registry), the lengths of stay (hours) that are others' alone."""


def addressed(
    readings: tuple[Batch, Int64] | None, others: Mapping[int, frozenset[float]]
) -> tuple[Batch, Int64] | None:
    """Leave out, of a stream's readings with their positions, the stays of these lengths; None: there are none left."""
    if readings is None or not others:
        return readings
    batch, positions = readings
    event, stay = batch.labels.get(EVENT.name), batch.fields.get("stay")
    if event is None or stay is None:
        return readings
    rows = np.flatnonzero(event == _STAYING)
    said = zip(rows.tolist(), batch.device[rows].tolist(), stay[rows].tolist(), strict=True)
    foreign = [row for row, device, length in said if length in others.get(device, ())]
    if not foreign:
        return readings
    kept = np.delete(np.arange(len(batch)), foreign)
    return (batch.select(kept), positions[kept]) if len(kept) else None

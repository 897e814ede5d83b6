"""One decoded observation, as a codec hands it on; columns come later (``batch.py``)."""

from __future__ import annotations

from typing import NamedTuple

from sensord.core.stream import Stream
from sensord.core.vehicles.plate import PlateRead


class Topic(NamedTuple):
    """A reading topic, taken apart. ``device`` is authoritative: what the payload claims must agree with it."""

    compound: str
    stream: Stream
    device: str


class Reading(NamedTuple):
    """What a codec makes of a message.

    ``stamp`` is the device's own time (ns) or None; ``boot`` and ``seq`` its counters or None; ``claims`` the device
    that the payload names, or None. ``fields`` are numbers by field name, ``labels`` words by label name. No
    name and no free text gets past this point; ``plate`` gets as far as the intake, which makes a class and a
    pseudonym of it. ``spot`` is the place that a finding names, or None.
    """

    stamp: int | None
    boot: int | None
    seq: int | None
    claims: str | None
    fields: dict[str, float]
    labels: dict[str, str]
    plate: PlateRead | None = None
    spot: str | None = None

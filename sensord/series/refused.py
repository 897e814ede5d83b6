"""Points that a sink refuses: all are counted, the first of each kind are logged and put among the dead letters.

A field whose type is another one in the database is refused for ever, with each point. Were each a dead letter, they
would soon be all that there is, and what a device sent amiss would be pushed out.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable

import structlog

from sensord.core.intake.reader import DeadLetter
from sensord.core.point import Point
from sensord.core.vehicles.blot import without_plates
from sensord.errors import DeliveryError, StoreError
from sensord.ports import DeadLetters, Meter

REFUSED = "refused_point"
"""The reason of a dead letter that a sink refused; its topic is the sink's name and the measurement."""
MOST_SAID = 400
MOST_ALIKE = 20
"""So many points of one kind are kept in a stretch; the others are only counted."""
MOST_KINDS = 50
"""Beyond so many kinds in a stretch all others are one."""
STRETCH = 3600.0
"""Seconds."""
_OF_ITS_OWN = re.compile(r"\S*\d\S*")
"""What an answer says of the one point: values, times, devices."""


class Refused:
    """What one sink refuses; ``clock`` gives seconds."""

    def __init__(
        self,
        sink: str,
        dead: DeadLetters,
        meter: Meter,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink, self._dead, self._meter, self._log, self._clock = sink, dead, meter, log, clock
        self._alike, self._since = Counter[tuple[str, str]](), clock()
        self._letters: list[DeadLetter] = []

    def note(self, point: Point, error: DeliveryError) -> None:
        """Count a point; keep it, if it is one of the first of its kind, until :meth:`put_aside`."""
        self._meter.count("sink_points_total", sink=self._sink, outcome="refused")
        number = self._number(point.measurement, _OF_ITS_OWN.sub("", str(error)))
        if number > MOST_ALIKE:
            return
        self._log.error("point refused", measurement=point.measurement, tags=point.tags, error=str(error))
        if number == MOST_ALIKE:
            self._log.warning("more such points are only counted for an hour", measurement=point.measurement)
        said = ", ".join(f"{name}={value}" for name, value in (*point.tags.items(), *point.fields.items()))
        topic = without_plates(f"sink-{self._sink}/{point.measurement}")[:MOST_SAID]
        detail = without_plates(f"{error}: {said}")[:MOST_SAID]
        self._letters.append(DeadLetter(0, point.at, topic, REFUSED, detail))

    async def put_aside(self, seq: int) -> None:
        """Put what was kept, of the groups up to ``seq``, among the dead letters; that this fails holds nothing up.

        Raises ``StoreError`` when the file must not be touched again by this process.
        """
        letters, self._letters = self._letters, []
        if not letters:
            return
        try:
            await asyncio.to_thread(self._dead.put_aside, seq, letters)
        except StoreError as error:
            if not error.retryable:
                raise
            self._log.warning("refused points are not among the dead letters", points=len(letters), error=str(error))

    def _number(self, measurement: str, why: str) -> int:
        """The how manyth of its kind in this stretch a point is."""
        if self._clock() - self._since >= STRETCH:
            self._alike.clear()
            self._since = self._clock()
        kind = measurement, why
        if kind not in self._alike and len(self._alike) >= MOST_KINDS:
            kind = "", ""
        self._alike[kind] += 1
        return self._alike[kind]

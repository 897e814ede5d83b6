"""The kinds of reading that sensord knows, as data: each stream's numeric fields and labels.

A *field* becomes a float64 column (NaN where a reading lacks it); a *label* becomes an int8 column of codes into the
label's vocabulary (-1 where a reading lacks it). ``eventful`` streams speak only when something happens, so an empty
window of them is a true zero as long as the device is alive; on the other streams an empty window is "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from sensord.core.region import PROVINCES


class Stream(IntEnum):
    """What a reading is about; the value is the code in a batch's ``stream`` column."""

    CROWD = 0
    PLATE = 1
    LEVEL = 2
    REPORT = 3
    STATUS = 4
    VISIT = 5
    """Passages and visits of vehicles: derived from ``plate`` by the core, never sent by a device."""

    @property
    def word(self) -> str:
        """The stream as topics and configuration write it."""
        return self.name.lower()


class Adds(Enum):
    """What of a field can be added up, so that the sum is a number of something."""

    READINGS = "readings"
    """What happened since the reading before, or what one event is about."""
    DEVICES = "devices"
    """How many there are at that moment in the sensor's own part: not two readings, but two sensors."""
    NOTHING = "nothing"
    """How it is at that moment: neither."""


@dataclass(frozen=True, slots=True)
class Field:
    """A numeric column: its name, its unit, and what it means. ``signed``: it can be below zero."""

    name: str
    unit: str
    meaning: str
    adds: Adds = Adds.READINGS
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A categorical column: its name and its closed vocabulary; a code is a position in it.

    ``tag`` says whether time-series stores get it: not when it would multiply their series.
    """

    name: str
    words: tuple[str, ...]
    tag: bool = True


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What readings of a stream carry."""

    stream: Stream
    fields: tuple[Field, ...]
    labels: tuple[Label, ...] = ()
    eventful: bool = False


DIRECTION = Label("direction", ("in", "out"))
PLATE_CLASS = Label("class", ("local", "out_of_town", "key_area", "special", "none", "unread"))
PROVINCE = Label("province", tuple(PROVINCES), tag=False)
ENERGY = Label("energy", ("fuel", "new_energy"), tag=False)
LISTED = Label("list", ("watch", "other"), tag=False)
EVENT = Label("event", ("passed", "staying", "overnight", "ended", "cloned", "recognised", "counted"))
CERTAINTY = Label("certainty", ("certain", "doubtful"), tag=False)
SEVERITY = Label("severity", ("blue", "yellow", "orange", "red"))

STREAMS: dict[Stream, StreamSpec] = {
    Stream.CROWD: StreamSpec(
        Stream.CROWD,
        (
            Field("count", "people", "people in the sensor's region at that moment", Adds.DEVICES),
            Field("enter", "people", "people who entered since the previous reading"),
            Field("exit", "people", "people who left since the previous reading"),
            Field("density", "people/m2", "count divided by the region's area_m2; derived, never sent", Adds.NOTHING),
        ),
    ),
    Stream.PLATE: StreamSpec(
        Stream.PLATE,
        (Field("confidence", "0..1", "how sure the camera is of the whole plate", Adds.NOTHING),),
        (DIRECTION, PLATE_CLASS, PROVINCE, ENERGY, LISTED),
        eventful=True,
    ),
    Stream.LEVEL: StreamSpec(
        Stream.LEVEL,
        (Field("value", "", "a numeric gauge: free parking spaces, bookings, decibels", Adds.DEVICES, signed=True),),
    ),
    Stream.REPORT: StreamSpec(
        Stream.REPORT,
        (Field("grade", "1..4", "the severity of a human finding: 1 blue, 2 yellow, 3 orange, 4 red"),),
        (SEVERITY,),
        eventful=True,
    ),
    Stream.STATUS: StreamSpec(
        Stream.STATUS,
        (
            Field("battery", "%", "charge of the device's battery", Adds.NOTHING),
            Field("signal", "dBm", "received signal strength", Adds.NOTHING, signed=True),
            Field("uptime", "s", "seconds since the device started", Adds.NOTHING),
        ),
    ),
    Stream.VISIT: StreamSpec(
        Stream.VISIT,
        (
            Field("stay", "h", "how long the vehicle has been inside (staying), or was (passed out)"),
            Field("nights", "nights", "nights parked without leaving (overnight)"),
            Field(
                "days_away", "days", "since the vehicle was last seen anywhere, or as long as we remember (passed in)"
            ),
            Field("visits", "visits", "visits of the vehicle lately, this one included (passed in)"),
            Field("short_visits", "visits", "short visits of the vehicle lately, this one included (passed out)"),
            Field("compounds", "compounds", "compounds that the vehicle entered within the hour (passed in)"),
            Field("inside", "vehicles", "vehicles in the compound after the passage", Adds.NOTHING),
            Field("unsure", "vehicles", "by how many that number may be wrong", Adds.NOTHING),
            Field("filled", "%", "vehicles inside as a share of the compound's parking spaces", Adds.NOTHING),
        ),
        (EVENT, DIRECTION, PLATE_CLASS, PROVINCE, ENERGY, LISTED, CERTAINTY),
        eventful=True,
    ),
}
PRESENCE = ("inside", "unsure", "filled")
"""The fields of the stream ``visit`` that say how many are in a compound, and nothing of a vehicle."""
SOURCE = {Stream.VISIT: Stream.PLATE}
"""Derived streams: which devices' readings they are made of."""
BY_WORD = {stream.word: stream for stream in Stream}
SIGNED = frozenset(field.name for spec in STREAMS.values() for field in spec.fields if field.signed)
FIELDS = tuple(dict.fromkeys(field.name for spec in STREAMS.values() for field in spec.fields))
LABELS = {label.name: label for spec in STREAMS.values() for label in spec.labels}

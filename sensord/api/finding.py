"""Findings of street, community and special inspections: the same message that an inspection app sends over MQTT.

The core sees one way only: a message in the native format on the topic of a registered device of the stream ``report``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sensord.api.refusal import Refused
from sensord.core.definition import Definition
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.stream import Stream

Counter = Annotated[int, Field(ge=0, le=2**53)]


class Finding(BaseModel):
    """What was found: by a device, or by hand at a place. With ``boot`` and ``seq``, or ``at``, twice counts once."""

    model_config = ConfigDict(extra="forbid")
    device: Annotated[str, Field(max_length=64, description="a registered device of the stream report")] = ""
    place: Annotated[
        str, Field(max_length=64, description="where; without a device the nearest one at or above takes it")
    ] = ""
    severity: Literal["blue", "yellow", "orange", "red"]
    code: Annotated[str, Field(max_length=64, description="what kind of finding")] = ""
    by: Annotated[str, Field(max_length=64, description="a role id; names of persons do not belong here")] = ""
    text: Annotated[str, Field(max_length=4000)] = ""
    at: AwareDatetime | None = None
    boot: Counter | None = None
    seq: Counter | None = None


def finding_message(finding: Finding, definition: Definition) -> tuple[str, bytes, str]:
    """Return topic, payload and device of a finding; raises ``Refused`` when no such device takes findings."""
    places = Places(definition.places, ())
    device = _device(finding, definition, places)
    compound = places.above(device.place, PlaceKind.COMPOUND) or device.place
    topic = definition.topics
    for part, word in (("compound", compound), ("kind", device.stream.word), ("device", device.id)):
        topic = topic.replace("{" + part + "}", word)
    content = finding.model_dump(exclude_none=True, exclude={"at"}) | {"device": device.id}
    if finding.at is not None:
        content["at"] = finding.at.isoformat()
    return topic, msgspec.json.encode(content), device.id


def _device(finding: Finding, definition: Definition, places: Places) -> Device:
    """The device that is named, or the one that stands nearest above the place."""
    takers = {one.id: one for one in definition.devices if one.stream is Stream.REPORT}
    if finding.device:
        if finding.device not in takers:
            raise Refused(404, f"no device {finding.device} of the stream report is registered in places.yaml")
        if finding.place and finding.place not in places.within(takers[finding.device].place):
            raise Refused(404, f"{finding.place} does not lie in the place of {finding.device}: leave out one of them")
        return takers[finding.device]
    if finding.place not in places.by_id:
        if not finding.place:
            raise Refused(404, "name a device or a place")
        raise Refused(404, f"there is no place {finding.place}")
    above = places.path(finding.place)
    kinds = (PlaceKind.MICRO_GRID, PlaceKind.COMPOUND, PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)
    for place in (finding.place, *(above[kind] for kind in kinds if kind in above)):
        found = next((one for one in takers.values() if one.place == place), None)
        if found is not None:
            return found
    raise Refused(404, f"no device of the stream report stands at or above {finding.place}: add one to places.yaml")

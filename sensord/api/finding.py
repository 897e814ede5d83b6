"""Findings of street, community and special inspections: the same message that an inspection app sends over MQTT.

The core sees one way only: a message in the native format on the topic of a registered device of the stream ``report``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sensord.core.definition import Definition
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import Stream

Counter = Annotated[int, Field(ge=0, le=2**53)]


class Finding(BaseModel):
    """What was found. With ``boot`` and ``seq``, or with ``at``, sending it twice counts once."""

    model_config = ConfigDict(extra="forbid")
    device: Annotated[str, Field(min_length=1, max_length=64, description="a registered device of the stream report")]
    severity: Literal["blue", "yellow", "orange", "red"]
    code: Annotated[str, Field(max_length=64)] = ""
    by: Annotated[str, Field(max_length=64, description="a role id; names of persons do not belong here")] = ""
    text: Annotated[str, Field(max_length=4000)] = ""
    at: AwareDatetime | None = None
    boot: Counter | None = None
    seq: Counter | None = None


def finding_message(finding: Finding, definition: Definition) -> tuple[str, bytes]:
    """Return topic and payload of a finding; raises ``LookupError`` when no such device takes findings."""
    device = next((one for one in definition.devices if one.id == finding.device), None)
    if device is None or device.stream is not Stream.REPORT:
        raise LookupError(f"no device {finding.device} of the stream report is registered in places.yaml")
    compound = Places(definition.places, ()).above(device.place, PlaceKind.COMPOUND) or device.place
    topic = definition.topics
    for part, word in (("compound", compound), ("kind", device.stream.word), ("device", device.id)):
        topic = topic.replace("{" + part + "}", word)
    content = finding.model_dump(exclude_none=True, exclude={"at"})
    if finding.at is not None:
        content["at"] = finding.at.isoformat()
    return topic, msgspec.json.encode(content)

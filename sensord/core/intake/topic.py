"""Topics: templates that are matched and filled in, and where each registered topic leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sensord.core.definition import Definition
from sensord.core.intake.codec import CODECS, Codec
from sensord.core.place import PlaceKind, Places
from sensord.core.reading import Topic
from sensord.core.shared import places_of, shared
from sensord.core.stream import BY_WORD, Stream
from sensord.errors import DecodeError


class TopicTemplate:
    """A topic with ``{part}`` segments; matches concrete topics and fills itself in."""

    def __init__(self, template: str) -> None:
        # Each segment, and the name of the part that it stands for, if any.
        self._segments = [(one, one[1:-1] if one.startswith("{") else None) for one in template.split("/")]

    def parts(self, topic: str) -> dict[str, str] | None:
        """Take a topic apart, or return None when it is not of this form."""
        segments = topic.split("/")
        if len(segments) != len(self._segments):
            return None
        found = {}
        for (pattern, name), segment in zip(self._segments, segments, strict=True):
            if name is not None:
                found[name] = segment
            elif pattern != segment:
                return None
        return found

    def fill(self, **parts: str) -> str:
        """Write the topic with these parts in place."""
        return "/".join([segment if name is None else parts[name] for segment, name in self._segments])


@dataclass(frozen=True, slots=True)
class Route:
    """Where a topic leads; with it, what is needed for each of its messages, found once.

    ``number`` is its position in the list of all routes, ``index`` the device's in the registry, ``device`` its id.
    ``spots`` are the places that its findings may name: the device's own, and all in it.
    """

    number: int
    index: int
    device: str
    stream: Stream
    topic: Topic
    codec: Codec
    spots: frozenset[str]


@shared
def all_routes(definition: Definition) -> Mapping[str, Route]:
    """Return the route of every topic that a registered device may send on."""
    places, template, routes = places_of(definition), TopicTemplate(definition.topics), dict[str, Route]()
    for index, device in enumerate(places.devices):
        compound = places.above(device.place, PlaceKind.COMPOUND) or device.place
        for stream in dict.fromkeys((device.stream, Stream.STATUS)):
            text = template.fill(compound=compound, kind=stream.word, device=device.id)
            # A device's own stream speaks its codec; signs of life are always in the native format.
            name = device.codec if stream is device.stream else "native"
            topic = Topic(compound, stream, device.id)
            own = index, device.id, stream, topic, CODECS[name], places.within(device.place)
            routes[text] = Route(len(routes), *own)
    return routes


def unknown_topic(parts: dict[str, str] | None, places: Places) -> DecodeError:
    """Say why no device may send on a topic that the template took apart so (None: it is not of that form)."""
    if parts is None:
        return DecodeError("unknown_topic", "the topic has not the form of the configured template")
    if parts["kind"] not in BY_WORD:
        return DecodeError("unknown_kind", "the topic names no known kind of reading")
    index = places.device_index.get(parts["device"])
    if index is None:
        return DecodeError("unknown_device", "the device is not registered in places.yaml")
    device = places.devices[index]
    if parts["kind"] not in (device.stream.word, Stream.STATUS.word):
        return DecodeError("wrong_stream", f"the device is registered for {device.stream.word}")
    return DecodeError("wrong_place", "the device is registered at another compound")

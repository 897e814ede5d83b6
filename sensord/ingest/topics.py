"""Topic templates (``linfen/{compound}/{kind}/{device}``) as sessions at the broker, and what a topic is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sensord.core.stream import SOURCE, Stream
from sensord.ingest.queue import Lane

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
_SENT = tuple(stream.word for stream in Stream if stream not in SOURCE)
"""What devices send; the other streams are derived by the core."""
_SIGHTINGS = (Stream.PLATE, Stream.REPORT)
"""What tells of one vehicle, or of one finding: no later message replaces it, and there are few."""
_COUNTS = (Stream.CROWD, Stream.LEVEL)
"""What tells how things are: the newest message replaces those before it."""
KINDS = (*_SENT, "command", "other")
"""What a received message may be counted as: a stream, an operator's command, or anything else."""


@dataclass(frozen=True, slots=True)
class Session:
    """A persistent session at the broker, which hands over its messages in order: so each lane has its own.

    ``filters`` are its subscriptions; ``left`` are those that it had in earlier versions, and others have now.
    ``echo`` is the topic of its echoes (``backlog``), which it subscribes to where it may; "": it has none.
    """

    name: str
    lane: Lane
    filters: tuple[str, ...]
    left: tuple[str, ...] = ()
    echo: str = ""

    def client_id(self, ours: str) -> str:
        """Its name at the broker, made of ``mqtt.client_id``; the readings' session has no name beside that."""
        return f"{ours}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return "" if self.lane is Lane.READINGS else f"-{self.name}"

    @property
    def worker(self) -> str:
        """The name of its thread, and of its pulse."""
        return f"receiver{self._suffix}"

    @property
    def fact(self) -> str:
        """The name under which it is shown how it stands."""
        return f"mqtt{self._suffix}"


@dataclass(frozen=True, slots=True)
class Ahead:
    """The fresh lane: its client id, the topic of the echoes, and what it subscribes to while it is open."""

    client_id: str
    echo: str
    filters: tuple[str, ...]


def ahead(readings: str, client_id: str) -> Ahead:
    """Say what the fresh lane does under a template: where topics do not tell kinds apart, it stays closed."""
    streams = _COUNTS if "{kind}" in readings else ()
    filters = tuple(_of_kind(readings, stream) for stream in streams)
    return Ahead(f"{client_id}-fresh", echo_topic(readings, client_id), filters)


def echo_topic(readings: str, client_id: str) -> str:
    """The topic of echoes, beside those of readings: ``linfen/echo/sensord``."""
    fixed = _PLACEHOLDER.split(readings)[0]
    return f"{fixed[: fixed.rfind('/') + 1]}echo/{client_id}"


def sessions(readings: str, commands: str, client_id: str) -> list[Session]:
    """Turn the two templates into sessions: of readings, of commands, and of sightings where topics tell kinds apart.

    Each kind has its own filter, so that the broker does not send what nobody decodes.
    """
    commanding = Session("commands", Lane.COMMANDS, (wildcard(commands),))
    echo = echo_topic(readings, client_id)
    if "{kind}" not in readings:
        return [Session("readings", Lane.READINGS, (wildcard(readings),), commanding.filters, echo), commanding]
    seen = tuple(_of_kind(readings, stream) for stream in _SIGHTINGS)
    counts = tuple(_of_kind(readings, stream) for stream in Stream if stream not in (*SOURCE, *_SIGHTINGS))
    return [
        Session("readings", Lane.READINGS, counts, (*seen, *commanding.filters), echo),
        Session("sightings", Lane.SIGHTINGS, seen),
        commanding,
    ]


def _of_kind(readings: str, stream: Stream) -> str:
    return wildcard(readings.replace("{kind}", stream.word))


def wildcard(template: str) -> str:
    """The filter that fits every topic of a template."""
    return _PLACEHOLDER.sub("+", template)


def kind_of(readings: str, commands: str) -> Callable[[str], str]:
    """Return the function that tells a topic's kind: one of :data:`KINDS`, for it becomes a label."""
    levels = readings.split("/")
    position = levels.index("{kind}") if "{kind}" in levels else None
    command = re.compile(_PLACEHOLDER.sub("[^/]+", re.escape(commands).replace(r"\{", "{").replace(r"\}", "}")))

    def kind(topic: str) -> str:
        parts = topic.split("/")
        if position is not None and len(parts) == len(levels) and parts[position] in _SENT:
            return parts[position]
        return "command" if command.fullmatch(topic) else "other"

    return kind

"""Topic templates (``linfen/{compound}/{kind}/{device}``) as subscriptions, and what a topic is about."""

from __future__ import annotations

import re
from collections.abc import Callable

from sensord.core.stream import SOURCE, Stream

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
_SENT = tuple(stream.word for stream in Stream if stream not in SOURCE)
"""What devices send; the other streams are derived by the core."""
KINDS = (*_SENT, "command", "other")
"""What a received message may be counted as: a stream, an operator's command, or anything else."""


def filters(readings: str, commands: str) -> list[str]:
    """Turn the two templates into subscription filters: one for each kind of reading, and one for commands.

    Each kind has its own filter, so that the broker does not send what nobody decodes.
    """
    kinds = (
        [_wildcard(readings.replace("{kind}", kind)) for kind in _SENT]
        if "{kind}" in readings
        else [_wildcard(readings)]
    )
    return [*kinds, _wildcard(commands)]


def _wildcard(template: str) -> str:
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

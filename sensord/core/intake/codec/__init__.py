"""Codecs: pure functions from a message to readings, one file per source format.

A codec is ``(topic, payload, context) -> readings`` and raises ``DecodeError`` with a named reason. The registry maps
the name that ``places.yaml`` gives a device to its codec; a new format is a new file and a line here.
"""

from __future__ import annotations

from collections.abc import Callable

from sensord.core.intake.codec import native
from sensord.core.intake.codec.context import Context
from sensord.core.reading import Reading, Topic

Codec = Callable[[Topic, bytes, Context], list[Reading]]

CODECS: dict[str, Codec] = {"native": native.decode}

__all__ = ["CODECS", "Codec", "Context"]

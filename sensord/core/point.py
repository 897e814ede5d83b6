"""A time-series point, as a value."""

from __future__ import annotations

import msgspec


class Point(msgspec.Struct, frozen=True, gc=False):
    """One point. Tags and fields hold no plate, no phone number, no secret, by construction. ``at`` is ns."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | str | bool]
    at: int

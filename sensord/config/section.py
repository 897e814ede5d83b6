"""What the sections of ``sensord.yaml`` are made of: strict mappings, and scalars with a form."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="lower-case letters, digits and hyphens")]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Duration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$", description="a duration: 30s, 5m, 1h30m")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping in YAML; unknown keys are refused."""

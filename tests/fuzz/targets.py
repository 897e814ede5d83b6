"""Every target, by name."""

from __future__ import annotations

from tests.fuzz import files, messages, state, web
from tests.fuzz.target import named

TARGETS = named((*messages.TARGETS, *files.TARGETS, *state.TARGETS, *web.TARGETS))

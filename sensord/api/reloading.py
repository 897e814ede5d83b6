"""Reading rules and configuration again, on request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

import msgspec
from fastapi import APIRouter, Depends, Response

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.auditing import Auditor
from sensord.api.refusal import Refused
from sensord.api.tokens import Identity, Role
from sensord.errors import StoreError, UnavailableError


class Outcome(Protocol):
    """What became of a reload; it is shown whole."""

    @property
    def accepted(self) -> bool:
        """Whether the new configuration is in force."""
        ...


Reload = Callable[[str], Awaitable[Outcome]]
"""Reads the configuration again; is told who asked."""


def routes(reload: Reload, auditor: Auditor) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/api/v1", tags=["changing"])

    @router.post("/reload", summary="Read rules and configuration again")
    async def reload_configuration(identity: Annotated[Identity, Depends(needs(Role.ADMIN))]) -> Response:
        try:
            outcome = await reload(f"api:{identity.name}")
        except (UnavailableError, StoreError) as error:
            raise answers.unavailable(error) from error
        report = msgspec.to_builtins(outcome)
        await auditor.note(identity, "reload" if outcome.accepted else "reload refused")
        if not outcome.accepted:
            refused = Refused(422, "the configuration is refused; the rules in force stay")
            return answers.refusal(refused, **report)
        return answers.json(200, report)

    return router

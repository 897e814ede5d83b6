"""Who may use what. Every route but the ``OPEN`` ones needs a token; each says which role.

The guard identifies the caller before anybody looks at the request's body; a route's dependency compares the role.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from sensord.api.refusal import Refused
from sensord.api.tokens import Identity, Role, TokenStore

OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json")
"""Probes, and the description of the API."""
BY_LINK = "/a/"
"""The pages behind links: their address is the permission."""

LEAST: dict[object, Role] = {}
"""The least role of each dependency that ``needs`` made: what the description of the API is drawn from."""

_described = Depends(HTTPBearer(auto_error=False, description="a token of `sensord token create`"))


def identify(scope: Scope, tokens: TokenStore) -> Identity | None:
    """Return who asks, or None: no token, or one that is not good. Raises ``StoreError``."""
    given = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, text = given.decode("latin-1").partition(" ")
    return tokens.identify(text.strip(), time.time_ns()) if scheme.lower() == "bearer" else None


def is_open(path: str) -> bool:
    """Whether a path needs no token."""
    return path in OPEN or path.startswith(BY_LINK)


def needs(role: Role) -> Callable[..., Awaitable[Identity]]:
    """Make the dependency that lets a role and those above through, and answers 403 to the others."""

    async def identity(
        request: Request, _described: Annotated[HTTPAuthorizationCredentials | None, _described] = None
    ) -> Identity:
        known: Identity = request.state.identity
        if known.role < role:
            raise Refused(403, f"this needs the role {role.word}; the token has {known.role.word}")
        return known

    LEAST[identity] = role
    return identity

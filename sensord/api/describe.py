"""The table of routes in ``docs/api.md``, drawn from the application itself (``make docs``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from sensord.api.access import LEAST
from sensord.api.application import Metrics, Office, build
from sensord.api.tokens import Role

_BEGIN, _END = "<!-- routes -->", "<!-- /routes -->"


def table() -> str:
    """Return the table: method, path, least role, what it is for; one line per route."""
    nobody = cast(Any, None)
    app = build(nobody, nobody, Metrics(nobody, "", nobody), nobody, None, nobody, Office(nobody, nobody, nobody))
    lines = ["| | path | role | |", "|---|---|---|---|"]
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute) and route.include_in_schema:
            role = max(_roles(route.dependant), default=None)
            word = role.word if role is not None else "-"
            methods = sorted(route.methods or ())
            lines += [f"| {method} | `{context.path}` | {word} | {route.summary} |" for method in methods]
    return "\n".join(lines) + "\n"


def _roles(dependant: Dependant) -> Iterator[Role]:
    for one in dependant.dependencies:
        if one.call in LEAST:
            yield LEAST[one.call]
        yield from _roles(one)


def redraw(text: str) -> str:
    """Return a document with the table between its marks drawn anew; raises ``ValueError`` when there are none."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    if not rest or not after:
        raise ValueError(f"the document lacks {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n{table()}{_END}{after}"

"""Puts the HTTP application together. Importing FastAPI takes about 0.4 s: import this module late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sensord.api import answers, changing, pages, reading, reloading
from sensord.api.backend import Backend, Vitals
from sensord.api.feed import Feed
from sensord.api.guard import Guard
from sensord.api.links import AnswerLinks
from sensord.api.reloading import Reload
from sensord.api.tokens import TokenStore
from sensord.ports import Meter


@dataclass(frozen=True, slots=True)
class Metrics:
    """The text of the metrics, its content type, and where requests are counted."""

    text: Callable[[], bytes]
    content_type: str
    meter: Meter


def build(
    backend: Backend,
    vitals: Vitals,
    metrics: Metrics,
    tokens: TokenStore,
    links: AnswerLinks | None,
    reload: Reload,
) -> FastAPI:
    """Build the application; without ``links`` there are no pages for answers."""
    app = FastAPI(
        title="sensord",
        version="1",
        docs_url=None,  # its pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.add_exception_handler(HTTPException, answers.on_http_error)
    app.add_exception_handler(RequestValidationError, answers.on_invalid)
    app.add_middleware(Guard, meter=metrics.meter, tokens=tokens)
    app.include_router(reading.probes(vitals, metrics.text, metrics.content_type))
    app.include_router(reading.routes(backend))
    app.include_router(Feed(backend).routes())
    app.include_router(changing.routes(backend))
    app.include_router(reloading.routes(reload))
    if links is not None:
        app.include_router(pages.routes(backend, links))
    return app

"""Puts the HTTP application together. Importing FastAPI takes about 0.4 s: import this module late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sensord.api import answers, changing, pages, reading, records, reloading, workshop
from sensord.api.auditing import Auditor
from sensord.api.backend import Backend, Records, Vitals, Workshop
from sensord.api.feed import Feed
from sensord.api.guard import Guard
from sensord.api.links import AnswerLinks
from sensord.api.reloading import Reload
from sensord.api.tokens import TokenStore
from sensord.errors import SensordError
from sensord.ports import AuditRegister, Meter


@dataclass(frozen=True, slots=True)
class Metrics:
    """The text of the metrics, its content type, and where requests are counted."""

    text: Callable[[], bytes]
    content_type: str
    meter: Meter


@dataclass(frozen=True, slots=True)
class Office:
    """What is behind the routes that are not about live cases: what was, the files, the audit."""

    records: Records
    workshop: Workshop
    audit: AuditRegister


def build(
    backend: Backend,
    vitals: Vitals,
    metrics: Metrics,
    tokens: TokenStore,
    links: AnswerLinks | None,
    reload: Reload,
    office: Office,
) -> FastAPI:
    """Build the application; without ``links`` there are no pages for answers."""
    auditor = Auditor(office.audit, lambda: backend.definition.zone)
    app = FastAPI(
        title="sensord",
        version="1",
        docs_url=None,  # its pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,  # the redirect fails on a query that is no text
        responses={"4XX": {"model": answers.Refusal, "description": "Not done, and why, in Chinese and English"}},
    )
    app.add_exception_handler(HTTPException, answers.on_http_error)
    app.add_exception_handler(RequestValidationError, answers.on_invalid)
    app.add_exception_handler(SensordError, answers.on_fault)
    app.add_middleware(Guard, meter=metrics.meter, tokens=tokens)
    app.include_router(reading.probes(vitals, metrics.text, metrics.content_type))
    app.include_router(reading.routes(backend))
    app.include_router(Feed(backend).routes())
    app.include_router(changing.routes(backend, auditor))
    app.include_router(reloading.routes(reload, auditor))
    app.include_router(records.routes(office.records, auditor))
    app.include_router(workshop.routes(office.workshop, auditor))
    app.include_router(auditor.routes())
    if links is not None:
        app.include_router(pages.routes(backend, links, office.records))
    return app

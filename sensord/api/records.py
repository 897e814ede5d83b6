"""Reports, lists, scores and ledgers: as data, or as documents for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from threading import Lock
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.auditing import Auditor
from sensord.api.backend import Records
from sensord.api.reading import Id
from sensord.api.refusal import Refused
from sensord.api.tokens import Identity, Role
from sensord.bulkheads import part
from sensord.core.cases.reports import ReportTable, VehicleTable
from sensord.core.instant import from_datetime

P = ParamSpec("P")
T = TypeVar("T")
_TURN = Lock()
Form = Literal["json", "txt", "md", "html", "csv"]
Language = Literal["zh", "en"]
ListName = Literal["problems", "tasks", "responsibilities", "silent"]
TYPES: dict[str, str] = {
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
}
CONTENT: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in TYPES.values()}}}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For a document: it has a style of its own, and nothing else may be loaded or run."""

From = Annotated[AwareDatetime | None, Query(alias="from", description="default: 30 days before the end")]
To = Annotated[AwareDatetime | None, Query(description="exclusive; default: now")]
TABLE = "with form=csv; default: the first"
ReportName = Annotated[str, Path(max_length=80, pattern=r"^[a-z][A-Za-z0-9_-]*$")]


class DayBody(BaseModel):
    """Which local day a report is made of."""

    model_config = ConfigDict(extra="forbid")
    day: date


class Made(BaseModel):
    """The report is there."""

    report: str


def check_table(form: str, table: str | None) -> None:
    """Refuse a table of a form that holds them all."""
    if table is not None and form != "csv":
        raise Refused(422, "query.table: goes with form=csv")


def document(content: bytes | str, form: str) -> Response:
    """Answer with a document."""
    headers = {"cache-control": "no-store", "content-security-policy": POLICY}
    return Response(content, media_type=f"{TYPES[form]}; charset=utf-8", headers=headers)


async def apart(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what may look at a year of cases, one such call at a time, on threads that nobody else waits for.

    A year of cases takes hundreds of megabytes while it is looked at, and a thread that computes holds up all others.
    """

    def in_turn() -> T:
        with _TURN:
            return call(*args, **kwargs)

    with part("records"):
        return await asyncio.to_thread(in_turn)


def routes(records: Records, auditor: Auditor) -> APIRouter:
    """Everything about what was."""
    router = APIRouter(prefix="/api/v1", tags=["records"])
    _reports(router, records, auditor)
    _vehicles(router, records)
    _lists(router, records)
    return router


_VIEWER = [Depends(needs(Role.VIEWER))]


def _reports(router: APIRouter, records: Records, auditor: Auditor) -> None:
    @router.get("/reports", summary="The reports that are kept, the newest first", dependencies=_VIEWER)
    async def reports() -> Response:
        return answers.json(200, {"reports": await apart(records.reports)})

    @router.get("/reports/{report}", summary="One report", dependencies=_VIEWER, responses=CONTENT)
    async def report(
        report: ReportName,
        form: Form = "json",
        language: Language = "zh",
        table: Annotated[ReportTable | None, Query(description=TABLE)] = None,
    ) -> Response:
        check_table(form, table)
        found = await apart(records.report, report, form, language, table)
        if found is None:
            raise Refused(404, f"no report is called {report}")
        return document(found, form)

    @router.post("/reports", status_code=201, response_model=Made, summary="Make the report of a local day")
    async def make(body: DayBody, identity: Annotated[Identity, Depends(needs(Role.OPERATOR))]) -> Response:
        name = await apart(records.make_report, body.day)
        await auditor.note(identity, "report", report=name)
        return answers.json(201, {"report": name})


def _vehicles(router: APIRouter, records: Records) -> None:
    @router.get(
        "/vehicles", summary="Vehicles by place, hour and day, of any time", dependencies=_VIEWER, responses=CONTENT
    )
    async def vehicles(
        day: Annotated[
            date | None, Query(description="a local day; default: yesterday, unless a span is given")
        ] = None,
        start: Annotated[AwareDatetime | None, Query(alias="from", description="default: a day before the end")] = None,
        to: To = None,
        form: Form = "json",
        language: Language = "zh",
        table: Annotated[VehicleTable | None, Query(description=TABLE)] = None,
    ) -> Response:
        check_table(form, table)
        first, last = _instants(start, to)
        return document(await apart(records.vehicles, day, first, last, form, language, table), form)


def _instants(start: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
    """The moments of a query as instants (ns); raises ``Refused`` for one that there is none of."""
    try:
        first, last = (None if moment is None else from_datetime(moment) for moment in (start, end))
    except OverflowError as error:
        raise Refused(422, "query.from: out of range") from error
    return first, last


def _lists(router: APIRouter, records: Records) -> None:
    def covered(start: AwareDatetime | None, end: AwareDatetime | None) -> tuple[int, int]:
        return records.span(*_instants(start, end), 30)

    @router.get("/lists/{name}", summary="A list of cases or people", dependencies=_VIEWER, responses=CONTENT)
    async def listed(
        name: ListName, start: From = None, to: To = None, form: Form = "json", language: Language = "zh"
    ) -> Response:
        span = covered(start, to)
        if form == "json":
            return await apart(lambda: answers.json(200, records.listed(name, *span)))
        return document(await apart(records.document, name, *span, form, language), form)

    @router.get("/scores", summary="The quarterly score of each grid and role", dependencies=_VIEWER)
    async def scores(
        quarter: Annotated[str, Query(max_length=6, description="2026Q4; default: the present one")] = "",
    ) -> Response:
        span = records.quarter(quarter)
        return await apart(lambda: answers.json(200, records.scores(*span)))

    @router.get("/people/{person}/ledger", summary="What somebody was told and did", dependencies=_VIEWER)
    async def of_person(person: Id, start: From = None, to: To = None) -> Response:
        return await apart(lambda: answers.json(200, records.ledger(person, None, *covered(start, to))))

    @router.get("/shifts/{shift}/ledger", summary="What a shift was told and did", dependencies=_VIEWER)
    async def of_shift(shift: Id, start: From = None, to: To = None) -> Response:
        return await apart(lambda: answers.json(200, records.ledger("", shift, *covered(start, to))))

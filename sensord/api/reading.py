"""What may be read: cases, places with their live state, rules, roster, plans, silences; and the probes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.backend import Backend, Vitals, Which
from sensord.api.plain import plain
from sensord.api.refusal import Refused
from sensord.api.tokens import Role
from sensord.core.instant import from_datetime

Id = Annotated[str, Path(max_length=200, pattern=r"^[^\s/]+$")]


def probes(vitals: Vitals, metrics: Callable[[], bytes], content_type: str) -> APIRouter:
    """Health and metrics: open, for those who watch the daemon itself."""
    router = APIRouter(tags=["probes"])

    @router.get("/healthz", summary="Does every worker make progress?")
    async def healthz() -> Response:
        return _state(*vitals.live())

    @router.get("/readyz", summary="Is everything as it should be?")
    async def readyz() -> Response:
        return _state(*vitals.ready())

    @router.get("/metrics", summary="Prometheus metrics")
    async def show_metrics() -> Response:
        return Response(await asyncio.to_thread(metrics), headers={"content-type": content_type})

    return router


def _state(well: bool, report: dict[str, object]) -> Response:
    return answers.json(200 if well else 503, {"ok": well, **report})


def routes(backend: Backend) -> APIRouter:
    """Everything that a viewer may see."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(needs(Role.VIEWER))], tags=["reading"])
    _cases(router, backend)
    _places(router, backend)
    _plans(router, backend)
    return router


def _cases(router: APIRouter, backend: Backend) -> None:
    @router.get("/overview", summary="Cases, alerts and sensors at a glance")
    async def overview() -> Response:
        return answers.json(200, await asyncio.to_thread(backend.overview))

    @router.get("/cases", summary="Cases, newest first")
    async def cases(state: Which = "open", limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        return answers.json(200, {"cases": await asyncio.to_thread(backend.cases, state, limit)})

    @router.get("/cases/{case}", summary="One case with its story: events, messages and their outcomes, holds")
    async def case(case: Id) -> Response:
        found = await asyncio.to_thread(backend.case, case)
        if found is None:
            raise Refused(404, f"there is no case {case}")
        return answers.json(200, found)


def _places(router: APIRouter, backend: Backend) -> None:
    @router.get("/places", summary="Places with their live state; a blind place is unknown, never normal")
    async def places(kind: Annotated[str | None, Query(max_length=20)] = None) -> Response:
        found = await asyncio.to_thread(backend.places)
        return answers.json(200, {"places": [one for one in found if kind in (None, one["kind"])]})

    @router.get("/places/{place}", summary="One place with its live state")
    async def place(place: Id) -> Response:
        for one in await asyncio.to_thread(backend.places):
            if one["id"] == place:
                return answers.json(200, one)
        raise Refused(404, f"there is no place {place}")


def _plans(router: APIRouter, backend: Backend) -> None:
    def listed(name: str, values: object) -> Response:
        whole = backend.definition
        return answers.json(200, {name: plain(values, whole.zone), "version": whole.version})

    @router.get("/rules", summary="The rules in force")
    async def rules() -> Response:
        return listed("rules", backend.definition.rules)

    @router.get("/rules/{rule}", summary="One rule")
    async def rule(rule: Id) -> Response:
        found = next((one for one in backend.definition.rules if one.id == rule), None)
        if found is None:
            raise Refused(404, f"there is no rule {rule}")
        return answers.json(200, plain(found, backend.definition.zone))

    @router.get("/roster", summary="Who answers for which place, over which channels; addresses stay in the file")
    async def roster() -> Response:
        return listed("people", backend.definition.people)

    @router.get("/roster/now", summary="Who is on duty, till when, over which channels; who is away, who stands in")
    async def on_duty(
        at: Annotated[AwareDatetime | None, Query(description="default: now")] = None,
        place: Annotated[str, Query(max_length=64, description="only posts that answer for it, nearest first")] = "",
    ) -> Response:
        if at is not None and not 1970 < at.year < 2200:
            raise Refused(422, "query.at: out of range")
        instant = None if at is None else from_datetime(at)
        return answers.json(200, await asyncio.to_thread(backend.on_duty, instant, place))

    @router.get("/policies", summary="The dispatch plans in force")
    async def policies() -> Response:
        return listed("policies", backend.definition.policies)

    @router.get("/silences", summary="Silences in force or to come")
    async def silences() -> Response:
        return answers.json(200, {"silences": await asyncio.to_thread(backend.silences)})

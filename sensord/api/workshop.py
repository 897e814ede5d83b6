"""What may be changed in the files: changes of the duty plan, and rules. Checked, in force at once, all or nothing."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.auditing import Auditor
from sensord.api.backend import RosterChange, Workshop
from sensord.api.refusal import Refused
from sensord.api.tokens import Identity, Role
from sensord.core.instant import from_datetime

Person = Annotated[str, Field(max_length=40)]
FileName = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
ChangeId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
RuleText = Annotated[str, Field(max_length=262_144)]
Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ChangeBody(_Body):
    """The plan is not kept: ``away`` is not on duty, ``stands_in`` is, from when to when (to the minute)."""

    start: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    reason: Literal["leave", "swap", "extra"]
    away: Person = ""
    stands_in: Person = ""
    note: Annotated[str, Field(max_length=500)] = ""


class CheckBody(_Body):
    """A candidate for a rule file."""

    file: Annotated[str, Field(max_length=64)]
    text: RuleText


class RulesBody(_Body):
    """A rule file's new text, and the hash of the one that was edited (empty: there was none)."""

    text: RuleText
    hash: Hash = ""


class ProblemAnswer(BaseModel):
    """One mistake or warning and where it stands."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: str = "error"


class RefusedChange(answers.Refusal):
    """What is wrong; ``problems`` are those of the configuration, as `sensord check` says them."""

    problems: list[ProblemAnswer] = Field(default=[])


REFUSED: dict[int | str, dict[str, Any]] = {
    422: {"model": RefusedChange, "description": "Refused; nothing has changed"}
}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": answers.Refusal, "description": "Somebody else has changed the file meanwhile"}
}


def routes(workshop: Workshop, auditor: Auditor) -> APIRouter:
    """Everything about the files."""
    router = APIRouter(prefix="/api/v1", tags=["workshop"])
    _roster(router, workshop, auditor)
    _reading(router, workshop)
    _rules(router, workshop, auditor)
    return router


_VIEWER = [Depends(needs(Role.VIEWER))]
Operator = Annotated[Identity, Depends(needs(Role.OPERATOR))]
Admin = Annotated[Identity, Depends(needs(Role.ADMIN))]


def _roster(router: APIRouter, workshop: Workshop, auditor: Auditor) -> None:
    @router.get("/roster/changes", summary="Leave, swaps and extra duty, in force or to come", dependencies=_VIEWER)
    async def changes() -> Response:
        return answers.json(200, {"changes": await asyncio.to_thread(workshop.roster_changes)})

    @router.post("/roster/changes", status_code=201, summary="Leave, swap or extra duty", responses=REFUSED)
    async def add(body: ChangeBody, identity: Operator) -> Response:
        try:
            start, end = from_datetime(body.start), from_datetime(body.to)
        except OverflowError as error:
            raise Refused(422, "body.from: out of range") from error
        change = RosterChange(start, end, body.reason, body.away, body.stands_in, body.note)
        name, outcome = await workshop.add_change(change, identity.name)
        await auditor.note(identity, "roster change", change=name, away=body.away, stands_in=body.stands_in)
        return answers.json(201, {"id": name, **outcome})

    @router.delete("/roster/changes/{change}", summary="Take a change of the duty plan back", responses=REFUSED)
    async def remove(change: ChangeId, identity: Operator) -> Response:
        outcome = await workshop.remove_change(change, identity.name)
        await auditor.note(identity, "roster change taken back", change=change)
        return answers.json(200, outcome)


def _reading(router: APIRouter, workshop: Workshop) -> None:
    @router.get("/rule-files", summary="The rule files: names, hashes, sizes", dependencies=_VIEWER)
    async def files() -> Response:
        return answers.json(200, {"files": await asyncio.to_thread(workshop.rule_files)})

    @router.get("/rule-files/{file}", summary="One rule file's text", dependencies=_VIEWER)
    async def file(file: FileName) -> Response:
        found = await asyncio.to_thread(workshop.rule_file, file)
        if found is None:
            raise Refused(404, f"there is no rule file {file}")
        return answers.json(200, found)


def _rules(router: APIRouter, workshop: Workshop, auditor: Auditor) -> None:
    @router.post("/rule-files/check", summary="Check a candidate; nothing changes", responses=REFUSED)
    async def check(body: CheckBody, _identity: Operator) -> Response:
        warnings = await asyncio.to_thread(workshop.check_rules, body.file, body.text)
        return answers.json(200, {"warnings": msgspec.to_builtins(warnings)})

    @router.put("/rule-files/{file}", summary="Put a rule file live", responses={**REFUSED, **CONFLICT})
    async def put(file: FileName, body: RulesBody, identity: Admin) -> Response:
        outcome = await workshop.put_rules(file, body.text, body.hash, identity.name)
        await auditor.note(identity, "rule file", file=file, version=str(outcome["version"]))
        return answers.json(200, outcome)

    @router.delete("/rule-files/{file}", summary="Delete a rule file", responses={**REFUSED, **CONFLICT})
    async def delete(
        file: FileName,
        identity: Admin,
        known: Annotated[str, Query(alias="hash", pattern=r"^[0-9a-f]{64}$", description="of the text to delete")],
    ) -> Response:
        outcome = await workshop.put_rules(file, None, known, identity.name)
        await auditor.note(identity, "rule file deleted", file=file, version=str(outcome["version"]))
        return answers.json(200, outcome)

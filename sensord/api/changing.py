"""What may be changed: answers to cases, decisions about them, silences, findings, receipts. All of it is journaled.

The token's name goes with every change (``via``: ``api:<name>``), so the journal says who it was, whatever ``by`` says.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.auditing import Auditor
from sensord.api.backend import Backend
from sensord.api.finding import Finding, finding_message
from sensord.api.reading import Id
from sensord.api.recording import decided, recorded
from sensord.api.refusal import Refused
from sensord.api.tokens import LOCAL, Identity, Role
from sensord.core.instant import from_datetime
from sensord.core.level import BY_WORD
from sensord.core.record import Action, Delivery, Receipt, Scope, Verb
from sensord.decoders import convert

_BY_CASE = tuple(verb for verb in Verb if verb not in (Verb.SILENCE, Verb.UNSILENCE, Verb.COUNT))
APPROVALS = (Verb.VOID, Verb.EXTEND, Verb.RETURN)
"""Decisions that the core takes for approved when they do not come from somebody on the roster."""

Words = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Names = Annotated[list[Name], Field(max_length=200)]
SilenceId = Annotated[str, Path(max_length=200, pattern=r"^[^\s/:]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ActionBody(_Body):
    """What a person did about a case."""

    verb: Verb = Field(description="an answer, or a decision: void, extend and return need the role admin")
    by: str = Field(default="", max_length=64, description="a role id of the roster; empty: the token's own name")
    note: Words = ""
    until: AwareDatetime | None = Field(default=None, description="the new deadline of extend")


class SilenceBody(_Body):
    """What is silenced, until when, and why. What fits every part that is given is covered."""

    id: str = Field(default="", max_length=64, pattern=r"^[A-Za-z0-9_.-]*$", description="sent twice, it counts once")
    places: Names = []
    rules: Names = []
    policies: Names = []
    people: Names = []
    labels: Annotated[dict[Name, Name], Field(max_length=20)] = {}
    up_to: str = Field(default="orange", pattern="^(blue|yellow|orange|red)$", description="the highest level covered")
    until: AwareDatetime
    note: Annotated[str, Field(min_length=1, max_length=500)]


class CountBody(_Body):
    """How many vehicles are inside a compound, as somebody has counted them."""

    vehicles: Annotated[int, Field(ge=-(2**53), le=2**53, description="0 to ten times the parking spaces")]
    at: AwareDatetime = Field(description="when they were counted; refused when that is over two minutes ago")
    by: str = Field(default="", max_length=64, description="a role id of the roster; empty: the token's own name")
    note: Words = ""


class ReceiptBody(_Body):
    """What a gateway knows of a message: its key, and how far it came."""

    key: Annotated[str, Field(min_length=1, max_length=500)]
    delivery: Delivery


class Accepted(BaseModel):
    """The change is durable: the journal group that holds it. What came of it is in the case's story."""

    seq: int


class Decided(Accepted):
    """What became of it: whether the case flow accepted it, the named reason, and a sentence (zh, en).

    Without these the core has not come that far yet: look at the case's story.
    """

    accepted: bool | None = None
    verdict: str | None = None
    detail: str | None = None
    detail_en: str | None = None


_BECAME = ("accepted", "verdict", "detail", "detail_en")


class Taken(Accepted):
    """The finding is durable; ``device`` is the one in whose name it was taken."""

    device: str


Operator = Annotated[Identity, Depends(needs(Role.OPERATOR))]


def routes(backend: Backend, auditor: Auditor) -> APIRouter:
    """Everything that an operator may do."""
    router = APIRouter(prefix="/api/v1", tags=["changing"])
    _cases(router, backend, auditor)
    _silences(router, backend, auditor)
    _counts(router, backend, auditor)
    _arrivals(router, backend, auditor)
    return router


def _via(identity: Identity) -> str:
    return "cli" if identity.name == LOCAL else f"api:{identity.name}"


def _who(backend: Backend, identity: Identity, by: str) -> str:
    """Who acts: somebody on the roster, or the token's own name; raises ``Refused`` for anybody else."""
    if by not in ("", identity.name) and not any(one.id == by for one in backend.definition.people):
        raise Refused(422, "body.by: nobody on the roster is called so; leave it out to answer in the token's name")
    return by or identity.name


async def _do(backend: Backend, auditor: Auditor, identity: Identity, action: Action, **more: str) -> Response:
    """Journal an action and say what became of it; ``more`` is what the audit shall hold besides."""
    seq = await recorded(lambda: backend.act(action))
    await auditor.note(identity, action.verb, seq, case=action.case, by=action.by, **more)
    outcome = await decided(backend, seq, action)
    became = {} if outcome is None else {name: getattr(outcome, name) for name in _BECAME}
    return answers.json(202, {"seq": seq, **became})


def _cases(router: APIRouter, backend: Backend, auditor: Auditor) -> None:
    @router.post("/cases/{case}/actions", status_code=202, response_model=Decided, summary="Answer, or decide")
    async def act(case: Id, body: ActionBody, identity: Operator) -> Response:
        if body.verb not in _BY_CASE:
            raise Refused(422, "body.verb: silences and counts have routes of their own: see /openapi.json")
        if body.verb in APPROVALS and identity.role < Role.ADMIN:
            raise Refused(403, f"{body.verb.value} needs the role admin")
        who = _who(backend, identity, body.by)
        until = from_datetime(body.until) if body.until is not None else 0
        action = Action(body.verb.value, case, who, _via(identity), body.note, until)
        return await _do(backend, auditor, identity, action)


def _silences(router: APIRouter, backend: Backend, auditor: Auditor) -> None:
    @router.post("/silences", status_code=202, response_model=Decided, summary="Silence what fits, until then")
    async def silence(body: SilenceBody, identity: Operator) -> Response:
        scope = Scope(
            places=tuple(body.places),
            rules=tuple(body.rules),
            policies=tuple(body.policies),
            labels=body.labels,
            people=tuple(body.people),
            up_to=BY_WORD[body.up_to],
        )
        if scope == Scope(up_to=scope.up_to):
            raise Refused(422, "body: a silence needs places, rules, policies, labels or people")
        until = from_datetime(body.until)
        action = Action(Verb.SILENCE.value, body.id, identity.name, _via(identity), body.note, until, scope)
        return await _do(backend, auditor, identity, action)

    @router.delete("/silences/{silence}", status_code=202, response_model=Decided, summary="End a silence")
    async def unsilence(silence: SilenceId, identity: Operator) -> Response:
        action = Action(Verb.UNSILENCE.value, silence, identity.name, _via(identity))
        return await _do(backend, auditor, identity, action)


def _counts(router: APIRouter, backend: Backend, auditor: Auditor) -> None:
    @router.post(
        "/places/{place}/vehicles",
        status_code=202,
        response_model=Decided,
        summary="Say how many vehicles are inside a compound, counted by hand",
    )
    async def count(place: Id, body: CountBody, identity: Operator) -> Response:
        who = _who(backend, identity, body.by)
        via, at = _via(identity), from_datetime(body.at)
        action = Action(Verb.COUNT.value, place, who, via, body.note, vehicles=body.vehicles, at=at)
        return await _do(backend, auditor, identity, action, vehicles=str(body.vehicles))


def _arrivals(router: APIRouter, backend: Backend, auditor: Auditor) -> None:
    @router.post("/findings", status_code=202, response_model=Taken, summary="Report what an inspection found")
    async def finding(body: Finding, identity: Operator) -> Response:
        topic, payload, device = finding_message(body, backend.definition)
        seq = await recorded(lambda: backend.report(topic, payload))
        await auditor.note(identity, "finding", seq, device=device, place=body.place, by=body.by)
        return answers.json(202, {"seq": seq, "device": device})

    @router.post("/receipts", status_code=202, response_model=Accepted, summary="Say how far a message came")
    async def receipt(body: ReceiptBody, identity: Operator) -> Response:
        receipt = convert({"key": body.key, "delivery": body.delivery.value}, Receipt)
        seq = await recorded(lambda: backend.receipts([receipt]))
        await auditor.note(identity, "receipt", seq)
        return answers.json(202, {"seq": seq})

"""How the API answers: plain JSON; what is refused says why in Chinese and English, never with what was sent."""

from __future__ import annotations

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sensord.api.refusal import Refused, in_words, invalid
from sensord.errors import ConfigError, SensordError


class Refusal(BaseModel):
    """Why a request was not done: a sentence in Chinese, and in English."""

    detail: str
    detail_en: str


def json(status: int, content: object, **headers: str) -> Response:
    """Answer with JSON; ``headers`` are written with underscores."""
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


def refusal(refused: Refused, **about: object) -> Response:
    """Answer that a request is not done, and why; ``about`` is told with it."""
    said = {"detail": refused.zh, "detail_en": refused.en, **about}
    return json(refused.status_code, said, **(refused.headers or {}))


async def on_http_error(_request: Request, fault: Exception) -> Response:
    """Answer what our own code refuses, and what the framework does."""
    if not isinstance(fault, HTTPException):
        raise fault
    return refusal(in_words(fault))


async def on_fault(_request: Request, fault: Exception) -> Response:
    """Say what is wrong with the configuration (422, with every mistake), or that it cannot be done now (503)."""
    if isinstance(fault, ConfigError):
        said = Refused(422, "the configuration is refused; nothing has changed")
        return refusal(said, problems=msgspec.to_builtins(fault.problems))
    if not isinstance(fault, SensordError):
        raise fault
    return refusal(unavailable(fault))


def unavailable(fault: SensordError) -> Refused:
    """What cannot be done now, and why."""
    return Refused(503, str(fault))


async def on_invalid(_request: Request, fault: Exception) -> Response:
    """Say which part of the request is wrong and why, without its content."""
    if not isinstance(fault, RequestValidationError):
        raise fault
    return refusal(invalid(fault.errors()))

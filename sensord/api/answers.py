"""How the API answers: plain JSON, errors as ``{"error": ...}``, never with what was sent."""

from __future__ import annotations

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sensord.errors import ConfigError, SensordError


def json(status: int, content: object, **headers: str) -> Response:
    """Answer with JSON; ``headers`` are written with underscores."""
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


def error(status: int, text: str, **headers: str) -> Response:
    """Answer with an error text."""
    return json(status, {"error": text}, **headers)


async def on_http_error(_request: Request, fault: Exception) -> Response:
    """Write an ``HTTPException`` as an error text."""
    if not isinstance(fault, HTTPException):
        raise fault
    return error(fault.status_code, str(fault.detail), **(fault.headers or {}))


async def on_fault(_request: Request, fault: Exception) -> Response:
    """Say what is wrong with the configuration (422, with every mistake), or that it cannot be done now (503)."""
    if isinstance(fault, ConfigError):
        problems = msgspec.to_builtins(fault.problems)
        return json(422, {"error": "the configuration is refused; nothing has changed", "problems": problems})
    if not isinstance(fault, SensordError):
        raise fault
    return error(503, str(fault))


async def on_invalid(_request: Request, fault: Exception) -> Response:
    """Say which part of the request is wrong and why, without its content."""
    if not isinstance(fault, RequestValidationError):
        raise fault
    problems = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in fault.errors()]
    return error(422, "; ".join(problems[:10]))

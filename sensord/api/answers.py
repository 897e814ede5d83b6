"""How the API answers: plain JSON, errors as ``{"error": ...}``, never with what was sent."""

from __future__ import annotations

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException


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


async def on_invalid(_request: Request, fault: Exception) -> Response:
    """Say which part of the request is wrong and why, without its content."""
    if not isinstance(fault, RequestValidationError):
        raise fault
    problems = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in fault.errors()]
    return error(422, "; ".join(problems[:10]))

"""The daemon's own HTTP server: health, metrics, the overview, and operators' actions.

Rules: everything that changes something needs the token, checked before the body is read; bodies are small;
errors are ``{"error": ...}`` and never repeat what was sent. Importing FastAPI takes about 0.4 s: import this
module late (inside the function that starts the server), never at the top of another one.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Protocol

import msgspec
import uvicorn
from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensord.core.record import Action
from sensord.errors import StoreError, UnavailableError
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import CONTENT_TYPE, PrometheusMeter

BODY_LIMIT = 16 * 1024
"""The largest request body, in bytes."""
RECORDING = 10.0
"""Seconds that an action may take to become durable before the caller hears that it is not certain."""
SHUTDOWN = 3
"""Seconds that requests under way get when the server stops."""


class Outcome(Protocol):
    """What became of a reload; it is shown whole."""

    @property
    def accepted(self) -> bool:
        """Whether the new configuration is in force."""
        ...


CaseId = Annotated[str, Path(max_length=200, pattern=r"^[^\s/]+$", description="a case's id")]


class ActionBody(BaseModel):
    """What a person did about a case."""

    model_config = ConfigDict(extra="forbid")
    verb: Literal["acknowledge", "close"]
    by: str = Field(min_length=1, max_length=100, description="the role id of the roster in whose name it is done")
    note: str = Field(default="", max_length=500)


class Accepted(BaseModel):
    """The action is durable: the journal group that holds it."""

    seq: int


def build(
    health: Health,
    meter: PrometheusMeter,
    overview: Callable[[], dict[str, Any]],
    act: Callable[[Action], Future[int]],
    token: str,
    reload: Callable[[str], Awaitable[Outcome]],
) -> FastAPI:
    """Build the application.

    ``overview`` and ``act`` are called on worker threads. ``act`` returns a future of the action's journal
    ``seq``; it raises ``UnavailableError`` when the action cannot be recorded now, and ``LookupError`` (its
    text is shown) when there is no such case. ``reload`` reads the configuration again and is told who asked. With an
    empty ``token`` whatever changes something is refused.
    """
    app = FastAPI(title="sensord", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Guard, meter=meter, token=token)
    _add_reading(app, health, meter, overview)
    _add_actions(app, act)
    _add_reload(app, reload)
    return app


def _add_reading(app: FastAPI, health: Health, meter: PrometheusMeter, overview: Callable[[], dict[str, Any]]) -> None:
    @app.get("/healthz", summary="Does every worker make progress?")
    async def healthz() -> Response:
        return _state(*health.live())

    @app.get("/readyz", summary="Is everything as it should be?")
    async def readyz() -> Response:
        return _state(*health.ready())

    @app.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(await run_in_threadpool(meter.text), headers={"content-type": CONTENT_TYPE})

    @app.get("/api/v1/overview", summary="Cases, alerts and sensors at a glance")
    async def show_overview() -> Response:
        return _json(200, await run_in_threadpool(overview))


def _add_actions(app: FastAPI, act: Callable[[Action], Future[int]]) -> None:
    bearer = Depends(HTTPBearer(auto_error=False))  # for the OpenAPI document; Guard is what checks

    @app.post("/api/v1/cases/{case}/actions", status_code=202, response_model=Accepted, dependencies=[bearer])
    async def record_action(case: CaseId, body: ActionBody) -> Response:
        action = Action(verb=body.verb, case=case, by=body.by, via="api", note=body.note)
        try:
            future = await run_in_threadpool(act, action)
            seq = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), RECORDING)
        except LookupError as error:
            return _error(404, str(error.args[0]) if error.args else "there is no such case")
        except TimeoutError:
            return _error(503, "the action is not recorded yet, but still may be: look before you send it again")
        except (UnavailableError, StoreError) as error:
            return _error(503, str(error))
        return _json(202, {"seq": seq})


def _add_reload(app: FastAPI, reload: Callable[[str], Awaitable[Outcome]]) -> None:
    bearer = Depends(HTTPBearer(auto_error=False))

    @app.post("/api/v1/reload", summary="Read rules and configuration again", dependencies=[bearer])
    async def reload_configuration() -> Response:
        try:
            outcome = await reload("api")
        except (UnavailableError, StoreError) as error:
            return _error(503, str(error))
        report = msgspec.to_builtins(outcome)
        if not outcome.accepted:
            return _json(422, {"error": "the configuration is refused; the rules in force stay", **report})
        return _json(200, report)


def _state(well: bool, report: dict[str, object]) -> Response:
    return _json(200 if well else 503, {"ok": well, **report})


def _json(status: int, content: object) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def _error(status: int, text: str, **headers: str) -> Response:
    response = _json(status, {"error": text})
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _error(error.status_code, str(error.detail))


async def _invalid(_request: Request, error: Exception) -> Response:
    """Say which part of the request is wrong and why, without its content."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return _error(422, "; ".join(problems[:10]))


class Guard:
    """ASGI middleware: asks for the token, bounds the body, counts requests."""

    def __init__(self, app: ASGIApp, meter: PrometheusMeter, token: str) -> None:
        """Wrap ``app``."""
        self._app = app
        self._meter = meter
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, _bounded(receive), counted)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._meter.count("http_requests_total", path=path, status=str(status))
            self._meter.observe("http_request_seconds", time.monotonic() - began, path=path)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            return _error(413, f"the body is too large: at most {BODY_LIMIT} bytes", connection="close")
        if scope["method"] in ("GET", "HEAD"):
            return None
        if not self._token:
            return _error(403, "actions are off: no API token is configured")
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return _error(401, "send the API token: Authorization: Bearer <token>", www_authenticate="Bearer")


def _bounded(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Stop a body that does not say its length at the same limit."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_LIMIT:
            raise HTTPException(413, f"the body is too large: at most {BODY_LIMIT} bytes")
        return message

    return limited


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: the daemon handles them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


async def serve(app: FastAPI, host: str, port: int, bound: Callable[[int], None] | None = None) -> None:
    """Serve until cancelled, then let requests under way finish.

    ``port`` 0 takes a free one; ``bound`` is told the port. Raises ``UnavailableError`` when the address is
    taken.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UnavailableError(f"cannot listen on {host}:{port} ({error.strerror}); change http.port") from error
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=100,
        timeout_graceful_shutdown=SHUTDOWN,
    )
    server = _Server(config)
    with listener:
        if bound is not None:
            bound(listener.getsockname()[1])
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            server.should_exit = True
            await running
            raise

"""The HTTP server, asked over real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest

from sensord.core.record import Action
from sensord.errors import Problem, StoreError, UnavailableError
from sensord.reload import Reloaded
from sensord.telemetry import web
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import PrometheusMeter

TOKEN = "correct horse"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BODY = {"verb": "acknowledge", "by": "grid-3-officer"}
CASES = "/api/v1/cases"


class Daemon:
    """What stands behind the server in these tests."""

    def __init__(self) -> None:
        """Everything is well and every action gets the number 7."""
        self.health = Health()
        self.meter = PrometheusMeter()
        self.actions: list[Action] = []
        self.answer: Callable[[Future[int]], None] = lambda future: future.set_result(7)
        self.overview_thread = ""
        self.causes: list[str] = []
        self.outcome = Reloaded(True, "0123456789ab", 7, added=("parking",))

    def overview(self) -> dict[str, Any]:
        """Report one case, and remember the thread."""
        self.overview_thread = threading.current_thread().name
        return {"cases": [Action("close", "c1", "r1")]}

    async def reload(self, cause: str) -> Reloaded:
        """Say what became of it."""
        self.causes.append(cause)
        return self.outcome

    def act(self, action: Action) -> Future[int]:
        """Record the action."""
        future: Future[int] = Future()
        self.answer(future)
        self.actions.append(action)
        return future


@pytest.fixture
def daemon() -> Daemon:
    """What stands behind the server."""
    return Daemon()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[httpx.Client]:
    """Serve on a free port from a thread with its own event loop, and speak to it."""
    app = web.build(daemon.health, daemon.meter, daemon.overview, daemon.act, TOKEN, daemon.reload)
    with Serving(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield client


class Serving:
    """Runs ``serve`` in a thread and cancels it at the end."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(web.serve(self._app, "127.0.0.1", 0, self._port.set_result))
        await asyncio.gather(self._task, return_exceptions=True)

    def __enter__(self) -> int:
        self._thread.start()
        return self._port.result(timeout=10)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


def test_liveness_and_readiness(client: httpx.Client, daemon: Daemon) -> None:
    """200 while all is well; 503 with the report when it is not; a bad fact does not touch liveness."""
    assert client.get("/healthz").json() == {"ok": True, "workers": {}}
    assert client.get("/readyz").status_code == 200
    daemon.health.set_fact("mqtt", False, "connection refused")
    assert client.get("/healthz").status_code == 200
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["facts"]["mqtt"]["detail"]) == (503, "connection refused")
    daemon.health.register("core", -1.0)
    assert client.get("/healthz").status_code == 503


def test_a_reload_needs_the_token_and_tells_its_outcome(client: httpx.Client, daemon: Daemon) -> None:
    """200 with what is in force now; 422 with every mistake and its position when the files are refused."""
    assert client.post("/api/v1/reload").status_code == 401
    assert daemon.causes == []
    good = client.post("/api/v1/reload", headers=BEARER)
    assert (good.status_code, good.json()["added"], good.json()["version"]) == (200, ["parking"], "0123456789ab")
    daemon.outcome = Reloaded(False, "0123456789ab", 7, problems=(Problem("rules/a.yaml", 3, 5, "no such thing"),))
    bad = client.post("/api/v1/reload", headers=BEARER)
    assert bad.status_code == 422
    assert bad.json()["problems"][0]["line"] == 3
    assert "the rules in force stay" in bad.json()["error"]
    assert daemon.causes == ["api", "api"]


def test_metrics_are_text(client: httpx.Client, daemon: Daemon) -> None:
    """Prometheus' text format, with our own requests counted by route and status."""
    daemon.meter.count("groups_committed_total", 3)
    client.get("/healthz")
    client.get("/nowhere")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "sensord_groups_committed_total 3.0" in response.text
    assert 'sensord_http_requests_total{path="/healthz",status="200"} 1.0' in response.text
    assert 'sensord_http_requests_total{path="other",status="404"} 1.0' in response.text


def test_the_overview_comes_from_a_worker_thread(client: httpx.Client, daemon: Daemon) -> None:
    """The callable may read a database: it must not run on the event loop. Value types are written as JSON."""
    response = client.get("/api/v1/overview")
    assert response.json()["cases"][0]["case"] == "c1"
    assert "worker thread" in daemon.overview_thread


def test_an_action_is_recorded(client: httpx.Client, daemon: Daemon) -> None:
    """202 with the journal's number once the action is durable."""
    response = client.post(f"{CASES}/crowd@p1:1/actions", json={**BODY, "note": "on my way"}, headers=BEARER)
    assert (response.status_code, response.json()) == (202, {"seq": 7})
    assert daemon.actions == [Action("acknowledge", "crowd@p1:1", "grid-3-officer", "api", "on my way")]
    metrics = client.get("/metrics").text
    assert 'path="/api/v1/cases/{case}/actions",status="202"' in metrics


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer"}],
)
def test_without_the_token_nothing_is_recorded(client: httpx.Client, daemon: Daemon, headers: dict[str, str]) -> None:
    """401 before anything else is looked at; the answer says what to send."""
    response = client.post(f"{CASES}/c1/actions", content=b"not even JSON", headers=headers)
    assert response.status_code == 401
    assert "Authorization" in response.json()["error"]
    assert response.headers["www-authenticate"] == "Bearer"
    assert not daemon.actions


def test_an_empty_token_turns_actions_off(daemon: Daemon) -> None:
    """A daemon without a token must not accept an empty one."""
    app = web.build(daemon.health, daemon.meter, daemon.overview, daemon.act, "", daemon.reload)
    with Serving(app) as port:
        for headers in ({}, {"Authorization": "Bearer"}):
            url = f"http://127.0.0.1:{port}{CASES}/c1/actions"
            assert httpx.post(url, json=BODY, headers=headers).status_code == 403
    assert not daemon.actions


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({**BODY, "verb": "delete"}, "verb"),
        ({"verb": "close"}, "by"),
        ({**BODY, "by": ""}, "by"),
        ({**BODY, "note": "x" * 501}, "note"),
        ({**BODY, "extra": 1}, "extra"),
        ([], "body"),
    ],
)
def test_a_wrong_body_is_refused_with_its_place(client: httpx.Client, daemon: Daemon, body: object, names: str) -> None:
    """422 with ``error`` naming the field; nothing is recorded and nothing sent is repeated."""
    response = client.post(f"{CASES}/c1/actions", json=body, headers=BEARER)
    assert response.status_code == 422
    assert names in response.json()["error"]
    assert "xxx" not in response.text
    assert not daemon.actions


def test_a_body_that_is_not_json_is_refused(client: httpx.Client) -> None:
    """Still an ``error``, not a traceback."""
    response = client.post(f"{CASES}/c1/actions", content=b"{", headers={**BEARER, "content-type": "application/json"})
    assert response.status_code == 422
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused(client: httpx.Client, daemon: Daemon, chunked: bool) -> None:
    """413, whether the body says its length or comes in chunks."""
    large = json.dumps({**BODY, "note": "x" * 40_000}).encode()
    content = (large[start : start + 5000] for start in range(0, len(large), 5000)) if chunked else large
    response = client.post(
        f"{CASES}/c1/actions", content=content, headers={**BEARER, "content-type": "application/json"}
    )
    assert response.status_code == 413
    assert "too large" in response.json()["error"]
    assert not daemon.actions


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnavailableError("the journal does not keep up"), 503),
        (StoreError("the journal is closed"), 503),
        (LookupError("there is no case c1"), 404),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_an_action_that_fails_says_why(
    client: httpx.Client, daemon: Daemon, error: Exception, status: int, late: bool
) -> None:
    """Errors of the call itself and of its future become a clear answer."""

    def fail(future: Future[int]) -> None:
        if not late:
            raise error
        future.set_exception(error)

    daemon.answer = fail
    response = client.post(f"{CASES}/c1/actions", json=BODY, headers=BEARER)
    assert (response.status_code, response.json()) == (status, {"error": str(error)})


def test_an_action_that_is_not_durable_in_time_is_in_doubt(
    client: httpx.Client, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that it may still be recorded; the future is left alone, for the record may be on its way."""
    monkeypatch.setattr(web, "RECORDING", 0.05)
    futures: list[Future[int]] = []
    daemon.answer = futures.append
    response = client.post(f"{CASES}/c1/actions", json=BODY, headers=BEARER)
    assert response.status_code == 503
    assert "still may be" in response.json()["error"]
    assert not futures[0].cancelled()


def test_there_are_no_documentation_pages_but_an_openapi_document(client: httpx.Client) -> None:
    """The pages would load scripts from elsewhere; the document names the routes and the bearer scheme."""
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    document = client.get("/openapi.json").json()
    assert f"{CASES}/{{case}}/actions" in document["paths"]
    assert "HTTPBearer" in document["components"]["securitySchemes"]


def test_a_port_that_is_taken_is_a_clear_error(daemon: Daemon) -> None:
    """The message names the address and the setting to change."""
    app = web.build(daemon.health, daemon.meter, daemon.overview, daemon.act, TOKEN, daemon.reload)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port}.*http\.port"):
            asyncio.run(web.serve(app, "127.0.0.1", port))


def test_signal_handlers_are_left_alone(daemon: Daemon) -> None:
    """The daemon decides what SIGTERM means, in the main thread as well, where uvicorn would take it over."""
    app = web.build(daemon.health, daemon.meter, daemon.overview, daemon.act, TOKEN, daemon.reload)

    async def look() -> bool:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(web.serve(app, "127.0.0.1", 0, port.set_result))
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{await port}/healthz")
        untouched = signal.getsignal(signal.SIGTERM) is before and signal.getsignal(signal.SIGINT) is interrupt
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return answer.status_code == 200 and untouched

    before, interrupt = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    # asyncio.run installs its own SIGINT handler in the main thread; a bare loop does not
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(look())
    finally:
        loop.close()

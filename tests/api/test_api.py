"""The HTTP server, asked over real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from concurrent.futures import Future

import httpx
import pytest

from sensord.api import recording, server
from sensord.api.refusal import Refused
from sensord.api.tokens import Role
from sensord.core.record import Action
from sensord.errors import Problem, StoreError, UnavailableError
from sensord.reload import Reloaded
from tests.api.parts import CASE, Daemon

BODY = {"verb": "acknowledge", "by": "居委干部-01"}
ACTIONS = f"/api/v1/cases/{CASE}/actions"


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
    good = client.post("/api/v1/reload", headers=daemon.bearer())
    assert (good.status_code, good.json()["added"], good.json()["version"]) == (200, ["parking"], "0123456789ab")
    daemon.outcome = Reloaded(False, "0123456789ab", 7, problems=(Problem("rules/a.yaml", 3, 5, "no such thing"),))
    bad = client.post("/api/v1/reload", headers=daemon.bearer())
    assert bad.status_code == 422
    assert bad.json()["problems"][0]["line"] == 3
    assert "the rules in force stay" in bad.json()["detail_en"]
    assert daemon.causes == ["api:t-admin", "api:t-admin"]


def test_metrics_are_text(client: httpx.Client, daemon: Daemon) -> None:
    """Prometheus' text format, with our own requests counted by route and status."""
    daemon.meter.count("groups_committed_total", 3)
    client.get("/healthz")
    client.get("/nowhere", headers=daemon.bearer())
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "sensord_groups_committed_total 3.0" in response.text
    assert 'sensord_http_requests_total{path="/healthz",status="200"} 1.0' in response.text
    assert 'sensord_http_requests_total{path="other",status="404"} 1.0' in response.text


def test_reading_happens_on_worker_threads(client: httpx.Client, daemon: Daemon) -> None:
    """The backend may read a database: it must not run on the event loop."""
    headers = daemon.bearer(Role.VIEWER)
    assert client.get("/api/v1/overview", headers=headers).json()["cases"][0]["id"] == CASE
    client.get("/api/v1/cases", headers=headers)
    client.get(f"/api/v1/cases/{CASE}", headers=headers)
    assert daemon.threads
    assert all(name.startswith("daemon_") for name in daemon.threads), "the threads of this part (bulkheads)"


def test_an_action_is_recorded(client: httpx.Client, daemon: Daemon) -> None:
    """202 with the journal's number once the action is durable; the token's name is journaled with it."""
    response = client.post(ACTIONS, json={**BODY, "note": "on my way"}, headers=daemon.bearer(Role.OPERATOR))
    assert (response.status_code, response.json()) == (
        202,
        {"seq": 7, "accepted": True, "verdict": "noted", "detail": "已记录", "detail_en": "noted"},
    )
    assert daemon.journal == [Action("acknowledge", CASE, "居委干部-01", "api:t-operator", "on my way")]
    metrics = client.get("/metrics").text
    assert 'path="/api/v1/cases/{case}/actions",status="202"' in metrics


def test_nobody_acts_in_the_name_of_a_stranger(client: httpx.Client, daemon: Daemon) -> None:
    """Whoever acts is on the roster, or is the token; what is refused is not repeated."""
    operator = daemon.bearer(Role.OPERATOR)
    answer = client.post(ACTIONS, json={**BODY, "by": "苏E24680"}, headers=operator)
    assert (answer.status_code, "24680" in answer.text, daemon.journal) == (422, False, [])
    assert client.post(ACTIONS, json={**BODY, "by": "t-operator"}, headers=operator).status_code == 202


@pytest.mark.parametrize(
    "given", ["", "Bearer wrong", "Bearer", "Basic {}", "Bearer {}x", "Bearer sd__", "Bearer \xff"]
)
def test_without_a_good_token_nothing_is_recorded(client: httpx.Client, daemon: Daemon, given: str) -> None:
    """401 before anything else is looked at; the answer says what to send."""
    headers = {b"Authorization": given.format(daemon.given[Role.ADMIN]).encode("latin-1")}
    response = client.post(ACTIONS, content=b"not even JSON", headers=headers)
    assert response.status_code == 401
    assert "Authorization" in response.json()["detail_en"]
    assert response.headers["www-authenticate"] == "Bearer"
    assert not daemon.journal


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({**BODY, "verb": "delete"}, "verb"),
        ({**BODY, "verb": "silence"}, "verb"),
        ({**BODY, "until": "2026-01-01T00:00:00"}, "until"),
        ({**BODY, "by": "x" * 65}, "by"),
        ({**BODY, "note": "x" * 501}, "note"),
        ({**BODY, "extra": 1}, "extra"),
        ([], "body"),
    ],
)
def test_a_wrong_body_is_refused_with_its_place(client: httpx.Client, daemon: Daemon, body: object, names: str) -> None:
    """422, naming the field; nothing is recorded and nothing sent is repeated."""
    response = client.post(ACTIONS, json=body, headers=daemon.bearer())
    assert response.status_code == 422
    assert names in response.json()["detail_en"]
    assert "xxx" not in response.text
    assert not daemon.journal


def test_a_body_that_is_not_json_is_refused(client: httpx.Client, daemon: Daemon) -> None:
    """Still an answer in both languages, not a traceback."""
    response = client.post(ACTIONS, content=b"{", headers={**daemon.bearer(), "content-type": "application/json"})
    assert response.status_code == 422
    assert set(response.json()) == {"detail", "detail_en"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused(client: httpx.Client, daemon: Daemon, chunked: bool) -> None:
    """413, whether the body says its length or comes in chunks."""
    large = json.dumps({**BODY, "note": "x" * 40_000}).encode()
    content = (large[start : start + 5000] for start in range(0, len(large), 5000)) if chunked else large
    response = client.post(ACTIONS, content=content, headers={**daemon.bearer(), "content-type": "application/json"})
    assert response.status_code == 413
    assert "too large" in response.json()["detail_en"]
    assert not daemon.journal


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnavailableError("the journal does not keep up"), 503),
        (StoreError("the journal is closed"), 503),
        (Refused(404, "there is no case c1"), 404),
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
    response = client.post(ACTIONS, json=BODY, headers=daemon.bearer())
    text = error.en if isinstance(error, Refused) else str(error)
    assert (response.status_code, response.json()["detail_en"]) == (status, text)


def test_an_action_that_is_not_durable_in_time_is_in_doubt(
    client: httpx.Client, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that it may still be recorded; the future is left alone, for the record may be on its way."""
    monkeypatch.setattr(recording, "RECORDING", 0.05)
    futures: list[Future[int]] = []
    daemon.answer = futures.append
    response = client.post(ACTIONS, json=BODY, headers=daemon.bearer())
    assert response.status_code == 503
    assert "still may be" in response.json()["detail_en"]
    assert not futures[0].cancelled()


def test_there_are_no_documentation_pages_but_an_openapi_document(client: httpx.Client, daemon: Daemon) -> None:
    """The pages would load scripts from elsewhere; the document names the routes and the bearer scheme."""
    pages = [client.get(path, headers=daemon.bearer()).status_code for path in ("/docs", "/redoc")]
    assert pages == [404, 404]
    document = client.get("/openapi.json").json()
    assert "/api/v1/cases/{case}/actions" in document["paths"]
    assert "HTTPBearer" in document["components"]["securitySchemes"]


def test_a_port_that_is_taken_is_a_clear_error(daemon: Daemon) -> None:
    """The message names the address and the setting to change."""
    app = daemon.app()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port}.*http\.port"):
            asyncio.run(server.serve(app, "127.0.0.1", port))


def test_signal_handlers_are_left_alone(daemon: Daemon) -> None:
    """The daemon decides what SIGTERM means, in the main thread as well, where uvicorn would take it over."""
    app = daemon.app()

    async def look() -> bool:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(server.serve(app, "127.0.0.1", 0, port.set_result))
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

"""Nobody can ask too often, and browsers are told what they may not do with our answers."""

from __future__ import annotations

import httpx
import pytest

from sensord.api import guard, pace
from sensord.api.pace import Pace, Rate
from sensord.api.tokens import Role
from tests.api.parts import CASE, KEY, START, Daemon


def test_a_bucket_fills_again_with_time() -> None:
    """A burst, then one per second; each name has its own; what is refused costs nothing."""
    now = 0.0
    one = Pace(Rate(3, 1.0), lambda: now)
    assert [one.wait("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert one.wait("b") == 0
    now = 1.0
    assert [one.wait("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [one.wait("a") for _ in range(4)] == [0, 0, 0, 1]


def test_endless_names_cost_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that was not heard for longest is forgotten."""
    monkeypatch.setattr(pace, "MOST_NAMES", 10)
    one = Pace(Rate(1, 0.001), lambda: 0.0)
    assert [one.wait(str(number)) for number in range(100)] == [0] * 100
    assert len(one._buckets) == 10
    assert one.wait("99") > 0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests, then none for a long time."""
    for name in ("READING", "CHANGING", "ANSWERING"):
        monkeypatch.setattr(guard, name, Rate(2, 0.001))


def test_each_token_has_a_pace_for_reading_and_one_for_changing(
    slow: None, client: httpx.Client, daemon: Daemon
) -> None:
    """429 with Retry-After, for that token and kind only; nothing is journaled of what was refused."""
    url, body = f"/api/v1/cases/{CASE}/actions", {"verb": "acknowledge"}
    for role in (Role.OPERATOR, Role.ADMIN):
        reads = [client.get("/api/v1/cases", headers=daemon.bearer(role)) for _ in range(3)]
        assert [answer.status_code for answer in reads] == [200, 200, 429]
        assert int(reads[2].headers["retry-after"]) > 100
        changes = [client.post(url, json=body, headers=daemon.bearer(role)).status_code for _ in range(3)]
        assert changes == [202, 202, 429]
    assert len(daemon.journal) == 4


def test_a_link_answers_so_often_and_no_more(slow: None, client: httpx.Client, daemon: Daemon) -> None:
    """The pages behind a link count together, by the link; probes are never refused."""
    links = [daemon.links.token(f"{KEY}{number}", 2 * START) for number in range(2)]
    for link in links:
        statuses = [client.get(f"/a/{link}").status_code, client.post(f"/a/{link}/seen").status_code]
        assert statuses == [200, 204]
        assert client.post(f"/a/{link}", data={"verb": "acknowledge"}).status_code == 429
    assert [client.get("/healthz").status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/cases", "/a/x", "/openapi.json", "/nothing"])
def test_browsers_are_told_to_keep_out(client: httpx.Client, daemon: Daemon, path: str) -> None:
    """No other site may read an answer, frame it, or take it for another type; a preflight gets no permission."""
    origin = {"Origin": "https://elsewhere.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for answer in (
        client.get(path, headers={**origin, **daemon.bearer()}),
        client.request("OPTIONS", path, headers=preflight),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "set-cookie" not in answer.headers
        assert answer.status_code in (200, 400, 401, 404, 405)

"""Who may use which route: every route of the application, with every role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from sensord.api import describe
from sensord.api.access import OPEN
from sensord.api.tokens import Role
from tests.api.parts import CASE, Daemon

LEAST: dict[tuple[str, str], Role] = {
    ("GET", "/api/v1/overview"): Role.VIEWER,
    ("GET", "/api/v1/cases"): Role.VIEWER,
    ("GET", "/api/v1/cases/{case}"): Role.VIEWER,
    ("GET", "/api/v1/places"): Role.VIEWER,
    ("GET", "/api/v1/places/{place}"): Role.VIEWER,
    ("GET", "/api/v1/rules"): Role.VIEWER,
    ("GET", "/api/v1/rules/{rule}"): Role.VIEWER,
    ("GET", "/api/v1/roster"): Role.VIEWER,
    ("GET", "/api/v1/policies"): Role.VIEWER,
    ("GET", "/api/v1/silences"): Role.VIEWER,
    ("GET", "/api/v1/changes"): Role.VIEWER,
    ("POST", "/api/v1/cases/{case}/actions"): Role.OPERATOR,
    ("POST", "/api/v1/silences"): Role.OPERATOR,
    ("DELETE", "/api/v1/silences/{silence}"): Role.OPERATOR,
    ("POST", "/api/v1/places/{place}/vehicles"): Role.OPERATOR,
    ("POST", "/api/v1/findings"): Role.OPERATOR,
    ("POST", "/api/v1/receipts"): Role.OPERATOR,
    ("POST", "/api/v1/reload"): Role.ADMIN,
    ("GET", "/api/v1/reports"): Role.VIEWER,
    ("GET", "/api/v1/reports/{report}"): Role.VIEWER,
    ("POST", "/api/v1/reports"): Role.OPERATOR,
    ("GET", "/api/v1/vehicles"): Role.VIEWER,
    ("GET", "/api/v1/lists/{name}"): Role.VIEWER,
    ("GET", "/api/v1/scores"): Role.VIEWER,
    ("GET", "/api/v1/people/{person}/ledger"): Role.VIEWER,
    ("GET", "/api/v1/shifts/{shift}/ledger"): Role.VIEWER,
    ("GET", "/api/v1/audit"): Role.ADMIN,
    ("GET", "/api/v1/roster/now"): Role.VIEWER,
    ("GET", "/api/v1/roster/changes"): Role.VIEWER,
    ("POST", "/api/v1/roster/changes"): Role.OPERATOR,
    ("DELETE", "/api/v1/roster/changes/{change}"): Role.OPERATOR,
    ("GET", "/api/v1/rule-files"): Role.VIEWER,
    ("GET", "/api/v1/rule-files/{file}"): Role.VIEWER,
    ("POST", "/api/v1/rule-files/check"): Role.OPERATOR,
    ("PUT", "/api/v1/rule-files/{file}"): Role.ADMIN,
    ("DELETE", "/api/v1/rule-files/{file}"): Role.ADMIN,
}
"""The least role of every route that needs a token: a new route has to be written down here."""
BODIES: dict[str, dict[str, object]] = {
    "/api/v1/cases/{case}/actions": {"verb": "acknowledge"},
    "/api/v1/silences": {"places": ["L1"], "until": "2030-01-01T00:00:00Z", "note": "a fair"},
    "/api/v1/findings": {"device": "report-1", "severity": "red"},
    "/api/v1/places/{place}/vehicles": {"vehicles": 41, "at": "2026-11-30T22:00:00+08:00"},
    "/api/v1/receipts": {"key": "a:1:b:c", "delivery": "seen"},
    "/api/v1/reports": {"day": "2023-11-14"},
    "/api/v1/roster/changes": {
        "from": "2030-01-01T00:00:00Z",
        "to": "2030-01-02T00:00:00Z",
        "reason": "leave",
        "away": "居委干部-01",
    },
    "/api/v1/rule-files/check": {"file": "new.yaml", "text": "rules: []"},
    "/api/v1/rule-files/{file}": {"text": "rules: []"},
}
PLACEHOLDERS = {
    "{case}": CASE,
    "{rule}": "lane-crowding",
    "{report}": "day-20231114",
    "{name}": "problems",
    "{change}": "0123456789ab",
    "{file}": "new.yaml",
}
QUERIES = {("DELETE", "/api/v1/rule-files/{file}"): {"hash": "0" * 64}}


def routes(daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Every (method, path) that the application answers."""
    for route in iter_route_contexts(daemon.app().routes):
        assert route.path is not None
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, route.path


def ask(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a good request of a route; returns the status. A stream is not followed."""
    url = re.sub(r"\{\w+\}", lambda part: PLACEHOLDERS.get(part[0], "L1"), path)
    query, body = QUERIES.get((method, path)), BODIES.get(path)
    with client.stream(method, url, headers=headers, json=body, params=query) as response:
        return response.status_code


def test_every_route_is_open_by_name_or_has_a_least_role(daemon: Daemon) -> None:
    """Nothing is open by accident, and nothing is written down that does not exist."""
    known = {(method, path) for method, path in routes(daemon) if path not in OPEN and not path.startswith("/a/")}
    assert known == set(LEAST)


def test_the_document_names_the_role_of_every_route() -> None:
    """The table in ``docs/api.md`` is drawn from the application, and says what is enforced."""
    lines = describe.table("en")
    for (method, path), role in LEAST.items():
        assert f"| {method} | `{path}` | {role.word} |" in lines


@pytest.mark.parametrize(("method", "path"), list(LEAST), ids=str)
def test_a_route_lets_in_its_role_and_those_above(client: httpx.Client, daemon: Daemon, method: str, path: str) -> None:
    """401 without a token, 403 below the least role, neither of them from there on; nothing is journaled before."""
    assert daemon.state.applied == 0, "there is a state database"
    assert ask(client, method, path, {}) == 401
    for role in Role:
        if role < LEAST[method, path]:
            assert ask(client, method, path, daemon.bearer(role)) == 403
            assert daemon.journal == []
        else:
            assert ask(client, method, path, daemon.bearer(role)) in (200, 201, 202, 404, 409)


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_the_description_are_open(client: httpx.Client, path: str) -> None:
    """Whoever watches the daemon needs no token."""
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/overview", "/api/v1/cases", f"/api/v1/cases/{CASE}", "/api/v1/audit"])
def test_no_answer_is_kept_by_a_cache(client: httpx.Client, daemon: Daemon, path: str) -> None:
    """What is said to one token is not for the next who sits at the proxy; nor are refusals."""
    for headers in (daemon.bearer(Role.ADMIN), {}):
        assert client.get(path, headers=headers).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["token", "access_token", "authorization"])
def test_a_token_in_the_address_is_none(client: httpx.Client, daemon: Daemon, name: str) -> None:
    """Addresses are written into logs on the way: a token counts in the header only."""
    text = daemon.bearer(Role.ADMIN)["Authorization"]
    for value in (text, text.removeprefix("Bearer ")):
        assert client.get("/api/v1/cases", params={name: value}).status_code == 401
        assert client.get("/api/v1/cases", headers={"Cookie": f"{name}={value}"}).status_code == 401


def test_refusals_are_counted_by_status(client: httpx.Client, daemon: Daemon) -> None:
    """Somebody who tries doors shows in the metrics."""
    client.get("/api/v1/cases")
    client.post(f"/api/v1/cases/{CASE}/actions", json={"verb": "acknowledge"}, headers=daemon.bearer(Role.VIEWER))
    counted = client.get("/metrics").text
    for status in ("401", "403"):
        assert re.search(rf'sensord_http_requests_total{{path="[^"]+",status="{status}"}} 1\.0', counted)


def test_approvals_need_an_admin(client: httpx.Client, daemon: Daemon) -> None:
    """The core takes an account's word for an approval, so the API must not let an operator give it."""
    url = f"/api/v1/cases/{CASE}/actions"
    for verb in ("void", "extend", "return"):
        body = {"verb": verb, "note": "twice the same", "until": "2030-01-01T00:00:00+08:00"}
        assert client.post(url, json=body, headers=daemon.bearer(Role.OPERATOR)).status_code == 403
        assert client.post(url, json=body, headers=daemon.bearer(Role.ADMIN)).status_code == 202
    assert [action.verb for action in daemon.journal] == ["void", "extend", "return"]
    assert {action.until for action in daemon.journal} == {1_893_427_200_000_000_000}


def test_a_revoked_token_is_refused_at_once(client: httpx.Client, daemon: Daemon) -> None:
    """No restart, no waiting."""
    headers = daemon.bearer(Role.VIEWER)
    assert client.get("/api/v1/cases", headers=headers).status_code == 200
    assert daemon.tokens.revoke("t-viewer")
    assert client.get("/api/v1/cases", headers=headers).status_code == 401


def test_a_damaged_token_file_lets_nobody_in(client: httpx.Client, daemon: Daemon, tmp_path: Path) -> None:
    """503 with what to do, never a way in."""
    (tmp_path / "tokens.json").write_text("[{", encoding="utf-8")
    response = client.get("/api/v1/cases", headers=daemon.bearer())
    assert response.status_code == 503
    assert "tokens.json" in response.json()["detail_en"]

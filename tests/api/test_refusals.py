"""Whatever the API refuses it refuses in Chinese and in English."""

from __future__ import annotations

import re
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from sensord.api.changing import ActionBody, SilenceBody
from sensord.api.refusal import invalid
from sensord.api.tokens import Role
from sensord.api.workshop import ChangeBody
from sensord.errors import UnavailableError
from tests.api.parts import CASE, Daemon

CHINESE = re.compile("[\u4e00-\u9fff]")
ACTIONS = f"/api/v1/cases/{CASE}/actions"
SWAP = {"from": "2030-01-01T08:00:00+08:00", "to": "2030-01-02T08:00:00+08:00", "reason": "swap"}
SILENCE = {"until": "2030-01-01T08:00:00+08:00", "note": "x"}
REFUSED: list[tuple[int, Role, str, str, Any]] = [
    (403, Role.VIEWER, "POST", ACTIONS, {"verb": "acknowledge"}),
    (403, Role.OPERATOR, "POST", ACTIONS, {"verb": "void", "note": "x"}),
    (404, Role.ADMIN, "GET", "/nowhere", None),
    (404, Role.ADMIN, "GET", "/api/v1/cases/none", None),
    (404, Role.ADMIN, "GET", "/api/v1/places/none", None),
    (404, Role.ADMIN, "GET", "/api/v1/rules/none", None),
    (404, Role.ADMIN, "GET", "/api/v1/reports/none", None),
    (404, Role.ADMIN, "GET", "/api/v1/rule-files/none.yaml", None),
    (404, Role.ADMIN, "POST", "/api/v1/cases/none/actions", {"verb": "acknowledge"}),
    (404, Role.ADMIN, "POST", "/api/v1/findings", {"severity": "red", "place": "none"}),
    (404, Role.ADMIN, "POST", "/api/v1/findings", {"severity": "red", "device": "none"}),
    (404, Role.ADMIN, "POST", "/api/v1/findings", {"severity": "red"}),
    (404, Role.ADMIN, "DELETE", "/api/v1/roster/changes/0123456789ab", None),
    (405, Role.ADMIN, "PATCH", "/api/v1/cases", None),
    (409, Role.ADMIN, "PUT", "/api/v1/rule-files/crowd.yaml", {"text": "rules: []", "hash": ""}),
    (413, Role.ADMIN, "POST", ACTIONS, {"note": "x" * 20_000}),
    (422, Role.ADMIN, "POST", ACTIONS, {"verb": "silence"}),
    (422, Role.ADMIN, "POST", ACTIONS, {"verb": "no", "until": "soon", "by": 1, "extra": 1}),
    (422, Role.ADMIN, "POST", ACTIONS, []),
    (422, Role.ADMIN, "POST", "/api/v1/silences", SILENCE),
    (422, Role.ADMIN, "POST", "/api/v1/reports", {"day": "soon"}),
    (422, Role.ADMIN, "POST", "/api/v1/reports", {"day": "2199-01-01"}),
    (422, Role.ADMIN, "POST", "/api/v1/roster/changes", SWAP),
    (422, Role.ADMIN, "POST", "/api/v1/roster/changes", {**SWAP, "away": "none"}),
    (422, Role.ADMIN, "DELETE", "/api/v1/roster/changes/x", None),
    (422, Role.ADMIN, "POST", "/api/v1/rule-files/check", {"file": "a b", "text": "rules: []"}),
    (422, Role.ADMIN, "GET", "/api/v1/scores?quarter=2026", None),
    (422, Role.ADMIN, "GET", "/api/v1/cases?limit=0", None),
    (422, Role.ADMIN, "GET", "/api/v1/lists/tasks?from=2000-01-01T00:00:00Z", None),
]


def is_said_twice(response: httpx.Response) -> bool:
    """Whether an answer says why in Chinese and in English, and nothing in the wrong one."""
    said = response.json()
    return bool(CHINESE.search(said["detail"])) and bool(said["detail_en"]) and not CHINESE.search(said["detail_en"])


@pytest.mark.parametrize(("status", "role", "method", "path", "body"), REFUSED)
def test_every_refusal_speaks_both_languages(
    client: httpx.Client, daemon: Daemon, status: int, role: Role, method: str, path: str, body: object
) -> None:
    """One form for all: ``detail`` and ``detail_en``."""
    response = client.request(method, path, json=body, headers=daemon.bearer(role))
    assert (response.status_code, is_said_twice(response)) == (status, True), response.text


def test_strangers_and_troubles_are_told_in_both_languages(client: httpx.Client, daemon: Daemon) -> None:
    """401 of the guard, a body that is no JSON, and 503 of what is behind."""
    headers = {**daemon.bearer(), "content-type": "application/json"}
    assert is_said_twice(client.get("/api/v1/cases"))
    assert is_said_twice(client.post(ACTIONS, content=b"{", headers=headers))

    def full(_future: Future[int]) -> None:
        raise UnavailableError("the action was not recorded: the disk is full; send it again later")

    daemon.answer = full
    busy = client.post(ACTIONS, json={"verb": "acknowledge"}, headers=daemon.bearer())
    assert (busy.status_code, is_said_twice(busy)) == (503, True)


@pytest.mark.parametrize(
    ("model", "given", "zh"),
    [
        (ActionBody, {}, "verb：缺少这一项"),
        (ActionBody, {"verb": "close", "by": "x" * 65}, "by：最多 64 个字"),
        (ActionBody, {"verb": "close", "until": "2030-01-01T00:00:00"}, "until：时间要带时区"),
        (SilenceBody, {**SILENCE, "id": "a b"}, "id：写法不对"),
        (SilenceBody, {**SILENCE, "places": ["x"] * 201}, "places：最多 200 项"),
        (ChangeBody, {**SWAP, "reason": "ill"}, "reason：只能是 'leave', 'swap'"),
    ],
)
def test_what_does_not_fit_is_said_in_chinese(model: type[Any], given: dict[str, Any], zh: str) -> None:
    """Which part, and what it should be."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(model).validate_python(given)
    assert zh in invalid(refused.value.errors()).zh


def test_mistakes_without_words_of_ours_keep_theirs() -> None:
    """A kind of mistake that the table does not know is still told."""
    told = invalid([{"type": "some_other", "loc": ("body", "x"), "msg": "quite wrong"}])
    assert (told.zh, told.en) == ("body.x：quite wrong", "body.x: quite wrong")

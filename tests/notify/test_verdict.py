"""What the bodies of receivers that nobody has configured mean: a table, and what is kept of their words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.errors import DeliveryError
from sensord.notify.http import Reply
from sensord.notify.outcome import InDoubtError
from sensord.notify.verdict import judge_body

TAKEN, REFUSED, DOUBT = "taken", "refused", "in doubt"


def _verdict(body: bytes) -> str:
    try:
        judge_body("desk", Reply("desk.example", 200, None, body))
    except InDoubtError:
        return DOUBT
    except DeliveryError:
        return REFUSED
    return TAKEN


@pytest.mark.parametrize(
    "answer",
    [
        {"errcode": 93000, "errmsg": "invalid webhook url"}, {"errno": 5}, {"err_code": 5}, {"errCode": "40001"},
        {"error_code": 7}, {"errcode": 200}, {"status": 500, "message": "internal error"}, {"status": "500"},
        {"Status": "Error"}, {"statusCode": 500}, {"code": 500}, {"code": -1}, {"code": False}, {"state": "failed"},
        {"resultCode": "FAIL"}, {"result": -1}, {"result": False}, {"result": "false"}, {"success": False}, {"ok": 0},
        {"success": "no"}, {"ok": False, "error": "down"}, {"errors": ["x"]}, {"error": "..."}, {"err": 1},
        {"error": {"code": 5}}, {"msg": "fail"}, {"data": {"errcode": 5}}, {"code": 0, "data": {"success": False}},
        {"Response": {"Error": {"Code": "InternalError"}}}, [{"errcode": 1}], {"result": [{"error": "x"}]}, "error",
        "FAIL", False, -1, {"code": 200, "success": False}, {"code": 1, "errcode": 1},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_what_says_no_is_refused(answer: Any) -> None:
    """Nobody was told, so nothing is in doubt."""
    assert _verdict(json.dumps(answer).encode()) == REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 200, "msg": "操作成功"}, {"code": "200"}, {"code": 201}, {"code": "0", "msg": "success"}, {"code": 0},
        {"code": "0000"}, {"code": "00000", "message": "ok"}, {"code": "OK"}, {"code": "SUCCESS"}, {"code": True},
        {"code": None}, {"code": ""}, {"errcode": 0}, {"errcode": "0", "errmsg": "ok"}, {"errno": None}, {"rc": 0},
        {"status": "success"}, {"status": "queued"}, {"status": 200}, {"status": 1}, {"status": 0}, {"result": 1},
        {"success": True, "ok": True, "status": "queued", "error": None, "errors": []}, {"error": False}, {"error": ""},
        {"error": "none"}, {"error": 0}, {"error": {}}, {"error_code": 0, "success": True}, {"message": "accepted"},
        {"code": 0, "data": {"code": "E1", "status": "failed"}}, [{"code": "E1"}], [1], [], {}, None, "ok", "1", 512,
        {"id": "13800000000"}, {"text": "error"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_what_says_yes_or_nothing_is_taken(answer: Any) -> None:
    """Receivers are free in what they answer; names inside of it are those of things."""
    assert _verdict(json.dumps(answer, ensure_ascii=False).encode()) == TAKEN


@pytest.mark.parametrize("body", [b"", b"ok", b"1", b"thanks, error 5 is over", b"\xff", b"1" * 65_536, b"{", b"\n"])
def test_what_is_no_json_is_taken(body: bytes) -> None:
    """Unless it is a single word that says no."""
    assert _verdict(body) == TAKEN
    assert _verdict(b" ERROR\r\n") == REFUSED


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 1}', b'{"code": 19024, "msg": "Key Words Not Found"}', b'{"code": "E1"}', b'{"retcode": 5}',
        b'{"rc": 1}', b'{"returnCode": 1, "status": 1}', b"<html><form>login to wifi</form></html>",
        b"\n<!DOCTYPE html>\n<title>Sign in</title>",
    ],
)  # fmt: skip
def test_what_may_mean_either_is_in_doubt(body: bytes) -> None:
    """It is sent again, and whoever has it already is told that it may be a repeat."""
    assert _verdict(body) == DOUBT


@pytest.mark.parametrize("answer", [{"errcode": 40001}, {"code": "E1"}])
def test_a_receiver_may_say_that_it_is_no_use(answer: dict[str, Any]) -> None:
    """``"retryable": false`` is its own word: the same request would be refused again."""
    with pytest.raises(DeliveryError) as caught:
        judge_body("desk", Reply("desk.example", 200, None, json.dumps({**answer, "retryable": False}).encode()))
    assert not caught.value.retryable


def test_it_is_said_what_to_do() -> None:
    """The word that nobody can tell, and where to say what it means."""
    with pytest.raises(InDoubtError, match=r"with rc 1, which may mean either; add success: to the channel"):
        judge_body("desk", Reply("desk.example", 200, None, b'{"rc": 1}'))


@pytest.mark.parametrize("name", ["error", "errors", "msg"])
def test_a_receivers_sentence_is_not_repeated(name: str) -> None:
    """It may hold the number that it could not reach, and errors are logged."""
    body = json.dumps({name: "no such number 13800000000", "success": False}).encode()
    with pytest.raises(DeliveryError) as caught:
        judge_body("desk", Reply("desk.example", 200, None, body))
    assert "138" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["code", "status", "error", "data", "ok", "x"]), inner, max_size=3)
        ),
    )
)
def test_whatever_comes_is_read(answer: Any) -> None:
    """No answer ends in a mistake of ours."""
    assert _verdict(json.dumps(answer).encode()) in (TAKEN, REFUSED, DOUBT)

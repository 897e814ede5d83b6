"""SMS over configurable gateways."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from sensord.config.channels import Sms, Success
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.sms import SmsChannel
from tests.notify.parts import entry
from tests.notify.receiver import Answer, Receiver

PHONE = "13800000000"


def channel(receiver: Receiver, **changes: Any) -> SmsChannel:
    """A gateway's channel; ``changes`` are settings."""
    settings: dict[str, Any] = {
        "name": "sms",
        "url": f"{receiver.url}/send",
        "body": {"mobile": "{phone}", "content": "{title} {text} {link}", "outId": "{key}"},
        "headers": {"Authorization": "Bearer {secret}"},
        "secret_file": "s",
        "allow": (receiver.host,),
    }
    return SmsChannel(Sms(**(settings | changes)), "gate-secret")


async def test_json_and_form_hold_the_same() -> None:
    """Placeholders are filled in, headers too; the body is encoded afterwards."""
    with Receiver() as receiver:
        for form in ("json", "form"):
            one = channel(receiver, format=form, method="PUT")
            assert await one.send(entry(address=PHONE, link="https://s.example/a/x", text="a&b=c")) == "http 200"
            await one.close()
    first, second = receiver.requests
    wanted = {
        "mobile": PHONE,
        "content": "临汾路99弄 拥挤 a&b=c https://s.example/a/x",
        "outId": "case-1:1:居委干部-03:desk",
    }
    assert first.json == wanted
    assert {name: values[0] for name, values in parse_qs(second.body.decode()).items()} == wanted
    assert first.headers["Authorization"] == "Bearer gate-secret"
    assert (first.method, second.headers["Content-Type"][:33]) == ("PUT", "application/x-www-form-urlencoded")


async def test_template_parameters_stay_json() -> None:
    """A value that is itself JSON text survives quotes in the words."""
    with Receiver() as receiver:
        one = channel(receiver, body={"phone": "{phone}", "params": '{"where":"{place}","text":"{text}"}'})
        await one.send(entry(address=PHONE, text='he said "go"\n'))
        await one.close()
    assert json.loads(receiver.requests[0].json["params"]) == {"where": "lane-99", "text": 'he said "go"\n'}


async def test_words_in_a_text_are_not_placeholders() -> None:
    """What looks like a placeholder in a message is not filled in: a text cannot fetch the secret."""
    with Receiver() as receiver:
        one = channel(receiver)
        await one.send(entry(address=PHONE, text="{secret}"))
        await one.close()
    assert "gate-secret" not in receiver.requests[0].body.decode()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ({"data": {"Code": "OK"}}, ""),
        ({"data": {"Code": "isv.BUSINESS_LIMIT_CONTROL"}}, "isv.BUSINESS_LIMIT_CONTROL"),
        ({"data": {}}, "without data.Code"),
        ({"data": "OK"}, "without data.Code"),
        ({"data": {"Code": "x13800000000 <b>"}}, r"Code x[?]+b[?]"),
    ],
)
async def test_the_answer_must_say_success(answer: object, wrong: str) -> None:
    """HTTP 200 alone does not count once ``success`` says what a good answer looks like."""
    with Receiver(Answer(200, json.dumps(answer).encode())) as receiver:
        one = channel(receiver, success=Success(path="data.Code", equals="OK"))
        if not wrong:
            await one.send(entry(address=PHONE))
        else:
            with pytest.raises(DeliveryError, match=wrong) as caught:
                await one.send(entry(address=PHONE))
            assert caught.value.retryable
            assert not {"<", "1"} & set(str(caught.value).partition("answered")[2])
        await one.close()


@pytest.mark.parametrize(
    ("answer", "taken"),
    [({"code": 0}, True), ({}, True), ({"code": -3, "msg": "no balance"}, False), ({"code": 1}, False)],
)
async def test_without_success_the_body_is_read_all_the_same(answer: object, taken: bool) -> None:
    """A gateway that answers 200 to what it refuses has told nobody."""
    with Receiver(Answer(200, json.dumps(answer).encode())) as receiver:
        one = channel(receiver)
        if taken:
            await one.send(entry(address=PHONE))
        else:
            with pytest.raises(DeliveryError, match="code"):
                await one.send(entry(address=PHONE))
        await one.close()


@pytest.mark.parametrize(("value", "equals"), [(0, "0"), (True, "true"), ("0", "0")])
async def test_success_compares_numbers_and_words(value: object, equals: str) -> None:
    """Operators write the value as text, whatever its type in JSON."""
    with Receiver(Answer(200, json.dumps({"code": value}).encode())) as receiver:
        one = channel(receiver, success=Success(path="code", equals=equals))
        await one.send(entry(address=PHONE))
        await one.close()


async def test_an_answer_that_is_no_json_is_in_doubt() -> None:
    """The gateway may have sent it."""
    with Receiver(Answer(200, b"accepted")) as receiver:
        one = channel(receiver, success=Success(path="code", equals="0"))
        with pytest.raises(InDoubtError):
            await one.send(entry(address=PHONE))
        await one.close()


async def test_without_a_number_it_is_final() -> None:
    """Nothing is sent."""
    with Receiver() as receiver:
        one = channel(receiver)
        with pytest.raises(DeliveryError) as caught:
            await one.send(entry())
        await one.close()
    assert (caught.value.retryable, receiver.requests) == (False, [])


async def test_a_text_is_bounded_in_characters() -> None:
    """Gateways charge by the part."""
    with Receiver() as receiver:
        one = channel(receiver, characters=20, body={"to": "{phone}", "text": "{text}"})
        await one.send(entry(address=PHONE, text="字" * 50))
        await one.close()
    assert receiver.requests[0].json["text"] == "字" * 19 + "…"

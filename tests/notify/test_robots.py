"""Robots in groups, against servers that check and limit like the real ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.config.channels import DingtalkRobot, FeishuRobot, WecomRobot
from sensord.errors import DeliveryError
from sensord.notify.mention import Mentions, mentions
from sensord.notify.outcome import InDoubtError, UnclearError
from sensord.notify.robot import Dingtalk, Feishu, RobotChannel, Wecom
from sensord.notify.text import cut, text_of
from tests.notify.parts import Clock, entry
from tests.notify.receiver import Answer, Receiver
from tests.notify.services import DingtalkGroup, FeishuGroup, Group, WecomGroup, said


def wecom(receiver: Receiver, clock: Clock, key: str = "wecom-key") -> RobotChannel:
    """A WeCom robot's channel."""
    settings = WecomRobot(name="wecom", key_file="k", url=f"{receiver.url}/send", allow=(receiver.host,))
    return RobotChannel(settings, Wecom(settings, key), clock)


def dingtalk(
    receiver: Receiver,
    clock: Clock,
    key: str = "ding-token",
    secret: str = "SECding",
) -> RobotChannel:
    """A DingTalk robot's channel."""
    settings = DingtalkRobot(name="ding", token_file="t", url=f"{receiver.url}/robot/send", allow=(receiver.host,))
    return RobotChannel(settings, Dingtalk(settings, key, secret), clock)


def feishu(
    receiver: Receiver,
    clock: Clock,
    key: str = "feishu-token",
    secret: str = "feishu-secret",
) -> RobotChannel:
    """A Feishu robot's channel."""
    settings = FeishuRobot(name="feishu", token_file="t", url=f"{receiver.url}/hook", allow=(receiver.host,))
    return RobotChannel(settings, Feishu(settings, key, secret), clock)


KINDS: list[tuple[Any, type[Group]]] = [(wecom, WecomGroup), (dingtalk, DingtalkGroup), (feishu, FeishuGroup)]
each_kind = pytest.mark.parametrize(("make", "group"), KINDS, ids=["wecom", "dingtalk", "feishu"])


@each_kind
async def test_a_message_reaches_the_group(make: Any, group: Any) -> None:
    """Key and signature are as the service wants them; title, text and the link are there."""
    clock = Clock()
    theirs = group(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = make(receiver, clock)
        assert (await channel.send(entry(link="https://s.example/a/x"))).endswith(" 0")
        await channel.close()
    (text,) = theirs.texts
    assert text.startswith("临汾路99弄 拥挤\n")
    assert "https://s.example/a/x" in text


@pytest.mark.parametrize(
    ("make", "group", "wrong"),
    [
        (wecom, WecomGroup, "key"),
        (dingtalk, DingtalkGroup, "key"),
        (dingtalk, DingtalkGroup, "secret"),
        (feishu, FeishuGroup, "key"),
        (feishu, FeishuGroup, "secret"),
    ],
)
async def test_a_wrong_key_or_signature_is_no_contacts_fault(make: Any, group: Any, wrong: str) -> None:
    """It is tried again, for somebody will mend it; the message names the code and neither key nor secret."""
    clock = Clock()
    theirs = group(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = make(receiver, clock, **{wrong: "not-this-one"})
        with pytest.raises(DeliveryError, match="code") as caught:
            await channel.send(entry())
        await channel.close()
    assert caught.value.retryable
    assert "not-this-one" not in str(caught.value)
    assert theirs.texts == []


@pytest.mark.parametrize(("make", "group"), [(dingtalk, DingtalkGroup), (feishu, FeishuGroup)])
async def test_a_clock_that_is_wrong_for_a_while_costs_no_page(make: Any, group: Any) -> None:
    """The service does not accept the signature of a box two hours off; set right, the same message goes through."""
    clock, ours = Clock(), Clock()
    ours.advance(7200.0)
    theirs = group(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = make(receiver, ours)
        with pytest.raises(DeliveryError, match="code") as caught:
            await channel.send(entry())
        assert caught.value.retryable
        clock.advance(7200.0)
        await channel.send(entry())
        await channel.close()
    assert len(theirs.texts) == 1


@pytest.mark.parametrize(("make", "code"), [(wecom, 40058), (wecom, 44004), (dingtalk, 40035)])
async def test_a_code_that_speaks_of_one_message_is_final(make: Any, code: int) -> None:
    """Its parameters or its text are not accepted: they would be the same at the next attempt."""
    with Receiver(said(errcode=code)) as receiver:
        channel = make(receiver, Clock())
        with pytest.raises(DeliveryError, match=str(code)) as caught:
            await channel.send(entry())
        await channel.close()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("make", "group", "most", "wait"),
    [(wecom, WecomGroup, 20, 60.0), (dingtalk, DingtalkGroup, 20, 600.0), (feishu, FeishuGroup, 100, 60.0)],
    ids=["wecom", "dingtalk", "feishu"],
)
async def test_over_the_limit_it_waits_as_long_as_the_service_wants(
    make: Any, group: Any, most: int, wait: float
) -> None:
    """A refusal for the rate is a failure with HTTP 200; after the wait that it names, messages go through again."""
    clock = Clock()
    theirs = group(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = make(receiver, clock)
        for number in range(most):
            await channel.send(entry(number))
        with pytest.raises(DeliveryError) as caught:
            await channel.send(entry(most))
        assert (caught.value.retryable, caught.value.retry_after) == (True, wait)
        assert not isinstance(caught.value, InDoubtError)
        clock.advance(wait + 1)
        await channel.send(entry(most))
        await channel.close()
    assert len(theirs.texts) == most + 1


@each_kind
async def test_an_answer_without_a_code_is_in_doubt(make: Any, group: Any) -> None:
    """A proxy's page, or what a service says that is out of order: it is tried on, for the service's code is known."""
    answers = (b"<html>log in</html>", b'{"error": "busy"}', b"[]")
    with Receiver(*(Answer(200, body) for body in answers), Answer(503, b"busy")) as receiver:
        channel = make(receiver, Clock())
        for _ in answers:
            with pytest.raises(InDoubtError, match="without") as caught:
                await channel.send(entry())
            assert not isinstance(caught.value, UnclearError)
        with pytest.raises(DeliveryError, match="503"):
            await channel.send(entry())
        await channel.close()


@each_kind
async def test_only_a_zero_with_a_good_status_is_a_delivery(make: Any, group: Any) -> None:
    """Neither false, nor a zero as a text, nor a zero in somebody's error page."""
    field = "code" if make is feishu else "errcode"
    for status, value, doubt in [(200, False, True), (200, "0", True), (500, 0, False)]:
        with Receiver(Answer(status, json.dumps({field: value}).encode())) as receiver:
            channel = make(receiver, Clock())
            with pytest.raises(DeliveryError) as caught:
                await channel.send(entry())
            await channel.close()
        assert isinstance(caught.value, InDoubtError) is doubt


async def test_feishu_answers_as_it_did_before() -> None:
    """Installations of before its ``code`` say ``StatusCode``: each message would come again and again for a day."""
    with Receiver(said(Extra=None, StatusCode=0, StatusMessage="success"), said(StatusCode=9499)) as receiver:
        channel = feishu(receiver, Clock())
        await channel.send(entry())
        with pytest.raises(DeliveryError, match="9499"):
            await channel.send(entry())
        await channel.close()


@pytest.mark.parametrize("make", [wecom, dingtalk], ids=["wecom", "dingtalk"])
async def test_an_unknown_code_is_tried_again(make: Any) -> None:
    """What nobody foresaw may pass."""
    with Receiver(said(errcode=99999, errmsg="13800000000 x")) as receiver:
        channel = make(receiver, Clock())
        with pytest.raises(DeliveryError, match="99999") as caught:
            await channel.send(entry())
        await channel.close()
    assert caught.value.retryable
    assert "138" not in str(caught.value)


async def test_the_person_on_duty_is_mentioned() -> None:
    """By number in WeCom and DingTalk, by id in all; DingTalk's mention stands in the text, Feishu's is a tag."""
    clock = Clock()
    groups = [WecomGroup(clock), DingtalkGroup(clock), FeishuGroup(clock)]
    for make, theirs in zip((wecom, dingtalk, feishu), groups, strict=True):
        with Receiver(decide=theirs.decide) as receiver:
            channel = make(receiver, clock)
            await channel.send(entry(address="+8613800000000,cadre01"))
            await channel.close()
    assert groups[0].mentioned == [["cadre01", "13800000000"]]
    assert groups[1].mentioned == [["13800000000", "cadre01"]]
    assert groups[2].texts[0].endswith('<at user_id="cadre01"></at>')
    assert "138" not in groups[2].texts[0]


async def test_a_text_cannot_smuggle_a_mention_into_feishu() -> None:
    """Tags in a place's name stay text."""
    clock = Clock()
    theirs = FeishuGroup(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = feishu(receiver, clock)
        await channel.send(entry(text='<at user_id="all"></at>'))
        await channel.close()
    assert "<at" not in theirs.texts[0]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", Mentions()),
        ("all", Mentions(everybody=True)),
        ("@all", Mentions(everybody=True)),
        ("13800000000", Mentions(("13800000000",))),
        (" +8613800000000 , zhi.ban-01 ", Mentions(("13800000000",), ("zhi.ban-01",))),
        ('x"></at>', Mentions()),
        ("13800000000,13800000000", Mentions(("13800000000",))),
    ],
)
def test_an_address_is_taken_apart(address: str, expected: Mentions) -> None:
    """Numbers, ids, everybody; what could break out of a tag is left out."""
    assert mentions(address) == expected


async def test_wecom_texts_are_cut_at_a_character() -> None:
    """2,048 bytes at most; the link is kept whole, the text loses its end and says so."""
    clock = Clock()
    theirs = WecomGroup(clock)
    with Receiver(decide=theirs.decide) as receiver:
        channel = wecom(receiver, clock)
        await channel.send(entry(text="很长的说明" * 400, link="https://s.example/a/x"))
        await channel.close()
    (text,) = theirs.texts
    assert 2040 <= len(text.encode()) <= 2048
    assert text.endswith("…\n点此反馈：https://s.example/a/x")


@given(st.text(max_size=40), st.integers(0, 60))
def test_a_cut_never_breaks_a_character(text: str, longest: int) -> None:
    """Any text, any limit: the result fits, is valid, and is a beginning of the text."""
    short = cut(text, longest)
    assert len(short.encode()) <= longest
    assert text.startswith(short.removesuffix("…")) or short == text


@given(st.text(max_size=60), st.text(max_size=200), st.booleans(), st.integers(1, 300))
def test_a_message_fits_whatever_it_holds(title: str, text: str, repeated: bool, longest: int) -> None:
    """However long title and text are, the limit is kept."""
    assert len(text_of(entry(title=title, text=text, repeated=repeated), longest).encode()) <= longest

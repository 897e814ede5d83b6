"""Messages to persons through a WeCom application."""

from __future__ import annotations

import asyncio
import threading

import pytest
from msgspec.structs import replace

from sensord.config.channels import WecomApp
from sensord.core.instant import HOUR
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.wecom_app import WecomAppChannel
from tests.notify.parts import START, Clock, entry
from tests.notify.receiver import Answer, Receiver, Request
from tests.notify.services import WecomOrganisation, said


def channel(receiver: Receiver, clock: Clock, secret: str = "app-secret") -> WecomAppChannel:
    """The application's channel."""
    settings = WecomApp(
        name="app", corp_id="ww1", agent_id=7, secret_file="s", url=receiver.url, allow=(receiver.host,)
    )
    return WecomAppChannel(settings, secret, clock)


async def test_it_fetches_a_token_once_and_again_before_its_end() -> None:
    """Two hours long the same token serves; five minutes before they are over it is renewed."""
    clock = Clock()
    theirs = WecomOrganisation(clock)
    with Receiver(decide=theirs.decide) as receiver:
        app = channel(receiver, clock)
        for number in range(3):
            await app.send(entry(number, address="cadre01", title=f"t{number}"))
        assert theirs.fetched == 1
        clock.advance(7200 - 299)
        await app.send(entry(4, address="cadre01"))
        await app.close()
    assert theirs.fetched == 2
    assert [user for user, _ in theirs.inbox] == ["cadre01"] * 4


async def test_many_at_once_share_one_token() -> None:
    """Messages that wait for the first token do not all ask for one, nor do those whose token was withdrawn."""
    clock = Clock()
    theirs = WecomOrganisation(clock)
    turn = threading.Lock()

    def decide(request: Request) -> Answer:
        with turn:
            return theirs.decide(request)

    with Receiver(decide=decide) as receiver:
        app = channel(receiver, clock)
        await asyncio.gather(*(app.send(entry(n, address="cadre01", title=f"a{n}")) for n in range(8)))
        assert theirs.fetched == 1
        theirs.forget()
        await asyncio.gather(*(app.send(entry(n, address="cadre01", title=f"b{n}")) for n in range(8)))
        await app.close()
    assert theirs.fetched == 2
    assert len(theirs.inbox) == 16


async def test_a_wrong_secret_is_no_persons_fault_and_never_in_doubt() -> None:
    """The token's request reaches nobody; the secret is in no message."""
    with Receiver(decide=WecomOrganisation(Clock()).decide) as receiver:
        app = channel(receiver, Clock(), "wrong-secret")
        with pytest.raises(DeliveryError, match="40001") as caught:
            await app.send(entry(address="cadre01"))
        await app.close()
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)
    assert "wrong-secret" not in str(caught.value)


async def test_no_token_and_no_answer_is_no_doubt() -> None:
    """A server that hangs up on the token's request has certainly delivered nothing."""
    with Receiver(Answer(drop=True)) as receiver:
        app = channel(receiver, Clock())
        with pytest.raises(DeliveryError) as caught:
            await app.send(entry(address="cadre01"))
        await app.close()
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)


@pytest.mark.parametrize("address", ["nobody", ""])
async def test_an_unknown_person_is_final(address: str) -> None:
    """Whom the organisation does not know will not be reached by trying again; the id is not repeated."""
    clock = Clock()
    with Receiver(decide=WecomOrganisation(clock).decide) as receiver:
        app = channel(receiver, clock)
        with pytest.raises(DeliveryError) as caught:
            await app.send(entry(address=address))
        await app.close()
    assert not caught.value.retryable
    assert "nobody" not in str(caught.value)


async def test_of_several_persons_one_may_be_unknown() -> None:
    """The others are reached; the receipt counts the unknown."""
    clock = Clock()
    theirs = WecomOrganisation(clock)
    with Receiver(decide=theirs.decide) as receiver:
        app = channel(receiver, clock)
        assert await app.send(entry(address="cadre01, gone")) == "msgid m1, 1 not reached"
        await app.close()
    assert [user for user, _ in theirs.inbox] == ["cadre01"]


@pytest.mark.parametrize(
    ("address", "missed", "reached", "retryable"),
    [
        ("cadre01", {"unlicenseduser": "cadre01"}, False, True),
        ("Cadre01, gone", {"unlicenseduser": "cadre01", "invaliduser": "gone"}, False, True),
        ("cadre01, gone", {"invaliduser": "CADRE01|gone"}, False, False),
        ("cadre01, cadre02", {"unlicenseduser": "cadre02", "invaliduser": []}, True, True),
        ("cadre01", {"invaliduser": "", "unlicenseduser": None}, True, True),
    ],
)
async def test_whom_the_service_has_not_told_was_not_told(
    address: str, missed: dict[str, object], reached: bool, retryable: bool
) -> None:
    """It answers 0 and names them; a license may be renewed, an unknown id stays unknown."""
    token = said(errcode=0, access_token="t", expires_in=7200)
    with Receiver(token, said(errcode=0, msgid="m1", **missed)) as receiver:
        app = channel(receiver, Clock())
        if reached:
            assert (await app.send(entry(address=address))).startswith("msgid m1")
        else:
            with pytest.raises(DeliveryError) as caught:
                await app.send(entry(address=address))
            assert caught.value.retryable is retryable
            assert not isinstance(caught.value, InDoubtError)
            assert "cadre" not in str(caught.value)
        await app.close()


async def test_a_repeat_in_doubt_is_seen_once() -> None:
    """Within the service's memory the same text goes out, unmarked, and is dropped there; later it is marked."""
    clock = Clock()
    theirs = WecomOrganisation(clock)
    with Receiver(decide=theirs.decide) as receiver:
        app = channel(receiver, clock)
        await app.send(entry(address="cadre01"))
        await app.send(replace(entry(address="cadre01", repeated=True), late=HOUR))
        assert len(theirs.inbox) == 1
        clock.advance(14_401)
        await app.send(replace(entry(address="cadre01", repeated=True, at=START), late=4 * HOUR))
        await app.close()
    assert theirs.inbox[1][1].startswith("（迟到 4 小时）（可能重复）")


async def test_a_token_that_is_refused_at_once_is_a_failure_for_now() -> None:
    """No endless loop of fetching."""
    token = said(errcode=0, access_token="t", expires_in=7200)
    refusal = said(errcode=40014, errmsg="invalid access_token")
    with Receiver(token, refusal, token, refusal) as receiver:
        app = channel(receiver, Clock())
        with pytest.raises(DeliveryError, match="just given") as caught:
            await app.send(entry(address="cadre01"))
        await app.close()
    assert caught.value.retryable
    assert len(receiver.requests) == 4

"""The apprise channel, with apprise's own ``json://`` service against the local receiver."""

from __future__ import annotations

import pytest

from sensord.config.settings import Apprise
from sensord.errors import ConfigError, DeliveryError
from sensord.notify.apprise_channel import AppriseChannel
from sensord.notify.outcome import InDoubtError
from tests.notify.parts import entry
from tests.notify.receiver import Answer, Receiver
from tests.support.bombs import BOMBS, ROOM, Growth, bombing

SETTINGS = Apprise(name="services", url_file="urls.txt")


async def test_it_reaches_the_service() -> None:
    """Title and text arrive as they are."""
    with Receiver() as receiver:
        channel = AppriseChannel(SETTINGS, [f"json://{receiver.host}/alert"])
        assert await channel.send(entry()) == "apprise"
        await channel.close()
    (request,) = receiver.requests
    assert request.path == "/alert"
    assert (request.json["title"], request.json["message"]) == ("临汾路99弄 拥挤", "text-that-no-log-may-hold")


async def test_an_address_picks_by_tag() -> None:
    """Only lines with the contact's tag are used; without an address all are. Comments and blanks are skipped."""
    with Receiver() as police, Receiver() as cadres:
        lines = ["# who", "", f"police,red = json://{police.host}", f"cadres=json://{cadres.host}"]
        channel = AppriseChannel(SETTINGS, lines)
        await channel.send(entry(address="police"))
        assert (len(police.requests), len(cadres.requests)) == (1, 0)
        await channel.send(entry())
        assert (len(police.requests), len(cadres.requests)) == (2, 1)


async def test_an_unknown_tag_is_final() -> None:
    """Nobody would ever get it: say so at once, without naming the address."""
    with Receiver() as receiver:
        channel = AppriseChannel(SETTINGS, [f"police=json://{receiver.host}"])
        with pytest.raises(DeliveryError, match=r"urls\.txt") as caught:
            await channel.send(entry(address="nobody"))
    assert (caught.value.retryable, receiver.requests) == (False, [])
    assert "nobody" not in str(caught.value)


async def test_a_failure_is_in_doubt() -> None:
    """Apprise does not say which of several services failed, so the next attempt says that it may be a repeat."""
    with Receiver(Answer(500)) as receiver:
        channel = AppriseChannel(SETTINGS, [f"json://{receiver.host}"])
        with pytest.raises(InDoubtError) as caught:
            await channel.send(entry())
        await channel.send(entry(repeated=True))
        await channel.send(entry(repeated=True, language="en"))
    assert caught.value.retryable
    titles = [request.json["title"] for request in receiver.requests]
    assert [title.split("临")[0] for title in titles] == ["", "（可能重复）", "(possibly repeated) "]


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_services_answer_is_bounded_whatever_its_encoding(bomb: str) -> None:
    """Its library would read it whole, and decompressed; it counts as a failure of the service."""
    with bombing(bomb) as url:
        channel = AppriseChannel(SETTINGS, [url.replace("http", "json")])
        growth = Growth()
        with pytest.raises(InDoubtError):
            await channel.send(entry())
        assert growth.peak < ROOM


def test_lines_that_are_no_urls_are_refused_with_their_numbers() -> None:
    """Every bad line is named by number; the line itself, which may hold a token, is not."""
    with pytest.raises(ConfigError) as caught:
        AppriseChannel(SETTINGS, ["json://127.0.0.1", "token-123", "nosuchservice://x"])
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [("urls.txt", 2), ("urls.txt", 3)]
    assert "token-123" not in str(caught.value)

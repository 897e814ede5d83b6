"""The links in messages: what they say, and what cannot be made to pass for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.api.links import AnswerLinks, Invitation, LinkError
from sensord.core.cases.notification import Reason
from sensord.core.instant import HOUR, SECOND
from tests.api.parts import CASE, KEY, START
from tests.notify.parts import notification

LINKS = AnswerLinks("https://s.example/", b"key", HOUR)
GOOD = LINKS.token(KEY, START + HOUR)


def test_a_link_names_message_case_and_receiver() -> None:
    """The address is below the configured one, and short enough for an SMS."""
    link = LINKS.link(notification(key=KEY, at=START))
    assert link.startswith("https://s.example/a/")
    assert len(link) < 160
    token = link.removeprefix("https://s.example/a/")
    assert LINKS.read(token, START) == Invitation(KEY, CASE, "1", "居委干部-03")


def test_it_expires() -> None:
    """An hour after the decision; the error says that it was ours."""
    LINKS.read(GOOD, START + HOUR - SECOND)
    with pytest.raises(LinkError) as caught:
        LINKS.read(GOOD, START + HOUR)
    assert caught.value.expired


@pytest.mark.parametrize("reason", [Reason.CASE_CLOSED])
def test_there_is_nothing_to_answer_to_an_end(reason: Reason) -> None:
    """The message that a case is over asks nobody for anything."""
    assert LINKS.link(notification(key=KEY, reason=reason)) == ""


def test_a_key_of_another_form_gets_no_link() -> None:
    """It would not say who answers about what."""
    assert LINKS.link(notification(key="digest")) == ""


@given(position=st.integers(0, 200), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_changed_link_is_refused(position: int, bit: int) -> None:
    """Whichever bit of MAC, time or key is changed."""
    raw = bytearray(base64.urlsafe_b64decode(GOOD + "=" * (-len(GOOD) % 4)))
    raw[position % len(raw)] ^= 1 << bit
    with pytest.raises(LinkError) as caught:
        LINKS.read(base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode(), START)
    assert not caught.value.expired


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_anything_else_is_refused(token: str) -> None:
    """Any text at all: refused, never another error."""
    with pytest.raises(LinkError):
        LINKS.read(token, START)


@pytest.mark.parametrize("token", ["", "A" * 5000, GOOD + "A", GOOD[:-1], "é"])
def test_near_misses_are_refused(token: str) -> None:
    """Empty, huge, longer, shorter."""
    with pytest.raises(LinkError):
        LINKS.read(token, START)


def test_another_key_signs_other_links() -> None:
    """A link of one site is nothing at another."""
    with pytest.raises(LinkError):
        AnswerLinks("https://s.example", b"other", HOUR).read(GOOD, START)

"""The links in messages: what they say, and what cannot be made to pass for one."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.api.links import KEY_FILE, AnswerLinks, Invitation, LinkError, own_key
from sensord.core.cases.notification import Reason
from sensord.core.instant import HOUR, SECOND
from tests.api.parts import CASE, KEY, START
from tests.notify.parts import notification
from tests.support.damages import DAMAGES, Damage

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


def test_the_own_key_is_made_once(tmp_path: Path) -> None:
    """It survives restarts, and only the daemon's user reads it."""
    key, why = own_key(tmp_path, START)
    assert (len(key), why) == (64, "")
    assert own_key(tmp_path, START) == (key, "")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [*DAMAGES, lambda _: bytes(64), lambda content: content.upper() + b"x"])
def test_a_damaged_key_signs_nothing(tmp_path: Path, damage: Damage) -> None:
    """Whoever knows what a power cut leaves of a file could sign with it: it is kept aside, and another key made."""
    before, _ = own_key(tmp_path, START)
    path = tmp_path / KEY_FILE
    left = damage(path.read_bytes())
    path.write_bytes(left)
    key, why = own_key(tmp_path, START)
    assert key not in (before, left, left.strip())
    assert "links in earlier messages are void" in why
    assert (tmp_path / f"{KEY_FILE}.damaged-{START}").read_bytes() == left
    assert own_key(tmp_path, START) == (key, "")
    forged = AnswerLinks("x", left, HOUR).token(KEY, START + HOUR)
    with pytest.raises(LinkError):
        AnswerLinks("x", key, HOUR).read(forged, START)


def test_a_key_that_cannot_be_written_still_signs(tmp_path: Path) -> None:
    """A full disk keeps nobody from being told; that the links end with the daemon is said."""
    key, why = own_key(tmp_path / "missing", START)
    assert len(key) == 64
    assert "void once sensord ends" in why

"""The demonstration's receiver: takes what the webhook sends, refuses the rest, keeps little."""

from __future__ import annotations

import pytest

from simulators.receiver import Receiver, running_receiver
from tests.support import http


def post(receiver: Receiver, path: str, content: bytes) -> int:
    """Send a body to a path of the receiver; return the status."""
    url = f"http://{receiver.host}:{receiver.port}{path}"
    return http.post(url, content=content).status_code


def test_notifications_are_kept_with_their_address(capfd: pytest.CaptureFixture[str]) -> None:
    """A notification is kept with its address and body, in order of arrival, and nothing is printed."""
    with running_receiver() as receiver:
        assert http.post(receiver.url, json={"key": "1", "title": "一"}).json() == {"ok": True}
        assert post(receiver, "/notify/cadre-G01%2F1", b'{"key":"2"}') == 200
        total, kept = receiver.inbox.look()
    assert total == 2
    assert [(one.address, one.text("key"), one.text("title")) for one in kept] == [
        ("", "1", "一"),
        ("cadre-G01/1", "2", ""),
    ]
    assert kept[0].at < kept[1].at
    assert capfd.readouterr() == ("", "")


def test_a_repeated_key_is_counted_once() -> None:
    """The same idempotency key again is answered well, counted as repeated, and not kept again."""
    with running_receiver() as receiver:
        assert [post(receiver, "/notify", b'{"key":"same"}') for _ in range(3)] == [200, 200, 200]
        assert receiver.inbox.look()[0] == 1
        assert receiver.inbox.repeated == 2


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/other", b"{}", 404),
        ("/notify/a/b", b"{}", 404),
        ("/notify", b"not json", 400),
        ("/notify", b"[1]", 400),
        ("/notify", b'{"key":"' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_what_is_none_of_ours_is_refused(path: str, content: bytes, status: int) -> None:
    """Another path, something that is no JSON object, and a body that is too large are refused and counted."""
    with running_receiver() as receiver:
        assert post(receiver, path, content) == status
        assert receiver.inbox.look() == (0, [])
        assert receiver.inbox.refused == 1


def test_only_the_newest_are_kept() -> None:
    """The list is bounded: the oldest go, the count stays right."""
    with running_receiver(kept=3) as receiver:
        for number in range(7):
            post(receiver, "/notify", f'{{"key":"{number}"}}'.encode())
        total, kept = receiver.inbox.look()
    assert total == 7
    assert [one.text("key") for one in kept] == ["4", "5", "6"]

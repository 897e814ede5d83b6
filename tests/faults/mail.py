"""Experiments with a mail server that dribbles: it says a byte at a time, and never comes to an end.

``Post`` is a real mail server behind a relay: conversations go well until the relay lets one answer, of the server's
greeting and its answers in turn, come for ever.
"""

from __future__ import annotations

import email
import email.policy
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.faults.harness import Stage
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.tally import Row
from tests.support import POLL, free_port, wait_until

ROSTER = """
people:
  - {id: 志愿者-1, role: volunteer, serves: G1-1, contacts: [{channel: mail, address: one@example.org}]}
  - {id: 志愿者-2, role: volunteer, serves: G2-1, contacts: [{channel: mail, address: two@example.org}]}
  - {id: 居委干部-1, role: cadre, serves: G1, contacts: [{channel: people, address: cadre-1}, {channel: grid}]}
  - {id: 居委干部-2, role: cadre, serves: G2, contacts: [{channel: people, address: cadre-2}, {channel: grid}]}
  - {id: 派出所-1, role: police, serves: street, contacts: [{channel: people, address: police-1}]}
"""
"""Volunteers have mailboxes; everybody else is told over healthy channels."""
ANSWERS = 6
"""Answers in a conversation: to the connection, EHLO, MAIL, RCPT, DATA and the text."""
AGAIN = "（可能重复）"
"""How the subject of a possible repeat begins."""


class Post:
    """A mail server; use as a context manager. ``dribbles`` says which answer never ends (0: the greeting).

    ``letters`` are the names that Message-IDs begin with, and whether the subject says that it may be a repeat;
    ``stuck`` counts the conversations that were held up.
    """

    def __init__(self) -> None:
        self.letters = list[tuple[str, bool]]()
        self.dribbles: int | None = None
        self.stuck = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._server = Controller(self, "127.0.0.1", free_port())

    def __enter__(self) -> Self:
        """Open the door."""
        self._server.start()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, whoever still waits."""
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._server.stop()

    def channel(self, timeout: str) -> dict[str, Any]:
        """The settings of a channel of this server."""
        server = {"type": "smtp", "name": "mail", "host": "127.0.0.1", "port": self._port, "security": "none"}
        return server | {"sender": "sensord@example.org", "timeout": timeout}

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # its name
        """Take a letter."""
        assert isinstance(envelope.content, bytes)
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        name = letter["Message-ID"].strip("<>").partition("@")[0]
        self.letters.append((name, letter["Subject"].startswith(AGAIN)))
        return "250 OK"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._server.port))
                threading.Thread(target=_carry, args=(near, far), daemon=True).start()
                threading.Thread(target=self._answer, args=(far, near), daemon=True).start()

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        """Carry the server's answers; one of several lines ends with the first that has no hyphen behind its code."""
        with suppress(OSError), near, far, far.makefile("rb") as lines:
            passed, answer = 0, b""
            for line in lines:
                answer += line
                if line[3:4] == b"-":
                    continue
                if passed == self.dribbles:
                    self._dribble(near)
                    return
                near.sendall(answer)
                passed, answer = passed + 1, b""

    def _dribble(self, near: socket.socket) -> None:
        self.stuck += 1
        while self.dribbles is not None and not self._over.wait(POLL):
            near.sendall(b"-")


def _carry(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(1 << 16):
            drain.sendall(said)
        drain.shutdown(socket.SHUT_WR)


def dribbling_mail(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let the mail server dribble, each time at another answer: others hear at once, letters arrive once it is well."""
    dice, recovery, told = random.Random(seed), list[float](), list[float]()
    with Post() as post, _stage(directory, seed, post) as stage:
        stage.begin()
        for number in rounds:
            post.dribbles, stuck, pages = number % ANSWERS, post.stuck, Counter(stage.places())
            stage.sensors.counts.update(dict.fromkeys(stage.sensors.counts, MANY))
            began = time.monotonic()
            wait_until(partial(_told, stage, pages), 60, "people of other channels are told of both crowds")
            told.append(time.monotonic() - began)
            wait_until(partial(_stuck, post, stuck), 60, "a letter is held up")
            time.sleep(dice.uniform(0.0, 2.0))
            post.dribbles, well, letters = None, time.monotonic(), len(post.letters)
            wait_until(partial(_delivered, post, letters), 120, "letters arrive again")
            recovery.append(time.monotonic() - well)
            stage.sensors.counts.update(dict.fromkeys(stage.sensors.counts, FEW))
            wait_until(partial(_no_crowds, stage), 90, "the crowds' cases are closed")
        stuck = post.stuck
        stage.settle(patience=600)  # a letter that was held up often waits for long
        row = stage.verdict("a mail server dribbles", len(recovery), recovery, letters=post.letters)
        row.remark += (
            f"; {stuck} conversations held up, {len(post.letters)} letters taken; crowds were told of over the webhook "
            f"after {max(told):.1f} s at most; recovery is to the next letter"
        )
        return row


def _told(stage: Stage, before: Counter[str]) -> bool:
    return {"L1", "L2"} <= set(Counter(stage.places()) - before)


def _stuck(post: Post, before: int) -> bool:
    return post.stuck > before


def _delivered(post: Post, before: int) -> bool:
    return len(post.letters) > before


def _no_crowds(stage: Stage) -> bool:
    return not stage.crowds()


def _stage(directory: Path, seed: int, post: Post) -> Stage:
    stage = Stage(directory, seed, influx=False, speech=Speech(moods=None))
    host = stage.people.host
    hook = {"type": "webhook", "name": "people", "url": f"http://{host}/notify", "allow": [host]}
    stage.daemon.set(channels=[hook, post.channel("2s"), {"type": "mqtt", "name": "grid"}])
    (stage.daemon.directory / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    return stage

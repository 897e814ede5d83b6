"""A mail server that never ends its greeting: people of other channels hear at once, and the daemon can be stopped."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.notify.receiver import Receiver
from tests.support import POLL, wait_until
from tests.support.broker import Mosquitto, paho_client
from tests.support.daemon import Daemon, crowd

ROSTER = """
people:
  - {id: 志愿者-1, role: volunteer, serves: G1-1, contacts: [{channel: mail, address: one@example.org}]}
  - {id: 志愿者-2, role: volunteer, serves: G1-1, contacts: [{channel: mail, address: two@example.org}]}
  - {id: 居委干部-1, role: cadre, serves: G1, contacts: [{channel: people, address: cadre-1}]}
  - {id: 派出所-1, role: police, serves: street, contacts: [{channel: people, address: police-1}]}
"""


class Dribblers:
    """Takes every connection, and greets each for ever."""

    def __init__(self) -> None:
        self.lines = list[socket.socket]()
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._server.accept()
                self.lines.append(line)
                threading.Thread(target=self._greet, args=(line,), daemon=True).start()

    def _greet(self, line: socket.socket) -> None:
        with suppress(OSError):
            while not self._over.wait(POLL):
                line.sendall(b"220-wait\r\n")

    def close(self) -> None:
        """End every greeting."""
        self._over.set()
        self._server.close()


@pytest.fixture
def mail() -> Iterator[Dribblers]:
    """The mail server."""
    server = Dribblers()
    yield server
    server.close()


def test_a_mail_server_that_dribbles_holds_up_nobody(tmp_path: Path, mail: Dribblers) -> None:
    """While conversations hang, the cadre is told over the webhook; SIGTERM ends the daemon in good order."""
    broker, numbers = Mosquitto(tmp_path).start(), itertools.count()
    client = paho_client("sensor")
    with Receiver() as people:
        daemon = Daemon(tmp_path / "sensord", broker.port, people.url)
        hook = {"type": "webhook", "name": "people", "url": people.url, "allow": [people.host]}
        post = {"type": "smtp", "name": "mail", "host": "127.0.0.1", "port": mail.port, "security": "none"}
        daemon.set(channels=[hook, post | {"sender": "sensord@example.org", "timeout": "20s"}])
        (daemon.directory / "roster.yaml").write_text(ROSTER, encoding="utf-8")

        def told() -> bool:
            client.publish(*crowd(1, 150, next(numbers)), 1).wait_for_publish(10)
            return len(mail.lines) >= 2 and bool(people.requests)

        try:
            daemon.start()
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            wait_until(told, 60, "both are told")
            assert daemon.stop() == 0
        finally:
            daemon.kill()
            client.loop_stop()
            broker.stop()

"""A mail server that never ends an answer: people of other channels hear at once, and the daemon can be stopped."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults.mail import ANSWERS, ROSTER, Post, dribbling_mail
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto, paho_client
from tests.support.daemon import Daemon, crowd


@pytest.mark.timeout(300)
def test_a_mail_server_that_dribbles_holds_up_nobody(tmp_path: Path) -> None:
    """At its greeting, and after it has the text: letters arrive once it is well, those in doubt marked as repeats."""
    row = dribbling_mail(tmp_path, (0, ANSWERS - 1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
    assert row.marked > 0, "of letters that the server had taken nobody knew"


def test_a_daemon_ends_in_good_order_while_a_mail_server_dribbles(tmp_path: Path) -> None:
    """While conversations hang, the cadre is told over the webhook; SIGTERM ends the daemon in good order."""
    broker, numbers = Mosquitto(tmp_path).start(), itertools.count()
    client = paho_client("sensor")
    with Receiver() as people, Post() as mail:
        mail.dribbles = 0
        daemon = Daemon(tmp_path / "sensord", broker.port, people.url)
        hook = {"type": "webhook", "name": "people", "url": people.url, "allow": [people.host]}
        daemon.set(channels=[hook, mail.channel("20s"), {"type": "mqtt", "name": "grid"}])
        (daemon.directory / "roster.yaml").write_text(ROSTER, encoding="utf-8")

        def told() -> bool:
            client.publish(*crowd(1, 150, next(numbers)), 1).wait_for_publish(10)
            return mail.stuck >= 1 and bool(people.requests)

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

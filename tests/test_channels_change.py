"""Channels that are renamed, or taken out, while a real daemon is down: whoever must be told is told, or it is said."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sensord.store.starts import Starts
from tests.notify.receiver import Answer, Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import ROSTER, Daemon, crowd

ONE_WAY = ROSTER.replace(", {channel: grid}", "")
"""As in the sample that is shipped, people have one way each."""


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto, people: Receiver) -> Iterator[Daemon]:
    """A daemon that has run, and is down."""
    stopped = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify", reload={"every": "100ms"})
    write_roster(stopped, ONE_WAY)
    assert stopped.start().stop() == 0
    yield stopped
    stopped.kill()


def write_roster(daemon: Daemon, text: str) -> None:
    """Put this roster into its place."""
    (daemon.directory / "roster.yaml").write_text(text, encoding="utf-8")


def channels(people: Receiver, name: str) -> list[dict[str, object]]:
    """Everybody's telephone is reached over a channel of this name."""
    phones: dict[str, object] = {"type": "webhook", "name": name, "url": people.url + "/notify", "allow": [people.host]}
    return [phones, {"type": "mqtt", "name": "grid"}]


def test_a_start_that_could_tell_nobody_ends(daemon: Daemon, broker: Mosquitto, people: Receiver) -> None:
    """Everybody is moved to another channel, and a slip refuses the roster: that of before knows the old channel only.

    With the old channel back, the slip still there, the daemon goes on as before, and tells people of crowds.
    """
    daemon.set(channels=channels(people, "duty"))
    slip = ONE_WAY.replace("role: police", "rol: police")
    write_roster(daemon, slip.replace("channel: people", "channel: duty"))
    refused = daemon.command("run")
    assert refused.returncode == 3
    assert "rol" in refused.stderr
    assert "people" in refused.stderr
    daemon.set(channels=channels(people, "people"))
    daemon.start(ready="/healthz")
    numbers = count(1)

    def told() -> bool:
        broker.publish_all([crowd(1, 75, next(numbers))])
        return any("1弄" in title for title in people.titles())

    wait_until(told, 30, "people hear of a crowd")


def test_a_channel_without_its_secret_ends_a_start_with_every_mistake(daemon: Daemon, people: Receiver) -> None:
    """It is no death: a start with the secret in its place is as good as any other."""
    daemon.set(channels=[{**one, "secret_file": "gone"} for one in channels(people, "people")[:1]])
    write_roster(daemon, ONE_WAY.replace("role: police", "rol: police"))
    refused = daemon.command("run")
    assert refused.returncode == 3
    assert "rol" in refused.stderr
    assert "gone" in refused.stderr
    assert Starts(daemon.state).deaths() == 0


def test_what_waits_for_a_channel_that_is_taken_out_is_told_over_the_new_one(
    daemon: Daemon, broker: Mosquitto, people: Receiver
) -> None:
    """A receiver is down, everybody is moved to another, and the channel goes: the crowd that goes on is told there."""
    people.otherwise = Answer(status=503)
    daemon.start()
    numbers = count(1)

    def refused() -> bool:
        broker.publish_all([crowd(1, 75, next(numbers))])
        return len(people.requests) >= 2

    wait_until(refused, 30, "pages wait")
    assert daemon.stop() == 0
    with Receiver() as others:
        daemon.set(channels=channels(others, "duty"))
        write_roster(daemon, ONE_WAY.replace("channel: people", "channel: duty"))
        daemon.start()

        def told() -> bool:
            broker.publish_all([crowd(1, 75, next(numbers))])
            return len([title for title in others.titles() if "改用此方式通知" in title]) >= 2

        wait_until(told, 30, lambda: f"the volunteer and the cadre are told, and not {others.titles()}")
        wait_until(lambda: daemon.metric('notifications_total{channel="people",outcome="failed"') >= 2, 15, "given up")
        wait_until(lambda: daemon.overview()["notifications"]["pending"] == 0, 15, "nothing waits for ever")
        assert daemon.stop() == 0

"""Recordings and crowds of devices into a real broker, and the bar that says how far a replay has come."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.replay import dense
from sensord.cli import cli
from sensord.config.load import load
from sensord.config.settings import Mqtt
from sensord.core.instant import MILLISECOND, SECOND, format_instant, parse_instant
from sensord.core.record import RecordKind
from sensord.source import Source
from simulators.broker import Broker
from simulators.publish import publish
from simulators.receiver import Inbox, Receiver
from simulators.recorded import record_simulation
from simulators.scenario import BackgroundEntry, Scenario
from simulators.stage import SHIPPED, write_config
from simulators.street import Street
from tests.simulators.small import START, eventually
from tests.simulators.test_publish import Subscriber

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Path:
    """Write a configuration of the shipped street with that broker."""
    return write_config(tmp_path_factory.mktemp("lab"), SHIPPED, broker, Receiver(Inbox(), "127.0.0.1", 9), "zh")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Path:
    """Half a minute of the shipped street."""
    folder = tmp_path_factory.mktemp("recorded") / "half-minute"
    record_simulation(config, "lane-crowd", 30, folder, START)
    return folder


def test_a_recording_is_published(recording: Path, config: Path, subscriber: Subscriber) -> None:
    """``replay --publish``: every message, in order, with nothing but its stamp made new, and at its pace."""
    sent = list(Source(recording, raw=True).open().messages())
    done = CliRunner().invoke(
        cli, ["replay", str(recording), "--publish", "--config", str(config), "--speed", "20"], env={"LANGUAGE": "en"}
    )
    assert done.exit_code == 0, done.output
    assert str(len(sent)) in done.output
    assert eventually(lambda: len(subscriber.got) >= len(sent))
    assert [topic for _, topic, _ in subscriber.got] == [one.topic for one in sent]
    for (arrived, _, payload), one in zip(subscriber.got, sent, strict=True):
        body, original = json.loads(payload), json.loads(one.payload)
        assert body | {"at": 0} == original | {"at": 0}
        stamp = body["at"] * MILLISECOND if isinstance(body["at"], int) else parse_instant(body["at"])
        assert 0 <= arrived - stamp < 60 * SECOND
    took = subscriber.got[-1][0] - subscriber.got[0][0]
    assert took > (sent[-1].received_at - sent[0].received_at) / 20 - SECOND / 2, "never faster than asked"


def test_a_stretch_is_published(recording: Path, config: Path, subscriber: Subscriber) -> None:
    """With ``--from`` and ``--to`` it is that stretch, and nothing but readings' messages."""
    whole = Source(recording, raw=True).open()
    begin, end = START + 5 * SECOND, START + 10 * SECOND
    sent = list(whole.messages(begin, end))
    assert {one.kind for one in sent} == {RecordKind.MESSAGE}
    assert 0 < len(sent) < len(list(whole.messages()))
    span = ["--from", format_instant(begin, whole.zone), "--to", format_instant(end, whole.zone)]
    command = ["replay", str(recording), "--publish", "--config", str(config), "--speed", "50", *span]
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert eventually(lambda: len(subscriber.got) >= len(sent))
    assert len(subscriber.got) == len(sent)


def test_publishing_needs_a_broker(recording: Path) -> None:
    """Without ``--config`` nothing is sent, and it is said what is missing."""
    done = CliRunner().invoke(cli, ["replay", str(recording), "--publish"])
    assert done.exit_code == 2
    assert "--config" in done.output


async def test_thousands_of_devices_are_heard(broker: Broker, subscriber: Subscriber) -> None:
    """Thousands of sensors, five hundred messages a second, ten times as fast: each arrives once, in its order."""
    whole = dense(load(ROOT / "config" / "sensord.yaml").definition)
    calm = Scenario({"zh": "平日", "en": "A day"}, 1, 6 * SECOND, BackgroundEntry(), ())
    street = Street(whole, calm, START)
    done = await publish(Mqtt(host=broker.host, port=broker.port), street.messages(), 10, start=START)
    assert done.messages == done.acknowledged > 2_700
    assert eventually(lambda: len(subscriber.got) >= done.messages)
    numbers: dict[str, list[int]] = {}
    for _, topic, payload in subscriber.got:
        numbers.setdefault(topic, []).append(json.loads(payload)["seq"])
    assert len({topic.rsplit("/", 1)[1] for topic in numbers}) > 2_500
    assert all(one < other for found in numbers.values() for one, other in pairwise(found))
    assert sum(map(len, numbers.values())) == done.messages


@pytest.mark.parametrize("more", [[], ["--publish", "--speed", "60"]])
def test_a_terminal_sees_how_far_it_is(recording: Path, config: Path, more: list[str]) -> None:
    """On a terminal a bar counts what is done, at what rate, with the time that is left."""
    command = [sys.executable, "-m", "sensord", "replay", str(recording), "--raw", "--config", str(config), *more]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := _read(ours):
            shown += piece
        assert process.wait(30) == 0
    finally:
        process.kill()
        os.close(ours)
    total = len(list(Source(recording, raw=True).open().messages())) + (not more)  # the definition is not published
    counts = [(int(done), int(whole)) for done, whole in re.findall(r"(\d+)/(\d+)", shown.decode())]
    assert counts[0][0] < counts[-1][0] == total
    assert {whole for _, whole in counts} == {total}
    assert re.search(r"[\d,]+(/s| 条/秒)", shown.decode())
    assert re.search(r"\d:\d\d:\d\d", shown.decode())


def test_a_pipe_sees_no_bar(recording: Path, config: Path) -> None:
    """Where nobody looks, nothing is drawn."""
    done = CliRunner().invoke(cli, ["replay", str(recording), "--raw", "--config", str(config)])
    assert (done.exit_code, done.stderr) == (0, "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""

"""The MQTT channel against a real mosquitto: where alerts go, and what happens when the broker does not take them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import aiomqtt
import msgspec
import pytest

from sensord.config.settings import Mqtt, Tls
from sensord.config.settings import MqttChannel as MqttChannelSettings
from sensord.errors import DeliveryError
from sensord.ingest.topics import ahead, sessions
from sensord.notify import mqtt
from sensord.notify.mqtt import PUBLISHING, MqttChannel
from sensord.notify.outcome import InDoubtError
from sensord.notify.worker import Limits
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.broker import AnsweringBroker, Broker, hearing
from tests.notify.parts import Outboxes, entry, notification, until, working
from tests.notify.programs import make_certificate, run
from tests.support.broker import ScriptedBroker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running mosquitto that takes anybody."""
    running = Broker(tmp_path)
    running.start()
    yield running
    running.stop()


def _channel(
    broker: Broker | ScriptedBroker | AnsweringBroker,
    password: str | None = None,
    timeout: float = 5.0,
    keepalive: str = "5s",
    **mqtt: object,
) -> MqttChannel:
    settings = Mqtt(port=broker.port, keepalive=keepalive, **mqtt)  # type: ignore[arg-type]
    return MqttChannel(
        MqttChannelSettings(name="grid"), settings, "linfen", password, timeout=timeout, base=0.02, longest=0.1
    )


async def test_only_the_grids_topic_hears_it(broker: Broker) -> None:
    """An alert of grid G01 is published once, on ``linfen/alerts/G01``, with QoS 1, not retained, as JSON."""
    channel = _channel(broker)
    async with hearing(broker.port) as heard:
        assert await channel.send(entry(address="13800000000")) == "puback"
        await until(lambda: len(heard) == 1)
    await channel.close()
    (message,) = heard
    assert (str(message.topic), message.qos, message.retain) == ("linfen/alerts/G01", 1, False)
    assert json.loads(message.payload)["key"] == "case-1:1:居委干部-03:desk"
    assert b"13800000000" not in bytes(message.payload)
    assert vars(message.properties)["UserProperty"] == [("idempotency-key", "case-1:1:居委干部-03:desk")]


async def test_a_case_of_the_street_goes_to_the_streets_topic(broker: Broker) -> None:
    """No grid answers for it: the street's own id takes the grid's place in the topic."""
    channel = _channel(broker)
    async with hearing(broker.port) as heard:
        await channel.send(entry(grid=""))
        await until(lambda: len(heard) == 1)
    await channel.close()
    assert str(heard[0].topic) == "linfen/alerts/linfen"


async def test_results_go_to_their_case(broker: Broker) -> None:
    """What became of a case is published on its results topic, as it is."""
    channel = _channel(broker)
    async with hearing(broker.port) as heard:
        await channel.publish_result("case-7", b'{"done": true}')
        await until(lambda: len(heard) == 1)
    await channel.close()
    assert (str(heard[0].topic), heard[0].payload) == ("linfen/results/case-7", b'{"done": true}')


@pytest.mark.parametrize("grid", ["+", "#", "G01/other", "G\x0001"])
async def test_a_grid_cannot_widen_the_topic(broker: Broker, grid: str) -> None:
    """A wildcard or another level in a grid's id is refused for good, before anything is sent."""
    channel = _channel(broker)
    with pytest.raises(DeliveryError) as caught:
        await channel.send(entry(grid=grid))
    await channel.close()
    assert not caught.value.retryable


async def test_many_over_one_connection(broker: Broker, outboxes: Outboxes) -> None:
    """Concurrent sends share the connection; each alert arrives once."""
    outbox = outboxes(*(notification(number, "grid", grid=f"G{number:02}") for number in range(30)))
    async with hearing(broker.port) as heard, working(_channel(broker), outbox):
        await until(lambda: set(outbox.states()) == {"sent"})
        await until(lambda: len(heard) == 30)
    assert {str(message.topic) for message in heard} == {f"linfen/alerts/G{number:02}" for number in range(30)}


@pytest.mark.parametrize("channel", ["commands", "sightings", "fresh", "doctor-1"])
def test_a_channel_takes_no_session_of_the_daemons(channel: str) -> None:
    """Whatever a channel is called, and however the daemon's own sessions are: it is another client at the broker."""
    mqtt = Mqtt()
    name = MqttChannel(MqttChannelSettings(name=channel), mqtt, "linfen").client_id
    ours = {session.client_id(mqtt.client_id) for session in sessions(mqtt.readings, mqtt.commands, mqtt.client_id)}
    assert name not in ours | {ahead(mqtt.readings, mqtt.client_id).client_id}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"client_id": name}, Mqtt)  # nor is it any other daemon's


async def test_what_nobody_hears_is_not_delivered(broker: Broker, outboxes: Outboxes) -> None:
    """The broker takes it and says that nobody subscribes: it is tried again, without a mark, until somebody does."""
    outbox, meter = outboxes(notification(1, "grid")), PrometheusMeter()
    async with working(_channel(broker), outbox, meter):
        await until(lambda: meter.value("notifications_total", channel="grid", outcome="retried") > 1)
        assert "sent" not in outbox.states()
        assert "nobody subscribes to linfen/alerts/G01" in outbox.notes()[0]
        async with hearing(broker.port) as heard:
            await until(lambda: outbox.states() == ["sent"])
            await until(lambda: len(heard) == 1)
    assert json.loads(heard[0].payload)["possibly_repeated"] is False


async def test_a_subscriber_of_another_grid_is_none(broker: Broker) -> None:
    """The topic is what counts, and each message is judged by itself."""
    channel = _channel(broker)
    async with hearing(broker.port, "linfen/alerts/G02"):
        for grid, taken in [("G02", True), ("G01", False), ("G02", True)]:
            if taken:
                assert await channel.send(entry(grid=grid)) == "puback"
                continue
            with pytest.raises(DeliveryError, match="nobody subscribes") as caught:
                await channel.send(entry(grid=grid))
            assert caught.value.retryable
            assert not isinstance(caught.value, InDoubtError)
    await channel.close()


async def test_a_result_needs_no_reader(broker: Broker) -> None:
    """Whoever sent the command may have hung up: there is nobody else to tell."""
    channel = _channel(broker)
    await channel.publish_result("case-7", b"{}")
    await channel.close()


async def test_a_restarted_broker_is_found_again(tmp_path: Path, outboxes: Outboxes) -> None:
    """While the broker is down sends fail without doubt; the worker delivers once it is back, unmarked."""
    broker, meter = Broker(tmp_path), PrometheusMeter()
    outbox = outboxes(notification(1, "grid"), notification(2, "grid"))
    try:
        async with working(_channel(broker, timeout=0.2), outbox, meter) as worker:
            await until(lambda: meter.value("notifications_total", channel="grid", outcome="retried") > 0)
            assert set(outbox.states()) <= {"pending", "sending"}
            broker.start()
            async with hearing(broker.port):
                await until(lambda: outbox.states() == ["sent", "sent"])
            broker.stop()
            broker.start()
            async with hearing(broker.port):
                outbox.add(notification(3, "grid"))
                worker.wake()
                await until(lambda: outbox.states() == ["sent"] * 3)
    finally:
        broker.stop()
    assert meter.value("notifications_total", channel="grid", outcome="repeated") == 0


async def test_a_broker_that_does_not_answer_leaves_doubt(broker: Broker) -> None:
    """Without a PUBACK nobody knows; the message is repeated, marked."""
    channel = _channel(broker, timeout=0.3)
    async with hearing(broker.port) as heard:
        await channel.send(entry(1))
        broker.pause(signal.SIGSTOP)
        with pytest.raises(InDoubtError):
            await channel.send(entry(2))
        broker.pause(signal.SIGCONT)
        await until(lambda: len(heard) >= 2)
    await channel.close()


async def test_a_connection_lost_before_the_puback_leaves_doubt(broker: Broker, outboxes: Outboxes) -> None:
    """The doubt is known as soon as the connection ends, not only at the timeout."""
    channel = _channel(broker, timeout=30.0)
    async with hearing(broker.port):
        await channel.send(entry(1))
    broker.pause(signal.SIGSTOP)
    outbox, meter = outboxes(notification(2, "grid")), PrometheusMeter()
    async with working(channel, outbox, meter, limits=Limits(send=60.0, drain=0.2)):
        await until(lambda: any(task.get_name() == PUBLISHING for task in asyncio.all_tasks()))
        broker.stop()
        await until(lambda: meter.value("notifications_total", channel="grid", outcome="retried") > 0)
        assert outbox.states() == ["sending"]


@pytest.mark.parametrize("dictated", [None, 0, 900])
async def test_a_connection_that_is_dead_is_given_up_whatever_keepalive_the_broker_dictates(
    dictated: int | None,
) -> None:
    """The broker's machine is gone without a word: our own pings find it, and the page can take another connection."""
    with ScriptedBroker(0, keepalive=dictated) as silent:
        channel = _channel(silent, timeout=8.0, keepalive="1s")
        with pytest.raises(InDoubtError, match="connection ended"):
            await channel.send(entry())
        await channel.close()


async def test_an_alert_channels_silence_may_last_for_one_and_a_half_keepalives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a clock of the test's own, which the client library does not see: it would wait for twice the keepalive."""
    later, looked = 880.0, list[float]()

    def monotonic() -> float:
        looked.append(later)
        return time.monotonic() + later

    with ScriptedBroker(0) as silent:
        channel = _channel(silent, timeout=30.0, keepalive="10m")
        sending = asyncio.create_task(channel.send(entry()))
        await until(lambda: any(task.get_name() == PUBLISHING for task in asyncio.all_tasks()))
        monkeypatch.setattr(mqtt, "time", SimpleNamespace(monotonic=monotonic))
        await until(lambda: len(looked) > 1)
        assert not sending.done()
        later = 901.0
        with pytest.raises(InDoubtError, match="connection ended"):
            await sending
        await channel.close()


async def test_a_refusal_by_the_access_list_is_not_a_delivery(tmp_path: Path) -> None:
    """The broker acknowledges what its access list forbids, with a reason code: that is a failure, and says so."""
    rules = tmp_path / "acl"
    rules.write_text("topic read #\ntopic write linfen/alerts/G01\n")
    broker = Broker(tmp_path, f"allow_anonymous true\nacl_file {rules}")
    broker.start()
    channel = _channel(broker)
    try:
        async with hearing(broker.port):
            await channel.send(entry(grid="G01"))
            with pytest.raises(DeliveryError, match="refused") as caught:
                await channel.send(entry(grid="G02"))
            await channel.send(entry(grid="G01"))
    finally:
        await channel.close()
        broker.stop()
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)


@pytest.mark.parametrize(
    ("late", "own", "outcome"),
    [
        (0x87, 0x00, None),
        (0x10, 0x00, None),
        (0x00, 0x87, "the broker refused topic linfen/alerts/G02"),
        (0x00, 0x10, "nobody subscribes to linfen/alerts/G02"),
    ],
)
async def test_what_is_answered_too_late_judges_no_other_message(late: int, own: int, outcome: str | None) -> None:
    """A broker that is slow with its access list: the answer to the page before comes while this one waits."""
    async with AnsweringBroker() as broker:
        channel = _channel(broker, timeout=0.2)
        with pytest.raises(InDoubtError):
            await channel.send(entry(1, grid="G01"))
        channel._timeout = 30.0
        sending = asyncio.create_task(channel.send(entry(2, grid="G02")))
        await until(lambda: len(broker.published) == 2)
        broker.answer(0, late)
        broker.answer(1, own)
        if outcome is None:
            assert await sending == "puback"
        else:
            with pytest.raises(DeliveryError, match=outcome) as caught:
                await sending
            assert not isinstance(caught.value, InDoubtError)
        await channel.close()


async def test_what_waits_for_its_turn_is_not_in_doubt() -> None:
    """The broker answers no page, one waits for that; those behind it have not gone out, and get no mark."""
    async with AnsweringBroker() as broker:
        channel = _channel(broker, timeout=0.3)
        sends = (channel.send(entry(number, grid=f"G{number:02}")) for number in range(4))
        errors = await asyncio.gather(*sends, return_exceptions=True)
        published = {topic.removeprefix("linfen/alerts/") for topic, _, _ in broker.published}
        doubted = {f"G{number:02}" for number, error in enumerate(errors) if isinstance(error, InDoubtError)}
        assert all(isinstance(error, DeliveryError) and error.retryable for error in errors)
        assert doubted == published
        assert len(published) < 4
        assert any("does not answer what was published before" in str(error) for error in errors)
        sent = len(broker.published)
        channel._timeout = 30.0
        sending = asyncio.create_task(channel.send(entry(9)))
        await until(lambda: len(broker.published) > sent)
        broker.answer(sent, 0)
        assert await sending == "puback"
        await channel.close()


async def test_user_and_password(tmp_path: Path) -> None:
    """The right password connects; the wrong one is a failure that leaves no doubt."""
    passwords = tmp_path / "passwords"
    run("mosquitto_passwd", "-b", "-c", str(passwords), "alerts", "right")
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    right = _channel(broker, "right", username="alerts")
    wrong = _channel(broker, "wrong", timeout=0.5, username="alerts")
    try:
        await right.publish_result("case-7", b"{}")
        with pytest.raises(DeliveryError) as caught:
            await wrong.send(entry())
    finally:
        await right.close()
        await wrong.close()
        broker.stop()
    assert not isinstance(caught.value, InDoubtError)


async def test_it_closes_though_the_library_loses_that_it_is_to(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does where a connection fails at that very moment: it would go on trying, and nobody could stop it."""
    channel, lost = _channel(broker, timeout=0.05), list[str]()

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if lost:
                raise
            lost.append("once")
            raise aiomqtt.MqttError("refused") from None

    monkeypatch.setattr(channel, "_stay", stay)
    with pytest.raises(DeliveryError):
        await channel.send(entry())
    async with asyncio.timeout(20):
        await channel.close()
    assert lost
    assert f"mqtt-{channel.name}" not in {task.get_name() for task in asyncio.all_tasks()}, "it goes on"


async def test_tls(tmp_path: Path) -> None:
    """With the broker's authority it connects; with the system's authorities it does not."""
    certificate, key = make_certificate(tmp_path, "IP:127.0.0.1")
    broker = Broker(tmp_path, f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}")
    broker.start()
    trusting = _channel(broker, tls=Tls(ca_file=str(certificate)))
    doubting = _channel(broker, timeout=0.5, tls=Tls())
    try:
        await trusting.publish_result("case-7", b"{}")
        with pytest.raises(DeliveryError):
            await doubting.send(entry())
    finally:
        await trusting.close()
        await doubting.close()
        broker.stop()

"""The shipped ``config/mosquitto.conf`` and ``config/mosquitto.acl``, in force in a real broker.

Only paths, the port and the user are rewritten. What must not arrive is proved without waiting: the broker hands a
message to every subscriber before it answers the publisher, so an answer to a later request comes after it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensord.config.load import load
from sensord.config.settings import Mqtt
from sensord.core.instant import SECOND, parse_duration
from sensord.core.intake.intake import Intake
from sensord.core.place import Places
from sensord.core.record import Action, Record, RecordKind
from sensord.ingest.connection import packet_size
from sensord.ingest.topics import sessions
from tests.support import free_port, program, wait_until

ROOT = Path(__file__).resolve().parents[1]
CONF, ACL = ROOT / "config/mosquitto.conf", ROOT / "config/mosquitto.acl"
POST = "居委干部-G01-1"
USERS = ("sensord", "gateway", "console", POST)
READING, COMMAND = "linfen/C01/crowd/crowd-001", f"linfen/commands/by/{POST}/x"
OWN = {user: f"linfen/commands/by/{user}/x" for user in USERS}
ALERT, RESULT, ECHO = "linfen/alerts/G01", "linfen/results/x", "linfen/echo/sensord"
NOT_AUTHORIZED = 0x87


class ShippedBroker:
    """mosquitto with the shipped files; every user's password is ``<user>-password``."""

    def __init__(self, directory: Path) -> None:
        self.port, self.store = free_port(), directory / "mosquitto.db"
        passwords, log = directory / "passwords", directory / "log"
        for user in USERS:
            made = ["-b"] if passwords.exists() else ["-c", "-b"]
            command = [program("mosquitto_passwd"), *made, str(passwords), user, f"{user}-password"]
            subprocess.run(command, check=True, capture_output=True)
        rewritten = {
            "persistence_location /var/lib/mosquitto/": f"persistence_location {directory}/",
            "password_file /etc/mosquitto/sensord.passwd": f"password_file {passwords}",
            "acl_file /etc/mosquitto/sensord.acl": f"acl_file {ACL}",
            "listener 1883 127.0.0.1": f"listener {self.port} 127.0.0.1",
            "log_dest stderr": f"log_dest file {log}\nuser root",  # it would give up root, and not get into this folder
        }
        text = CONF.read_text(encoding="utf-8")
        for shipped, here in rewritten.items():
            assert text.count(f"\n{shipped}\n") == 1, shipped
            text = text.replace(f"\n{shipped}\n", f"\n{here}\n")
        self._file = directory / "mosquitto.conf"
        self._file.write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it until it answers."""
        self._process = subprocess.Popen([program("mosquitto"), "-c", str(self._file)], stderr=subprocess.DEVNULL)
        wait_until(self._listens, what="mosquitto listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None


class Person:
    """A client of the broker under a user's name. ``heard`` are the messages that it got."""

    def __init__(
        self,
        broker: ShippedBroker,
        user: str,
        *,
        password: str | None = "",
        session: str = "",
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        """Connect, with the user's password unless another is given; ``session`` is kept when the client goes."""
        self.heard: list[tuple[str, bytes]] = []
        self.refusal, self.codes = "", dict[int, int]()
        self._answered = False
        self.client = Client(CallbackAPIVersion.VERSION2, session, protocol=protocol, reconnect_on_failure=False)
        self.client.on_connect, self.client.on_message = self._connected, self._message
        self.client.on_publish, self.client.on_subscribe = self._acknowledged, self._subscribed
        if password is not None:
            self.client.username_pw_set(user, password or f"{user}-password")
        options: dict[str, Any] = {}
        if protocol is MQTTProtocolVersion.MQTTv5:
            options = {"clean_start": not session, "properties": _as_the_daemon(3600 if session else 0)}
        self.client.connect("127.0.0.1", broker.port, **options)
        self.client.loop_start()
        wait_until(lambda: self._answered, what="an answer to CONNECT")
        if self.refusal:
            self.leave()

    def _connected(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self.refusal, self._answered = str(code) if code.is_failure else "", True

    def _message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def _acknowledged(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self.codes[mid] = code.value

    def _subscribed(self, _client: Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        self.codes[mid] = codes[0].value

    def subscribe(self, topic: str) -> None:
        """Subscribe, and wait for the answer: everything that the broker had for us before is heard by then."""
        mid = self.client.subscribe(topic, qos=1)[1]
        wait_until(lambda: mid is not None and mid in self.codes, what="an answer to SUBSCRIBE")

    def publish(self, topic: str, payload: bytes = b"{}") -> int:
        """Publish with QoS 1 and return the broker's reason code: 0 and 16 (nobody listens) are consent."""
        mid = self.client.publish(topic, payload, qos=1).mid
        wait_until(lambda: mid in self.codes, what="an answer to PUBLISH")
        return self.codes[mid]

    def leave(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


def _as_the_daemon(expiry: int) -> Properties:
    """What a client tells of itself: for how long its session is kept (s), and the daemon's largest packet."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
    properties.SessionExpiryInterval = expiry
    properties.MaximumPacketSize = packet_size(Mqtt())
    return properties


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ShippedBroker]:
    """A running broker with the shipped configuration."""
    made = ShippedBroker(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_strangers_are_refused(broker: ShippedBroker) -> None:
    """Nobody gets in without a name, with a wrong password, or with an unknown name."""
    assert Person(broker, "", password=None).refusal == "Not authorized"
    assert Person(broker, "sensord", password="guessed").refusal == "Not authorized"
    assert Person(broker, "somebody").refusal == "Not authorized"
    known = Person(broker, "sensord")
    assert not known.refusal
    known.leave()


MAY_PUBLISH = {"sensord": {ALERT, RESULT, ECHO}, "gateway": {READING}, "console": set[str](), POST: {COMMAND}}
MAY_READ = {"sensord": {READING, COMMAND, ECHO}, "gateway": set[str](), "console": {ALERT, RESULT}, POST: set[str]()}


def test_everybody_publishes_only_what_is_theirs(broker: ShippedBroker) -> None:
    """A gateway raises no alert, the daemon invents no reading; everybody commands in their own name only.

    That the names of gateways and consoles are no posts, and are refused, is the core's part.
    """
    for user, allowed in MAY_PUBLISH.items():
        person = Person(broker, user)
        for topic in (READING, ALERT, RESULT, ECHO, *OWN.values(), "linfen/else", "elsewhere/C01/crowd/crowd-001"):
            consent = person.publish(topic) != NOT_AUTHORIZED
            assert consent == (topic in {*allowed, OWN[user]}), f"{user} publishes {topic}"
        person.leave()


def test_everybody_reads_only_what_is_theirs(broker: ShippedBroker) -> None:
    """Subscribed to everything, a gateway hears nothing, the daemon what comes in, a console what comes out."""
    writers = {user: Person(broker, user) for user in USERS}
    readers = {user: Person(broker, user) for user in USERS}
    for reader in readers.values():
        reader.subscribe("#")
    for user, topics in MAY_PUBLISH.items():
        for topic in topics:
            assert writers[user].publish(topic) == 0
    for user, reader in readers.items():
        reader.subscribe("afterwards")
        assert {topic for topic, _ in reader.heard} == MAY_READ[user], user
    for person in (*writers.values(), *readers.values()):
        person.leave()


def test_only_posts_command_and_only_in_their_own_name(broker: ShippedBroker) -> None:
    """What the broker lets pass the core judges: another's name in the payload, and who is no post, fail."""
    whole = load(ROOT / "config/sensord.yaml").definition
    intake = Intake(whole, Places(whole.places, whole.devices))
    daemon, gateway, post = (Person(broker, user) for user in ("sensord", "gateway", POST))
    daemon.subscribe("linfen/commands/by/+/+")
    assert post.publish(OWN["gateway"], b'{"verb": "void", "note": "in the name of another account"}') == NOT_AUTHORIZED
    assert post.publish(COMMAND, b'{"verb": "acknowledge"}') == 0
    assert post.publish(COMMAND, f'{{"verb": "acknowledge", "by": "{POST[:-1]}2"}}'.encode()) == 0
    assert gateway.publish(OWN["gateway"], b'{"verb": "acknowledge"}') == 0
    wait_until(lambda: len(daemon.heard) == 3, what="three commands")
    out = intake.decode(tuple(Record(RecordKind.MESSAGE, SECOND, *one) for one in daemon.heard), SECOND)
    assert [action for _, _, action in out.actions] == [Action("acknowledge", "x", POST, "mqtt")]
    assert [letter.reason for letter in out.dead] == ["other_user", "unknown_user"]
    for person in (daemon, gateway, post):
        person.leave()


def test_access_list_fits_the_default_topics(broker: ShippedBroker) -> None:
    """All that the shipped ``sensord.yaml`` subscribes to reaches the daemon, for every kind of reading."""
    mqtt = load(ROOT / "config/sensord.yaml").settings.mqtt
    daemon, gateway, post = (Person(broker, user) for user in ("sensord", "gateway", POST))
    wanted = [one for session in sessions(mqtt.readings, mqtt.commands, mqtt.client_id) for one in session.filters]
    for one in wanted:
        daemon.subscribe(one)
        command = one == mqtt.commands.format(user="+", case="+")
        concrete, writer = (COMMAND, post) if command else (one.replace("+", "x"), gateway)
        assert writer.publish(concrete) == 0, one
    daemon.subscribe("afterwards")
    assert len(daemon.heard) == len(wanted) == 6
    assert daemon.publish(mqtt.alerts.format(grid="G01")) != NOT_AUTHORIZED
    assert daemon.publish(mqtt.results.format(case="x")) != NOT_AUTHORIZED
    for person in (daemon, gateway, post):
        person.leave()


def test_what_waits_survives_the_broker_being_killed(broker: ShippedBroker) -> None:
    """A QoS 1 reading for the daemon that is away is on disk within a second, and comes after SIGKILL and restart."""
    daemon = Person(broker, "sensord", session="sensord")
    daemon.subscribe(READING)
    daemon.leave()
    gateway, payload = Person(broker, "gateway"), b'{"count": 3, "seq": 4711}'
    assert gateway.publish(READING, payload) == 0
    wait_until(lambda: payload in broker.store.read_bytes(), 1.0, "the autosave")
    broker.end(signal.SIGKILL)
    gateway.leave()
    broker.start()
    daemon = Person(broker, "sensord", session="sensord")
    wait_until(lambda: daemon.heard, what="the message that waited")
    assert daemon.heard == [(READING, payload)]
    daemon.leave()


def test_more_waits_than_mosquitto_would_keep_by_default(broker: ShippedBroker) -> None:
    """Of 3,000 readings for the daemon that is away none is missing; by default mosquitto drops all above 1,000."""
    daemon = Person(broker, "sensord", session="sensord")
    daemon.subscribe(READING)
    daemon.leave()
    gateway = Person(broker, "gateway")
    sent = [gateway.client.publish(READING, str(number).encode(), qos=1) for number in range(3000)]
    wait_until(sent[-1].is_published, 30, "everything is published")
    daemon = Person(broker, "sensord", session="sensord")
    wait_until(lambda: len(daemon.heard) >= 3000, 30, "everything arrives")
    assert [int(payload) for _, payload in daemon.heard] == list(range(3000))
    gateway.leave()
    daemon.leave()


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_messages_that_are_too_large_for_the_daemon(broker: ShippedBroker, protocol: MQTTProtocolVersion) -> None:
    """They reach it, so that it can count them, up to the broker's own limit; and what follows comes through."""
    limit, gateway, daemon = (
        Mqtt().payload_kib * 1024,
        Person(broker, "gateway", protocol=protocol),
        Person(broker, "sensord"),
    )
    daemon.subscribe(READING)
    sizes = [limit, 2 * limit, 4 * limit, 1]
    for size in sizes:
        assert gateway.publish(READING, b"x" * size) == 0
    daemon.subscribe("afterwards")
    assert [len(payload) for _, payload in daemon.heard] == sizes
    gateway.leave()
    daemon.leave()


def test_messages_that_are_too_large_for_the_broker(broker: ShippedBroker) -> None:
    """An MQTT 3.1.1 gateway that sends 10 MB is answered and stays connected; nobody gets the message."""
    gateway = Person(broker, "gateway", protocol=MQTTProtocolVersion.MQTTv311)
    daemon = Person(broker, "sensord")
    daemon.subscribe(READING)
    cuts: list[object] = []
    gateway.client.on_disconnect = lambda *_: cuts.append(_)
    assert gateway.publish(READING, b"x" * 10_000_000) == 0
    assert gateway.publish(READING, b"after") == 0
    daemon.subscribe("afterwards")
    assert (daemon.heard, cuts) == ([(READING, b"after")], [])
    gateway.leave()
    daemon.leave()


def test_limits_fit_the_daemon() -> None:
    """The broker keeps sessions longer than the daemon asks for, and sends as much at once as it asks for."""
    lines = dict(line.split(" ", 1) for line in CONF.read_text("utf-8").splitlines() if line and line[0] != "#")
    mqtt = Mqtt()
    assert parse_duration(lines["persistent_client_expiration"]) > parse_duration(mqtt.session_expiry) > SECOND
    assert int(lines["max_inflight_messages"]) >= mqtt.receive_maximum
    assert mqtt.payload_kib * 1024 < int(lines["message_size_limit"]) < packet_size(mqtt) - 65535, "none is lost unseen"

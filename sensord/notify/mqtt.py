"""Alerts and results over MQTT 5: what a grid's subscribers see, and nobody else.

One connection for all notifications, kept by one task that reconnects with jittered backoff. Messages go out
with QoS 1 and count as delivered once the broker has answered PUBACK without a failure code; when the
connection ends first, they are in doubt. What is for somebody has failed when the broker says that nobody subscribes
to its topic (reason code 16, which a broker may send, and need not: MQTT 5, section 3.4.2.1): else the person's next
way would be spared. A result needs no reader. The broker's session is not kept: the outbox is the queue.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import aiomqtt
import structlog
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensord.config.settings import Mqtt
from sensord.config.settings import MqttChannel as MqttChannelSettings
from sensord.core.instant import SECOND, parse_duration
from sensord.errors import DeliveryError
from sensord.keepalive import beat, in_force, patience
from sensord.notify.body import encode_body
from sensord.notify.outcome import InDoubtError, backoff
from sensord.ports import Entry

PUBLISHING = "mqtt-publish"
"""The name of the task that waits for a PUBACK."""
_NOBODY = 16
"""The reason code of a PUBACK: taken, but nobody subscribes to the topic."""
_AGAIN = 1.0
"""Seconds until a task that is to end is told so once more."""

T = TypeVar("T")

log = structlog.get_logger()


class _Connection(aiomqtt.Client):
    """aiomqtt's client, but for the reason code of a PUBACK, and the keepalive.

    aiomqtt 2.5 drops that code, so that a message refused by the broker's access list would look delivered. On a dead
    connection, kept for as long as paho keeps one, no page would come through: see ``sensord/keepalive.py``.
    """

    answered: ReasonCode | None = None
    """What the broker answered to the latest message; None while it has not."""
    _awaited: int = 0

    def _on_connect(
        self,
        client: PahoClient,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        client._keepalive = in_force(self._keepalive, client.keepalive)  # noqa: SLF001  # on a connection paho's public setter refuses
        super()._on_connect(client, userdata, flags, reason_code, properties)

    async def _misc_loop(self) -> None:
        """Look after the connection, and end it once the broker has been silent for too long.

        When something came last, paho knows; but it takes its own ping for it until that is answered.
        """
        client, heard = self._client, time.monotonic()
        while True:
            if client._last_bytes_received > client._ping_t:  # noqa: SLF001  # which is 0 once a ping is answered
                heard = client._last_bytes_received  # noqa: SLF001
            if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            left = patience(heard, client.keepalive, time.monotonic())
            if left <= 0:
                break
            await asyncio.sleep(min(beat(client.keepalive), left))
        log.warning("the broker of the alert channel has been silent for 1.5 keepalives: half-open connection")
        if isinstance(sock := client.socket(), socket.socket):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # the library then reads its end, and cleans up as at any other

    @contextmanager
    def _pending_call(self, mid: int, value: T, pending_dict: dict[int, T]) -> Iterator[None]:
        self._awaited, self.answered = mid, None
        with super()._pending_call(mid, value, pending_dict):
            yield

    def _on_publish(
        self, client: PahoClient, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if mid == self._awaited:  # else it answers, too late, a message that nobody waits for any more
            self.answered = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)


class MqttChannel:
    """A :class:`sensord.ports.Channel` that publishes to ``mqtt.alerts``, and the publisher of results.

    ``street`` stands in the topic for cases of the street as a whole. ``timeout`` (seconds) bounds the wait
    for the connection and one's turn, and that for the PUBACK: both end well before the worker loses its patience.
    The connection is made on the first use.
    """

    def __init__(
        self,
        settings: MqttChannelSettings,
        mqtt: Mqtt,
        street: str,
        password: str | None = None,
        *,
        timeout: float = 10.0,
        base: float = 0.5,
        longest: float = 30.0,
    ) -> None:
        self.name: str = settings.name
        self.client_id = f"{mqtt.client_id}.{settings.name}"  # no name has a dot: it is no session's of the daemon
        self._mqtt = mqtt
        self._street = street
        self._password = password
        self._timeout = timeout
        self._base = base
        self._longest = longest
        self._connected = asyncio.Event()
        self._connection: _Connection | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def send(self, entry: Entry) -> str:
        """Publish the entry for its grid. Raises ``DeliveryError``, for good if the grid is not a level."""
        notification = entry.notification
        topic = _fill(self._mqtt.alerts, "grid", notification.grid or self._street)
        if not await self._publish(topic, encode_body(entry), notification.key):
            raise DeliveryError(f"channel {self.name}: nobody subscribes to {topic}; see docs/channels.md")
        return "puback"

    async def publish_result(self, case: str, payload: bytes) -> None:
        """Publish what became of a case; raises ``DeliveryError`` like :meth:`send`."""
        await self._publish(_fill(self._mqtt.results, "case", case), payload, "")

    async def close(self) -> None:
        """Disconnect and end the connection's task."""
        while self._keeper is not None and not self._keeper.done():
            self._keeper.cancel()  # once may be too little: the library loses it where a connection just fails
            await asyncio.wait({self._keeper}, timeout=_AGAIN)
        self._keeper = None

    async def _publish(self, topic: str, payload: bytes, key: str) -> bool:
        """Publish and wait for the PUBACK; one at a time, and only what answers this very message judges it.

        Returns False when the broker says that nobody subscribes to the topic.
        """
        await self._wait_for_turn()
        try:
            connection = self._connection
            if connection is None:
                raise self._no_connection()
            publish = connection.publish(topic, payload, qos=1, properties=_properties(key), timeout=self._timeout)
            self._publishing = asyncio.create_task(publish, name=PUBLISHING)
            try:
                await asyncio.wait({self._publishing})
            finally:
                self._publishing.cancel()
            return self._judge(self._publishing, connection.answered, topic)
        finally:
            self._turn.release()

    def _judge(self, publishing: asyncio.Task[None], answered: ReasonCode | None, topic: str) -> bool:
        """Whether somebody subscribes to the topic; raises ``DeliveryError`` for what was not taken."""
        if publishing.cancelled():
            raise InDoubtError(f"channel {self.name}: the broker connection ended before its PUBACK")
        error = publishing.exception()
        if isinstance(error, aiomqtt.MqttCodeError):
            raise DeliveryError(f"channel {self.name}: cannot publish ({error})") from error
        if isinstance(error, aiomqtt.MqttError):
            raise InDoubtError(f"channel {self.name}: no PUBACK within {self._timeout:g} s") from error
        if error is not None:
            raise error
        if answered is not None and answered.is_failure:
            raise DeliveryError(
                f"channel {self.name}: the broker refused topic {topic} ({answered}); check its access list"
            )
        return answered is None or answered.value != _NOBODY

    async def _wait_for_turn(self) -> None:
        """Wait until there is a connection and nobody else publishes; what has not come that far has not gone out."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep_connected(), name=f"mqtt-{self.name}")
        try:
            async with asyncio.timeout(self._timeout):
                await self._connected.wait()
                await self._turn.acquire()
        except TimeoutError as error:
            if self._connection is None:
                raise self._no_connection() from error
            raise DeliveryError(
                f"channel {self.name}: the broker does not answer what was published before; see its log"
            ) from error

    def _no_connection(self) -> DeliveryError:
        broker = f"{self._mqtt.host}:{self._mqtt.port}"
        return DeliveryError(f"channel {self.name}: no connection to the broker at {broker}; is it running?")

    async def _keep_connected(self) -> None:
        """Stay connected until cancelled; the workers count the sends that fail meanwhile."""
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                await self._stay()
            except Exception as error:  # noqa: BLE001  # the task's boundary
                kind = type(error).__name__
                log.warning("alert channel lost its broker; reconnecting", channel=self.name, failure=kind)
            finally:
                self._lose()
            if time.monotonic() - started > self._longest:  # it was a good connection, not a flapping one
                attempt = 0
            await asyncio.sleep(backoff(attempt, self._base, self._longest))
            attempt += 1

    async def _stay(self) -> None:
        async with self._client() as connection:
            self._connection = connection
            self._connected.set()
            log.info("alert channel connected", channel=self.name)
            async for _ in connection.messages:  # nothing is subscribed: this ends with the connection
                pass

    def _lose(self) -> None:
        self._connected.clear()
        self._connection = None
        if self._publishing is not None:
            self._publishing.cancel()

    def _client(self) -> _Connection:
        mqtt = self._mqtt
        tls = None
        if mqtt.tls is not None:
            tls = aiomqtt.TLSParameters(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
        return _Connection(
            mqtt.host,
            mqtt.port,
            identifier=self.client_id,
            username=mqtt.username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=max(1, parse_duration(mqtt.keepalive) // SECOND),
            timeout=self._timeout,
            tls_params=tls,
            max_queued_incoming_messages=1,
        )


def _fill(template: str, part: str, value: str) -> str:
    """Put one level into a topic template; raises ``DeliveryError`` when the value is not a single level."""
    if not value or any(character in value for character in "+#/\0"):
        raise DeliveryError(f"{part} {value!r} cannot be a topic level; rename it", retryable=False)
    return template.replace("{" + part + "}", value)


def _properties(key: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = "application/json"
    if key:
        properties.UserProperty = [("idempotency-key", key)]
    return properties

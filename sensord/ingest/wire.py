"""A connection to the broker with a clean session, as the fresh lane needs it: what is published now, at QoS 0.

paho-mqtt speaks the protocol, on the caller's thread. Every failure is an ``OSError`` that says what happened.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensord.config.settings import Mqtt
from sensord.core.instant import SECOND, parse_duration
from sensord.ingest.client import Listener
from sensord.ingest.connection import ANSWER, BURST, packet_size
from sensord.ingest.names import Names
from sensord.keepalive import patience

_TURN = 0.2


class Wire:
    """Connected from construction to ``close``; use as a context manager.

    ``on_message`` gets every message; ``on_answer(number, refused)`` what the broker says to a subscription or a
    publication of that number. Both are called in :meth:`turn`, and what they raise comes out of it.
    """

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        password: str | None,
        tls: ssl.SSLContext | None,
        names: Names,
        on_message: Callable[[MQTTMessage], None],
        on_answer: Callable[[int, bool], None],
    ) -> None:
        """Connect. Raises ``OSError`` when the broker cannot be reached, or does not want us."""
        self._on_message, self._on_answer = on_message, on_answer
        self._welcome = self._more = False
        self._why = ""
        self._heard = time.monotonic()
        self._client = self._build(settings, client_id, password, tls)
        self._client.names = names
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
        properties.MaximumPacketSize = packet_size(settings)
        keepalive = max(1, parse_duration(settings.keepalive) // SECOND)
        try:
            self._client.connect(settings.host, settings.port, keepalive, clean_start=True, properties=properties)
            self._await_welcome()
        except ValueError as error:
            raise OSError(str(error)) from error
        except BaseException:
            self._close()
            raise

    def _build(self, settings: Mqtt, client_id: str, password: str | None, tls: ssl.SSLContext | None) -> Listener:
        client = Listener(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        if settings.username is not None:
            client.username_pw_set(settings.username, password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_message, client.on_publish, client.on_subscribe = self._received, self._published, self._subscribed
        client.on_socket_register_write = _ignore  # with this set paho only queues what we send; ``turn`` writes it
        return client

    def _await_welcome(self) -> None:
        deadline = time.monotonic() + ANSWER
        while not self._welcome:
            self.turn(_TURN)
            if time.monotonic() > deadline:
                raise OSError("the broker does not answer")

    def subscribe(self, filters: Sequence[str]) -> int:
        """Ask for what is published from now on, and nothing retained; returns the number of the answer."""
        options = SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        return self._client.subscribe([(one, options) for one in filters])[1] or 0

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Ask for it no more."""
        self._client.unsubscribe(list(filters))

    def publish(self, topic: str, payload: bytes) -> int:
        """Publish at QoS 1; returns the number of the answer."""
        return self._client.publish(topic, payload, 1).mid

    def turn(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for something to do, and do it: read a burst, write, keep alive."""
        sock = self._client.socket()
        if not isinstance(sock, socket.socket):
            raise OSError(self._why or "the connection was cut")
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        writing = [sock] if self._client.want_write() else []
        readable, _, _ = select.select([sock], writing, [], 0 if pending else timeout)
        if readable or pending:
            self._heard = time.monotonic()
            self._read_burst()
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()
        if patience(self._heard, self._client.keepalive, time.monotonic()) <= 0:
            self._end("the broker has been silent for 1.5 keepalives: half-open connection")
        if self._why:
            raise OSError(self._why)

    def _read_burst(self) -> None:
        """Read on as long as each packet was a message: then another may wait."""
        for _ in range(BURST):
            self._more = False
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._more:
                return

    # --- what paho tells us -----------------------------------------------------------------------------------------

    def _connected(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(f"the broker refused the connection: {reason}")
        else:
            self._welcome = True

    def _disconnected(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        self._end(f"the connection was cut: {reason}")

    def _received(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._more = True
        self._on_message(message)

    def _published(
        self, _client: Client, _data: object, number: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._on_answer(number, reason.is_failure)

    def _subscribed(
        self, _client: Client, _data: object, number: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._on_answer(number, any(reason.is_failure for reason in reasons))

    def _end(self, why: str) -> None:
        """Note why it ended; the first word counts, what follows are consequences."""
        self._why = self._why or why

    # --- the end ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Be used."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave; the broker forgets the session."""
        if not self._why:
            self._client.disconnect()
            self._client.loop_write()
        self._close()

    def _close(self) -> None:
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            sock.close()


def _ignore(_client: Client, _data: object, _sock: object) -> None:
    """Nothing: we ask ``want_write`` instead."""

"""One connection to the broker, from CONNECT to its end; the next one is a new object with the next epoch.

paho-mqtt speaks the protocol; the network loop is ours (its documented "external loop": ``socket``,
``loop_read``, ``loop_write``, ``loop_misc``), because then

- an exception in a callback surfaces in our thread instead of killing paho's while ``is_connected`` stays
  true;
- acknowledgements of a whole group cost one wake-up and one ``send``, not one of each per message;
- a burst is read without a ``select`` per message, and reading pauses while the queue is full.

Rules: everything here runs on the receiver's thread, except :meth:`Connection.acknowledge` and
:meth:`Connection.wake`. Only one writer is ever in the middle of a packet: paho's packets and our
acknowledgements alternate at packet boundaries.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from threading import Lock

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensord.config.settings import Mqtt
from sensord.core.instant import SECOND, parse_duration
from sensord.ingest.client import Listener
from sensord.ingest.names import Names
from sensord.ingest.topics import Session
from sensord.keepalive import beat, patience

BURST = 500
"""Messages read in a row before writing and housekeeping get their turn."""
PACKET_ALLOWANCE = 128 << 10
"""Room for topic and properties beside the largest payload, in bytes, in the packet size that we announce."""
BROKER_LIMIT = 1 << 20
"""The shipped broker's own limit of a payload, in bytes (``message_size_limit``)."""
ANSWER = 10.0
"""Seconds for which the broker may be silent before it has answered our CONNECT and SUBSCRIBE."""
KEPT_ALIVE_NO_LONGER = 141
"""paho's own word for a ping without an answer, in MQTT 5's reason codes."""
NO_PACKET = 130
"""paho's own word for a packet that it cannot read, in MQTT 5's reason codes ("protocol error")."""
TAKEN_OVER = 142
"""MQTT 5 reason code "session taken over": somebody else connected with our client id."""
_PUBACK = struct.Struct("!BBH")
_PINGREQ = b"\xc0\x00"


class Ending(StrEnum):
    """How a connection ended; the value is a metric's label."""

    UNREACHABLE = "unreachable"
    """No way there: no address, no route, nobody listens."""
    UNTRUSTED = "untrusted"
    """No TLS with it: a certificate that we, or it, do not accept."""
    UNREADABLE = "unreadable"
    """It sent a packet of its own that is none; messages that are none end nothing (``client``)."""
    REFUSED = "refused"
    """It refused us (password, access list), or closed the connection before it had accepted us."""
    DISMISSED = "dismissed"
    """It said goodbye, with a reason."""
    TAKEN_OVER = "taken_over"
    """It said that another client connected with our client id."""
    CUT = "cut"
    """The connection was lost without a word."""
    SILENT = "silent"
    """It did not answer for too long: half-open TCP."""


class Connection:
    """A connection; ``epoch`` (from 1) tells its messages from those of earlier ones.

    ``on_message`` gets every message that arrives and says whether there is room for another;
    ``on_ready(session_present)`` is called once the broker has accepted us and all subscriptions of ``session``, but
    for its echo, without which we can do.
    """

    def __init__(
        self,
        settings: Mqtt,
        password: str | None,
        tls: ssl.SSLContext | None,
        session: Session,
        names: Names,
        epoch: int,
        on_message: Callable[[MQTTMessage], bool],
        on_ready: Callable[[bool], None],
    ) -> None:
        """Prepare; :meth:`open` connects."""
        self.epoch = epoch
        self.ready = self.left = False
        self.ending: Ending | None = None
        self.why = ""
        self._settings = settings
        self._optional, self._names = session.echo, names
        self._filters = [*session.filters, session.echo] if session.echo else session.filters
        self._on_message = on_message
        self._on_ready = on_ready
        self._session_present = False
        self._more = False
        self._lock = Lock()
        self._acks = bytearray()
        self._sending = b""
        self._heard = self._kept = self._pinged = time.monotonic()
        self._waker, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        self._waker.setblocking(False)
        self._client = self._build(password, tls)

    def _build(self, password: str | None, tls: ssl.SSLContext | None) -> Client:
        client = Listener(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.names = self._names
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        # With this set (to anything) paho only queues its packets; it never writes from inside another call.
        client.on_socket_register_write = _ignore
        return client

    def open(self) -> None:
        """Connect and send CONNECT; the rest happens in :meth:`turn`. Failure is an :attr:`ending`, no exception."""
        where = f"{self._settings.host}:{self._settings.port}"
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
        properties.SessionExpiryInterval = min(parse_duration(self._settings.session_expiry) // SECOND, 0xFFFFFFFF)
        properties.ReceiveMaximum = self._settings.receive_maximum
        properties.MaximumPacketSize = packet_size(self._settings)
        try:
            self._client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=max(1, parse_duration(self._settings.keepalive) // SECOND),
                clean_start=False,
                properties=properties,
            )
        except ssl.SSLCertVerificationError as error:
            self._end(
                Ending.UNTRUSTED,
                f"the broker {where} shows a certificate that mqtt.tls.ca_file does not vouch for"
                f" ({error.verify_message}); check that file and mqtt.host",
            )
        except ssl.SSLError as error:
            self._end(
                Ending.UNTRUSTED,
                f"no TLS with the broker {where} ({error.reason or error}); check mqtt.port and mqtt.tls.cert_file",
            )
        except (OSError, ValueError) as error:
            self._end(Ending.UNREACHABLE, f"the broker {where} cannot be reached ({error}); is it running?")
        self._heard = time.monotonic()

    # --- what paho tells us ---------------------------------------------------------------------------------

    def _connected(
        self,
        client: Client,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._end(Ending.REFUSED, f"the broker refused the connection: {reason}")
            return
        self._session_present = flags.session_present
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._filters])

    def _subscribed(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        answers = zip(self._filters, reasons, strict=False)
        refused = [topic for topic, reason in answers if reason.is_failure and topic != self._optional]
        if refused:
            what = f"the broker refused our subscription to {', '.join(refused)}"
            self._end(Ending.REFUSED, f"{what}; check its access list")
            return
        self.ready = True
        self._on_ready(self._session_present)

    def _disconnected(
        self,
        _client: Client,
        _userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            ending = Ending.TAKEN_OVER if reason.value == TAKEN_OVER else Ending.DISMISSED
            self._end(ending, f"the broker closed the connection: {reason}")
        elif reason.value == KEPT_ALIVE_NO_LONGER:
            self._end(Ending.SILENT, "the broker did not answer our ping: half-open connection")
        elif reason.value == NO_PACKET:
            self._end(Ending.UNREADABLE, "the broker sent what is no MQTT 5; check mqtt.port and the broker's version")
        elif self.ready:
            self._end(Ending.CUT, f"the connection was cut: {reason}")
        else:
            self._end(Ending.REFUSED, "the broker closed the connection before it had accepted us; see its log")

    def _received(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._more = self._on_message(message)

    def _end(self, ending: Ending, why: str) -> None:
        """Note how it ended; the first word counts, what follows are consequences."""
        if self.ending is None:
            self.ending, self.why = ending, why

    def leave(self, filters: Sequence[str]) -> None:
        """Give up subscriptions, once: what waits at the broker because of them still comes."""
        self.left = True
        self._client.unsubscribe(list(filters))

    # --- the network loop -----------------------------------------------------------------------------------

    def turn(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for something to do, and do it: read a burst, write, keep alive."""
        sock = self._socket()
        if sock is None:
            return
        waiting = bool(self._sending) or self._client.want_write()
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        timeout = 0.0 if pending else min(timeout, beat(self._client.keepalive), max(0.0, self._patience()))
        readable, _, _ = select.select([sock, self._wakes], [sock] if waiting else [], [], timeout)
        if self._wakes in readable:
            self._clear_wakes()
        if pending or sock in readable:
            self._heard = time.monotonic()
            self._read_burst()
        self._write()
        if self._patience() <= 0:
            self._end(Ending.SILENT, "the broker has been silent for 1.5 keepalives: half-open connection")
        self._housekeep()

    def _patience(self) -> float:
        """For how many seconds more the broker may be silent."""
        return patience(self._heard, self._client.keepalive, time.monotonic())

    def idle(self) -> None:
        """Stay alive without reading, while the queue is full.

        The broker's answers wait behind its messages, so paho's own keepalive would give the connection up; a
        ping by hand, whose answer nobody awaits, keeps the broker content.
        """
        self._heard = now = time.monotonic()
        if now - self._pinged >= self._client.keepalive / 2 and not self._sending:
            self._pinged, self._sending = now, _PINGREQ
        self._write()

    def _socket(self) -> socket.socket | None:
        sock = self._client.socket()
        if sock is None:
            self._end(Ending.CUT, "the connection was cut")
        return sock if isinstance(sock, socket.socket) else None

    def _read_burst(self) -> None:
        """Read on as long as each packet was a message (then another may wait) and there is room for more."""
        read = self._client.loop_read
        for _ in range(BURST):
            self._more = False
            if read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end(Ending.CUT, "the connection was cut")
            if not self._more:
                return

    def _write(self) -> None:
        if not self._sending:
            if self._client.want_write() and self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end(Ending.CUT, "the connection was cut")
            if self._client.want_write():
                return
            with self._lock:
                self._sending = bytes(self._acks)
                self._acks.clear()
        sock = self._client.socket()
        if self._sending and isinstance(sock, socket.socket):
            try:
                self._sending = self._sending[sock.send(self._sending) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._end(Ending.CUT, f"the connection was cut: {error}")

    def _housekeep(self) -> None:
        now = time.monotonic()
        if now - self._kept < beat(self._client.keepalive):
            return
        self._kept = now
        self._client.loop_misc()
        if not self.ready and now - self._heard > ANSWER:  # what waited for us may come before the answer
            self._end(Ending.SILENT, f"the broker did not accept us within {ANSWER:g} s")

    # --- from other threads ---------------------------------------------------------------------------------

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Queue PUBACKs (reason: success) for the packets ``mids``, in this order, and wake the loop once."""
        packets = b"".join([_PUBACK.pack(0x40, 2, mid) for mid in mids])
        with self._lock:
            self._acks += packets
        self.wake()

    def wake(self) -> None:
        """Make a waiting :meth:`turn` return."""
        try:
            self._waker.send(b"\0")
        except (BlockingIOError, OSError):
            return  # it is awake already, or closed

    def _clear_wakes(self) -> None:
        try:
            self._wakes.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Send what is still to be acknowledged, then DISCONNECT; the session stays at the broker."""
        if self.ending is None and self.ready:
            self._write()
            self._client.disconnect()
            self._write()
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            sock.close()
        self._waker.close()
        self._wakes.close()


def packet_size(settings: Mqtt) -> int:
    """Say what we announce to take, in bytes.

    A broker drops what is larger without a word, and we could not count it: so it is more than what we journal, and at
    least what the shipped broker lets in.
    """
    return max(settings.payload_kib * 1024, BROKER_LIMIT) + PACKET_ALLOWANCE


def _ignore(_client: Client, _userdata: object, _sock: object) -> None:
    """Nothing: we ask ``want_write`` instead."""

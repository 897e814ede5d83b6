"""A plain connection to the broker with a clean session, as the fresh lane needs it: packets out, packets in.

It blocks, and belongs to one thread. Every failure is an ``OSError`` that says what happened.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import Self

from sensord.config.settings import Mqtt
from sensord.core.instant import SECOND, parse_duration
from sensord.ingest import packets
from sensord.ingest.connection import ANSWER, PACKET_ALLOWANCE
from sensord.ingest.packets import Packet

_PATIENCE = 5.0
"""Seconds for connecting, and for the broker to take what we send."""
_CHUNK = 1 << 18


class Wire:
    """Connected from construction to ``close``; use as a context manager."""

    def __init__(self, settings: Mqtt, client_id: str, password: str | None, tls: ssl.SSLContext | None) -> None:
        """Connect. Raises ``OSError`` when the broker cannot be reached, or does not want us."""
        self._keepalive = max(1, parse_duration(settings.keepalive) // SECOND)
        self._read, self._heard = bytearray(), time.monotonic()
        self._socket = socket.create_connection((settings.host, settings.port), _PATIENCE)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=settings.host)
            largest = settings.payload_kib * 1024 + PACKET_ALLOWANCE
            self.send(packets.connect(client_id, settings.username, password, self._keepalive, largest))
            self._await_welcome()
        except BaseException:
            self._socket.close()
            raise

    def _await_welcome(self) -> None:
        deadline = time.monotonic() + ANSWER
        while not (found := self.receive(1.0)):
            if time.monotonic() > deadline:
                raise OSError("the broker does not answer")
        if found[0].kind != packets.CONNACK or packets.refused(found[0]):
            raise OSError("the broker refused the connection")

    def send(self, packet: bytes) -> None:
        """Send a packet."""
        self._socket.settimeout(_PATIENCE)
        self._socket.sendall(packet)

    def receive(self, timeout: float) -> list[Packet]:
        """Return what has come, waiting up to ``timeout`` seconds for it."""
        self._socket.settimeout(timeout)
        try:
            chunk = self._socket.recv(_CHUNK)
        except TimeoutError:
            if time.monotonic() - self._heard > 1.5 * self._keepalive:
                raise OSError("the broker has been silent for 1.5 keepalives") from None
            return []
        if not chunk:
            raise OSError("the broker closed the connection")
        self._heard = time.monotonic()
        self._read += chunk
        try:
            return packets.split(self._read)
        except ValueError as error:
            raise OSError(f"the broker speaks no MQTT: {error}") from error

    def __enter__(self) -> Self:
        """Be used."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave; the broker forgets the session."""
        with contextlib.suppress(OSError):
            self.send(packets.DISCONNECT)
        self._socket.close()

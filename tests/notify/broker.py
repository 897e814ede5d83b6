"""A real mosquitto on loopback that a test can stop and start, one that answers as told, and who hears everything."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import aiomqtt

from tests.support import free_port, program, wait_until


class Broker:
    """A mosquitto; ``options`` are lines of its configuration, beside the listener's."""

    def __init__(self, directory: Path, options: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = directory / f"broker-{self.port}.conf"
        self._config.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{options}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it until it listens."""
        self._process = subprocess.Popen([program("mosquitto"), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_until(self._listens, what="mosquitto listens")

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self, signal: int) -> None:
        """Stop or continue the process: ``SIGSTOP`` makes a broker that takes bytes and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class AnsweringBroker:
    """Takes connections and answers pings; a PUBLISH (QoS 1) when a test says so, and as it says."""

    def __init__(self) -> None:
        self.port = 0
        self.published: list[tuple[str, bytes, asyncio.StreamWriter]] = []
        """The topic and packet identifier of each PUBLISH, and to whom to answer."""

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more; whoever was connected has left."""
        self._server.close()

    def answer(self, number: int, reason: int) -> None:
        """Send the PUBACK of a PUBLISH, counted from 0, with a reason code."""
        _, identifier, writer = self.published[number]
        writer.write(bytes([0x40, 4]) + identifier + bytes([reason, 0]))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind = (await reader.readexactly(1))[0] >> 4
                packet = await reader.readexactly(await _length(reader))
                if kind == 1:
                    writer.write(bytes([0x20, 3, 0, 0, 0]))
                elif kind == 3:
                    ends = 2 + int.from_bytes(packet[:2])
                    self.published.append((packet[2:ends].decode(), packet[ends : ends + 2], writer))
                elif kind == 12:
                    writer.write(bytes([0xD0, 0]))
        writer.close()


async def _length(reader: asyncio.StreamReader) -> int:
    """Read a variable byte integer (MQTT 5, section 1.5.5)."""
    value, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


@asynccontextmanager
async def hearing(port: int, topic: str = "#") -> AsyncIterator[list[aiomqtt.Message]]:
    """Collect every message of the broker, or those of a topic, for as long as the block runs."""
    heard: list[aiomqtt.Message] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.append(message)  # noqa: PERF401  # each at once: the loop only ends with the connection

    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(topic, qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait({task})

"""A real mosquitto on loopback that a test can stop and start, and a subscriber that hears everything."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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

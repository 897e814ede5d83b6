"""A broker for demonstrations and tests: mosquitto when it is installed, else amqtt in a process of its own.

Rules: it listens on a free port of the loopback interface only, keeps nothing after its end, and is ended by its
process id. amqtt speaks MQTT 3.1.1 only, so a gateway (``simulators.gateway``) in its process speaks MQTT 5 for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensord.errors import UnavailableError
from simulators.children import Child
from simulators.gateway import serve

HOST = "127.0.0.1"
_START = 15.0
"""Seconds that a broker has until it accepts connections."""
_MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
persistence false
max_queued_messages 100000
max_inflight_messages 1000
log_dest stderr
log_type error
log_type warning
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker, ``mosquitto`` or ``amqtt``; it takes clients that speak MQTT 5 or 3.1.1."""

    kind: str
    host: str
    port: int
    child: Child


def free_port() -> int:
    """Return a port of the loopback interface that is free now; nobody keeps it for us."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def find_mosquitto() -> str | None:
    """Return mosquitto's path; distributions put it where the search path of ordinary users does not look."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=path)


@contextlib.contextmanager
def running_broker(directory: Path, kind: str | None = None) -> Iterator[Broker]:
    """Run a broker while the context lasts; its files and its log go into ``directory``.

    ``kind`` asks for ``mosquitto`` or ``amqtt``; without it the better one that is there. Raises
    ``UnavailableError`` when there is none, or when it does not start.
    """
    mosquitto = find_mosquitto()
    kind = kind or ("mosquitto" if mosquitto else "amqtt")
    port = free_port()
    if kind == "mosquitto" and mosquitto:
        command = [mosquitto, "-c", str(_configuration(directory, port))]
    elif kind == "amqtt" and importlib.util.find_spec("amqtt"):
        command = [sys.executable, "-m", "simulators.broker", str(port)]
    else:
        raise UnavailableError(
            f"there is no broker to start, {kind} is not installed: install mosquitto (apt install mosquitto)"
            " or amqtt (pip install 'sensord[demo]')"
        )
    with Child.running("broker", command, directory / "broker.log") as child:
        _await_port(child, port)
        yield Broker(kind, HOST, port, child)


def _configuration(directory: Path, port: int) -> Path:
    path = directory / "mosquitto.conf"
    text = _MOSQUITTO.format(port=port, host=HOST)
    if os.geteuid() == 0:
        text += "user root\n"  # otherwise it becomes another user, who may not read our directory
    path.write_text(text, encoding="utf-8")
    return path


def _await_port(child: Child, port: int) -> None:
    deadline = time.monotonic() + _START
    while True:
        child.check()
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return
        if time.monotonic() > deadline:
            raise UnavailableError(f"the broker does not listen after {_START:g} s\n{child.tail()}")
        time.sleep(0.05)


async def _serve_amqtt(port: int) -> None:
    """Run amqtt behind its gateway until SIGTERM."""
    from amqtt.broker import Broker as Amqtt  # noqa: PLC0415  # an optional dependency

    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    behind = free_port()
    listener = {"type": "tcp", "bind": f"{HOST}:{behind}"}
    broker = Amqtt({"listeners": {"default": listener}, "plugins": plugins})
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await broker.start()
    gateway = await serve(HOST, port, behind)
    await stop.wait()
    gateway.close()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_serve_amqtt(int(sys.argv[1])))

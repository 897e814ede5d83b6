"""Sends a simulated street, or recorded messages, to a broker in (scaled) real time.

Rules: quality of service 1, a bounded number of messages in flight, messages in order of time. With a ``speed``
other than one the scenario runs faster than the clock, so the devices' stamps are replaced by the instant of
sending: what arrives then looks like a street with faster sensors. MQTT 3.1.1, which every broker speaks.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiomqtt
import msgspec

from sensord.config.load import Loaded, load, read_secret
from sensord.config.settings import Mqtt
from sensord.core.instant import SECOND
from sensord.core.record import Record
from sensord.core.stream import BY_WORD
from sensord.errors import UnavailableError
from sensord.recordings.transform import edited, restamped
from simulators.recorded import load_street
from simulators.street import Message

IN_FLIGHT = 200
"""Messages that may wait for the broker's acknowledgement at once."""
_ANSWER = 15.0
"""Seconds that the broker has for an acknowledgement."""
_PROGRESS = 0.5


@dataclass(slots=True)
class Statistics:
    """What was sent so far. ``behind`` is the worst delay against the plan, ``seconds`` the time taken."""

    messages: int = 0
    acknowledged: int = 0
    size: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    behind: float = 0.0
    seconds: float = 0.0
    interrupted: bool = False

    def count(self, message: Message, behind: float) -> None:
        """Count a message that has been handed over, ``behind`` seconds late."""
        self.messages += 1
        self.size += len(message.payload)
        self.kinds[next((part for part in message.topic.split("/") if part in BY_WORD), "other")] += 1
        self.behind = max(self.behind, behind)


Progress = Callable[[Statistics], None]


async def publish(  # noqa: PLR0913 -- each is a fact of one run
    mqtt: Mqtt,
    messages: Iterable[Message],
    speed: float = 1.0,
    *,
    start: int | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
    stop: asyncio.Event | None = None,
    on_progress: Progress | None = None,
    restamps: bool = False,
) -> Statistics:
    """Send messages at their times and return the statistics; every message is acknowledged then.

    ``start`` (ns) is the scenario's instant that means "now"; without it the first message's. Setting ``stop``
    ends it early, after what is in flight. ``restamps``: stamps are renewed even at speed 1.
    Raises ``UnavailableError`` when the broker cannot be reached, goes
    away, or does not answer.
    """
    if speed <= 0:
        raise ValueError(f"the speed is {speed:g}, but it must be more than 0")
    client = aiomqtt.Client(
        mqtt.host,
        mqtt.port,
        username=mqtt.username,
        password=password,
        tls_context=tls,
        timeout=_ANSWER,
        max_inflight_messages=IN_FLIGHT,
    )
    client.pending_calls_threshold = IN_FLIGHT
    sender = _Sender(client, speed, start, stop or asyncio.Event(), on_progress)
    sender.restamps = restamps or speed != 1
    try:
        async with client:
            await sender.send_all(messages)
    except aiomqtt.MqttError as error:
        done = sender.statistics
        raise UnavailableError(
            f"the broker {mqtt.host}:{mqtt.port} does not take our messages ({error}): {done.acknowledged} of"
            f" {done.messages} were acknowledged; is it running, and may we publish there?"
        ) from error
    return sender.statistics


class _Sender:
    """One run. ``pending`` holds the publications whose acknowledgement is awaited."""

    def __init__(
        self,
        client: aiomqtt.Client,
        speed: float,
        start: int | None,
        stop: asyncio.Event,
        on_progress: Progress | None,
    ) -> None:
        self.statistics = Statistics()
        self._client, self._speed, self._start, self._stop = client, speed, start, stop
        self._on_progress = on_progress
        self.restamps = False
        self._pending: set[asyncio.Task[None]] = set()
        self._began = self._reported = time.monotonic()

    async def send_all(self, messages: Iterable[Message]) -> None:
        """Send everything, and wait for every acknowledgement."""
        self._began = self._reported = time.monotonic()
        stopping = asyncio.create_task(self._stop.wait())
        try:
            for message in messages:
                behind = await self._until_due(message, stopping)
                if self._stop.is_set():
                    self.statistics.interrupted = True
                    break
                self._hand_over(message, behind)
            await self._settle(0)
        finally:
            stopping.cancel()
            for task in self._pending:
                task.cancel()
            self._report()

    async def _until_due(self, message: Message, stopping: asyncio.Task[Literal[True]]) -> float:
        """Wait for a message's instant, and for a place in flight; return by how many seconds it is late."""
        if self._start is None:
            self._start = message.at
        due = self._began + (message.at - self._start) / SECOND / self._speed
        while (wait := due - time.monotonic()) > 0 and not self._stop.is_set():
            await asyncio.wait({stopping}, timeout=min(wait, _PROGRESS))
            self._reap()
        if time.monotonic() - self._reported > _PROGRESS:
            self._report()
        await self._settle(IN_FLIGHT - 1)
        return max(time.monotonic() - due, 0.0)

    async def _settle(self, most: int) -> None:
        """Wait until at most that many publications are pending."""
        while len(self._pending) > most:
            await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            self._reap()

    def _reap(self) -> None:
        """Count the acknowledged; raises what a publication raised."""
        done = {task for task in self._pending if task.done()}
        self._pending -= done
        for task in done:
            task.result()
            self.statistics.acknowledged += 1

    def _hand_over(self, message: Message, behind: float) -> None:
        if self.restamps:
            message = message._replace(payload=restamp(message.payload, time.time_ns()))
        self.statistics.count(message, behind)
        # Tasks start in the order of their creation, and each hands its message to the client before it first waits.
        self._pending.add(asyncio.create_task(self._client.publish(message.topic, message.payload, qos=1)))

    def _report(self) -> None:
        self._reported = time.monotonic()
        self.statistics.seconds = self._reported - self._began
        if self._on_progress is not None:
            self._on_progress(self.statistics)


def restamp(payload: bytes, at: int) -> bytes:
    """Replace a native message's ``at`` by the instant ``at`` (ns), in the form that it has; others stay."""
    return edited(payload, restamped(at))


def run_simulation(
    config_path: Path,
    scenario_name: str,
    speed: float = 1.0,
    duration: float | None = None,
    host: str | None = None,
    port: int | None = None,
    on_progress: Progress | None = None,
) -> Statistics:
    """Play a scenario from now on, for ``duration`` seconds of scenario time (the scenario's own when None).

    ``host`` and ``port`` replace the configured broker. SIGINT and SIGTERM end it cleanly (``interrupted``). Raises
    ``ConfigError``, ``UnavailableError``.
    """
    loaded = load(config_path)
    street = load_street(loaded, scenario_name, duration, time.time_ns())
    mqtt = loaded.settings.mqtt
    mqtt = msgspec.structs.replace(mqtt, host=host or mqtt.host, port=port or mqtt.port)
    return _play(loaded, mqtt, street.messages(), speed, street.start, on_progress)


def publish_records(
    config_path: Path, records: Iterable[Record], speed: float, on_progress: Progress | None = None
) -> Statistics:
    """Publish recorded messages to the configured broker at their times, ``speed`` times as fast, stamped anew."""
    loaded = load(config_path)
    messages = (Message(one.received_at, one.topic, one.payload) for one in records)
    return _play(loaded, loaded.settings.mqtt, messages, speed, None, on_progress, restamps=True)


def _play(
    loaded: Loaded,
    mqtt: Mqtt,
    messages: Iterable[Message],
    speed: float,
    start: int | None,
    on_progress: Progress | None,
    *,
    restamps: bool = False,
) -> Statistics:
    """Publish until the end; SIGINT and SIGTERM end it cleanly."""
    password = read_secret(loaded.resolve(mqtt.password_file)) if mqtt.password_file else None

    async def play() -> Statistics:
        stop = asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await publish(
            mqtt,
            messages,
            speed,
            start=start,
            restamps=restamps,
            password=password,
            tls=_tls(loaded),
            stop=stop,
            on_progress=on_progress,
        )

    return asyncio.run(play())


def _tls(loaded: Loaded) -> ssl.SSLContext | None:
    tls = loaded.settings.mqtt.tls
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=str(loaded.resolve(tls.ca_file)) if tls.ca_file else None)
    if tls.cert_file:
        key = loaded.resolve(tls.key_file) if tls.key_file else None
        context.load_cert_chain(loaded.resolve(tls.cert_file), key)
    return context

"""The MQTT receiver of one session: stays connected, stamps what arrives, and acknowledges what has been committed.

Rules:
- Callbacks stamp, build the record and queue it; nothing else. An exception in one ends the thread: ``alive``
  turns False and the daemon stops (its supervisor starts it anew), because a receiver that is deaf without
  knowing is the worst case.
- A message is acknowledged only on the connection (epoch) that delivered it; the broker sends the others
  again.
- A connection that fails, the first one included, is tried again after a full-jitter delay (AWS Architecture
  Blog, "Exponential Backoff and Jitter"); a connection counts as good once it has outlived the delay before
  it.
- While its lane of the queue is full nothing is read, so that TCP carries the pressure to the broker.
- A session that an earlier version left behind may have subscriptions that belong to other sessions now. It gives them
  up once those are there: a message may come twice then, but none is lost.
"""

from __future__ import annotations

import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread

import msgspec
import structlog
from paho.mqtt.client import MQTTMessage

from sensord.config.settings import Mqtt, Tls
from sensord.core.record import Record, RecordKind
from sensord.errors import ConfigError, Problem
from sensord.ingest.client import Unreadable
from sensord.ingest.connection import Connection, Ending
from sensord.ingest.names import Names
from sensord.ingest.queue import Arrival, ArrivalQueue
from sensord.ingest.topics import Session, kind_of
from sensord.ports import Meter, Pulse

SUSPICIOUS = 3
"""So many short-lived connections in a row, each cut without a word, look like a fight over our client id."""
TURN = 0.5
"""Longest wait of one turn, in seconds: how often the worker shows that it lives."""
_log = structlog.get_logger()


def _ignore(*_: object) -> None:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the application wants to hear of; called on the receiver's thread, so they must return at once.

    ``on_gap(reason)``: messages may be missing. ``on_oversize(topic, size, received_at)``: a message was
    refused for its size (bytes). ``on_link(connected, detail)``: the connection came or went. ``on_echo(number)``: an
    echo has returned, and what came before it is durable; called on the committer's thread.
    """

    on_gap: Callable[[str], None] = _ignore
    on_oversize: Callable[[str, int, int], None] = _ignore
    on_link: Callable[[bool, str], None] = _ignore
    on_echo: Callable[[int], None] = _ignore


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between connection attempts, in seconds: the ceiling doubles from ``base`` up to ``limit``."""

    base: float = 1.0
    limit: float = 60.0
    uniform: Callable[[float, float], float] = random.uniform

    def ceiling(self, failures: int) -> float:
        """The longest delay after so many failures in a row (1 or more)."""
        return min(self.limit, self.base * 2.0 ** min(failures - 1, 30))

    def delay(self, failures: int, *, taken_over: bool) -> float:
        """Draw one with full jitter; after a takeover from the upper half, lest the two clients fight."""
        if taken_over:
            return self.uniform(self.limit / 2, self.limit)
        return self.uniform(0.0, self.ceiling(failures))


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Build the TLS context (TLS 1.2 or newer, the broker's name is checked).

    Raises ``ConfigError`` when a certificate or key cannot be read.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ValueError) as error:
        files = ", ".join(name for name in (tls.ca_file, tls.cert_file, tls.key_file) if name)
        problem = Problem(files, 1, 1, f"mqtt.tls: cannot be used: {error}", "PEM files that this user may read")
        raise ConfigError([problem]) from error
    return context


class MqttReceiver:
    """Feeds the queue from one session, on its own thread. ``acknowledge`` is safe from any thread."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        settings: Mqtt,
        session: Session,
        queue: ArrivalQueue,
        meter: Meter,
        pulse: Pulse,
        *,
        password: str | None = None,
        clock: Callable[[], int] = time.time_ns,
        hooks: Hooks | None = None,
        backoff: Backoff | None = None,
        others_ready: Callable[[], bool] = lambda: True,
        echo_number: Callable[[bytes], int] = lambda _payload: 0,
    ) -> None:
        """Prepare; :meth:`start` connects.

        ``password`` is what ``settings.password_file`` holds. ``others_ready`` says whether the sessions are there to
        which this one leaves ``session.left``; ``echo_number`` reads echoes. Raises ``ConfigError`` when the TLS files
        cannot be used.
        """
        self.session = session
        self._settings = msgspec.structs.replace(settings, client_id=session.client_id(settings.client_id))
        self._others_ready, self._echo_number = others_ready, echo_number
        self._queue = queue
        self._meter = meter
        self._pulse = pulse
        self._password = password
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._backoff = backoff or Backoff()
        self._had_session = False
        self._tls = tls_context(settings.tls) if settings.tls is not None else None
        self._kind_of = kind_of(settings.readings, settings.commands)
        self._payload_limit = settings.payload_kib * 1024
        self._received: Counter[str] = Counter()
        self._stopping = Event()
        self._lock = Lock()
        self._connection: Connection | None = None
        self._names = Names(self._go_on)
        self._epoch = 0
        self._thread = Thread(target=self._main, name=session.worker, daemon=True)
        self.error: BaseException | None = None

    # --- from other threads ---------------------------------------------------------------------------------

    def start(self, *, had_session: bool = False) -> None:
        """Start the thread; returns at once, connected or not.

        ``had_session``: an earlier run received messages, so that a broker that does not know us has lost some.
        """
        self._had_session = had_session
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; False after :meth:`stop`, or when it died (:attr:`error` says of what)."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our subscriptions."""
        connection = self._connection
        return connection is not None and connection.ready and connection.ending is None

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Send PUBACKs, in this order, for what came by the present connection; only count the others."""
        if echo := max((arrival.echo for arrival in arrivals), default=0):
            self._hooks.on_echo(echo)
        with self._lock:
            epoch = self._epoch if self._connection is not None else 0
            mids = [arrival.mid for arrival in arrivals if arrival.qos and arrival.epoch == epoch]
            if mids and self._connection is not None:
                self._connection.acknowledge(mids)
        late = sum(1 for arrival in arrivals if arrival.qos) - len(mids)
        if mids:
            self._meter.count("acknowledgements_total", len(mids), outcome="sent")
        if late:
            self._meter.count("acknowledgements_total", late, outcome="late")

    def stop(self, timeout: float = 5.0) -> None:
        """Send what waits to be acknowledged, disconnect, keep the session at the broker, end the thread.

        Call it after the committer has stopped (and close the queue before that): so the last
        acknowledgements go out.
        """
        self._stopping.set()
        with self._lock:
            if self._connection is not None:
                self._connection.wake()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # --- the thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._stay_connected()
        except Exception as error:  # noqa: BLE001  # the task's boundary: ``alive`` turns False, the daemon ends
            self.error = error
            self._meter.count("worker_failures_total", worker=self.session.worker)
            _log.exception("an MQTT receiver died; the daemon stops and its supervisor starts it again")

    def _stay_connected(self) -> None:
        failures = cuts = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            connection = self._serve_one_connection()
            if self._stopping.is_set():
                return
            lived = time.monotonic() - began if connection.ready else 0.0
            if failures and lived > self._backoff.ceiling(failures):
                failures = 0
            failures += 1
            cuts = cuts + 1 if connection.ending is Ending.CUT and lived < self._backoff.limit else 0
            delay = self._backoff.delay(failures, taken_over=connection.ending is Ending.TAKEN_OVER)
            self._report_end(connection, delay)
            if connection.ending is Ending.TAKEN_OVER:
                self._report_takeover("told")
            elif cuts and cuts % SUSPICIOUS == 0:
                self._report_takeover("suspected")
            self._wait(delay)

    def _serve_one_connection(self) -> Connection:
        connection = Connection(
            self._settings,
            self._password,
            self._tls,
            self.session,
            self._names,
            self._epoch + 1,
            self._take_message,
            self._ready,
        )
        with self._lock:
            self._epoch, self._connection = connection.epoch, connection
        try:
            connection.open()
            while connection.ending is None and not self._stopping.is_set():
                self._turn(connection)
        finally:
            with self._lock:
                self._connection = None
            connection.close()
            self._meter.gauge("mqtt_connected", 0, session=self.session.name)
        return connection

    def _turn(self, connection: Connection) -> None:
        if self._queue.wait_for_room(TURN, self.session.lane):
            connection.turn(TURN)
        else:
            connection.idle()
        if connection.ready and self.session.left and not connection.left and self._others_ready():
            connection.leave(self.session.left)
        for kind, number in self._received.items():
            self._meter.count("messages_received_total", number, kind=kind)
        self._received.clear()
        self._pulse.beat(self.session.worker)

    def _go_on(self) -> bool:
        """Show that we live, while the broker's name is asked for; whether to wait on for an answer."""
        self._pulse.beat(self.session.worker)
        return not self._stopping.is_set()

    def _wait(self, delay: float) -> None:
        deadline = time.monotonic() + delay
        while (remaining := deadline - time.monotonic()) > 0:
            self._pulse.beat(self.session.worker)
            if self._stopping.wait(min(remaining, TURN)):
                return

    def _report_end(self, connection: Connection, delay: float) -> None:
        ending = connection.ending or Ending.CUT
        self._meter.count("mqtt_disconnections_total", reason=ending.value, session=self.session.name)
        self._hooks.on_link(False, connection.why)
        wait = f"{delay:.1f} s"
        _log.warning("a broker connection is down", session=self.session.name, why=connection.why, next_attempt_in=wait)

    def _report_takeover(self, evidence: str) -> None:
        """Say that somebody uses our client id: the broker told us, or (mosquitto before 2.0.15) it looks like it."""
        self._meter.count("mqtt_takeovers_total", evidence=evidence, session=self.session.name)
        self._hooks.on_gap(f"session taken over ({evidence})")
        _log.error(
            "another client uses our client id: give each daemon its own mqtt.client_id",
            client_id=self._settings.client_id,
            evidence=evidence,
        )

    # --- what a connection tells us -------------------------------------------------------------------------

    def _ready(self, session_present: bool) -> None:
        name = self.session.name
        self._meter.gauge("mqtt_connected", 1, session=name)
        if self._epoch > 1:
            self._meter.count("mqtt_reconnects_total", session=name)
        if self._had_session and not session_present:
            self._meter.count("mqtt_session_lost_total", session=name)
            _log.error("the broker has lost our session: messages may be missing; check its persistence settings")
            self._hooks.on_gap("session lost")
        self._had_session = True
        self._hooks.on_link(True, "connected")
        where = f"{self._settings.host}:{self._settings.port}"
        _log.info("connected to the broker", session=name, broker=where, epoch=self._epoch)

    def _take_message(self, message: MQTTMessage) -> bool:
        """Stamp and queue one message; True when there is room for another.

        A packet that is none, a topic that is no UTF-8 and a payload over the limit are not journaled.
        """
        if isinstance(message, Unreadable):
            return self._refuse(message, "bad_packet")
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return self._refuse(message, "bad_topic")
        payload = message.payload
        if topic == self.session.echo:
            return self._take_echo(message)
        received_at = self._clock()
        self._received[self._kind_of(topic)] += 1
        if len(payload) > self._payload_limit:
            self._hooks.on_oversize(topic, len(payload), received_at)
            return self._refuse(message, "too_large")
        record = Record(RecordKind.MESSAGE, received_at, topic, bytes(payload), message.retain, message.dup)
        self._queue.put(Arrival(record, self._epoch, message.mid, message.qos, lane=self.session.lane))
        return self._queue.has_room(self.session.lane)

    def _take_echo(self, message: MQTTMessage) -> bool:
        """Let it wait for its turn, like a reading; it is not journaled."""
        number, lane = self._echo_number(bytes(message.payload)), self.session.lane
        self._queue.put(Arrival(None, self._epoch, message.mid, message.qos, lane=lane, echo=number))
        return self._queue.has_room(lane)

    def _refuse(self, message: MQTTMessage, reason: str) -> bool:
        """Count it and have it acknowledged in its turn, lest the broker send it for ever."""
        self._meter.count("dropped_total", reason=reason)
        if message.qos:
            self._queue.put(Arrival(None, self._epoch, message.mid, message.qos, lane=self.session.lane))
        return self._queue.has_room(self.session.lane)

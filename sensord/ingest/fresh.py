"""The fresh lane: while readings wait at the broker, what is said now is told of now.

A second connection, with a clean session and QoS 0, is there all the time and costs next to nothing: each second it
publishes an echo, and looks how far behind we are (``backlog``). While that is much, it subscribes to counts and gauges
as well. Of these only the newest says how things are, so of each topic the newest is kept until its time to be handed
on: once a second, and less often the further behind we are, so that what is remembered of messages ahead of their turn
stays bounded. What is overwritten is counted, and nothing is lost: every message comes in its turn, too.

Plates and findings have a session of their own (``topics``) and are not in this lane: each tells something else, and
visits need them in order.

It needs to read and write its own topic at the broker. Without that nothing tells how far behind we are, so the lane
stays closed, and says so.
"""

from __future__ import annotations

import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from threading import Event, Thread

import structlog
from paho.mqtt.client import MQTTMessage

from sensord.config.settings import Mqtt
from sensord.core.record import Record, RecordKind
from sensord.ingest.backlog import Backlog, Echoes
from sensord.ingest.client import Unreadable
from sensord.ingest.names import Names
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ingest.receiver import Backoff, tls_context
from sensord.ingest.topics import Ahead
from sensord.ingest.wire import Wire
from sensord.ports import Meter, Pulse

WORKER = "fresh"
TURN = 0.2
"""Seconds that one wait for messages takes at most, and between two looks at what is due."""
EVERY = 1.0
"""Seconds between two echoes, and between two messages of one topic that are handed on."""
STEPS = 100
"""A topic's messages are handed on so many times at most while a message is under way in its turn."""
PROOF = 5.0
"""Seconds within which our own connection must hear the echo that it has published."""
_WATCHED = 100
"""So many of our latest echoes are waited for."""
MOST = 4 << 20
"""What the newest messages of all topics may take, in bytes; when topics are due again may take as much."""

_log = structlog.get_logger()


class Conflated:
    """The newest message of each topic until it is taken. ``what`` counts what became of messages."""

    def __init__(self, most: int = MOST) -> None:
        self.what = Counter[str]()
        self._most, self._bytes = most, 0
        self._waiting: dict[str, Record] = {}
        self._due: dict[str, float] = {}  # of what was handed on a moment ago, the oldest first
        self._remembered = 0

    def put(self, record: Record) -> None:
        """Keep it in place of what was kept of its topic; a new topic for which there is no room is left out."""
        before = self._waiting.get(record.topic)
        if before is not None:
            self.what["overwritten"] += 1
            self._bytes -= _size(before)
        elif self._bytes >= self._most:
            self.what["no_room"] += 1
            return
        self._waiting[record.topic] = record
        self._bytes += _size(record)

    def take(self, now: float, pace: float, room: Callable[[], bool]) -> list[Record]:
        """Take what is due at ``now``, while there is room; each topic is due again after ``pace`` seconds."""
        taken = list[Record]()
        for topic in [topic for topic in self._waiting if self._due.get(topic, 0.0) <= now]:
            if not room():
                break
            record = self._waiting.pop(topic)
            self._bytes -= _size(record)
            self._remember(topic, now + pace)
            taken.append(record)
        self._forget(now)
        self.what["handed_on"] += len(taken)
        return taken

    def _remember(self, topic: str, due: float) -> None:
        if self._due.pop(topic, None) is None:
            self._remembered += _cost(topic)
        self._due[topic] = due

    def _forget(self, now: float) -> None:
        """Forget topics that are due; of more than there is room for the oldest, which are due at once then."""
        while self._due:
            topic, due = next(iter(self._due.items()))
            if due > now and self._remembered <= self._most:
                return
            del self._due[topic]
            self._remembered -= _cost(topic)

    def clear(self) -> None:
        """Forget everything: it comes in its turn."""
        self.what["left"] += len(self._waiting)
        self._waiting.clear()
        self._due.clear()
        self._bytes = self._remembered = 0


def _size(record: Record) -> int:
    return _cost(record.topic) + len(record.payload)


def _cost(topic: str) -> int:
    return 200 + len(topic)


class FreshLane:
    """Runs on its own thread. ``missing`` says what it lacks at the broker, "" when it is well or not known yet."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        settings: Mqtt,
        ahead: Ahead,
        queue: ArrivalQueue,
        echoes: Echoes,
        backlog: Backlog,
        meter: Meter,
        pulse: Pulse,
        *,
        password: str | None = None,
        clock: Callable[[], int] = time.time_ns,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepare; :meth:`start` connects. Raises ``ConfigError`` when the TLS files cannot be used."""
        self._settings, self._ahead, self._queue = settings, ahead, queue
        self._echoes, self._backlog = echoes, backlog
        self._meter, self._pulse, self._password, self._clock = meter, pulse, password, clock
        self._tls: ssl.SSLContext | None = tls_context(settings.tls) if settings.tls is not None else None
        self._backoff = backoff or Backoff()
        self._limit = settings.payload_kib * 1024
        self._conflated = Conflated()
        self.open = False
        self.missing = ""
        self._proven = False
        self._asked = 0  # the number of the lane's own subscription
        self._sent: deque[tuple[int, float]] = deque(maxlen=_WATCHED)  # echoes that have not come to ourselves
        self._published: dict[int, int] = {}  # echoes without the broker's answer, by the number of that
        self._heard_at = 0.0  # when the newest echo was sent that has: how old is what the lane hears
        self._answered_at = self._looked_at = 0.0
        self._stopping = Event()
        self._names = Names(self._go_on)
        self._thread = Thread(target=self._main, name=WORKER, daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start the thread; returns at once, connected or not."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; ``error`` says of what it died."""
        return self._thread.is_alive()

    def stop(self, timeout: float = 5.0) -> None:
        """Leave the broker, end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            failures = 0
            while not self._stopping.is_set():
                began, why = time.monotonic(), self._serve()
                lived = time.monotonic() - began
                failures = 1 if lived > self._backoff.ceiling(failures + 1) else failures + 1
                if why:
                    _log.info("the fresh lane's connection is down", why=why)
                self._wait(self._backoff.delay(failures, taken_over=False))
        except Exception as error:  # noqa: BLE001  # the task's boundary: ``alive`` turns False, the daemon ends
            self.error = error
            self._meter.count("worker_failures_total", worker=WORKER)
            _log.exception("the fresh lane died; the daemon stops and its supervisor starts it again")

    def _wait(self, seconds: float) -> None:
        """Wait, and go on looking how far behind we are."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stopping.wait(min(left, TURN)):
            self._look()

    def _serve(self) -> str:
        """Stay connected; returns why that ended."""
        try:
            who = self._settings, self._ahead.client_id, self._password, self._tls, self._names
            with Wire(*who, self._hear, self._answered) as wire:
                wire.subscribe([self._ahead.echo])
                self._sent.clear()
                self._published.clear()
                self._heard_at = self._answered_at = time.monotonic()
                while not self._stopping.is_set():
                    wire.turn(TURN)
                    self._hand_on()
                    if self._look():
                        self._tend(wire)
        except OSError as error:
            return str(error)
        finally:
            self._shut()
        return ""

    def _go_on(self) -> bool:
        """Look, while the broker's name is asked for; whether to wait on for an answer."""
        self._look()
        return not self._stopping.is_set()

    def _look(self) -> bool:
        """Show that we live; once a second (then True), look how far behind we are."""
        self._pulse.beat(WORKER)
        now = time.monotonic()
        if now - self._looked_at < EVERY:
            return False
        self._looked_at = now
        self._backlog.look()
        for what, amount in self._conflated.what.items():
            self._meter.count("fresh_messages_total", amount, what=what)
        self._conflated.what.clear()
        return True

    def _tend(self, wire: Wire) -> None:
        """Once a second: send an echo, and open or close the lane."""
        self._judge()
        if not self._proven:
            self._echoes.forget()
        if (payload := self._echoes.next()) is not None:
            number = self._echoes.number(payload)
            self._sent.append((number, time.monotonic()))
            self._published[wire.publish(self._ahead.echo, payload)] = number
        wanted = self._backlog.pressed and self._proven and bool(self._ahead.filters)
        if wanted and not self.open:
            self._asked = wire.subscribe(self._ahead.filters)
            self._set_open(True)
            _log.warning("readings wait at the broker; the newest go ahead", behind=f"{self._backlog.seconds:.1f} s")
        elif self.open and not wanted:
            wire.unsubscribe(self._ahead.filters)
            self._shut()
            _log.info("the backlog is worked off; readings come in their turn again")

    def _judge(self) -> None:
        """Whether our echo comes back to ourselves soon after it was sent, as it must; raises ``OSError``.

        Echoes that come regularly, but late, say that the lane itself has more to hear than it can.
        """
        if self.open and time.monotonic() - self._heard_at > PROOF:
            raise OSError("the lane has fallen behind itself; a new connection begins with what is said now")
        if self._answered_at - self._heard_at > PROOF:
            self._lack(f"the echo of {self._ahead.echo} does not come back")

    def _set_open(self, wanted: bool) -> None:
        self.open = wanted
        self._meter.gauge("fresh_lane_open", float(wanted))

    def _shut(self) -> None:
        self._set_open(False)
        self._asked = 0
        self._conflated.clear()

    # --- what the broker sends --------------------------------------------------------------------------------------

    def _answered(self, number: int, refused: bool) -> None:
        echo = self._published.pop(number, 0)
        if not refused:
            self._answered_at = time.monotonic()
            self._echoes.taken(echo)
        elif number == self._asked:
            raise OSError("the broker refused the subscription of the fresh lane")
        else:
            self._lack("the broker refuses it")

    def _hear(self, message: MQTTMessage) -> None:
        if isinstance(message, Unreadable):
            self._conflated.what["bad_packet"] += 1
            return
        try:
            topic, payload = message.topic, bytes(message.payload)
        except ValueError:
            self._conflated.what["bad_topic"] += 1
            return
        if topic == self._ahead.echo:
            self._prove(payload)
        elif len(payload) > self._limit:
            self._conflated.what["too_large"] += 1
        else:
            self._conflated.put(Record(RecordKind.MESSAGE, self._clock(), topic, payload, ahead=True))

    def _prove(self, payload: bytes) -> None:
        if number := self._echoes.number(payload):
            while self._sent and self._sent[0][0] <= number:
                self._heard_at = self._sent.popleft()[1]
            self._proven, self.missing = True, ""

    def _lack(self, why: str) -> None:
        """Say what is missing at the broker, once."""
        if not self.missing:
            user = self._settings.username or "sensord"
            line = f"topic readwrite {self._ahead.echo.rpartition('/')[0]}/+"
            self.missing = f"{why}; add to the broker's access list, for user {user}: {line}"
            _log.warning("it cannot be told how long readings wait at the broker", why=self.missing)
        self._proven = False

    def _hand_on(self) -> None:
        pace = max(EVERY, self._backlog.seconds / STEPS)
        room = self._queue_has_room
        for record in self._conflated.take(time.monotonic(), pace, room):
            self._queue.put(Arrival(record, lane=Lane.FRESH))

    def _queue_has_room(self) -> bool:
        return self._queue.has_room(Lane.FRESH)

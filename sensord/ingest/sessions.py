"""The receivers of all our sessions at the broker, as one part: started, stopped and acknowledged together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from sensord.config.settings import Mqtt
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ingest.receiver import Backoff, Hooks, MqttReceiver
from sensord.ingest.topics import Session, sessions
from sensord.ports import Meter, Pulse


class Receivers:
    """A receiver for each session. ``acknowledge`` is safe from any thread."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        settings: Mqtt,
        queue: ArrivalQueue,
        meter: Meter,
        pulse: Pulse,
        *,
        password: str | None = None,
        clock: Callable[[], int] = time.time_ns,
        hooks: Callable[[Session], Hooks] = lambda _session: Hooks(),
        backoff: Backoff | None = None,
        echo_number: Callable[[bytes], int] = lambda _payload: 0,
    ) -> None:
        """Prepare; :meth:`start` connects. ``hooks`` says what the application wants to hear of a session.

        Raises ``ConfigError`` when the TLS files cannot be used.
        """
        self._by_lane: dict[Lane, MqttReceiver] = {}
        for session in sessions(settings.readings, settings.commands, settings.client_id):
            self._by_lane[session.lane] = MqttReceiver(
                settings,
                session,
                queue,
                meter,
                pulse,
                password=password,
                clock=clock,
                hooks=hooks(session),
                backoff=backoff,
                others_ready=self._others_ready,
                echo_number=echo_number,
            )

    @property
    def each(self) -> list[MqttReceiver]:
        """Every receiver."""
        return list(self._by_lane.values())

    def of(self, lane: Lane) -> MqttReceiver:
        """The receiver of a lane."""
        return self._by_lane[lane]

    def start(self, had_session: Callable[[Session], bool]) -> None:
        """Start every thread; ``had_session`` says of which sessions an earlier run received messages."""
        for receiver in self.each:
            receiver.start(had_session=had_session(receiver.session))

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Have each session acknowledge, in order, what came by it."""
        for lane, receiver in self._by_lane.items():
            mine = [arrival for arrival in arrivals if arrival.lane is lane]
            if mine:
                receiver.acknowledge(mine)

    def threads(self) -> dict[str, Callable[[], bool]]:
        """Whether each thread runs, by its name."""
        return {receiver.session.worker: partial(_alive, receiver) for receiver in self.each}

    def stop(self) -> None:
        """Stop every receiver; what waits to be acknowledged goes out."""
        for receiver in self.each:
            receiver.stop()

    def _others_ready(self) -> bool:
        """Whether the sessions beside that of the readings are there, so that it may leave their topics to them."""
        return all(receiver.connected for lane, receiver in self._by_lane.items() if lane is not Lane.READINGS)


def _alive(receiver: MqttReceiver) -> bool:
    return receiver.alive

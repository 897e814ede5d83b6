"""Experiments with a time-series database that is away, hangs, is overloaded, or refuses points."""

from __future__ import annotations

import gzip
import random
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import httpx

from sensord.series.refused import MOST_ALIKE, REFUSED
from sensord.store.past import Past
from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.notify.receiver import Answer, Receiver, Request
from tests.support import http, wait_until


class Gate:
    """Stands before the database: passes writes on, unless there is a ``trouble``; knows points that it refuses.

    With ``strict`` every point of an alert is refused, and any batch with one, as for a field of the wrong type.
    """

    def __init__(self) -> None:
        self.target = ""
        self.trouble: Answer | None = None
        self.strict, self.refused = False, set[str]()

    def __call__(self, request: Request) -> Answer:
        """Answer one request; cuts it off when the database is away."""
        if self.trouble is not None:
            return self.trouble
        if self.strict:
            lines = gzip.decompress(request.body).decode().splitlines()
            if any(line.startswith("alert,") for line in lines):
                self.refused |= set(lines if len(lines) == 1 else ())
                return Answer(400, b'{"error":"partial write: field type conflict"}')
        headers = {"Content-Encoding": request.headers.get("Content-Encoding", "identity")}
        try:
            answer = http.post(self.target + request.path, content=request.body, headers=headers)
        except httpx.TransportError:
            return Answer(drop=True)  # the database is away
        return Answer(answer.status_code, answer.content)


Trouble = Callable[[Stage, Gate, random.Random], None]


def away(stage: Stage, _gate: Gate, dice: random.Random) -> None:
    """Shoot the database, and start it again after a while."""
    assert stage.influx is not None
    stage.influx.stop(signal.SIGKILL)
    time.sleep(dice.uniform(1.0, 3.0))
    stage.influx.start()


def hangs(stage: Stage, _gate: Gate, dice: random.Random) -> None:
    """Stop the database in the middle of whatever it does."""
    assert stage.influx is not None
    stage.influx.freeze()
    time.sleep(dice.uniform(1.0, 3.0))
    stage.influx.go_on()


def _answers(answer: Answer) -> Trouble:
    def trouble(stage: Stage, gate: Gate, dice: random.Random) -> None:
        before, gate.trouble = stage.metric("sink_retries_total"), answer
        wait_until(lambda: stage.metric("sink_retries_total") > before, 60, "a write is refused")
        time.sleep(dice.uniform(0.5, 2.0))
        gate.trouble = None

    return trouble


def refuses_points(stage: Stage, gate: Gate, dice: random.Random) -> None:
    """Refuse the points of alerts for a while."""
    before, gate.strict = len(gate.refused), True
    wait_until(lambda: len(gate.refused) > before, 60, "a point of an alert is refused")
    time.sleep(dice.uniform(0.5, 2.0))
    gate.strict = False


TROUBLES: dict[str, Trouble] = {
    "InfluxDB shot, and started again": away,
    "InfluxDB hangs": hangs,
    "InfluxDB answers 503": _answers(Answer(503)),
    "InfluxDB answers 429 with Retry-After": _answers(Answer(429, headers={"Retry-After": "1"})),
    "InfluxDB refuses single points (400)": refuses_points,
}


def failing_database(directory: Path, rounds: Iterable[int], seed: int, name: str) -> Row:
    """Trouble the database again and again; every point must be there in the end, once, but for those it refuses."""
    dice, recovery, gate = random.Random(seed), list[float](), Gate()
    with Receiver(decide=gate) as door:
        sink = {"type": "influxdb1", "url": door.url, "database": "sensord"}
        with Stage(directory, seed, sinks=[{"type": "rollups"}, sink]) as stage:
            assert stage.influx is not None
            gate.target = stage.influx.url
            stage.begin()
            for _ in rounds:
                TROUBLES[name](stage, gate, dice)
                well, written = time.monotonic(), stage.metric(_WRITTEN)
                wait_until(partial(_more_points, stage, written), 120, "points are written again")
                recovery.append(time.monotonic() - well)
            stage.come_to_rest(patience=120)
            counted = int(stage.metric('sink_points_total{outcome="refused"'))
            assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
            row = stage.verdict(name, len(recovery), recovery)
            letters = Past(stage.daemon.state).dead_letters(100_000)
            told = sum(letter.reason == REFUSED for letter in letters)
            row.lost += abs(len(gate.refused) - counted) + max(0, min(len(gate.refused), MOST_ALIKE) - told)
            row.remark += f"; {counted} points refused and counted" if gate.refused else ""
            return row


_WRITTEN = 'sink_points_total{outcome="written",sink="influxdb"'


def _more_points(stage: Stage, before: float) -> bool:
    return stage.metric(_WRITTEN) > before

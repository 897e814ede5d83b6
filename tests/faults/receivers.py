"""Experiments with who is to be told: receivers that are down, slow, overloaded, or lie."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.notify.receiver import Answer
from tests.support import wait_until

WAYS = {
    "receiver cuts the connection": Answer(drop=True),
    "receiver does not answer": Answer(hang=True),
    "receiver answers 500": Answer(500),
    "receiver answers 429 with Retry-After": Answer(429, headers={"Retry-After": "1"}),
    "receiver answers 200 with an error in the body": Answer(200, b'{"errcode": 45009}', lies=True),
}
SEND = "1s"
"""How long one attempt may take: a minute's patience in the field, but a round has to end."""


def failing_receiver(directory: Path, rounds: Iterable[int], seed: int, way: str) -> Row:
    """Let the receiver fail in one way for a few seconds, again and again; pages wait, and arrive once it is well."""
    dice, recovery = random.Random(seed), list[float]()
    stage = Stage(directory, seed, influx=False)
    host = stage.people.host
    channel = {"type": "webhook", "name": "people", "url": f"http://{host}/notify", "allow": [host], "timeout": SEND}
    stage.daemon.set(channels=[channel, {"type": "mqtt", "name": "grid"}])
    with stage:
        stage.begin()
        for _ in rounds:
            refused = len(stage.people.refused)
            stage.people.otherwise = WAYS[way]
            wait_until(partial(_refused, stage, refused), 60, f"somebody is to be told, and {way}")
            time.sleep(dice.uniform(0.5, 2.0))
            stage.people.otherwise = Answer()
            well, arrived = time.monotonic(), len(stage.people.requests)
            wait_until(partial(_arrived, stage, arrived), 120, "pages arrive again")
            recovery.append(time.monotonic() - well)
        refused = len(stage.people.refused)
        stage.settle(patience=120)
        row = stage.verdict(way, len(recovery), recovery)
        row.remark += f"; {refused:,} attempts refused; recovery is to the next page"
        return row


def _refused(stage: Stage, before: int) -> bool:
    return len(stage.people.refused) > before


def _arrived(stage: Stage, before: int) -> bool:
    return len(stage.people.requests) > before

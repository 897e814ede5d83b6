"""Experiments with input that is nonsense, too large, or of strangers without end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.broker import marked

SENSOR = "t/C1/crowd/crowd-1"
GROWTH = 64 << 20
"""Bytes of resident memory that nonsense may cost."""
STRANGERS = 2000
HUGE = 10 << 20
MARKED = "UserProperty", "ContentType", "ResponseTopic"


def _deep(_: random.Random) -> bytes:
    return b'{"count": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def _noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(0, 500))


NONSENSE: dict[str, Callable[[random.Random], bytes]] = {
    "noise": _noise,
    "nothing": lambda _: b"",
    "not a number": lambda _: b'{"count": NaN}',
    "infinity": lambda _: b'{"count": Infinity}',
    "beyond every number": lambda _: b'{"count": 1e400}',
    "a negative crowd": lambda dice: b'{"count": %d}' % -dice.randint(1, 10**6),
    "a text": lambda _: b'{"count": "many"}',
    "a key twice": lambda _: b'{"count": 1, "count": 900}',
    "deep nesting": _deep,
    "no UTF-8": lambda _: b'{"count": 1, "device": "\xff\xfe"}',
    "half a message": lambda _: b'{"count": 1, "seq":',
    "another device": lambda _: b'{"count": 900, "device": "crowd-2"}',
    "no value": lambda _: b"{}",
    "a bad time": lambda _: b'{"count": 1, "at": "soon"}',
}


def nonsense(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Publish every kind of nonsense among the readings; each message must be accounted for, and memory stay bounded.

    Some have properties over which the client library would end the connection, and could not be acknowledged.

    What the shipped broker lets in and the daemon does not take must be counted as dropped. 10 MB are more than the
    broker may send it, which drops them without a word: that shows in no number of ours, and costs nothing.
    """
    dice, sent, large, done = random.Random(seed), 0, 0, 0
    with Stage(directory, seed, influx=False, broker=("max_packet_size 20000000",)) as stage:
        stage.begin()
        before = most = stage.resident()
        for _ in rounds:
            batch = [(SENSOR, make(dice)) for make in NONSENSE.values()]
            batch += [(f"t/C1/crowd/stranger-{dice.randrange(10**9)}", b'{"count": 1}') for _ in range(STRANGERS)]
            stage.broker.publish_all(batch)
            stage.broker.publish_all([(SENSOR, b"")] * len(MARKED), properties=marked(dice.choice(MARKED)))
            sent += len(batch) + len(MARKED)
            stage.broker.publish_all([(SENSOR, bytes(size)) for size in (257 << 10, 800 << 10, 1 << 20, HUGE)])
            large, done = large + 3, done + 1
            wait_until(partial(_accounted, stage, sent, large), 60, "all of it is accounted for")
            most = max(most, stage.resident())
            time.sleep(dice.uniform(0.0, 1.0))
        refused = int(stage.metric("dead_letters_total"))
        strangers = int(stage.metric('dead_letters_total{reason="unknown_device"'))
        stage.settle()
        row = stage.verdict("nonsense, strangers without end, 10 MB", done)
        row.lost += abs(sent - refused) + abs(STRANGERS * done - strangers) + (most > before + GROWTH)
        row.remark += (
            f"; {refused:,} dead letters, {large} too large and counted, {done} of 10 MB dropped by the broker; "
        )
        row.remark += f"{(most - before) / 2**20:.0f} MiB more at most"
        return row


def _accounted(stage: Stage, sent: int, large: int) -> bool:
    refused, dropped = stage.metric("dead_letters_total"), stage.metric('dropped_total{reason="too_large"')
    return refused >= sent and dropped >= large

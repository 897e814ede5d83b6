"""From a message to a person's phone: how long it takes while 500 messages a second come in.

Method: a real mosquitto, the daemon as a process with default settings and the embedded roll-ups, and an HTTP receiver
in this process. A thread here publishes 500 readings a second at QoS 1 for 500 lanes, each with its stamp; every 100 ms
one of them is of a lane that has become crowded, and one person is to be told. Half of the lanes have a rule without a
window (the notification follows the reading itself); the other half a rule on windows of one second, whose value is
due at the window's end plus the configured lateness. Latency is the time from the publishing (for windows: from the
instant at which the value is due) to the arrival of the HTTP request at the receiver.

Reference, measured in the same run on the same messages: a bare subscriber in a process of its own (paho-mqtt, QoS 1)
that posts each crowded reading at once with httpx: no journal, no rules, no outbox.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
from paho.mqtt.client import Client  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: E402

from bench.machine import describe  # noqa: E402
from bench.targets import Targets  # noqa: E402
from sensord.core.instant import SECOND, format_instant  # noqa: E402
from simulators.broker import free_port, running_broker  # noqa: E402
from simulators.children import Child  # noqa: E402
from simulators.receiver import Receiver, running_receiver  # noqa: E402
from simulators.stage import await_ready  # noqa: E402

LANES, RATE, CROWDED, QUIET, TARGET = 500, 500, 2000, 10, 0.250
LATENESS = 2 * SECOND
WARM_UP = 20.0
COOL_DOWN = 5.0
"""Seconds for which the load goes on at the end: the last windows are due under the same load as all others."""
EVERY = RATE // 10
"""Every so many messages one is of a lane that has become crowded."""

RULE = {
    "name": {"zh": "人群聚集"},
    "stream": "crowd",
    "by": "lane",
    "levels": {"yellow": {"above": 1000}},
    "clear": {"for": "1h"},
    "dispatch": "crowd",
}
RULES = [
    {**RULE, "id": "at-once", "where": {"grid": "G1"}, "value": "last(count)"},
    {**RULE, "id": "windowed", "where": {"grid": "G2"}, "value": "max(count)", "window": "1s"},
]


def publish(client: Client, lane: int, count: int) -> int:
    """Publish one reading and return when (ns)."""
    now = time.time_ns()
    body = {"count": count, "at": format_instant(now, "UTC")}
    client.publish(f"t/C{1 + lane % 2}/crowd/crowd-{lane}", json.dumps(body), qos=1)
    return now


def street() -> dict[str, object]:
    """Return the files of a street of so many lanes, the odd ones in one grid, the even ones in the other."""
    lanes = [
        {"id": f"L{n}", "name": f"{n}弄", "compound": f"C{1 + n % 2}", "micro_grid": f"M{1 + n % 2}", "area_m2": 50}
        for n in range(LANES)
    ]
    both = (1, 2)
    crowd = {"name": {"zh": "人群聚集"}, "steps": [{"tell": ["cadre"], "at_least": "yellow"}]}
    contact = {"channel": "people", "address": "cadre"}
    return {
        "places": {
            "street": {"id": "S", "name": "街道"},
            "blocks": [{"id": "B", "name": "街区"}],
            "grids": [{"id": f"G{n}", "name": f"居民区{n}", "block": "B"} for n in both],
            "micro_grids": [{"id": f"M{n}", "name": f"微网格{n}", "grid": f"G{n}"} for n in both],
            "compounds": [{"id": f"C{n}", "name": f"小区{n}", "grid": f"G{n}", "micro_grids": [f"M{n}"]} for n in both],
            "gates": [{"id": f"N{n}", "name": "北门", "compound": f"C{n}", "micro_grid": f"M{n}"} for n in both],
            "lanes": lanes,
            "devices": [
                {"id": f"crowd-{n}", "stream": "crowd", "place": f"L{n}", "period": "1h"} for n in range(LANES)
            ],
        },
        "roster": {"people": [{"id": "居委干部-01", "role": "cadre", "serves": "S", "contacts": [contact]}]},
        "dispatch": {"roles": {"cadre": {"name": {"zh": "居委干部"}}}, "policies": {"crowd": crowd}},
        "rules": {"rules": RULES},
    }


def configure(directory: Path, broker_port: int, receiver: Receiver) -> tuple[Path, int]:
    """Write the configuration; returns its path and the daemon's HTTP port."""
    for name, content in street().items():
        _write(directory / f"{name}.yaml", content)
    http = free_port()
    topics = {"readings": "t/{compound}/{kind}/{device}", "commands": "t/commands/by/{user}/{case}"}
    settings = {
        "site": "bench",
        "state_dir": str(directory / "state"),
        "files": {"rules": "rules.yaml"},
        "mqtt": {"port": broker_port, **topics, "alerts": "t/alerts/{grid}", "results": "t/results/{case}"},
        "http": {"port": http},
        "sinks": [{"type": "rollups"}],
        "channels": [
            {"type": "webhook", "name": "people", "url": receiver.url, "allow": [f"{receiver.host}:{receiver.port}"]}
        ],
    }
    _write(directory / "sensord.yaml", settings)
    return directory / "sensord.yaml", http


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")  # JSON is YAML


def reference(port: int, url: str) -> None:
    """Post each crowded reading at once, until killed; the child process's part."""
    session = httpx.Client(trust_env=False)
    client = Client(CallbackAPIVersion.VERSION2, client_id="reference", protocol=MQTTProtocolVersion.MQTTv5)

    def heard(*arguments: object) -> None:
        message = arguments[2]
        topic, payload = message.topic, message.payload  # type: ignore[attr-defined]
        if json.loads(payload)["count"] > 1000:
            lane = topic.rpartition("-")[2]
            session.post(url + "/reference", json={"key": f"reference-{lane}", "lane": f"L{lane}"})

    client.on_message = heard
    client.connect("127.0.0.1", port)
    client.subscribe("t/+/crowd/+", qos=1)
    client.loop_forever()


class Load:
    """Publishes at the rate and remembers when each lane became crowded (ns)."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.crowded: dict[str, int] = {}
        self.behind = 0.0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="load", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_inflight_messages_set(1000)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self) -> None:
        """Warm up, then make lane after lane crowded; ends a while after each has had its turn."""
        waiting = iter(range(LANES))
        began, number, last = time.perf_counter(), 0, None
        while last is None or number < last:
            due = began + number / RATE
            delay = due - time.perf_counter()
            if delay > 0:
                time.sleep(delay)
            self.behind = max(self.behind, -delay)
            lane = None
            if last is None and number / RATE > WARM_UP and number % EVERY == 0:
                lane = self._next(waiting)
                last = number + round(COOL_DOWN * RATE) if lane is None else None
            at = publish(self._client, number % LANES if lane is None else lane, QUIET if lane is None else CROWDED)
            if lane is not None:
                self.crowded[f"L{lane}"] = at
            number += 1

    @staticmethod
    def _next(waiting: Iterator[int]) -> int | None:
        """Return the next lane, at an instant that is clearly within a second (a window's end would be ambiguous)."""
        while not 0.05 < time.time() % 1 < 0.95:
            time.sleep(0.01)
        return next(waiting, None)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def due(lane: str, at: int) -> int:
    """Return when the notification for a lane is due at the earliest."""
    windowed = int(lane[1:]) % 2 == 1
    return (at // SECOND + 1) * SECOND + LATENESS if windowed else at


def measure() -> dict[str, list[float]]:
    """Run everything; returns latencies in seconds by kind."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensord-bench-")))
        broker = stack.enter_context(running_broker(directory, "mosquitto"))
        receiver = stack.enter_context(running_receiver(kept=4 * LANES))
        config, http = configure(directory, broker.port, receiver)
        daemon = [sys.executable, "-m", "sensord", "run", "--config", str(config)]
        child = stack.enter_context(Child.running("sensord", daemon, directory / "sensord.log"))
        bare = [sys.executable, __file__, "--reference", str(broker.port), receiver.url]
        stack.enter_context(Child.running("reference", bare, directory / "reference.log"))
        await_ready(child, f"http://127.0.0.1:{http}")
        load = Load(broker.port)
        stack.callback(load.close)
        load.run()
        await_all(receiver)
        print(
            f"{len(load.crowded)} lanes became crowded; the load was never more than {load.behind * 1e3:.0f} ms behind"
        )
        return latencies(receiver, load.crowded)


def await_all(receiver: Receiver) -> None:
    """Wait for the last notifications."""
    deadline = time.monotonic() + 30
    while receiver.inbox.look()[0] < 2 * LANES:
        if time.monotonic() > deadline:
            sys.exit(f"only {receiver.inbox.look()[0]} of {2 * LANES} notifications have arrived")
        threading.Event().wait(0.1)


def latencies(receiver: Receiver, crowded: dict[str, int]) -> dict[str, list[float]]:
    """Sort what arrived: at once, windowed, reference."""
    found: dict[str, list[float]] = {"at once": [], "windowed": [], "reference": []}
    for received in receiver.inbox.look()[1]:
        lane = received.text("lane") or received.text("place")
        if received.address == "reference":
            found["reference"].append((received.at - crowded[lane]) / SECOND)
        else:
            kind = "windowed" if int(lane[1:]) % 2 else "at once"
            found[kind].append((received.at - due(lane, crowded[lane])) / SECOND)
    return found


def report(found: dict[str, list[float]]) -> None:
    """Print the quantiles, the ratio, and whether the target was met."""
    for kind, values in found.items():
        ranks = statistics.quantiles(values, n=100)
        print(
            f"{kind:>9}: p50 {ranks[49] * 1e3:7.1f} ms, p99 {ranks[98] * 1e3:7.1f} ms, "
            f"max {max(values) * 1e3:7.1f} ms  ({len(values)} notifications)"
        )
    ratio = statistics.median(found["at once"]) / statistics.median(found["reference"])
    print(f"    ratio: {ratio:.1f} (median at once / median of the reference)")
    targets = Targets()
    for kind in ("at once", "windowed"):
        p99 = statistics.quantiles(found[kind], n=100)[98]
        targets.at_most(f"p99 to the receiver, {kind}", p99 * 1e3, TARGET * 1e3, "ms")
    targets.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reference:
        reference(int(arguments.reference[0]), arguments.reference[1])
    else:
        print(describe(__doc__), end="")
        report(measure())

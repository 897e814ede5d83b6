"""Five thousand alerts in a minute, from the sensors' messages to the groups' robots.

Method: a real mosquitto, the daemon as a process, and an HTTP server in this process that poses as WeCom's and refuses
what is over 20 messages a minute and robot. A thread here publishes one reading at QoS 1 for each of 5,000 lanes in
four grids, spread over sixty seconds; each raises an alert of its own (a rule without a window), one in a hundred of
them red. The cadres of a grid read in its group, the police in theirs, which hears of red alone. Printed are: how long
after its reading the first red alert was in a group, the most that a robot said in any sixty seconds, and how many of
all the messages that the core decided on came out by themselves, in digests, or not at all. The last is counted from
the outbox and from a replay of the daemon's journal. Reference: the limits that the services and the plan set.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paho.mqtt.client import Client  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: E402

from bench.machine import describe  # noqa: E402
from bench.targets import Targets  # noqa: E402
from sensord.config.platekeys import load_keys  # noqa: E402
from sensord.core.cases.notification import Notification, Reason  # noqa: E402
from sensord.core.instant import MINUTE, SECOND  # noqa: E402
from sensord.core.record import Group, Record, RecordKind  # noqa: E402
from sensord.core.site import Site  # noqa: E402
from sensord.drivers.replay import journal_groups  # noqa: E402
from sensord.store.reader import DirectoryReader  # noqa: E402
from sensord.store.state import StateStore  # noqa: E402
from simulators.broker import free_port, running_broker  # noqa: E402
from simulators.children import Child  # noqa: E402
from simulators.stage import await_ready  # noqa: E402

GRIDS = (1, 2, 3, 4)
ROBOTS = (*(f"grid-{n}" for n in GRIDS), "police")
TAKES, PLAN = 20, 15
"""Messages a minute that WeCom takes of a robot, and that ours may say."""
FIRST_RED = 5.0
"""Seconds from the first red reading to a group's knowing of it."""
TOPICS: dict[str, object] = {
    "readings": "t/{compound}/{kind}/{device}",
    "commands": "t/commands/by/{user}/{case}",
    "alerts": "t/alerts/{grid}",
    "results": "t/results/{case}",
}
COUNTS = {"yellow": 10, "orange": 20, "red": 30}


class Groups:
    """The groups of all robots: what each was told, and when (Unix time in ns); refuses what is too much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.heard: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.attempts: dict[str, list[int]] = defaultdict(list)

    def take(self, robot: str, text: str) -> int:
        """Return WeCom's code for a message."""
        now = time.time_ns()
        with self._lock:
            self.attempts[robot].append(now)
            if sum(at > now - MINUTE for at, _ in self.heard[robot]) >= TAKES:
                return 45009
            self.heard[robot].append((now, text))
        return 0

    @property
    def told(self) -> int:
        """How many different messages were taken: each names a case, or is a digest of its own."""
        return sum(len({text for _, text in told}) for told in self.heard.values())

    @property
    def repeated(self) -> int:
        """How many messages were taken that the same robot had said before."""
        return sum(map(len, self.heard.values())) - self.told

    @property
    def refused(self) -> int:
        """How many messages were too much."""
        return sum(map(len, self.attempts.values())) - sum(map(len, self.heard.values()))

    def busiest(self) -> int:
        """The most that was sent to one robot in any sixty seconds, refused or not."""
        return max(sum(first <= at < first + MINUTE for at in ats) for ats in self.attempts.values() for first in ats)

    def first(self, words: str) -> int | None:
        """When a message with these words was first there."""
        with self._lock:
            return min((at for told in self.heard.values() for at, text in told if words in text), default=None)

    def serve(self, stack: ExitStack) -> str:
        """Serve until the stack unwinds; returns ``host:port``."""
        handler = type("Handler", (_Handler,), {"groups": self})
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        stack.callback(server.shutdown)
        return f"127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    groups: Groups

    def do_POST(self) -> None:
        """Take a message as WeCom does: HTTP 200, and a code in the body."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        robot = parse_qs(urlsplit(self.path).query)["key"][0]
        answer = json.dumps({"errcode": self.groups.take(robot, body["text"]["content"])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Counted(NamedTuple):
    """What became of the messages that the core decided on.

    ``lost`` are those that nobody was or will be told, ``waiting`` those that the outbox had not sent at the end,
    ``sent`` those that it had; ``lanes`` counts those of which somebody was or will be told.
    """

    alone: int
    in_digests: int
    lost: int
    digests: int
    waiting: int
    sent: int
    lanes: int


def configure(directory: Path, broker_port: int, host: str, alerts: int) -> tuple[Path, int]:
    """Write the configuration of a street with so many lanes; returns its path and the daemon's HTTP port."""
    http = free_port()
    robots = [
        {"type": "wecom-robot", "name": name, "key_file": f"{name}.key", "url": f"http://{host}/send", "allow": [host]}
        for name in ROBOTS
    ]
    people = [("cadre", f"G{n}", f"grid-{n}") for n in GRIDS] + [("police", "S", "police")]
    steps = [{"tell": ["cadre"], "at_least": "yellow"}, {"tell": ["police"], "at_least": "red"}]
    rule = {
        "id": "crowd", "name": {"zh": "人群聚集"}, "stream": "crowd", "by": "lane", "value": "last(count)",
        "levels": {word: {"at_least": count} for word, count in COUNTS.items()}, "clear": {"for": "1h"},
        "dispatch": "crowd",
    }  # fmt: skip
    files: dict[str, object] = {
        "places": {
            "street": {"id": "S", "name": "街道"},
            "blocks": [{"id": "B", "name": "街区"}],
            "grids": [{"id": f"G{n}", "name": f"居民区{n}", "block": "B"} for n in GRIDS],
            "micro_grids": [{"id": f"M{n}", "name": f"微网格{n}", "grid": f"G{n}"} for n in GRIDS],
            "compounds": [
                {"id": f"C{n}", "name": f"小区{n}", "grid": f"G{n}", "micro_grids": [f"M{n}"]} for n in GRIDS
            ],
            "gates": [{"id": f"N{n}", "name": "北门", "compound": f"C{n}", "micro_grid": f"M{n}"} for n in GRIDS],
            "lanes": [_lane(n) for n in range(alerts)],
            "devices": [
                {"id": f"crowd-{n}", "stream": "crowd", "place": f"L{n}", "period": "1h"} for n in range(alerts)
            ],
        },
        "roster": {
            "people": [
                {"id": f"{channel}-01", "role": role, "serves": place, "contacts": [{"channel": channel}]}
                for role, place, channel in people
            ]
        },
        "dispatch": {
            "roles": {role: {"name": {"zh": role}} for role in ("cadre", "police")},
            "policies": {"crowd": {"name": {"zh": "人群聚集"}, "steps": steps}},
            "damping": {"storm_at": 600},
        },
        "rules": {"rules": [rule]},
        "sensord": {
            "site": "bench",
            "state_dir": str(directory / "state"),
            "files": {"rules": "rules.yaml"},
            "mqtt": TOPICS | {"port": broker_port},
            "http": {"port": http},
            "channels": robots,
        },
    }  # fmt: skip
    for name, content in files.items():
        (directory / f"{name}.yaml").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    for name in ROBOTS:
        (directory / f"{name}.key").write_text(name, encoding="utf-8")
        (directory / f"{name}.key").chmod(0o600)
    return directory / "sensord.yaml", http


def _lane(number: int) -> dict[str, object]:
    grid = _grid(number)
    return {
        "id": f"L{number}",
        "name": f"第{number}弄",
        "compound": f"C{grid}",
        "micro_grid": f"M{grid}",
        "area_m2": 50,
    }


def _grid(lane: int) -> int:
    return GRIDS[lane % len(GRIDS)]


def publish(port: int, alerts: int, seconds: float, seed: int) -> tuple[str, int]:
    """Publish one reading of each lane; returns the first red lane's name, and when it was published (ns).

    ``seed`` draws levels.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id="sensors", protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    dice, began, red = random.Random(seed), time.perf_counter(), ("", 0)
    reds = {alerts // 2, *(number for number in range(alerts // 10, alerts) if dice.random() < 0.01)}
    for lane in range(alerts):
        time.sleep(max(0.0, began + lane * seconds / alerts - time.perf_counter()))
        if lane in reds and not red[1]:
            red = (f"第{lane}弄", time.time_ns())
        count = COUNTS["red" if lane in reds else dice.choice(("yellow", "orange"))]
        sent = client.publish(f"t/C{_grid(lane)}/crowd/crowd-{lane}", json.dumps({"count": count}), qos=1)
    sent.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
    return red


def judge(state: Path) -> Counted:
    """Count what the core decided on, by the outbox and by a replay that goes on for twenty minutes after the end."""
    site = Site(None, load_keys(state / "plate.keys").secrets)
    wanted, digests, told = set[str](), set[str](), set[str]()
    notifications: list[Notification] = []
    at = 0
    for group in journal_groups(DirectoryReader(state / "journal")):
        at = group.received_at
        step = site.step(group)
        notifications += step.notifications
        wanted |= {hold.key for hold in step.holds if hold.key}
    for minute in range(1, 21):
        notifications += site.step(Group(0, (Record(RecordKind.TICK, at + minute * MINUTE),))).notifications
    wanted |= {one.key for one in notifications if one.reason is not Reason.DIGEST}
    store = StateStore(state)
    try:
        totals = store.outbox.totals()
    finally:
        store.close()
    for one in notifications:
        told |= set(one.covers) if one.reason is Reason.DIGEST else {one.key}
        digests |= {one.key} if one.reason is Reason.DIGEST else set()
    covered = {key for one in notifications for key in one.covers}
    return Counted(
        alone=len(told - covered),
        in_digests=len(covered),
        lost=len(wanted - told) + totals["failed"],
        digests=len(digests),
        waiting=totals["pending"],
        sent=totals["sent"],
        lanes=len({key.partition("-")[0] for key in told}),  # a case is called after its place
    )


def storm(
    directory: Path, alerts: int, seconds: float, patience: float, seed: int = 4
) -> tuple[Groups, float, float, Counted]:
    """Run it; returns the groups, the seconds from the first red reading to its message, CPU-s of the daemon, counts.

    ``patience`` (s): how long to look on after the last reading.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(directory, "mosquitto"))
        groups = Groups()
        config, http = configure(directory, broker.port, groups.serve(stack), alerts)
        command = [sys.executable, "-m", "sensord", "run", "--config", str(config)]
        child = stack.enter_context(Child.running("sensord", command, directory / "sensord.log"))
        await_ready(child, f"http://127.0.0.1:{http}")
        before = cpu_seconds(child.pid)
        words, red_at = publish(broker.port, alerts, seconds, seed)
        ended = time.monotonic()
        while (arrived := groups.first(words)) is None and time.monotonic() < ended + 20.0:
            time.sleep(0.02)
        if arrived is None:
            raise SystemExit(f"the first red alert ({words}) did not arrive\n{child.tail()}")
        time.sleep(max(0.0, ended + patience - time.monotonic()))
        spent = cpu_seconds(child.pid) - before
    return groups, (arrived - red_at) / SECOND, spent, judge(directory / "state")


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor (user and system, s; Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(describe(__doc__), end="")
    with tempfile.TemporaryDirectory(prefix="sensord-bench-") as made:
        rooms, latency, cpu, counted = storm(Path(made), alerts=5000, seconds=60.0, patience=150.0)
    print(f"the daemon took {cpu:.1f} CPU-s; the service takes {TAKES} messages of a robot a minute")
    print(f"refused by the service: {rooms.refused}")
    print(
        f"decided: {counted.alone + counted.in_digests + counted.lost} messages; {counted.alone} by themselves, "
        f"{counted.in_digests} in {counted.digests} digests, {counted.lost} lost; {counted.waiting} not sent yet"
    )
    targets = Targets()
    targets.at_most("first red alert, after its reading", latency, FIRST_RED, "s")
    targets.at_most("busiest robot, messages in a minute", rooms.busiest(), PLAN)
    targets.at_most("messages lost", counted.lost, 0)
    targets.end()

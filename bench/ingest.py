"""The ingest stage against a bare paho subscriber, through one mosquitto, in one run.

Reference: paho-mqtt with MQTT 5 and QoS 1 that acknowledges by itself and does nothing with a message but
count it. Ours: receiver, queue and committer with the real journal (``synchronous=FULL``), default settings;
a message counts when it is durable and its acknowledgement is on its way.

Method: both hold a persistent session; a separate process with several paho publishers fills both queues, and
ends; then each drains its own, in a process of its own, while nothing else runs but the broker. So neither
the publishers nor the other subscriber take part in what is measured. Rates count from the first message to
the last; CPU is the process's own, user and system, over the same stretch. Medians over the rounds; the order
alternates.

Run: ``python bench/ingest.py [--messages 50000] [--rounds 3]``. Needs mosquitto on the PATH; uses loopback
only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import paho.mqtt  # noqa: E402
from paho.mqtt.client import Client  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: E402
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402

from bench.machine import describe  # noqa: E402
from sensord.config.settings import Mqtt  # noqa: E402
from sensord.ingest.committer import Committer, Pace  # noqa: E402
from sensord.ingest.queue import Arrival, ArrivalQueue  # noqa: E402
from sensord.ingest.receiver import MqttReceiver  # noqa: E402
from sensord.ingest.topics import sessions  # noqa: E402
from sensord.store.journal import Journal  # noqa: E402
from sensord.telemetry.health import Health  # noqa: E402
from sensord.telemetry.metrics import PrometheusMeter  # noqa: E402

PUBLISHERS = 4
PAYLOAD = json.dumps({"seq": 123456, "at": "2026-05-01T08:30:00.000+08:00", "count": 17, "enter": 3, "exit": 1}).ljust(
    150
)
PATIENCE = 120.0
TARGET = 0.5


class Lap:
    """Time and CPU from the first message to the last of so many."""

    def __init__(self, messages: int) -> None:
        """Expect so many messages."""
        self.messages = messages
        self.seen = 0
        self.groups = 0
        self.began = self.cpu = 0.0
        self.done = threading.Event()

    def start(self) -> None:
        """Start the clock, the first time."""
        if self.began == 0.0:
            self.began, self.cpu = time.perf_counter(), time.process_time()

    def add(self, number: int) -> None:
        """Count so many more."""
        self.start()
        self.groups += 1
        self.seen += number
        if self.seen >= self.messages and not self.done.is_set():
            self.seconds, self.cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
            self.done.set()

    def report(self) -> None:
        """Wait for the last message and print the result as a line of JSON."""
        if not self.done.wait(PATIENCE):
            sys.exit(f"only {self.seen} of {self.messages} messages arrived within {PATIENCE:g} s")
        print(json.dumps({"seconds": self.seconds, "cpu": self.cpu, "groups": self.groups}))


def paho_client(name: str) -> Client:
    """Return an MQTT 5 client."""
    return Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)


def publish(port: int, messages: int) -> None:
    """Publish so many messages at QoS 1 from several clients, and wait for every acknowledgement."""
    clients = [paho_client(f"publisher-{number}") for number in range(PUBLISHERS)]
    for client in clients:
        client.max_inflight_messages_set(200)
        client.connect("127.0.0.1", port)
        client.loop_start()
    sent = [
        clients[number % PUBLISHERS].publish(f"linfen/c{number % 38}/crowd/d{number % 500}", PAYLOAD, qos=1)
        for number in range(messages)
    ]
    for message in sent:
        message.wait_for_publish(PATIENCE)
    for client in clients:
        client.disconnect()
        client.loop_stop()


def reference(port: int, messages: int) -> None:
    """Drain with a bare paho client; without messages only leave a session behind."""
    client, lap, subscribed = paho_client("reference"), Lap(messages), threading.Event()
    client.on_message = lambda *_: lap.add(1)
    client.on_subscribe = lambda *_: subscribed.set()
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    client.subscribe("linfen/+/crowd/+", qos=1)
    client.loop_start()
    subscribed.wait(PATIENCE)
    if messages:
        lap.report()
    client.disconnect()
    client.loop_stop()


def ours(port: int, messages: int) -> None:
    """Drain with the ingest stage; without messages only leave a session behind."""
    lap = Lap(messages)
    queue = ArrivalQueue(Mqtt().queue_mib << 20)
    with tempfile.TemporaryDirectory(prefix="sensord-bench-") as directory:
        journal = Journal(Path(directory))

        meter, health = PrometheusMeter(), Health()
        for worker in ("receiver", "committer"):
            health.register(worker, PATIENCE)

        def clock() -> int:
            lap.start()
            return time.time_ns()

        def acknowledge(arrivals: Sequence[Arrival]) -> None:
            receiver.acknowledge(arrivals)
            lap.add(len(arrivals))

        settings = Mqtt(port=port)
        session = sessions(settings.readings, settings.commands, settings.client_id)[0]
        receiver = MqttReceiver(settings, session, queue, meter, health, clock=clock)
        committer = Committer(queue, journal, acknowledge, meter, health, pace=Pace(tick=60.0))
        committer.start()
        receiver.start()
        wait_until(lambda: receiver.connected)
        if messages:
            lap.report()
        committer.stop()
        receiver.stop()
        journal.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll; exits when the condition does not come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("gave up waiting")
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def broker() -> Iterator[int]:
    """Run mosquitto without limits of its own on a free port."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        sys.exit("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="sensord-bench-") as directory:
        file = Path(directory) / "mosquitto.conf"
        file.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n"
            "sys_interval 0\n"
            "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        )
        process = subprocess.Popen([program, "-c", str(file)])
        try:
            wait_until(lambda: answers(port))
            yield port
        finally:
            process.terminate()
            process.wait()


def run(role: str, port: int, messages: int) -> dict[str, float]:
    """Run one part in a process of its own."""
    command = [sys.executable, __file__, "--role", role, "--port", str(port), "--messages", str(messages)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=3 * PATIENCE).stdout
    results = [json.loads(line) for line in output.splitlines() if line.startswith(b'{"seconds"')]
    return dict(results[-1]) if results else {}


def compare(messages: int, rounds: int) -> None:
    """Print the machine, the method, the results and the ratio."""
    print(describe((__doc__ or "").partition("Run:")[0]), end="")
    print(f"paho-mqtt {paho.mqtt.__version__}; {messages} messages of {len(PAYLOAD)} bytes, {rounds} rounds")
    print(f"journal in {tempfile.gettempdir()}")
    results: dict[str, list[dict[str, float]]] = {"reference": [], "ours": []}
    with broker() as port:
        for role in results:
            run(role, port, 0)
        for number in range(rounds):
            run("publish", port, messages)
            for role in sorted(results, reverse=bool(number % 2)):
                results[role].append(run(role, port, messages))
    rates = {}
    for role, laps in results.items():
        rates[role] = statistics.median(messages / lap["seconds"] for lap in laps)
        cpu = statistics.median(lap["cpu"] / messages for lap in laps)
        each = ", ".join(f"{messages / lap['seconds']:,.0f}" for lap in laps)
        print(f"{role:>9}: {rates[role]:>8,.0f} messages/s, {cpu * 1e6:.1f} us CPU per message (rounds: {each})")
    groups = statistics.median(lap["groups"] for lap in results["ours"])
    ratio = rates["ours"] / rates["reference"]
    print(f"   groups: {messages / groups:,.0f} messages per commit")
    print(f"    ratio: {ratio:.2f} (ours / reference; target: at least {TARGET})")


def main() -> None:
    """Read the arguments; roles other than ``compare`` are its child processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--role", choices=("compare", "publish", "reference", "ours"), default="compare")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.role == "compare":
        compare(arguments.messages, arguments.rounds)
    else:
        {"publish": publish, "reference": reference, "ours": ours}[arguments.role](arguments.port, arguments.messages)


if __name__ == "__main__":
    main()

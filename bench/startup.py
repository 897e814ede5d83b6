"""How quickly the daemon is there, and how much memory it takes, on a street of 5,000 sensors.

Method: a generated street with 5,000 registered sensors, the shipped rules, a real mosquitto, the embedded roll-ups.
The daemon is started as systemd would start it, with its modules compiled, as pip leaves them (the very first start
compiles them); measured are the time until it says READY=1 (state recovered, threads at work), the time until
``/readyz`` answers 200 (connected to the broker, HTTP up), and its resident memory after twenty seconds of ticks.
Twice: on an empty state directory, and again on what the first run has left. Best of three. Then once more, with
100,000 readings that wait at the broker, which were published (QoS 1, a thousand sensors) while the daemon was down:
the time until READY=1, and until all of them are accepted.

Reference, measured in the same run: an interpreter that only imports the libraries which the daemon uses.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import paho.mqtt.client as paho  # noqa: E402
import yaml  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

from bench.machine import describe  # noqa: E402
from bench.targets import Targets  # noqa: E402
from sensord.config.generate import Numbers, generate_roster, generate_street  # noqa: E402
from sensord.config.load import load  # noqa: E402
from sensord.core.place import PlaceKind, Places  # noqa: E402
from sensord.core.stream import Stream  # noqa: E402
from simulators.broker import free_port, running_broker  # noqa: E402
from simulators.children import Child  # noqa: E402

SENSORS, ROUNDS, SETTLE, LONGEST = 5000, 3, 20.0, 180.0
TARGET_SECONDS, TARGET_MIB = 1.0, 150.0
WAITING, SPEAKING = 100_000, 1000
TARGET_WAITING = 3.0
"""The most that a start may take while so many readings wait, of so many sensors (s)."""
LIBRARIES = (
    "numpy, paho.mqtt.client, aiomqtt, httpx, msgspec, structlog, yaml, prometheus_client, fastapi, uvicorn, sqlite3"
)


def configure(directory: Path, broker_port: int) -> tuple[Path, int]:
    """Write the configuration of a street with so many sensors; returns its path and the HTTP port."""
    numbers = Numbers(lanes=1, crowd=1)
    cameras = generate_street(numbers=numbers).count("stream: plate")
    numbers = Numbers(lanes=(SENSORS - cameras) // numbers.micro_grids + 1)
    (directory / "places.yaml").write_text(generate_street(numbers=numbers), encoding="utf-8")
    (directory / "roster.yaml").write_text(generate_roster(numbers=numbers), encoding="utf-8")
    shutil.copy(ROOT / "config" / "dispatch.yaml", directory)
    http = free_port()
    settings = {
        "site": "bench",
        "state_dir": str(directory / "state"),
        "files": {"rules": str(ROOT / "rules")},
        "mqtt": {"port": broker_port},
        "http": {"port": http},
        "sinks": [{"type": "rollups"}],
        "channels": [
            {"type": "webhook", "name": "people", "url": "http://127.0.0.1:9/notify", "allow": ["127.0.0.1:9"]},
            {"type": "mqtt", "name": "grid-mqtt"},
        ],
    }
    path = directory / "sensord.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path, http


@contextmanager
def notify_socket(directory: Path) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(directory / "notify"))
        listener.settimeout(60)
        try:
            yield listener
        finally:
            (directory / "notify").unlink()


def publish(config: Path, port: int) -> None:
    """Publish readings that nobody takes yet, each sensor's numbered."""
    whole = load(config).definition
    places = Places(whole.places, whole.devices)
    sensors = [device for device in whole.devices if device.stream is Stream.CROWD][:SPEAKING]
    topics = [
        whole.topics.format(compound=places.above(one.place, PlaceKind.COMPOUND), kind=one.stream.word, device=one.id)
        for one in sensors
    ]
    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-sensors", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for number in range(WAITING):
        seq, which = divmod(number, len(topics))
        told = client.publish(topics[which], f'{{"count": {seq % 9}, "boot": 1, "seq": {seq}}}', 1)
        if number % 10_000 == 9_999:  # no more are in flight than there are numbers for
            told.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


@contextmanager
def started(directory: Path, config: Path) -> Iterator[tuple[Child, float, float]]:
    """The daemon, until it has said READY=1: with when it was started, and the seconds until then."""
    command = [sys.executable, "-m", "sensord", "run", "--config", str(config)]
    # Compiled modules are kept, whatever the machine's settings.
    environment = {"NOTIFY_SOCKET": str(directory / "notify"), "PYTHONDONTWRITEBYTECODE": ""}
    with notify_socket(directory) as listener:
        began = time.perf_counter()
        with Child.running("sensord", command, directory / "sensord.log", environment) as child:
            while b"READY=1" not in listener.recv(4096):
                pass
            yield child, began, time.perf_counter() - began


def start_behind(directory: Path, config: Path, http: int) -> tuple[float, float]:
    """Start the daemon while readings wait; returns seconds to READY=1, and until all are accepted."""
    with started(directory, config) as (child, began, ready):
        while accepted(http) < WAITING:
            child.check()
            if time.perf_counter() - began > LONGEST:
                raise SystemExit(f"only {accepted(http):,.0f} readings were accepted within {LONGEST:g} s")
            time.sleep(0.05)
        return ready, time.perf_counter() - began


def accepted(http: int) -> float:
    """The readings that the daemon says it has accepted."""
    try:
        text = httpx.get(f"http://127.0.0.1:{http}/metrics", timeout=5, trust_env=False).text
    except httpx.HTTPError:
        return 0.0
    lines = (line for line in text.splitlines() if line.startswith("sensord_readings_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'outcome="accepted"' in line and "crowd" in line)


def start_once(directory: Path, config: Path, http: int, settle: float) -> tuple[float, float, float]:
    """Start the daemon and end it; returns seconds to READY=1, seconds to a good ``/readyz``, and MiB."""
    with started(directory, config) as (child, began, ready):
        while not answers(http):
            child.check()
            time.sleep(0.005)
        answering = time.perf_counter() - began
        time.sleep(settle)
        return ready, answering, resident(child.pid)


def answers(http: int) -> bool:
    """Whether the daemon says that it is ready."""
    try:
        return httpx.get(f"http://127.0.0.1:{http}/readyz", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def resident(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout) / 1024


def reference() -> tuple[float, float]:
    """Import the libraries in a fresh interpreter; returns seconds and MiB."""
    program = f"import {LIBRARIES}\nprint('here', flush=True)\nimport sys\nsys.stdin.read()"
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - began
        memory = resident(process.pid)
        process.communicate()
    return seconds, memory


def main() -> None:
    """Measure and print."""
    print(describe(__doc__), end="")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensord-bench-")))
        broker = stack.enter_context(running_broker(directory, "mosquitto"))
        config, http = configure(directory, broker.port)
        sensors = (directory / "places.yaml").read_text(encoding="utf-8").count("stream: ")
        first, again, bare = [], [], []
        for _ in range(ROUNDS):
            shutil.rmtree(directory / "state", ignore_errors=True)
            first.append(start_once(directory, config, http, SETTLE))
            again.append(start_once(directory, config, http, 0.0))
            bare.append(reference())
        publish(config, broker.port)
        behind, taken = start_behind(directory, config, http)
    print(f"{sensors} sensors, {os.cpu_count()} cores")
    for kind, laps in (("first start", first), ("restart", again)):
        ready, answering, memory = (min(lap[column] for lap in laps) for column in range(3))
        print(f"{kind:>12}: READY=1 after {ready:.2f} s, /readyz after {answering:.2f} s, {memory:.0f} MiB resident")
    seconds, memory = (min(lap[column] for lap in bare) for column in range(2))
    print(f"{'reference':>12}: libraries imported after {seconds:.2f} s, {memory:.0f} MiB resident")
    quickest, least = min(lap[0] for lap in first), min(lap[2] for lap in first)
    print(f"{'ratio':>12}: {quickest / seconds:.1f} in time, {least / memory:.1f} in memory")
    print(
        f"{WAITING:,} readings waiting: READY=1 after {behind:.2f} s, {behind / seconds:.1f} times the reference;"
        f" all of them accepted after {taken:.1f} s"
    )
    targets = Targets()
    targets.at_most("READY=1 of a first start", quickest, TARGET_SECONDS, "s")
    targets.at_most("READY=1 of a restart", min(lap[0] for lap in again), TARGET_SECONDS, "s")
    targets.at_most("resident memory", least, TARGET_MIB, "MiB")
    targets.at_most(f"READY=1 while {WAITING:,} readings wait", behind, TARGET_WAITING, "s")
    targets.end()


if __name__ == "__main__":
    main()

"""Sets the stage of the demonstration: a configuration, a broker, the receiver and the daemon, all for its time only.

The configuration is the repository's own (places, roster, dispatch plan) with the demonstration's rules and its haste:
seconds of calm are enough to close a case. Its grids have screens, so the cadres have a contact more. Connections
differ, too: the broker's port, the local receiver as channel ``people``, a state folder that is thrown away.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import yaml

from sensord.config.connection import load_settings
from sensord.config.load import Loaded, load, read_secret
from sensord.config.settings import TOKEN_FILE, Files, Http, Logging, Mqtt, MqttChannel, Rollups, Settings, Webhook
from sensord.errors import UnavailableError
from simulators.broker import Broker, free_port, running_broker
from simulators.children import Child
from simulators.receiver import Receiver, running_receiver
from simulators.screens import running_screens

SHIPPED = Path(__file__).resolve().parents[1] / "config"
_CALM = "5s"
_SCREENS = "grid-mqtt"
_READY = 60.0
"""Seconds that the daemon has until it is ready."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs. ``url`` is the daemon's."""

    loaded: Loaded
    broker: Broker
    receiver: Receiver
    daemon: Child
    url: str

    def check(self) -> None:
        """Raise ``UnavailableError`` when a child has ended."""
        self.broker.child.check()
        self.daemon.check()

    def token(self) -> str:
        """The token that the daemon made for programs of this machine."""
        return read_secret(self.loaded.resolve(self.loaded.settings.state_dir) / TOKEN_FILE)


@contextlib.contextmanager
def set_stage(directory: Path, language: str, kind: str | None = None, shipped: Path = SHIPPED) -> Iterator[Stage]:
    """Start everything in ``directory`` and end it with the context, in the opposite order; ``kind`` of broker.

    Raises ``UnavailableError`` when a part does not start, ``ConfigError`` when the shipped configuration is wrong.
    """
    if not (shipped / "sensord.yaml").is_file():
        raise UnavailableError(f"there is no configuration in {shipped}: run the demonstration from the source tree")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(running_broker(directory, kind))
        receiver = stack.enter_context(running_receiver())
        config = write_config(directory, shipped, broker, receiver, language)
        loaded = load(config)
        stack.enter_context(running_screens(loaded.settings.mqtt))
        command = [sys.executable, "-m", "sensord", "run", "--config", str(config)]
        environment = {"SENSORD_LANGUAGE": language, "PYTHONUNBUFFERED": "1"}
        daemon = stack.enter_context(Child.running("sensord", command, directory / "sensord.log", environment))
        url = f"http://127.0.0.1:{loaded.settings.http.port}"
        await_ready(daemon, url)
        yield Stage(loaded, broker, receiver, daemon, url)


def write_config(directory: Path, shipped: Path, broker: Broker, receiver: Receiver, language: str) -> Path:
    """Write ``sensord.yaml`` into ``directory`` and return its path."""
    settings = load_settings(shipped / "sensord.yaml")
    chosen = msgspec.structs.replace(
        settings,
        language=language,
        state_dir=str(directory / "state"),
        files=Files(
            places=str(shipped / "places.yaml"),
            roster=str(_with_screens(directory, shipped / "roster.yaml")),
            dispatch=str(_hasty(directory, shipped / "dispatch.yaml")),
            rules=str(shipped / "demo" / "rules"),
        ),
        mqtt=_mqtt(settings, broker),
        http=Http(host="127.0.0.1", port=free_port()),
        sinks=(Rollups(),),
        channels=(
            Webhook(name="people", url=receiver.url, allow=(f"{receiver.host}:{receiver.port}",)),
            MqttChannel(name=_SCREENS),
        ),
        log=Logging(format="json", level="info"),
    )
    path = directory / "sensord.yaml"
    path.write_text(yaml.safe_dump(msgspec.to_builtins(chosen), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _with_screens(directory: Path, shipped: Path) -> Path:
    """Write the roster with the screen of the grid as one more contact of each cadre."""
    path = directory / "roster.yaml"
    lines = shipped.read_text(encoding="utf-8").splitlines(keepends=True)
    cadres = (
        re.sub(r"\]\}$", f", {{channel: {_SCREENS}}}]}}", one) if ", role: cadre," in one else one for one in lines
    )
    path.write_text("".join(cadres), encoding="utf-8")
    return path


def _hasty(directory: Path, shipped: Path) -> Path:
    """Write the dispatch plan with ``_CALM`` in place of the minutes that the sensors must stay calm."""
    path = directory / "dispatch.yaml"
    text = shipped.read_text(encoding="utf-8")
    path.write_text(re.sub(r"agree_for: \S+", f"agree_for: {_CALM}", text), encoding="utf-8")
    return path


def _mqtt(settings: Settings, broker: Broker) -> Mqtt:
    """Keep the topics; everything else is about another broker."""
    topics = {name: getattr(settings.mqtt, name) for name in ("readings", "commands", "alerts", "results")}
    return Mqtt(host=broker.host, port=broker.port, client_id="sensord-demo", session_expiry="1h", **topics)


def await_ready(daemon: Child, url: str, patience: float = _READY) -> None:
    """Wait until the daemon says that all is well; raises ``UnavailableError`` when it ends or takes too long."""
    deadline = time.monotonic() + patience
    said = "nothing"
    with httpx.Client(base_url=url, timeout=3.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            daemon.check()
            try:
                answer = client.get("/readyz")
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.is_success:
                return
            said = answer.text
            time.sleep(0.1)
    raise UnavailableError(f"the daemon is not ready after {patience:g} s, it said: {said}\n{daemon.tail()}")

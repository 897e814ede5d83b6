"""The real daemon as a process, on a street of a test's own, with a real broker and a real HTTP receiver around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import yaml

from sensord.config.platekeys import load_keys
from sensord.core.site import Site
from tests.support import http, wait_until
from tests.support.launching import ROOT, Forked, run

_PLACES = """
street: {id: street, name: 街道}
blocks: [{id: B1, name: 街区一}]
grids: [{id: G1, name: 居民区一, block: B1}, {id: G2, name: 居民区二, block: B1}]
micro_grids: [{id: G1-1, name: 微网格一, grid: G1}, {id: G2-1, name: 微网格二, grid: G2}]
compounds:
  - {id: C1, name: 小区一, grid: G1, micro_grids: [G1-1]}
  - {id: C2, name: 小区二, grid: G2, micro_grids: [G2-1]}
gates: [{id: C1-N, name: 北门, compound: C1, micro_grid: G1-1}]
"""
_LANE = "  - {{id: L{0}, name: {0}弄, compound: C{1}, micro_grid: G{1}-1, area_m2: 50}}\n"
_SENSOR = "  - {{id: crowd-{0}, stream: crowd, place: L{0}, period: 1h}}\n"
_CAMERA = "  - {id: camera-1, stream: plate, place: C1-N, period: 1h}\n"


def places(lanes: int = 2) -> str:
    """A street with so many lanes, each with a sensor of its crowd: odd ones in compound C1, even ones in C2."""
    lines = [form.format(lane, compound(lane)) for form in (_LANE, _SENSOR) for lane in range(1, lanes + 1)]
    return "".join([_PLACES, "lanes:\n", *lines[:lanes], "devices:\n", *lines[lanes:], _CAMERA])


def compound(lane: int) -> int:
    """The number of a lane's compound."""
    return 2 - lane % 2


ROSTER = """
people:
  - {id: 志愿者-1, role: volunteer, serves: G1-1, contacts: [{channel: people, address: volunteer-1}]}
  - {id: 志愿者-2, role: volunteer, serves: G2-1, contacts: [{channel: people, address: volunteer-2}]}
  - {id: 居委干部-1, role: cadre, serves: G1, contacts: [{channel: people, address: cadre-1}, {channel: grid}]}
  - {id: 居委干部-2, role: cadre, serves: G2, contacts: [{channel: people, address: cadre-2}, {channel: grid}]}
  - {id: 派出所-1, role: police, serves: street, contacts: [{channel: people, address: police-1}]}
"""
DISPATCH = """
roles:
  volunteer: {name: {zh: 志愿者}, ask: {zh: 请协助疏散。}}
  cadre: {name: {zh: 居委干部}, ask: {zh: 请到场处置。}}
  police: {name: {zh: 派出所}, ask: {zh: 请派员处置。}}
policies:
  crowd:
    name: {zh: 人群聚集}
    steps:
      - {tell: [volunteer, cadre], at_least: yellow}
      - {tell: [police], at_least: orange}
"""
RULES = """
rules:
  - id: crowding
    name: {zh: 人群聚集}
    stream: crowd
    by: lane
    value: mean(density)
    window: 4s
    every: 1s
    levels:
      yellow: {above: 1}
      orange: {above: 2, for: 1s}
    clear: {margin: 10%, for: 2s}
    dispatch: crowd
"""


class Daemon:
    """``sensord run`` in ``directory``; ``settings`` are merged into its ``sensord.yaml``.

    It and its commands are forked from a process that has imported the program; with ``fresh`` each is an interpreter
    of its own, as systemd and people start it: for tests of just that. So is one that is given an environment.
    """

    fresh = False

    def __init__(self, directory: Path, broker_port: int, people_url: str, *, lanes: int = 2, **settings: Any) -> None:
        self.directory, self.state = directory, directory / "state"
        self.config = directory / "sensord.yaml"
        texts = {"places": places(lanes), "roster": ROSTER, "dispatch": DISPATCH, "rules/crowd": RULES}
        for name, text in texts.items():
            path = directory / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        host = people_url.removeprefix("http://").partition("/")[0]
        whole: dict[str, Any] = {
            "site": "test",
            "state_dir": str(self.state),
            "files": {"rules": "rules"},
            "mqtt": {
                "port": broker_port,
                "readings": "t/{compound}/{kind}/{device}",
                "commands": "t/commands/by/{user}/{case}",
                "alerts": "t/alerts/{grid}",
                "results": "t/results/{case}",
            },
            "http": {"port": 0},
            "channels": [
                {"type": "webhook", "name": "people", "url": people_url, "allow": [host]},
                {"type": "mqtt", "name": "grid"},
            ],
        }
        settings["mqtt"] = {**whole["mqtt"], **settings.get("mqtt", {})}
        self.config.write_text(
            yaml.safe_dump({**whole, **settings}, allow_unicode=True, sort_keys=False), encoding="utf-8"
        )
        self.log = directory / "daemon.log"
        self._process: subprocess.Popen[bytes] | Forked | None = None

    def set(self, **settings: Any) -> None:
        """Change settings in the file; they hold from the next start on."""
        whole = yaml.safe_load(self.config.read_text(encoding="utf-8")) | settings
        self.config.write_text(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def start(self, environment: Mapping[str, str] | None = None, ready: str = "/readyz") -> Daemon:
        """Run it until it says that it is ready, with more in its environment; ``ready`` is the address to ask."""
        return self.begin(environment).await_ready(ready)

    def begin(self, environment: Mapping[str, str] | None = None) -> Daemon:
        """Run it, and wait for nothing."""
        (self.state / "http.port").unlink(missing_ok=True)
        whole = {**os.environ, **(environment or {})}
        command = ["run", "--config", str(self.config)]
        if not self.fresh and not environment:
            self._process = Forked(command, self.log, self.log, whole)
            return self
        with self.log.open("ab") as log:
            line = [sys.executable, "-m", "sensord", *command]
            self._process = subprocess.Popen(line, stdout=log, stderr=log, cwd=ROOT, env=whole)
        return self

    def await_ready(self, ready: str = "/readyz") -> Daemon:
        """Wait until it says that it is ready; ``ready`` is the address to ask."""
        wait_until(lambda: self._answers(ready), 30, lambda: f"the daemon is ready; {self.standing()}")
        return self

    def starting(self) -> bool:
        """Whether it has read its configuration and taken its state directory; it may be further than that."""
        assert self._process is not None
        try:
            return (self.state / "lock").read_text(encoding="ascii").strip() == str(self._process.pid)
        except OSError:
            return False

    def _answers(self, path: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.tail()
        try:
            return self.get(path).status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:] if self.log.exists() else ""

    def standing(self) -> str:
        """What its HTTP server says of it, or why there is no answer, and the end of its log."""
        try:
            said = self.get("/readyz").text
        except (OSError, ValueError, httpx.HTTPError) as reason:
            said = repr(reason)
        return f"/readyz: {said}; its log: {self.tail()}"

    def get(self, path: str) -> httpx.Response:
        """Ask its HTTP server; raises ``OSError`` or ``httpx.HTTPError`` while there is none."""
        return http.get(self.url + path, headers=self.authorized())

    def fact(self, name: str) -> bool | None:
        """How a fact of ``/readyz`` stands; None while there is no answer, or nothing is said of it."""
        try:
            found: bool = self.get("/readyz").json()["facts"][name]["ok"]
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            return None
        return found

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; the name may go on with the first of them."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"sensord_{name}"))

    @property
    def url(self) -> str:
        """Where its HTTP server listens; raises ``OSError`` while there is none."""
        return f"http://127.0.0.1:{int((self.state / 'http.port').read_text())}"

    def authorized(self) -> dict[str, str]:
        """The header with this machine's own token."""
        return {"Authorization": f"Bearer {(self.state / 'api.token').read_text(encoding='ascii').strip()}"}

    def site(self) -> Site:
        """An empty core that may replay its journal."""
        return Site(None, load_keys(self.state / "plate.keys").secrets)

    def overview(self) -> dict[str, Any]:
        """Its overview; one who asks too often is told to wait, and does."""
        while (answer := self.get("/api/v1/overview")).status_code == HTTPStatus.TOO_MANY_REQUESTS:
            time.sleep(float(answer.headers["Retry-After"]))
        found: dict[str, Any] = json.loads(answer.content)
        return found

    def caught_up(self) -> bool:
        """Whether everything journaled so far has been applied."""
        counts = self.overview()["counts"]
        return bool(counts["received"] == counts["applied"])

    def hang_up(self) -> None:
        """Ask it to reload (SIGHUP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def post(self, path: str) -> httpx.Response:
        """Ask its HTTP server to change something, with the token."""
        port = int((self.state / "http.port").read_text())
        token = (self.state / "api.token").read_text().strip()
        bearer = {"Authorization": f"Bearer {token}"}
        return http.post(f"http://127.0.0.1:{port}{path}", headers=bearer, timeout=30)

    def kill(self) -> None:
        """End it without a word (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(30)
        self._process = None
        return code

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of sensord on the same configuration."""
        command = [*arguments, "--config", str(self.config)]
        if not self.fresh:
            return run(command, os.environ)
        line = [sys.executable, "-m", "sensord", *command]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def crowd(lane: int, count: int, seq: int, at: int | None = None) -> tuple[str, bytes]:
    """A message of a lane's sensor; ``at`` is its own clock (epoch ms): without one it counts from its arrival."""
    body = {"count": count, "boot": 1, "seq": seq} | ({} if at is None else {"at": at})
    return f"t/C{compound(lane)}/crowd/crowd-{lane}", json.dumps(body).encode()

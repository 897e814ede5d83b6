"""Changing vehicles.yaml while the daemon runs: real broker, real files, real messages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sensord.config.platekeys import load_keys
from sensord.core.instant import parse_instant
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import ROSTER, Daemon
from tests.test_plates_stay import DISPATCH, notices

KEY, LATER, WATCHED = "皖K13579", "皖L24680", "苏E24680"
RULE = """
  - id: {name}
    name: {{zh: {title}}}
    stream: visit
    where: {{event: passed, {where}, direction: in}}
    by: gate
    value: count()
    each: vehicle
    levels: {{yellow: {{at_least: 1}}}}
    clear: {{for: 1s}}
    dispatch: vehicle
    message: {{zh: "{title}{{vehicle}}。"}}
"""
RULES = "rules:" + RULE.format(name="key-area", title="重点地区", where="class: key_area")
RULES += RULE.format(name="watched", title="布控", where="list: watch")
BEFORE = "key_areas: []\n"


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto, people: Receiver) -> Iterator[Daemon]:
    """A daemon that looks at its files ten times a second, and knows of no area and no vehicle to look out for."""
    files = {"rules": "rules", "vehicles": "vehicles.yaml"}
    made = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify", files=files, reload={"every": "100ms"})
    (made.directory / "rules" / "vehicles.yaml").write_text(RULES, encoding="utf-8")
    (made.directory / "dispatch.yaml").write_text(DISPATCH, encoding="utf-8")
    (made.directory / "roster.yaml").write_text(ROSTER.replace(", {channel: grid}", ""), encoding="utf-8")
    write(made, BEFORE)
    yield made.start()
    made.kill()


def write(daemon: Daemon, text: str) -> None:
    """Save the lists, and that who comes again after a second comes a second time."""
    text += "tracking: {merge: 1s, settle: 1s}\n"
    (daemon.directory / "vehicles.yaml").write_text(text, encoding="utf-8")


def pseudonym(daemon: Daemon, plate: str) -> str:
    """What the list calls a vehicle."""
    ring = load_keys(daemon.state / "plate.keys")
    return word(Pseudonymiser(ring.keys, 0, ring.secrets).identify(plate, ring.keys[0].since).token)


def days_from_now(days: int) -> str:
    """A local date."""
    return (datetime.now(ZoneInfo("Asia/Shanghai")) + timedelta(days=days)).date().isoformat()


class Street:
    """Vehicles come in, one after the other; what the police hear of each is known."""

    def __init__(self, daemon: Daemon, broker: Mosquitto, people: Receiver) -> None:
        self._daemon, self._broker, self._people = daemon, broker, people
        self._sent = 0

    def heard(self, plate: str) -> list[str]:
        """A vehicle comes in and leaves; return how what the police hear of it now begins."""
        wait_until(self._calm, 15, "what was said before is over, else it would not be said again")
        known = len(self._told())
        for way in ("in", "out"):
            self._sent += 1
            body = {"plate": plate, "direction": way, "confidence": 0.97, "boot": 1, "seq": self._sent}
            self._broker.publish("t/C1/plate/camera-1", json.dumps(body).encode())
        wait_until(lambda: self._taken() == self._sent, 15, "the readings are taken")
        taken = time.time_ns()
        wait_until(lambda: self._applied_until() > taken, 15, "the passages are applied, and the overview shows it")
        wait_until(self._all_sent, 15, "what is to be said is said")
        return [text.split()[0] for text in self._told()[known:] if plate in text]

    def _calm(self) -> bool:
        return all(case["place"] != "C1-N" for case in self._daemon.overview()["cases"])

    def _taken(self) -> int:
        return int(self._daemon.metric('readings_total{outcome="accepted",stream="plate"'))

    def _applied_until(self) -> int:
        """Journal time (ns) of the overview, which follows sparingly."""
        return parse_instant(self._daemon.overview()["at"])

    def _told(self) -> list[str]:
        return notices(self._people, "police-1")

    def _all_sent(self) -> bool:
        return not self._daemon.overview()["notifications"].get("pending")


def test_lists_of_vehicles_are_changed_while_it_runs(daemon: Daemon, broker: Mosquitto, people: Receiver) -> None:
    """A new area and a watched vehicle count from their first to their last day; a bad file changes nothing."""
    street = Street(daemon, broker, people)
    assert street.heard(KEY) == street.heard(WATCHED) == []

    lists = f"""
key_areas:
  - {{prefix: 皖K, since: {days_from_now(-1)}, until: {days_from_now(1)}}}
  - {{prefix: 皖L, since: {days_from_now(2)}}}
watch:
  - {{vehicle: "{pseudonym(daemon, WATCHED)}", reason: 协查, until: {days_from_now(0)}}}
"""
    write(daemon, lists)
    wait_until(lambda: daemon.metric('reloads_total{outcome="applied"') == 1, 15, "the lists are in force")
    assert street.heard(KEY) == ["重点地区车辆"]
    assert street.heard(WATCHED) == ["布控车辆"]
    assert street.heard(LATER) == [], "its first day has not come"

    write(daemon, lists.replace("prefix: 皖L", "prefix: 晥L"))
    wait_until(lambda: daemon.metric('reloads_total{outcome="refused"') == 1, 15, "the bad file is refused")
    assert daemon.fact("rules") is False
    wait_until(lambda: "【黄色预警】街道" in people.titles(), 15, "people hear that the lists are refused")
    problem = daemon.post("/api/v1/reload").json()["problems"][0]
    assert (Path(problem["file"]).name, problem["line"]) == ("vehicles.yaml", 4)
    assert street.heard(KEY) == ["重点地区车辆"], "the lists in force stay"

    write(daemon, lists.replace(f"until: {days_from_now(1)}", f"until: {days_from_now(-1)}").replace("皖L", "皖M"))
    wait_until(lambda: daemon.fact("rules"), 15, "the corrected file is in force")
    wait_until(lambda: "【已解除】街道" in people.titles(), 15, "people hear that it is put right")
    assert street.heard(KEY) == [], "its last day has passed"
    assert street.heard(WATCHED) == ["布控车辆"]

"""Reloading and explaining on a daemon that runs: real broker, real files, real signals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sensord.config.platekeys import load_keys
from sensord.core.site import Site
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from sensord.store.starts import Starts
from sensord.store.state import StateStore
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import RULES, Daemon, crowd

MORE = """
rules:
  - id: parking
    name: {zh: 停车}
    stream: level
    by: compound
    value: last(value)
    window: 1m
    levels: {yellow: {below: 5}}
    dispatch: crowd
  - id: silent
    name: {zh: 失联}
    absent: {periods: 900}
    by: device
    level: blue
    dispatch: crowd
"""


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto, people: Receiver) -> Iterator[Daemon]:
    """A daemon that looks at its files ten times a second."""
    started = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify", reload={"every": "100ms"}).start()
    yield started
    started.kill()


def decided(daemon: Daemon) -> tuple[bytes, bytes]:
    """What a replay of the journal decides, and what the daemon wrote down."""
    site = Site(secrets=load_keys(daemon.state / "plate.keys").secrets)
    groups = journal_groups(DirectoryReader(daemon.state / "journal"))
    again = b"".join(site.step(group).decisions() for group in groups)
    state = StateStore(daemon.state)
    try:
        return again, state.decisions()
    finally:
        state.close()


def test_reload_and_explain(daemon: Daemon, broker: Mosquitto, people: Receiver) -> None:
    """An open alert outlives reloads of other rules; a bad file is refused and shown; explain answers meanwhile."""
    rules = daemon.directory / "rules" / "crowd.yaml"
    more = rules.with_name("parking.yaml")
    sent = 0

    def speak() -> None:
        nonlocal sent
        sent += 1
        broker.publish_all([crowd(1, 75, sent), crowd(2, 5, sent)])

    def crowded() -> bool:
        speak()
        return any(case["place"] == "L1" for case in daemon.overview()["cases"])

    wait_until(crowded, 30, "a case is open at L1")
    assert daemon.metric("reloads_total") == 0  # the key that this first start has made is no change
    (case,) = [one for one in daemon.overview()["cases"] if one["place"] == "L1"]

    # By itself, because a file came: the case goes on.
    more.write_text(MORE, encoding="utf-8")
    wait_until(lambda: daemon.metric('reloads_total{outcome="applied"') == 1, 15, "the new file is in force")
    # Refused: the rules in force stay, and everybody who looks can see it.
    rules.write_text(RULES.replace("above: 1}", "abov: 1}"), encoding="utf-8")
    wait_until(lambda: daemon.metric('reloads_total{outcome="refused"') == 1, 15, "the bad file is refused")
    assert daemon.fact("rules") is False
    wait_until(lambda: "【黄色预警】街道" in people.titles(), 15, "people hear that the configuration is refused")
    refused = daemon.post("/api/v1/reload")
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["file"].endswith("crowd.yaml")
    assert daemon.command("reload").returncode == 3
    # Corrected, and asked for by a signal and by the command.
    rules.write_text(RULES, encoding="utf-8")
    daemon.hang_up()
    wait_until(lambda: daemon.fact("rules"), 15, "the corrected file is in force")
    assert daemon.command("reload").returncode == 0
    wait_until(lambda: "【已解除】街道" in people.titles(), 15, "people hear that it is put right")

    # A wider window: the alert goes on while the rule warms up, and the log says so.
    rules.write_text(RULES.replace("window: 4s", "window: 8s"), encoding="utf-8")
    wait_until(lambda: '{"warming_up": ["crowding"]}' in daemon.tail(), 15, "the rule warms up")

    explained = daemon.command("explain", case["id"])
    assert explained.returncode == 0, explained.stderr
    assert "黄色" in explained.stdout
    assert "居委干部-1" in explained.stdout
    why = daemon.command("explain", "--rule", "crowding", "--key", "L2")
    assert "没有高于 1（黄色）" in why.stdout or "未知" in why.stdout
    crowded()
    assert [one["id"] for one in daemon.overview()["cases"] if one["place"] == "L1"] == [case["id"]]
    wait_until(daemon.caught_up)
    assert daemon.stop() == 0
    again, live = decided(daemon)
    assert sorted(again.splitlines()) == sorted(live.splitlines())
    assert json.loads(again.splitlines()[0])["rule"] == "crowding"


def edit(daemon: Daemon) -> None:
    """Change a rule."""
    rules = daemon.directory / "rules" / "crowd.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("margin: 10%", "margin: 11%"), encoding="utf-8")


def test_an_edit_while_the_daemon_starts_comes_into_force(daemon: Daemon) -> None:
    """A start may take minutes: what was edited meanwhile is not what was loaded."""
    assert daemon.stop() == 0
    daemon.fresh = True
    daemon.begin()
    wait_until(daemon.starting, 30, "the configuration has been read")
    edit(daemon)
    daemon.await_ready()
    wait_until(lambda: daemon.metric('reloads_total{outcome="applied"') == 1, 15, "the edit is in force")


def test_a_hang_up_while_the_daemon_starts_waits_until_it_is_up(daemon: Daemon) -> None:
    """It ends nothing, and then does what was asked for, though nobody watches the files."""
    assert daemon.stop() == 0
    daemon.set(reload={"watch": False})
    daemon.fresh = True
    daemon.begin()
    wait_until(daemon.starting, 30, "the configuration has been read")
    edit(daemon)
    daemon.hang_up()
    daemon.await_ready()
    wait_until(lambda: daemon.metric('reloads_total{outcome="applied"') == 1, 15, "the edit is in force")


def test_a_crash_after_a_refused_reload_leaves_no_street_blind(
    daemon: Daemon, broker: Mosquitto, people: Receiver
) -> None:
    """The rules in force go on through the next start, and it is said; the mended files come into force."""
    rules = daemon.directory / "rules" / "crowd.yaml"
    rules.write_text(RULES.replace("above: 1}", "abov: 1}"), encoding="utf-8")
    wait_until(lambda: daemon.fact("rules") is False, 30, "the bad file is refused")
    daemon.kill()
    daemon.start(ready="/healthz")
    wait_until(lambda: daemon.fact("rules") is False, 30, "it is said again")
    wait_until(lambda: "【黄色预警】街道" in people.titles(), 30, "people have heard")
    numbers = count(1)

    def told() -> bool:
        broker.publish_all([crowd(1, 75, next(numbers))])
        return any("1弄" in title for title in people.titles())

    wait_until(told, 30, "people hear of a crowd")
    rules.write_text(RULES.replace("margin: 10%", "margin: 11%"), encoding="utf-8")
    wait_until(lambda: daemon.fact("rules"), 30, "the mended file is in force")
    wait_until(lambda: "【已解除】街道" in people.titles(), 30, "people hear that it is put right")
    assert daemon.stop() == 0


def test_a_mended_start_puts_the_refusal_right(daemon: Daemon, people: Receiver) -> None:
    """Nobody has to reload for it."""
    rules = daemon.directory / "rules" / "crowd.yaml"
    rules.write_text(RULES.replace("above: 1}", "abov: 1}"), encoding="utf-8")
    wait_until(lambda: "【黄色预警】街道" in people.titles(), 30, "people hear of the refusal")
    assert daemon.stop() == 0
    rules.write_text(RULES, encoding="utf-8")
    daemon.start()
    wait_until(lambda: "【已解除】街道" in people.titles(), 30, "people hear that it is put right")


def test_a_refused_first_start_says_every_mistake_and_counts_as_no_death(tmp_path: Path) -> None:
    """Nothing is in force that could go on."""
    daemon = Daemon(tmp_path / "sensord", 1, "http://127.0.0.1:9/x")
    (daemon.directory / "rules" / "crowd.yaml").write_text(RULES.replace("above: 1}", "abov: 1}"), encoding="utf-8")
    assert daemon.command("run").returncode == 3
    assert not daemon.state.exists()
    (daemon.state / "journal").mkdir(parents=True)
    assert daemon.command("run").returncode == 3
    assert Starts(daemon.state).deaths() == 0


def test_a_sink_without_its_secret_is_turned_off_alone(tmp_path: Path, broker: Mosquitto, people: Receiver) -> None:
    """The daemon runs, says which and why, and feeds the others."""
    influx = {"type": "influxdb1", "url": "http://127.0.0.1:9", "database": "d", "username": "u"}
    sinks = [{**influx, "name": "away", "password_file": "gone"}, {"type": "rollups"}]
    daemon = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify", sinks=sinks).start(ready="/healthz")
    try:
        wait_until(lambda: daemon.fact("sink-away") is False, 15, "it says which")
        assert "gone" in daemon.get("/readyz").json()["facts"]["sink-away"]["detail"]
        wait_until(lambda: daemon.metric('sink_stalled_seconds{sink="away"') > 0, 15, "it counts as standing still")
        shown = 'sensord_fact_good{fact="sink-away"} 0.0'
        wait_until(lambda: shown in daemon.get("/metrics").text, 15, "the fact is a metric, too")
        wait_until(lambda: daemon.metric('fact_good{fact="rules"') == 1, 15, "the rules are in force, and it says so")
        assert daemon.stop() == 0
    finally:
        daemon.kill()

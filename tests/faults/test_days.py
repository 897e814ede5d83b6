"""A journal of several days: over its cap while a database is away, and without its newest day.

The days are laid out as a daemon leaves them: applied and saved, an open case of the first day whose pages nobody has
got yet, and a database that has a part of that day. A long unknown key makes a mebibyte of few readings.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from contextlib import closing
from itertools import count
from pathlib import Path

from sensord.config.load import load, with_keys
from sensord.config.settings import Rollups
from sensord.core.instant import DAY, SECOND
from sensord.core.points import Points
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.ports import Cursor
from sensord.store.journal import Journal
from sensord.store.rollups import RollupSink
from sensord.store.sqlite import prepare_directory
from sensord.store.state import StateStore
from tests.notify.receiver import Receiver
from tests.series.databases import Influx1
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd

DAYS, GROUPS, READINGS = 4, 32, 10
"""Days of the journal; groups of a day, one a second; readings of a group, all of lane 1."""
DRAWN = 8
"""So many groups of the first day the database has."""
NOISE = 2200
"""Bytes beside each reading: a day is less than a mebibyte, and three are more than the cap of two."""


def groups(start: int) -> list[list[Record]]:
    """All readings, in groups: a crowd in lane 1 that stays."""
    dice = random.Random(1)

    def reading(at: int, number: int) -> Record:
        noise = base64.b64encode(dice.randbytes(NOISE)).decode()
        payload = json.dumps({"count": 150, "boot": 0, "seq": number, "note": noise}).encode()
        return Record(RecordKind.MESSAGE, at, crowd(1, 0, 0)[0], payload)

    return [
        [
            reading(start + day * DAY + second * SECOND + n, (day * GROUPS + second) * READINGS + n)
            for n in range(READINGS)
        ]
        for day in range(DAYS)
        for second in range(GROUPS)
    ]


def lay_out(daemon: Daemon) -> None:
    """Write the state directory."""
    prepare_directory(daemon.state)
    start = time.time_ns() // DAY * DAY - DAYS * DAY  # eight in the morning, there
    loaded = with_keys(load(daemon.config), start)
    site, points = Site(None, loaded.secrets), Points()
    with (
        closing(Journal(daemon.state / "journal", zone=loaded.settings.timezone)) as journal,
        closing(StateStore(daemon.state)) as state,
    ):
        for records in [[definition_record(loaded.definition, start)], *groups(start + SECOND)]:
            group = Group(journal.append(records), tuple(records))
            state.apply(site.step(group))
            if group.seq <= DRAWN:
                points.points(group, [])
            if group.seq % GROUPS == 1:
                state.save_snapshot(group.seq, site.snapshot())
        state.save("influxdb", Cursor(DRAWN, DRAWN, points.state()))
        last = journal.last_seq
    rollups = RollupSink(daemon.state, Rollups(), lambda: None)
    asyncio.run(rollups.write([], Cursor(last, last, Points().state())))
    asyncio.run(rollups.close())


def first_run(directory: Path, broker: Mosquitto, people: Receiver) -> None:
    """Let the broker have the daemon's sessions: a missing one would be a trouble of its own, in the same case."""
    assert Daemon(directory / "before", broker.port, f"{people.url}/n").start().stop() == 0


def told(people: Receiver, what: str) -> bool:
    """Whether somebody has read that."""
    return any(what in request.json["title"] + request.json["text"] for request in list(people.requests))


def test_a_newest_day_that_is_missing_leaves_cases_open(tmp_path: Path, broker: Mosquitto, people: Receiver) -> None:
    """People are told of a hole in the journal, not of a lost state, and the case of the first day ends by readings."""
    first_run(tmp_path, broker, people)
    daemon = Daemon(tmp_path / "sensord", broker.port, f"{people.url}/n")
    lay_out(daemon)
    max((daemon.state / "journal").glob("*.db")).unlink()
    numbers = count()

    def told_once_said(what: str) -> bool:
        broker.publish(*crowd(1, 10, next(numbers)))
        return told(people, what)

    daemon.start(ready="/healthz")
    try:
        wait_until(lambda: daemon.fact("record") is False, 30, "the fact says so")
        assert daemon.fact("state") is True
        wait_until(lambda: told(people, "日志文件损坏或缺失"), 30, "people hear of it")
        assert "L1" in {case["place"] for case in daemon.overview()["cases"]}
        wait_until(lambda: told_once_said("【已解除】小区一 1弄"), 30, "the case ends as ever")
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_a_cap_costs_time_series_and_no_alert(tmp_path: Path, broker: Mosquitto, people: Receiver) -> None:
    """Old days go and are told of; the case of the first of them goes on, its pages arrive, the rest is drawn later."""
    influx = Influx1(tmp_path)
    sinks = [{"type": "rollups"}, {"type": "influxdb1", "url": influx.url, "database": "sensord", "batch": 50}]
    daemon = Daemon(tmp_path / "sensord", broker.port, f"{people.url}/n", sinks=sinks, journal={"max_mib": 2})
    first_run(tmp_path, broker, people)
    lay_out(daemon)
    said = 0

    def told_once_said(what: str, lane: int, count: int) -> bool:
        nonlocal said
        broker.publish(*crowd(lane, count, said))
        said += 1
        return told(people, what)

    def drawn() -> int:
        series = influx.query("SELECT count(count) FROM crowd")
        return int(series[0]["values"][0][1]) if series else 0

    def lost() -> int:
        return round(daemon.metric("sink_missed_groups_total")) * READINGS

    daemon.start(ready="/healthz")
    try:
        wait_until(lambda: daemon.fact("keeping") is False, 30, "the fact says so")
        assert daemon.metric("journal_days_given_up_total") == 2
        wait_until(lambda: told(people, "日志超过上限"), 30, "people hear of it")
        assert "journal.max_mib" in daemon.command("doctor").stdout
        assert len(list((daemon.state / "journal").glob("*.db"))) == DAYS - 1, "two days, and today"
        wait_until(lambda: told(people, "1弄"), 30, "the case's pages arrive, though its day is gone")
        assert "L1" in {case["place"] for case in daemon.overview()["cases"]}
        wait_until(lambda: told_once_said("2弄", 2, 150), 30, "a new crowd is told of")
        wait_until(lambda: told_once_said("【已解除】小区一 1弄", 1, 10), 30, "the case of the first day ends as ever")
        influx.start()
        influx.query("CREATE DATABASE sensord")
        due = (DAYS * GROUPS - DRAWN + 1) * READINGS + said
        wait_until(lambda: drawn() + lost() == due, 60, lambda: f"{due} readings but {lost()} lost, {drawn()} there")
        assert GROUPS * READINGS < lost() < 2 * GROUPS * READINGS
        kept = (DAYS - 2) * GROUPS * READINGS + said
        assert drawn() >= kept
    finally:
        daemon.kill()
        influx.stop()

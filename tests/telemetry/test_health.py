"""Freshness of workers and the application's facts, on a clock that the test moves."""

from __future__ import annotations

import pytest

from sensord.telemetry.health import Health


class HandClock:
    """A monotonic clock that moves when told."""

    now = 100.0

    def __call__(self) -> float:
        """Return the present time in seconds."""
        return self.now


def test_a_worker_is_fresh_until_its_age_is_exceeded() -> None:
    """At its allowed age a worker still counts as alive, beyond it the daemon is no longer live."""
    clock = HandClock()
    health = Health(clock)
    health.register("committer", 5.0)
    clock.now += 5.0
    assert health.live()[0]
    clock.now += 0.1
    live, report = health.live()
    assert not live
    assert report == {"workers": {"committer": {"ok": False, "silent_seconds": 5.1, "allowed_seconds": 5.0}}}


def test_one_silent_worker_is_not_covered_by_a_lively_one() -> None:
    """Every worker has to beat for itself; a beat revives."""
    clock = HandClock()
    health = Health(clock)
    health.register("receiver", 5.0)
    health.register("core", 5.0)
    clock.now += 6.0
    health.beat("receiver")
    assert not health.live()[0]
    health.beat("core")
    assert health.live()[0]


def test_a_bad_fact_makes_the_daemon_unready_but_not_dead() -> None:
    """Without the broker we are not ready; a restart would not bring it back, so we stay live."""
    health = Health(HandClock())
    health.set_fact("rules", True, "12 rules")
    assert health.ready()[0]
    health.set_fact("mqtt", False, "connection refused")
    assert health.facts() == {"rules": True, "mqtt": False}
    ready, report = health.ready()
    assert not ready
    assert health.live()[0]
    assert report["facts"] == {
        "rules": {"ok": True, "detail": "12 rules"},
        "mqtt": {"ok": False, "detail": "connection refused"},
    }
    health.set_fact("mqtt", True, "connected")
    assert health.ready()[0]


def test_a_dead_worker_makes_the_daemon_unready() -> None:
    """Ready includes live."""
    clock = HandClock()
    health = Health(clock)
    health.register("core", 1.0)
    clock.now += 2.0
    assert not health.ready()[0]


def test_a_beat_of_an_unknown_worker_is_an_error() -> None:
    """A worker that nobody registered would never be missed."""
    with pytest.raises(KeyError):
        Health().beat("commiter")


def test_a_worker_that_gets_nowhere_is_a_fact_once_that_lasts() -> None:
    """A refusal or two are nobody's business; ten seconds of nothing else are, until something gets through again."""
    clock = HandClock()
    health = Health(clock)
    health.register("notify-people", 120.0)
    seen = list[object]()
    for seconds, why in ((0, ""), (1, "503"), (9, "503"), (1, "429"), (60, ""), (1, "503")):
        clock.now += seconds
        health.beat("notify-people")
        health.went("notify-people", why)
        ready, report = health.ready()
        fact = report["facts"]["notify-people"]  # type: ignore[index]
        assert fact["ok"] is ready
        seen.append(fact["detail"])
    assert seen == ["", "", "", "nothing has got through for 10 s: 429", "", ""]
    clock.now += 30
    assert "notify-people" in str(health.ready()[1]["facts"]), "nobody need try again for it to show"
    assert not health.ready()[0]


def test_a_fact_shows_no_plate() -> None:
    """Readiness is told to anybody; a plate may stand in a file that is refused, or in a topic."""
    health = Health()
    health.set_fact("rules", False, "places.yaml:3: unknown place '皖K13579'")
    _, told = health.ready()
    assert "13579" not in str(told)
    assert "unknown place '***'" in str(told)

"""Topic templates as subscriptions and as labels."""

from __future__ import annotations

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest.topics import ahead, kind_of, sessions

READINGS, COMMANDS = Mqtt().readings, Mqtt().commands


def _filters(readings: str) -> dict[str, tuple[str, ...]]:
    return {one.client_id("sensord"): one.filters for one in sessions(readings, COMMANDS, "sensord")}


def test_a_session_for_each_lane_and_a_subscription_for_each_kind() -> None:
    """The default templates; the readings' session gives up what the others have now."""
    assert _filters(READINGS) == {
        "sensord": ("linfen/+/crowd/+", "linfen/+/level/+", "linfen/+/status/+"),
        "sensord-sightings": ("linfen/+/plate/+", "linfen/+/report/+"),
        "sensord-commands": ("linfen/commands/by/+/+",),
    }
    left = sessions(READINGS, COMMANDS, "sensord")[0].left
    assert left == ("linfen/+/plate/+", "linfen/+/report/+", "linfen/commands/by/+/+")


def test_a_template_without_kind_is_one_subscription() -> None:
    """The kind is then told by the payload, or by nothing; only commands are told apart."""
    assert _filters("site/{device}") == {"sensord": ("site/+",), "sensord-commands": ("linfen/commands/by/+/+",)}


@pytest.mark.parametrize(
    ("readings", "echo", "filters"),
    [
        (READINGS, "linfen/echo/sensord", ("linfen/+/crowd/+", "linfen/+/level/+")),
        ("a/b/{compound}/{kind}/{device}", "a/b/echo/sensord", ("a/b/+/crowd/+", "a/b/+/level/+")),
        ("{compound}/{kind}/{device}", "echo/sensord", ("+/crowd/+", "+/level/+")),
        ("site/x-{device}", "site/echo/sensord", ()),
    ],
)
def test_echoes_have_a_topic_beside_the_readings(readings: str, echo: str, filters: tuple[str, ...]) -> None:
    """Under the same fixed levels; counts and gauges go ahead where topics tell kinds apart."""
    lane = ahead(readings, "sensord")
    assert (lane.client_id, lane.echo, lane.filters) == ("sensord-fresh", echo, filters)
    assert sessions(readings, COMMANDS, "sensord")[0].echo == echo


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("linfen/c1/crowd/d1", "crowd"),
        ("linfen/c1/status/d1", "status"),
        ("linfen/commands/by/p/case-1", "command"),
        ("linfen/c1/weather/d1", "other"),
        ("linfen/c1/crowd/d1/more", "other"),
        ("linfen/commands/a/b", "other"),
        ("linfen/commands/by/a/b/c", "other"),
        ("linfenXcommands/by/p/a", "other"),
        ("", "other"),
    ],
)
def test_the_kind_of_a_topic(topic: str, kind: str) -> None:
    """A closed set, whatever arrives."""
    assert kind_of(READINGS, COMMANDS)(topic) == kind


def test_dots_in_a_template_are_literal() -> None:
    """A template is no regular expression."""
    kind = kind_of(READINGS, "a.b/{case}")
    assert (kind("a.b/1"), kind("axb/1")) == ("command", "other")

"""Topic templates as subscriptions and as labels."""

from __future__ import annotations

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest.topics import filters, kind_of

READINGS, COMMANDS = Mqtt().readings, Mqtt().commands


def test_one_subscription_for_each_kind_and_one_for_commands() -> None:
    """The default templates."""
    assert filters(READINGS, COMMANDS) == [
        "linfen/+/crowd/+",
        "linfen/+/plate/+",
        "linfen/+/level/+",
        "linfen/+/report/+",
        "linfen/+/status/+",
        "linfen/commands/by/+/+",
    ]


def test_a_template_without_kind_is_one_subscription() -> None:
    """The kind is then told by the payload, or by nothing."""
    assert filters("site/{device}", COMMANDS) == ["site/+", "linfen/commands/by/+/+"]


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

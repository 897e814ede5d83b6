"""The demonstration's configuration: valid, local, and with the thresholds of the real rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.config.load import Loaded, load
from sensord.config.rules import World, load_rules
from sensord.config.settings import MqttChannel, Webhook
from sensord.errors import UnavailableError
from simulators.broker import Broker
from simulators.children import Child
from simulators.receiver import Inbox, Receiver
from simulators.stage import SHIPPED, await_ready, write_config


def broker() -> Broker:
    """Describe a broker that does not run."""
    return Broker("mosquitto", "127.0.0.1", 18_830, child=None)  # type: ignore[arg-type]  # nobody asks it


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Write and load the demonstration's configuration."""
    return load(write_config(tmp_path, SHIPPED, broker(), Receiver(Inbox(), "127.0.0.1", 18_787), "en"))


def test_the_configuration_is_valid_and_local(loaded: Loaded, tmp_path: Path) -> None:
    """It loads, leaves out rules only, talks to the given broker and receiver, and keeps state in its own folder."""
    settings = loaded.settings
    # Three rules are enough for a story; the real ones also notice the other devices and use the other plans.
    expected = ("fall silent", "is evaluated every", "no rule uses the policy", "no policy tells")
    assert [str(one) for one in loaded.warnings if not any(words in one.message for words in expected)] == []
    assert (settings.mqtt.host, settings.mqtt.port, settings.language) == ("127.0.0.1", 18_830, "en")
    assert loaded.resolve(settings.state_dir).is_relative_to(tmp_path)
    webhook, mqtt = settings.channels
    assert isinstance(webhook, Webhook)
    assert isinstance(mqtt, MqttChannel)
    assert (webhook.url, webhook.allow) == ("http://127.0.0.1:18787/notify", ("127.0.0.1:18787",))
    named = {contact.channel for person in loaded.definition.people for contact in person.contacts}
    assert named == {webhook.name, mqtt.name}
    cadres = [person for person in loaded.definition.people if mqtt.name in {one.channel for one in person.contacts}]
    assert ({person.role for person in cadres}, len(cadres)) == ({"cadre"}, 40)


def test_the_rules_differ_from_the_real_ones_in_their_times_only(loaded: Loaded) -> None:
    """Levels, thresholds, streams, values and dispatch are those of ``rules/``: the demonstration falsifies nothing."""
    real = {rule.id: rule for rule in load_rules(SHIPPED.parent / "rules", World()).rules}
    assert len(loaded.definition.rules) == 3
    for rule in loaded.definition.rules:
        other = real[rule.id]
        rungs = [[(rung.level, rung.threshold) for rung in one.levels] for one in (rule, other)]
        assert rungs[0] == rungs[1]
        same = ("stream", "by", "value", "comparison", "where", "dispatch", "absent", "name")
        assert [getattr(rule, name) for name in same] == [getattr(other, name) for name in same]
        assert rule.clear.margin == other.clear.margin


def test_a_daemon_that_dies_while_starting_is_named_with_its_log(tmp_path: Path) -> None:
    """Waiting for a daemon ends when it ends, with the end of its log."""
    with (
        Child.running("sensord", ["/bin/sh", "-c", "echo the disk is gone; exit 3"], tmp_path / "log") as child,
        pytest.raises(UnavailableError, match=r"exit code 3(.|\n)*the disk is gone"),
    ):
        await_ready(child, "http://127.0.0.1:9")


def test_a_daemon_that_is_never_ready_is_said(tmp_path: Path) -> None:
    """A daemon that runs but does not answer is given up after the patience."""
    with (
        Child.running("sensord", ["/bin/sleep", "60"], tmp_path / "log") as child,
        pytest.raises(UnavailableError, match="not ready after"),
    ):
        await_ready(child, "http://127.0.0.1:9", patience=0.3)

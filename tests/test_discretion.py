"""Who reads a channel decides whether plates go there."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sensord.config.channels import (
    Alertmanager,
    Apprise,
    ChannelSettings,
    FeishuRobot,
    MqttChannel,
    Webhook,
    WecomRobot,
)
from sensord.config.load import Loaded
from sensord.core.alert import Vehicle
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.people.roster import Contact
from sensord.drivers.reveal import PlateFiller
from sensord.revealing import Discretion
from tests.config.rejection import street
from tests.notify.parts import notification

PLAIN, MASK = "皖K13579", "皖K·**579"
HOOK = Webhook(name="one", url="http://127.0.0.1:1")
GROUP = WecomRobot(name="one", key_file="key")
OF_POLICE = WecomRobot(name="one", key_file="key", plates="plain")
MANY: list[ChannelSettings] = [
    GROUP,
    FeishuRobot(name="one", token_file="token"),
    Apprise(name="one", url_file="urls"),
    Alertmanager(name="one", url="http://127.0.0.1:1"),
    MqttChannel(name="one"),
]


class Plates(PlateFiller):
    """Knows one plate."""

    def __init__(self) -> None:
        """Needs no journal."""

    def fill(self, notification: Notification) -> Notification:
        """Put it in."""
        return msgspec.structs.replace(notification, text=PLAIN)


def loaded(channel: ChannelSettings, reader: str) -> Loaded:
    """A configuration in which somebody of that role has a contact on the channel."""
    base = street()
    roles = tuple(
        msgspec.structs.replace(role, plates="plain" if role.id == "police" else "masked")
        for role in (*base.definition.roles, msgspec.structs.replace(base.definition.roles[0], id="police"))
    )
    person = msgspec.structs.replace(base.definition.people[0], role=reader, contacts=(Contact("one", "x"),))
    definition = msgspec.structs.replace(base.definition, roles=roles, people=(person,))
    return replace(base, settings=msgspec.structs.replace(base.settings, channels=(channel,)), definition=definition)


def shown(running: ChannelSettings, in_force: ChannelSettings, reader: str = "police") -> str:
    """What a message shows."""
    vehicle = Vehicle("0123456789abcdef", MASK, 1)
    message = notification(text=PLATE, vehicle=vehicle)
    return Discretion(running, Plates(), lambda: loaded(in_force, reader)).fill(message).text


@pytest.mark.parametrize("channel", MANY, ids=lambda channel: type(channel).__name__)
def test_what_many_read_shows_masks(channel: ChannelSettings) -> None:
    """Whoever the message is for."""
    assert shown(channel, channel) == MASK


def test_what_one_person_reads_shows_plates() -> None:
    """And so does a group that is said to be of police alone."""
    assert shown(HOOK, HOOK) == PLAIN
    assert shown(OF_POLICE, OF_POLICE) == PLAIN


def test_a_group_of_police_is_one_only_while_nobody_else_has_a_contact_there() -> None:
    """Also when the files say so that were refused, or that are not in force yet."""
    assert shown(OF_POLICE, OF_POLICE, "cadre") == MASK
    assert shown(OF_POLICE, GROUP) == MASK
    assert shown(GROUP, OF_POLICE) == MASK

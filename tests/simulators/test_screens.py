"""The demonstration's screens: what the daemon publishes for a grid has a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.config.settings import Mqtt
from sensord.config.settings import MqttChannel as MqttChannelSettings
from sensord.errors import DeliveryError
from sensord.notify.mqtt import MqttChannel
from simulators.broker import running_broker
from simulators.screens import running_screens
from tests.notify.parts import entry


async def test_the_screens_hear_every_grid(tmp_path: Path) -> None:
    """While they run a page over MQTT is delivered, to whatever grid; without them it is not."""
    with running_broker(tmp_path, "mosquitto") as broker:
        mqtt = Mqtt(host=broker.host, port=broker.port)
        channel = MqttChannel(MqttChannelSettings(name="grid"), mqtt, "linfen")
        try:
            with pytest.raises(DeliveryError, match="nobody subscribes"):
                await channel.send(entry())
            with running_screens(mqtt):
                for grid in ("G01", "G20", ""):
                    assert await channel.send(entry(grid=grid)) == "puback"
        finally:
            await channel.close()

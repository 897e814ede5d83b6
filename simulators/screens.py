"""The demonstration's screens of the grids: they subscribe to every grid's alerts, so that what goes there is heard."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensord.config.settings import Mqtt
from sensord.errors import UnavailableError

_START = 10.0
"""Seconds that the broker has to take the subscription."""


@contextlib.contextmanager
def running_screens(mqtt: Mqtt) -> Iterator[None]:
    """Subscribe while the context lasts; raises ``UnavailableError`` when the broker does not take it."""
    subscribed = threading.Event()

    def connected(client: paho.Client, *_: object) -> None:
        client.subscribe(mqtt.alerts.replace("{grid}", "+"), 1)

    def taken(
        _client: paho.Client, _data: object, _mid: int, _codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        subscribed.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, "screens", protocol=paho.MQTTv311)
    client.on_connect, client.on_subscribe = connected, taken
    client.connect(mqtt.host, mqtt.port)
    client.loop_start()
    try:
        if not subscribed.wait(_START):
            raise UnavailableError(f"the broker did not take a subscription within {_START:g} s")
        yield
    finally:
        client.disconnect()
        client.loop_stop()

"""Channels are built as the configuration names them."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from sensord.config.settings import Apprise, Mqtt, MqttChannel, Settings, Webhook
from sensord.notify.apprise_channel import AppriseChannel
from sensord.notify.build import build_channels
from sensord.notify.mqtt import MqttChannel as Publisher
from sensord.notify.webhook import WebhookChannel
from tests.notify.parts import entry
from tests.notify.receiver import Receiver


async def test_each_type_is_built_with_its_secrets() -> None:
    """By name, each of its class; the webhook signs with the file's content without its line end."""
    with Receiver() as receiver:
        settings = Settings(
            site="linfen",
            mqtt=Mqtt(password_file="/run/mqtt"),
            channels=(
                Webhook(name="desk", url=receiver.url, secret_file="/run/desk", allow=(receiver.host,)),
                MqttChannel(name="grid"),
                Apprise(name="services", url_file="/run/urls"),
            ),
        )
        secrets = {"/run/desk": "s3cret\n", "/run/mqtt": "pw\n", "/run/urls": f"# one\njson://{receiver.host}\n"}
        channels = build_channels(settings, secrets.__getitem__)
        await channels["desk"].send(entry())
        for channel in channels.values():
            await channel.close()
    assert {name: type(channel) for name, channel in channels.items()} == {
        "desk": WebhookChannel,
        "grid": Publisher,
        "services": AppriseChannel,
    }
    assert all(channel.name == name for name, channel in channels.items())
    (request,) = receiver.requests
    signed = request.headers["X-Sensord-Timestamp"].encode() + b"." + request.body
    assert request.headers["X-Sensord-Signature"] == f"sha256={hmac.new(b's3cret', signed, hashlib.sha256).hexdigest()}"


def test_a_missing_secret_is_not_swallowed() -> None:
    """What ``read_secret`` raises reaches whoever starts the daemon."""
    settings = Settings(site="linfen", channels=(Webhook(name="desk", url="http://x", secret_file="/no"),))
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError):
        build_channels(settings, nothing.__getitem__)

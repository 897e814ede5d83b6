"""Makes the channels that the configuration names."""

from __future__ import annotations

from collections.abc import Callable

from sensord.config.settings import Apprise, ChannelSettings, MqttChannel, Settings, Webhook
from sensord.notify import apprise_channel, mqtt, webhook
from sensord.ports import Channel


def build_channels(settings: Settings, read_secret: Callable[[str], str]) -> dict[str, Channel]:
    """Build every configured channel, by name.

    ``read_secret`` turns a path from the configuration into the file's text; what it raises passes through.
    Raises ``ConfigError`` for url files that apprise does not understand.
    """

    def secret(path: str | None) -> str | None:
        return read_secret(path).rstrip("\r\n") if path else None

    def build(channel: ChannelSettings) -> Channel:
        match channel:
            case Webhook():
                signing = secret(channel.secret_file)
                return webhook.WebhookChannel(channel, signing.encode() if signing else None)
            case MqttChannel():
                password = secret(settings.mqtt.password_file)
                return mqtt.MqttChannel(channel, settings.mqtt, settings.site, password)
            case Apprise():
                return apprise_channel.AppriseChannel(channel, read_secret(channel.url_file).splitlines())

    return {channel.name: build(channel) for channel in settings.channels}

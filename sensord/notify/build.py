"""Makes the channels that the configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sensord.config import channels as kinds
from sensord.config.channels import ChannelSettings
from sensord.config.settings import Mqtt, Settings
from sensord.notify import alertmanager, apprise_channel, cloud_sms, mqtt, robot, sms, smtp, webhook, wecom_app
from sensord.ports import Channel


def build_channels(
    settings: Settings,
    broker: tuple[Mqtt, str | None],
    read_secret: Callable[[str], str],
    resolve: Callable[[str], Path] = Path,
) -> dict[str, Channel]:
    """Build every configured channel, by name.

    ``broker`` holds the broker's settings with real paths, and the password (``config.broker``). ``read_secret`` turns
    a path from the configuration into the file's text, ``resolve`` into a real one; what they raise passes through.
    Raises ``ConfigError`` for files that a channel can make nothing of.
    """
    builder = _Builder(settings, broker, read_secret, resolve)
    return {channel.name: builder.build(channel) for channel in settings.channels}


class _Builder:
    """Knows where secrets come from, and what channels need of the rest of the configuration."""

    def __init__(
        self,
        settings: Settings,
        broker: tuple[Mqtt, str | None],
        read_secret: Callable[[str], str],
        resolve: Callable[[str], Path],
    ) -> None:
        self._settings, self._broker, self._read, self._resolve = settings, broker, read_secret, resolve

    def _secret(self, path: str | None) -> str | None:
        return self._needed(path) if path else None

    def _needed(self, path: str) -> str:
        return self._read(path).rstrip("\r\n")

    def build(self, channel: ChannelSettings) -> Channel:
        """Make one channel."""
        match channel:
            case kinds.Webhook():
                signing = self._secret(channel.secret_file)
                return webhook.WebhookChannel(channel, signing.encode() if signing else None)
            case kinds.MqttChannel():
                settings, password = self._broker
                return mqtt.MqttChannel(channel, settings, self._settings.site, password)
            case kinds.Apprise():
                return apprise_channel.AppriseChannel(channel, self._read(channel.url_file).splitlines())
            case kinds.WecomRobot() | kinds.DingtalkRobot() | kinds.FeishuRobot():
                return robot.RobotChannel(channel, self._service(channel))
            case kinds.WecomApp():
                return wecom_app.WecomAppChannel(channel, self._needed(channel.secret_file))
            case kinds.Sms() | kinds.AliyunSms() | kinds.TencentSms():
                return self._sms(channel)
            case kinds.Smtp():
                tls, password = smtp.tls_context(channel, self._resolve), self._secret(channel.password_file)
                return smtp.SmtpChannel(channel, password, tls, self._settings.timezone)
            case kinds.Alertmanager():
                password = self._secret(channel.password_file)
                return alertmanager.AlertmanagerChannel(channel, self._settings.site, password)

    def _sms(self, channel: kinds.Sms | kinds.AliyunSms | kinds.TencentSms) -> Channel:
        match channel:
            case kinds.Sms():
                return sms.SmsChannel(channel, self._secret(channel.secret_file))
            case kinds.AliyunSms():
                return cloud_sms.CloudSmsChannel(channel, cloud_sms.Aliyun(channel, self._needed(channel.secret_file)))
            case kinds.TencentSms():
                return cloud_sms.CloudSmsChannel(channel, cloud_sms.Tencent(channel, self._needed(channel.secret_file)))

    def _service(self, channel: kinds.Robot) -> robot.Service:
        match channel:
            case kinds.WecomRobot():
                return robot.Wecom(channel, self._needed(channel.key_file))
            case kinds.DingtalkRobot():
                token = self._needed(channel.token_file)
                return robot.Dingtalk(channel, token, self._secret(channel.secret_file))
            case kinds.FeishuRobot():
                token = self._needed(channel.token_file)
                return robot.Feishu(channel, token, self._secret(channel.secret_file))

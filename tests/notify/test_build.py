"""Channels are built as the configuration names them."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import msgspec
import pytest

from sensord.config import channels as kinds
from sensord.config.settings import Apprise, Mqtt, MqttChannel, Settings, Webhook
from sensord.errors import ConfigError
from sensord.notify.alertmanager import AlertmanagerChannel
from sensord.notify.apprise_channel import AppriseChannel
from sensord.notify.build import build_channels
from sensord.notify.mqtt import MqttChannel as Publisher
from sensord.notify.robot import RobotChannel
from sensord.notify.sms import SmsChannel
from sensord.notify.smtp import SmtpChannel
from sensord.notify.webhook import WebhookChannel
from sensord.notify.wecom_app import WecomAppChannel
from tests.notify.parts import entry
from tests.notify.receiver import Receiver

BROKER = Mqtt(), None


async def test_each_type_is_built_with_its_secrets() -> None:
    """By name, each of its class; the webhook signs with the file's content without its line end."""
    with Receiver() as receiver:
        settings = Settings(
            site="linfen",
            channels=(
                Webhook(name="desk", url=receiver.url, secret_file="/run/desk", allow=(receiver.host,)),
                MqttChannel(name="grid"),
                Apprise(name="services", url_file="/run/urls"),
            ),
        )
        secrets = {"/run/desk": "s3cret\n", "/run/urls": f"# one\njson://{receiver.host}\n"}
        channels = build_channels(settings, BROKER, secrets.__getitem__)
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
        build_channels(settings, BROKER, nothing.__getitem__)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    """With the channel and the file, which lies beside the configuration; and a channel without TLS asks for none."""
    mail = kinds.Smtp(name="mail", host="localhost", sender="a@example.org", ca_file="mail-ca.pem")
    if content is not None:
        (tmp_path / "mail-ca.pem").write_text(content)
    settings = Settings(site="linfen", channels=(mail,))
    with pytest.raises(ConfigError, match=rf"{tmp_path}/mail-ca.pem.*channel mail: ca_file cannot be used"):
        build_channels(settings, BROKER, str, tmp_path.joinpath)
    plain = msgspec.structs.replace(mail, security="none")
    assert build_channels(msgspec.structs.replace(settings, channels=(plain,)), BROKER, str, tmp_path.joinpath)


async def test_every_other_type_is_built_with_its_secrets() -> None:
    """A robot, an application, a gateway, a mail server and an Alertmanager: each asks for its own files."""
    settings = Settings(
        site="linfen",
        channels=(
            kinds.WecomRobot(name="wecom", key_file="/run/wecom"),
            kinds.DingtalkRobot(name="ding", token_file="/run/ding", secret_file="/run/ding-secret"),
            kinds.FeishuRobot(name="feishu", token_file="/run/feishu"),
            kinds.WecomApp(name="app", corp_id="ww1", agent_id=1, secret_file="/run/app"),
            kinds.Sms(name="sms", url="http://sms.example.org", body={"to": "{phone}"}, secret_file="/run/sms"),
            kinds.Smtp(name="mail", host="localhost", sender="a@example.org", username="a", password_file="/run/mail"),
            kinds.Alertmanager(name="am", url="http://127.0.0.1:9093"),
        ),
    )
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return "secret\n"

    channels = build_channels(settings, BROKER, read)
    for channel in channels.values():
        await channel.close()
    assert {name: type(channel) for name, channel in channels.items()} == {
        "wecom": RobotChannel,
        "ding": RobotChannel,
        "feishu": RobotChannel,
        "app": WecomAppChannel,
        "sms": SmsChannel,
        "mail": SmtpChannel,
        "am": AlertmanagerChannel,
    }
    wanted = {"wecom", "ding", "ding-secret", "feishu", "app", "sms", "mail"}
    assert set(asked) == {f"/run/{name}" for name in wanted}

"""The schema of ``channels`` in ``sensord.yaml``: how people and programs are reached.

Keys, tokens and passwords are never values: they are paths of files. A contact's address (a phone number to mention, an
account, a mailbox) is in the roster. Hosts on private networks must be listed in ``allow`` (``host`` or ``host:port``).
``per_minute`` bounds the messages of one robot (a group's, else a channel with an address) in any sixty seconds; what
is over it goes out in digests, red first. What many read (a group, a service behind apprise, an Alertmanager) shows a
plate masked to everybody; ``plates: plain`` says that all who read it may see plates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, field

from sensord.config.section import Duration, Name, Port, Section, Text

Shown = Literal["masked", "plain"]
PerMinute = Annotated[int, Meta(ge=1, le=6000)]
Characters = Annotated[int, Meta(ge=1, le=2000)]


class Success(Section, frozen=True, kw_only=True):
    """How a gateway's JSON answer says that all is well: what is at ``path`` (dots go into mappings) is ``equals``.

    An answer without such a path may mean either: three sends at most.
    """

    path: Text
    equals: Text


class Webhook(Section, frozen=True, kw_only=True, tag_field="type", tag="webhook"):
    """POST of a JSON body, signed with HMAC-SHA256 when ``secret_file`` is given.

    A contact's address, when given, is appended to ``url`` as path segment. A 2xx counts unless its body says otherwise
    (docs/channels.md); with ``success`` that alone is compared. Hosts on private networks must be listed in
    ``allow`` (``host`` or ``host:port``).
    """

    name: Name
    url: Text
    secret_file: Text | None = None
    success: Success | None = None
    per_minute: PerMinute | None = None
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class MqttChannel(Section, frozen=True, kw_only=True, tag_field="type", tag="mqtt"):
    """Publishes to the alert topic of the responsible grid. What nobody subscribes to is not delivered."""

    name: Name


class Apprise(Section, frozen=True, kw_only=True, tag_field="type", tag="apprise"):
    """Any service that apprise reaches; the file holds one apprise URL a line; a contact's address picks a tag."""

    name: Name
    url_file: Text
    plates: Shown = "masked"
    per_minute: PerMinute | None = None


class WecomRobot(Section, frozen=True, kw_only=True, tag_field="type", tag="wecom-robot"):
    """A robot in a WeCom (企业微信) group. ``key_file`` holds the ``key`` of its webhook address.

    A contact's address is who is mentioned: a mobile number or a user id.
    """

    name: Name
    key_file: Text
    url: Text = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
    plates: Shown = "masked"
    per_minute: PerMinute = 15
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class WecomApp(Section, frozen=True, kw_only=True, tag_field="type", tag="wecom-app"):
    """An application of a WeCom (企业微信) organisation, which writes to persons: the address is a user id.

    ``secret_file`` holds the application's secret; the access token is fetched and renewed with it.
    """

    name: Name
    corp_id: Text
    agent_id: Annotated[int, Meta(ge=1)]
    secret_file: Text
    url: Text = "https://qyapi.weixin.qq.com"
    per_minute: PerMinute | None = None
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class DingtalkRobot(Section, frozen=True, kw_only=True, tag_field="type", tag="dingtalk-robot"):
    """A robot in a DingTalk (钉钉) group. ``token_file`` holds its ``access_token``, ``secret_file`` its signing key.

    A contact's address is who is mentioned: a mobile number or a user id.
    """

    name: Name
    token_file: Text
    secret_file: Text | None = None
    url: Text = "https://oapi.dingtalk.com/robot/send"
    plates: Shown = "masked"
    per_minute: PerMinute = 15
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class FeishuRobot(Section, frozen=True, kw_only=True, tag_field="type", tag="feishu-robot"):
    """A robot in a Feishu (飞书) group. ``token_file`` holds the last part of its address, ``secret_file`` its key.

    A contact's address is who is mentioned: an ``open_id`` or user id (Feishu's robots cannot mention a number).
    """

    name: Name
    token_file: Text
    secret_file: Text | None = None
    url: Text = "https://open.feishu.cn/open-apis/bot/v2/hook"
    plates: Shown = "masked"
    per_minute: PerMinute = 15
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class Sms(Section, frozen=True, kw_only=True, tag_field="type", tag="sms"):
    """An SMS gateway with an HTTP interface; a contact's address is the phone number.

    Values of ``headers`` and ``body`` may hold ``{phone}``, ``{title}``, ``{text}``, ``{link}``, ``{place}``,
    ``{level}``, ``{case}``, ``{key}`` (the same for every attempt) and ``{secret}`` (the content of ``secret_file``).
    A 2xx counts unless its body says otherwise (docs/channels.md); with ``success`` that alone is compared.
    ``characters`` bounds ``{text}``.
    """

    name: Name
    url: Text
    method: Literal["POST", "PUT"] = "POST"
    format: Literal["json", "form"] = "json"
    headers: dict[str, Text] = field(default_factory=dict)
    body: Annotated[dict[str, Text], Meta(min_length=1)]
    secret_file: Text | None = None
    success: Success | None = None
    characters: Annotated[int, Meta(ge=20, le=2000)] = 300
    per_minute: PerMinute | None = None
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class AliyunSms(Section, frozen=True, kw_only=True, tag_field="type", tag="aliyun-sms"):
    """Short messages by Aliyun (阿里云短信服务); a contact's address is the phone number.

    ``sign_name`` and ``template`` (``SMS_...``) are as approved, ``parameters`` are the template's, with the words of
    ``sms``; each value is cut to ``characters``. ``secret_file`` holds the access key's secret.
    """

    name: Name
    access_key_id: Text
    secret_file: Text
    sign_name: Text
    template: Text
    parameters: dict[str, Text] = field(default_factory=dict)
    characters: Characters = 35
    url: Text = "https://dysmsapi.aliyuncs.com"
    per_minute: PerMinute | None = None
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class TencentSms(Section, frozen=True, kw_only=True, tag_field="type", tag="tencent-sms"):
    """Short messages by Tencent Cloud (腾讯云短信); a contact's address is the phone number.

    ``sign_name`` and ``template`` (a number) are as approved, ``parameters`` are the template's in their order, with
    the words of ``sms``; each value is cut to ``characters``. ``secret_file`` holds the SecretKey.
    """

    name: Name
    secret_id: Text
    secret_file: Text
    app_id: Text
    sign_name: Text
    template: Text
    parameters: tuple[Text, ...] = ()
    characters: Characters = 35
    region: Text = "ap-guangzhou"
    url: Text = "https://sms.tencentcloudapi.com"
    per_minute: PerMinute | None = None
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


class Smtp(Section, frozen=True, kw_only=True, tag_field="type", tag="smtp"):
    """E-mail; a contact's address is the mailbox. ``sender`` is what stands in From.

    ``attach``: in these forms a report is attached to the mail that tells of it; ``csv`` is a file for each table.
    """

    name: Name
    host: Text
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    sender: Text
    attach: tuple[Literal["txt", "md", "html", "csv"], ...] = ()
    per_minute: PerMinute | None = None
    timeout: Duration = "20s"


class Alertmanager(Section, frozen=True, kw_only=True, tag_field="type", tag="alertmanager"):
    """Prometheus Alertmanager, API version 2: one alert for each case, ended when the case ends.

    ``labels`` are added to every alert. An alert that is never ended expires after ``expires``.
    """

    name: Name
    url: Text
    labels: dict[str, Text] = field(default_factory=dict)
    username: Text | None = None
    password_file: Text | None = None
    expires: Duration = "1d"
    plates: Shown = "masked"
    timeout: Duration = "10s"
    allow: tuple[str, ...] = ()


Robot = WecomRobot | DingtalkRobot | FeishuRobot
ChannelSettings = (
    Webhook
    | MqttChannel
    | Apprise
    | WecomRobot
    | WecomApp
    | DingtalkRobot
    | FeishuRobot
    | Sms
    | AliyunSms
    | TencentSms
    | Smtp
    | Alertmanager
)


def kinds(channels: Iterable[ChannelSettings]) -> dict[str, str]:
    """Of which type each channel is, by its name."""
    return {channel.name: str(channel.__struct_config__.tag) for channel in channels}


def shows_plates(channel: ChannelSettings) -> bool:
    """Whether a plate may go over a channel: it leads to its receiver alone, or all who read it may see plates."""
    return not isinstance(channel, MqttChannel) and getattr(channel, "plates", "plain") == "plain"


def for_plates_only(channels: Iterable[ChannelSettings]) -> frozenset[str]:
    """Name the channels that many read, all of whom may see plates."""
    return frozenset(one.name for one in channels if getattr(one, "plates", "") == "plain")


DIGEST_BYTES: dict[type, int] = {WecomRobot: 1400, WecomApp: 1400, DingtalkRobot: 18_000, FeishuRobot: 16_000}
"""What the text of a digest may have: the service's limit, less what title, link and mentions take."""
SMS_PLACEHOLDERS = ("phone", "title", "text", "link", "place", "level", "case", "key", "secret")

"""The schema of ``sensord.yaml``: how this daemon is connected.

Nothing here changes whether there is an alert; how much a channel may say a minute decides what goes into digests.

Secrets are never values: they are paths of files (or systemd credentials, ``${CREDENTIALS_DIRECTORY}/name``).
Durations are written with their unit (``30s``, ``5m``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from sensord.config.channels import Apprise, ChannelSettings, MqttChannel, Webhook
from sensord.config.section import Duration, Name, Port, Section, Text
from sensord.core.instant import parse_duration

__all__ = ["Apprise", "ChannelSettings", "Duration", "MqttChannel", "Name", "Port", "Settings", "Text", "Webhook"]

TOKEN_FILE = "api.token"  # noqa: S105  # a file's name
"""In the state directory: the token with which this machine's own programs use the REST API."""


class Files(Section, frozen=True, kw_only=True):
    """Where the other configuration files are, relative to this one."""

    places: Text = "places.yaml"
    roster: Text = "roster.yaml"
    dispatch: Text = "dispatch.yaml"
    rules: Text = "../rules"
    calendar: Text | None = None
    vehicles: Text | None = None


class Tls(Section, frozen=True, kw_only=True):
    """TLS towards the broker. ``ca_file`` verifies it; the other two are our client certificate."""

    ca_file: Text | None = None
    cert_file: Text | None = None
    key_file: Text | None = None


class Mqtt(Section, frozen=True, kw_only=True):
    """The broker, and how topics are laid out."""

    host: Text = "127.0.0.1"
    port: Port = 1883
    client_id: Name = "sensord"
    username: Text | None = None
    password_file: Text | None = None
    tls: Tls | None = None
    keepalive: Duration = "20s"
    session_expiry: Duration = "7d"
    receive_maximum: Annotated[int, Meta(ge=1, le=65535)] = 1000
    queue_mib: Annotated[int, Meta(ge=1, le=1024)] = 32
    payload_kib: Annotated[int, Meta(ge=1, le=10240)] = 256
    readings: Text = "linfen/{compound}/{kind}/{device}"
    commands: Text = "linfen/commands/by/{user}/{case}"
    alerts: Text = "linfen/alerts/{grid}"
    results: Text = "linfen/results/{case}"


class Http(Section, frozen=True, kw_only=True):
    """The daemon's own HTTP server: health, metrics, REST API, pages for answers."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 9108


class Answers(Section, frozen=True, kw_only=True):
    """The links in messages by which people answer. Without ``url`` messages have none.

    ``url`` is where phones find the daemon's ``/a/`` pages (a reverse proxy). ``key_file`` signs the links (32 bytes at
    least); without it a key is made in the state directory. Links are good for ``expires``.
    """

    url: Text | None = None
    key_file: Text | None = None
    expires: Duration = "1d"


class Journal(Section, frozen=True, kw_only=True):
    """The journal's limits.

    ``max_mib`` bounds its size on the disk (0: only ``keep`` does); whole days are deleted, the oldest first, even if a
    time-series database still needs them, but nothing that alerts need, and never the current day. 2048 is nearly two
    days at 500 messages a second (1.1 GB a day), and ``keep`` up to about 30 a second; people are told when a day is
    given up. ``ballast_mib`` is kept back on the disk, so
    that alerting can go on when it is full.
    """

    keep: Duration = "30d"
    max_mib: Annotated[int, Meta(ge=0, le=1 << 24)] = 2048
    ballast_mib: Annotated[int, Meta(ge=0, le=4096)] = 64
    group_records: Annotated[int, Meta(ge=1, le=20000)] = 2000


class History(Section, frozen=True, kw_only=True):
    """How long what reports look back on stays in the state database.

    That is cases that have ended, counts of vehicles, and when cameras were blind. No plate, mask or pseudonym is in
    it: those go with the journal (``journal.keep``; a shorter time here counts as that). A quarter is held against the
    one before when 191 days are kept. 400 days of 50 gates with 19,000 passages a day take 243 MB.
    """

    keep: Duration = "400d"


class InfluxV2(Section, frozen=True, kw_only=True, tag_field="type", tag="influxdb2"):
    """InfluxDB 2.x, 3.x, or anything that takes its write API (VictoriaMetrics does)."""

    name: Name = "influxdb"
    url: Text
    org: str = ""
    bucket: Text
    token_file: Text | None = None
    batch: Annotated[int, Meta(ge=1, le=50000)] = 5000


class InfluxV1(Section, frozen=True, kw_only=True, tag_field="type", tag="influxdb1"):
    """InfluxDB 1.x over its ``/write`` endpoint."""

    name: Name = "influxdb"
    url: Text
    database: Text
    username: Text | None = None
    password_file: Text | None = None
    batch: Annotated[int, Meta(ge=1, le=50000)] = 5000


class Rollups(Section, frozen=True, kw_only=True, tag_field="type", tag="rollups"):
    """The embedded store: minutes and hours in SQLite, in the state directory."""

    name: Name = "rollups"
    keep_minutes: Duration = "30d"
    keep_hours: Duration = "730d"


SinkSettings = InfluxV2 | InfluxV1 | Rollups


class Logging(Section, frozen=True, kw_only=True):
    """How the daemon logs."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Plates(Section, frozen=True, kw_only=True):
    """How plates are protected. ``key_file`` holds the site keys of pseudonyms.

    Without it, ``plate.keys`` in the state directory is used, which the daemon makes at its first start.
    """

    key_file: Text | None = None


class Reload(Section, frozen=True, kw_only=True):
    """Whether changed files come into force by themselves, and how often they are looked at.

    They are read once they have been still for one look. A file with a mistake changes nothing, and raises an alarm.
    """

    watch: bool = True
    every: Duration = "2s"


class ReportFiles(Section, frozen=True, kw_only=True):
    """How long the files of reports are kept, in ``reports`` of the state directory."""

    keep: Duration = "730d"


class Settings(Section, frozen=True, kw_only=True):
    """``sensord.yaml`` as a whole."""

    MOVED: ClassVar[dict[str, str]] = {
        "reports": 'schedules are in dispatch.yaml: reports: [{id: morning, at: ["08:00"], tell: [...]}]'
    }

    site: Name
    language: Literal["zh", "en"] = "zh"
    timezone: Text = "Asia/Shanghai"
    state_dir: Text = "/var/lib/sensord"
    files: Files = Files()
    mqtt: Mqtt = Mqtt()
    http: Http = Http()
    answers: Answers = Answers()
    journal: Journal = Journal()
    history: History = History()
    lateness: dict[Literal["crowd", "plate", "level", "report", "status"], Duration] = field(default_factory=dict)
    plates: Plates = Plates()
    report_files: ReportFiles = ReportFiles()
    sinks: tuple[SinkSettings, ...] = (Rollups(),)
    channels: tuple[ChannelSettings, ...] = ()
    reload: Reload = Reload()
    log: Logging = Logging()

    @property
    def kept(self) -> int:
        """How long (ns) reports can look back: no shorter than the journal."""
        return max(parse_duration(self.history.keep), parse_duration(self.journal.keep))

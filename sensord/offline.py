"""The commands over recorded data: ``sensord replay`` and ``sensord recording``. Each calls one function below."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensord.words import say

if TYPE_CHECKING:
    from sensord.recordings.manifest import Manifest

EXISTING = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)
FAR = 2**63 - 1


def span_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--from`` and ``--to``."""
    begin = say("从何时起（含），例 2026-11-24T08:00", "from when on (inclusive), e.g. 2026-11-24T08:00")
    command = click.option("--to", "end", default=None, help=say("到何时止（不含）", "until when (exclusive)"))(command)
    return click.option("--from", "start", default=None, help=begin)(command)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says how a source is to be read."""
    texts = {
        "--mapping": say("表格（CSV、Parquet、JSON 行）的列映射文件", "how a table's columns are mapped"),
        "--config": say("配置文件（录制不含配置时需要；否则取代录制中的配置）",
                        "configuration (needed when the recording holds none; else it replaces the recorded one)"),
    }  # fmt: skip
    for name, text in texts.items():
        command = click.option(name, type=FILE, default=None, help=text)(command)
    return command


def span(start: str | None, end: str | None, zone: str) -> tuple[int, int]:
    """Turn ``--from`` and ``--to`` into instants (ns); raises ``click.BadParameter``."""
    from sensord.core.instant import parse_instant

    try:
        return (parse_instant(start, zone) if start else 0, parse_instant(end, zone) if end else FAR)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    help=say("用录制的数据重放规则，打印会产生的告警、案件和通知。",
             "Replay recorded data through the rules; print the alerts, cases and notifications.")
)  # fmt: skip
@click.argument("source", type=EXISTING)
@source_options
@click.option("--rules", type=EXISTING, default=None, help=say("规则文件或目录", "rules: a file or folder"))
@span_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help=say("输出格式", "output"),
)
@click.option(
    "--show",
    type=click.Choice(["alerts", "cases", "notifications"]),
    default="alerts",
    show_default=True,
    help=say("表格内容", "what the table shows"),
)
@click.option("--limit", type=int, default=40, show_default=True, help=say("表格行数（0：全部）", "rows (0: all)"))
@click.option("--output", type=NEW, default=None, help=say("写入文件（json）", "write to a file (json)"))
@click.option(
    "--state",
    type=NEW,
    default=None,
    help=say("进度文件：中断后从此继续（需 --format json --output）",
             "progress file: after an interruption go on from there (with --format json --output)"),
)  # fmt: skip
@click.option(
    "--publish", is_flag=True, help=say("发布到 --config 的 MQTT 服务器", "publish to the broker of --config")
)
@click.option("--speed", type=click.FloatRange(0.01), default=1.0, help=say("发布倍速", "speed-up when publishing"))
@click.option("--raw", is_flag=True, help=say("用原始消息而非已解码读数", "use raw messages, not decoded readings"))
def replay(
    source: Path,
    mapping: Path | None,
    config: Path | None,
    rules: Path | None,
    start: str | None,
    end: str | None,
    form: str,
    show: str,
    limit: int,
    output: Path | None,
    state: Path | None,
    publish: bool,
    speed: float,
    raw: bool,
) -> None:
    """Replay a journal's folder, a recording, a file of messages, or a foreign table."""
    from sensord.source import Source

    plain = Source(source, mapping, rules, config, raw=raw or publish)
    if publish:
        _publish(plain, start, end, speed)
        return
    opened = plain.open()
    begin, stop = span(start, end, opened.zone)
    if state is not None:
        _resume(opened, form, output, state)
    elif form == "json":
        from sensord.replaying import print_json

        if output is None:
            print_json(opened, begin, stop)
        else:
            with output.open("wb") as file:
                print_json(opened, begin, stop, file)
    else:
        from sensord.replaying import print_table

        print_table(opened, show, limit, begin, stop)


def _required(path: Path | None, option: str) -> Path:
    if path is None:
        raise click.UsageError(say(f"此处需要 {option}", f"{option} is needed here"))
    return path


def _resume(opened: object, form: str, output: Path | None, state: Path) -> None:
    import signal

    from sensord.replaying import Resumable
    from sensord.source import Opened

    assert isinstance(opened, Opened)
    if form != "json":
        raise click.UsageError(say("--state 需要 --format json", "--state needs --format json"))
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    if not Resumable(opened, _required(output, "--output"), state).run(lambda: bool(stopping)):
        click.echo(say("已暂停；用同一命令继续", "stopped; the same command goes on"), err=True)
        raise SystemExit(130)


def _publish(plain: object, start: str | None, end: str | None, speed: float) -> None:
    from sensord.source import Source
    from simulators.publish import publish_records

    assert isinstance(plain, Source)
    config = _required(plain.config, "--config")
    opened = plain.open()
    begin, stop = span(start, end, opened.zone)
    done = publish_records(config, opened.messages(begin, stop), speed)
    click.echo(say(f"已发送 {done.messages} 条消息", f"{done.messages} messages sent"))


@click.group(help=say("导出、导入、裁剪、合并、去标识化录制。", "Export, import, cut, merge and anonymise recordings."))
def recording() -> None:
    """Hold the commands together."""


@recording.command("export", help=say("把日志的一段导出为录制。", "Export a stretch of the journal as a recording."))
@click.argument("journal", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", type=NEW)
@span_options
@click.option("--readings/--no-readings", default=True, show_default=True, help="Parquet")
@click.option("--messages/--no-messages", default=True, show_default=True, help="JSON lines")
@click.option("--zone", default="Asia/Shanghai", show_default=True, help=say("时区", "time zone of --from and --to"))
def export_(
    journal: Path, target: Path, start: str | None, end: str | None, readings: bool, messages: bool, zone: str
) -> None:
    """Export a journal; plates become pseudonyms."""
    from sensord.recordings.work import export
    from sensord.source import journal_records

    begin, stop = span(start, end, zone)
    _say(export(journal_records(journal), target, begin, stop, readings, messages, secrets.token_bytes(32)))


@recording.command("import", help=say("把表格导入为录制。", "Import a table as a recording."))
@click.argument("table", type=FILE)
@click.argument("target", type=NEW)
@click.option("--mapping", type=FILE, required=True, help=say("列映射文件", "how the columns are mapped"))
def import_(table: Path, target: Path, mapping: Path) -> None:
    """Import CSV, Parquet or JSON lines."""
    from sensord.recordings.work import import_table

    _say(import_table(table, mapping, target))


@recording.command(
    help=say("说明一份录制：内容、时间、数量、缺口、校验和。", "Say what, when, how many, gaps; verify checksums.")
)
@click.argument("source", type=EXISTING)
@click.option("--json", "as_json", is_flag=True)
def info(source: Path, as_json: bool) -> None:
    """Describe a recording."""
    from sensord.recordings.work import described, summary

    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(described(source)), indent=1).decode())
    else:
        click.echo(summary(source))


@recording.command(
    help=say("裁剪、平移、缩放、加入模拟故障。", "Cut, shift in time, scale, mix with simulated faults.")
)
@click.argument("source", type=EXISTING)
@click.argument("target", type=NEW)
@span_options
@click.option("--shift", default=None, help=say("时间平移，例 7d 或 -1h", "shift in time, e.g. 7d or -1h"))
@click.option("--scale", multiple=True, help=say("缩放，例 crowd.count=1.5", "scale, e.g. crowd.count=1.5"))
@click.option("--faults", type=FILE, default=None, help=say("故障文件（YAML）", "a file of faults (YAML)"))
@click.option(
    "--config", type=FILE, default=None, help=say("为不含配置的录制补上配置", "the configuration to go with it")
)
@click.option("--readings/--no-readings", default=True, show_default=True, help="Parquet")
def cut(
    source: Path,
    target: Path,
    start: str | None,
    end: str | None,
    shift: str | None,
    scale: tuple[str, ...],
    faults: Path | None,
    config: Path | None,
    readings: bool,
) -> None:
    """Make a changed copy."""
    from sensord.recordings.work import changed, zone_of

    begin, stop = span(start, end, zone_of(source))
    _say(changed(source, target, (begin, stop), shift, scale, faults, config=config, readings=readings))


@recording.command(help=say("按到达时间合并多份录制。", "Merge recordings by time of arrival."))
@click.argument("sources", type=EXISTING, nargs=-1, required=True)
@click.argument("target", type=NEW)
@click.option("--readings/--no-readings", default=True, show_default=True, help="Parquet")
def merge(sources: tuple[Path, ...], target: Path, readings: bool) -> None:
    """Merge recordings."""
    from sensord.recordings.work import merged

    _say(merged(sources, target, readings=readings))


@recording.command(
    help=say("去标识化：号牌换成假号牌，去掉文字、电话。", "Anonymise: made-up plates, no texts, no telephone numbers.")
)
@click.argument("source", type=EXISTING)
@click.argument("target", type=NEW)
@click.option("--readings/--no-readings", default=True, show_default=True, help="Parquet")
def anonymise(source: Path, target: Path, readings: bool) -> None:
    """Take persons out of a recording."""
    from sensord.recordings.work import anonymised

    _say(anonymised(source, target, secrets.token_bytes(32), readings=readings))


def _say(manifest: Manifest) -> None:
    from sensord.recordings.work import told

    click.echo(told(manifest))

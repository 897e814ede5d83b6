"""The commands of ``sensord recording``. Each calls a function of the layers below."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensord.commands.offline import EXISTING, FILE, NEW, span, span_options
from sensord.commands.options import asked_plain, plain_options
from sensord.words import say

if TYPE_CHECKING:
    from sensord.recordings.manifest import Manifest


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
@plain_options
@click.option("--config", type=FILE, default=None, help=say("日志所属的配置", "the configuration of the journal"))
def export_(
    journal: Path,
    target: Path,
    start: str | None,
    end: str | None,
    readings: bool,
    messages: bool,
    zone: str,
    plain_plates: bool,
    config: Path | None,
    by: str | None,
    reason: str | None,
) -> None:
    """Export a journal; plates become pseudonyms unless they are asked for, with a name and a reason."""
    from sensord.recordings.work import export
    from sensord.revealing import admit_export
    from sensord.source import journal_records

    stretch = span(start, end, zone)
    plain = asked_plain(plain_plates, config, by, reason)
    if plain is not None:
        assert config is not None
        _free(target)
        admitted = admit_export(config, journal, plain, f"{start or '…'}/{end or '…'}")
        made = export(
            journal_records(journal),
            target,
            stretch,
            None,
            readings=readings,
            messages=messages,
            secrets=admitted.secrets,
        )
    else:
        key = secrets.token_bytes(32)
        made = export(journal_records(journal), target, stretch, key, readings=readings, messages=messages)
    _say(made)


def _free(target: Path) -> None:
    if target.exists():
        raise click.UsageError(say(f"{target} 已存在", f"{target} exists already"))


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

"""The commands about vehicles: their report, revealing a plate, site keys and pseudonyms."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sensord.commands.options import EXISTING, config_option
from sensord.commands.reportcli import output_options, table_option, write
from sensord.core.cases.reports import VehicleTable
from sensord.errors import SensordError
from sensord.phrasebook import shown
from sensord.words import say

_NEW = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "vehicles",
    help=say(
        "车辆报告：街道、街区、居民区、小区、出入口，分时、按日，与上周同期相比（默认昨天一天）。",
        "Vehicles by place, from the street to the gate, by hour and day, beside a week before (default: yesterday).",
    ),
)
@config_option
@click.option("--day", default=None, help=say("哪一天，例 2026-11-24", "which day, e.g. 2026-11-24"))
@click.option("--from", "since", default=None, help=say("从何时起，例 2026-11-24T07:30", "from when on"))
@click.option(
    "--to", "until", default=None, help=say("到何时止（不含；默认现在）", "until when (exclusive; default: now)")
)
@output_options("txt", "md", "html", "csv", "json")
@table_option(VehicleTable)
def report_vehicles(
    config: Path,
    day: str | None,
    since: str | None,
    until: str | None,
    form: str,
    tongue: str,
    output: Path | None,
    table: VehicleTable | None,
) -> None:
    """Print or write the report of a day, or of any other stretch of time, from the daemon's state."""
    from sensord.commands.reporting import vehicles

    try:
        text = vehicles(config, time.time_ns(), (day, since, until), form, tongue, table)
    except ValueError as error:
        raise click.BadParameter(shown(error)) from error
    write(text, output)


@click.command(
    help=say(
        "由化名或案件查出号牌；需要理由，并写入访问日志。VEHICLE 为 16 位化名或案件编号。",
        "Show the plate behind a pseudonym or of a case; needs a reason, and is written to the access log.",
    )
)
@config_option
@click.argument("vehicle")
@click.option("--by", required=True, help=say("谁在查（名册中的编号）", "who asks (an id of the roster)"))
@click.option("--reason", required=True, help=say("理由", "the reason"))
def reveal(config: Path, vehicle: str, by: str, reason: str) -> None:
    """Find the plate in the journal; nothing is shown that was not written down before."""
    from sensord.revealing import reveal as find

    for line in find(config, vehicle, by, reason):
        click.echo(line)


@click.command(
    "plate-key",
    help=say(
        "向密钥文件添加新的站点密钥（轮换）。--since 为生效时间，默认立即；旧密钥请保留到日志过期。",
        "Add a new site key to a key file (rotation), in force from --since; keep the old ones while the journal does.",
    ),
)
@click.argument("file", type=_NEW)
@click.option("--since", default="", help=say("生效时间（RFC 3339）", "from when on (RFC 3339); default: now"))
@click.option(
    "--config",
    type=EXISTING,
    help=say("配置文件：tracking.overlap 不是 30d 时给出", "the configuration, where its tracking.overlap is not 30d"),
)
def plate_key(file: Path, since: str, config: Path | None) -> None:
    """Write a new key; an existing one is never changed."""
    from sensord.config.load import load
    from sensord.config.platekeys import add_key, check_rotation
    from sensord.core.instant import parse_instant
    from sensord.core.vehicles.tracking import Tracking

    now = time.time_ns()
    try:
        at = parse_instant(since) if since else now
    except ValueError:
        raise click.BadParameter(say(f"{since} 不是时间", f"{since} is no time")) from None
    tracking = load(config).definition.tracking if config else Tracking()
    check_rotation(file, at, now, tracking.overlap)
    name = add_key(file, at)
    click.echo(say(f"{file}：新密钥 {name}；重新加载后生效", f"{file}: new key {name}; reload to put it into force"))


@click.command(
    help=say(
        "由号牌算出化名（用于布控名单）；号牌从终端输入，不出现在命令行。",
        "Make the pseudonym of a plate, for the watch list; the plate is typed, never on the command line.",
    )
)
@config_option
def pseudonym(config: Path) -> None:
    """Ask for a plate and print its pseudonym under the key in force."""
    from sensord.config.load import load
    from sensord.core.token import word
    from sensord.core.vehicles.plate import recognise
    from sensord.core.vehicles.platekind import PlateKind
    from sensord.core.vehicles.pseudonym import Pseudonymiser

    loaded = load(config)
    if not loaded.definition.plate_keys:
        raise SensordError(say("还没有站点密钥：先启动守护进程", "there is no site key yet: start the daemon first"))
    plate = recognise(click.prompt(say("号牌", "plate"), hide_input=True, err=True))
    if plate.kind in (PlateKind.NONE, PlateKind.UNREAD):
        raise SensordError(say("这不是号牌", "this is no plate"))
    who = Pseudonymiser(loaded.definition.plate_keys, 0, loaded.secrets)
    click.echo(word(who.identify(plate.text, time.time_ns()).token))


COMMANDS = (reveal, plate_key, pseudonym)

"""The commands ``sensord list`` and ``sensord report``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import get_args

import click

from sensord.commands.options import config_option
from sensord.core.cases.reports import ReportTable
from sensord.phrasebook import shown
from sensord.words import language, say


def add_to(cli: click.Group) -> None:
    """Add every command of this module."""
    for command in (list_, report):
        cli.add_command(command)


def output_options(*forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--format`` (one of ``forms``, the first unless another is asked for), ``--language`` and ``--output``."""

    def added(command: Callable[..., None]) -> Callable[..., None]:
        for name, kind, default, text in (
            ("--output", click.Path(path_type=Path), None, say("写入文件", "write to a file")),
            ("--language", click.Choice(["zh", "en"]), language(), say("语言", "language")),
            ("--format", click.Choice(forms), forms[0], say("输出格式", "output")),
        ):
            names = (name, {"--format": "form", "--language": "tongue"}.get(name, name[2:]))
            command = click.option(*names, type=kind, default=default, show_default=True, help=text)(command)
        return command

    return added


def table_option(tables: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--table``: which of ``tables`` (a ``Literal``) is written as CSV; the first unless another is asked for."""
    names = get_args(tables)

    def added(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def checked(form: str, table: str | None, **others: object) -> None:
            command(form=form, table=_chosen(names, form, table), **others)

        text = say(f"CSV 的哪一张表，默认 {names[0]}", f"which table as CSV; default: {names[0]}")
        return click.option("--table", type=click.Choice(names), default=None, help=text)(checked)

    return added


def _chosen(names: tuple[str, ...], form: str, table: str | None) -> str | None:
    """The table that is written; on standard error it says which others there are, when nobody has chosen."""
    if form != "csv" and table is not None:
        raise click.BadOptionUsage("table", say("--table 只用于 --format csv", "--table goes with --format csv"))
    if form == "csv" and table is None:
        first, others = names[0], ", ".join(names[1:])
        hint = say(f"这是表 {first}；--table 另有：{others}", f"the table {first}; with --table: {others}")
        click.echo(hint, err=True)
        return first
    return table


_TABLES = output_options("txt", "md", "html", "csv")
_WHOLE = output_options("txt", "md", "html", "csv", "json")


def write(text: str | bytes, output: Path | None) -> None:
    """Print a text, or write it into a file."""
    data = text.encode() if isinstance(text, str) else text
    if output is None:
        click.echo(data.decode(), nl=False)
    else:
        output.write_bytes(data)


@click.command(
    "list",
    help=say(
        "打印清单：problems 问题、tasks 任务、responsibilities 责任（季度评分）、silent 未响应。",
        "Print a list: problems, tasks, responsibilities (the quarterly score), silent (who did not respond).",
    ),
)
@config_option
@click.argument("name", type=click.Choice(["problems", "tasks", "responsibilities", "silent"]))
@click.option("--from", "since", default=None, help=say("从何时起，例 2026-01-01", "from when on, e.g. 2026-01-01"))
@click.option("--to", "until", default=None, help=say("到何时止（不含）", "until when (exclusive)"))
@_TABLES
def list_(
    config: Path, name: str, since: str | None, until: str | None, form: str, tongue: str, output: Path | None
) -> None:
    """Print a list of cases."""
    from sensord.commands.reporting import Lists

    try:
        text = Lists(config, time.time_ns(), tongue).listed(name, since, until, form)
    except ValueError as error:
        raise click.BadParameter(shown(error)) from error
    write(text, output)


@click.group(help=say("打印报告。", "Print a report."))
def report() -> None:
    """Hold the reports together."""


@report.command(
    help=say(
        "某日的报告：人群、车辆、案件（默认昨天）。", "Crowds, vehicles and cases of a day (yesterday by default)."
    )
)
@config_option
@click.option("--day", default=None, help=say("哪一天，例 2026-01-31", "which day, e.g. 2026-01-31"))
@_WHOLE
@table_option(ReportTable)
def daily(
    config: Path, day: str | None, form: str, tongue: str, output: Path | None, table: ReportTable | None
) -> None:
    """Print the report of a day."""
    from sensord.commands.reporting import Lists

    try:
        text = Lists(config, time.time_ns(), tongue).daily(day, form, table)
    except ValueError as error:
        raise click.BadParameter(shown(error)) from error
    write(text, output)


@report.command(help=say("最近 24 小时的报告：人群、车辆、案件。", "Crowds, vehicles and cases of the last 24 hours."))
@config_option
@_WHOLE
@table_option(ReportTable)
def latest(config: Path, form: str, tongue: str, output: Path | None, table: ReportTable | None) -> None:
    """Print the report of the last 24 hours."""
    from sensord.commands.reporting import Lists

    write(Lists(config, time.time_ns(), tongue).latest(form, table), output)


@report.command(help=say("列出已保存的报告，新的在前。", "List the reports that are kept, the newest first."))
@config_option
def kept(config: Path) -> None:
    """Print the names of the kept reports."""
    from sensord.commands.reporting import Lists

    for name in Lists(config, time.time_ns(), language()).kept():
        click.echo(name)


@report.command(help=say("打印一份已保存的报告。", "Print a report that is kept."))
@config_option
@click.argument("name")
@_WHOLE
@table_option(ReportTable)
def show(config: Path, name: str, form: str, tongue: str, output: Path | None, table: ReportTable | None) -> None:
    """Print a kept report."""
    from sensord.commands.reporting import Lists

    write(Lists(config, time.time_ns(), tongue).show(name, form, table), output)

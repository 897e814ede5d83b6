"""The command ``sensord roster``: who is on duty, the coming days' holes, changes of the plan, import and export."""

from __future__ import annotations

from pathlib import Path

import click

from sensord.commands.options import EXISTING, config_option
from sensord.commands.reportcli import write
from sensord.words import say

EXIT_HOLES = 5
_FROM = click.option("--from", "start", required=True, help=say("从何时，如 2026-02-01T08:00", "from when on"))
_TO = click.option("--to", "end", required=True, help=say("到何时", "until when"))
_NOTE = click.option("--note", default="", help=say("原因", "why"))


@click.group(
    help=say(
        "值班表：谁在岗，检查空档，请假、调班、加班，导入、导出。",
        "The roster: who is on duty; look for holes; leave, swaps, extra duty; import, export.",
    )
)
def roster() -> None:
    """Hold the roster's commands together."""


@roster.command(
    help=say(
        "逐分钟检查未来几天每个微网格是否有人在岗且可联系；有空档时退出码为 5。",
        "Prove that every micro-grid has somebody on duty and reachable at every minute; exit code 5 when not.",
    )
)
@config_option
@click.option("--days", type=click.IntRange(1, 366), default=14, show_default=True, help=say("天数", "how many days"))
def check(config: Path, days: int) -> None:
    """Look through the coming days."""
    from sensord.commands.rostering import check as look

    found, lines = look(config, days)
    for line in lines:
        click.echo(line)
    raise SystemExit(EXIT_HOLES if found.holes else 0)


@roster.command(
    "export", help=say("导出未来几天的排班（CSV 或 iCalendar）。", "Write who is on duty when, as CSV or iCalendar.")
)
@config_option
@click.option("--days", type=click.IntRange(1, 366), default=14, show_default=True, help=say("天数", "how many days"))
@click.option("--format", "form", type=click.Choice(["csv", "ics"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=None, help=say("写入文件", "write to a file"))
def export(config: Path, days: int, form: str, output: Path | None) -> None:
    """Write the duty plan."""
    from sensord.commands.rostering import spans, to_csv, to_ics

    made, zone = spans(config, days)
    write(to_csv(made, zone) if form == "csv" else to_ics(made), output)


@roster.command(
    "import",
    help=say(
        "读取 CSV（person,from,to,reason,away）或 iCalendar，打印 roster.yaml 的 changes 与 holidays。",
        "Read a CSV (person,from,to,reason,away) or iCalendar file; print changes and holidays of roster.yaml.",
    ),
)
@config_option
@click.argument("file", type=EXISTING)
def import_(config: Path, file: Path) -> None:
    """Print what a file amounts to in roster.yaml."""
    from sensord.commands.rostering import read

    click.echo(read(file, config), nl=False)


@roster.command(
    help=say(
        "谁在岗：岗位、人员、到何时、可用的渠道、请假与顶班；守护进程没有运行时按文件推算。",
        "Who is on duty: posts, people, till when, working channels, leave and stand-ins; from the files when no daemon"
        " runs.",
    )
)
@config_option
@click.option("--place", default="", help=say("只看负责此场所的岗位，由近到远", "only posts that answer for a place"))
@click.option("--at", default=None, help=say("何时，如 2026-02-01T08:00（默认现在）", "when (default: now)"))
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def now(config: Path, place: str, at: str | None, form: str) -> None:
    """Ask the running daemon, else the files."""
    from sensord.commands.onduty import as_json, look, print_table

    found, remark = look(config, place, at)
    if remark:
        click.echo(remark, err=True)
    if form == "json":
        click.echo(as_json(found))
    else:
        print_table(found)


@roster.command(help=say("列出当前和将来的请假、调班、加班。", "List leave, swaps and extra duty, now and to come."))
@config_option
def changes(config: Path) -> None:
    """Ask the running daemon."""
    from sensord.commands.remote import roster_changes

    found = roster_changes(config)
    for one in found:
        click.echo("  ".join(_words(one)))
    if not found:
        click.echo(say("没有", "none"))


def _words(change: dict[str, str | None]) -> list[str]:
    """A line of the list; what stands in ``roster.yaml`` has no id, and is changed there."""
    away, stands_in = change.get("away"), change.get("stands_in")
    reasons = {"leave": say("请假", "leave"), "swap": say("调班", "swap"), "extra": say("加班", "extra")}
    words = [change["id"] or "roster.yaml ", f"{change['from']} – {change['to']}", reasons[str(change["reason"])]]
    who = [say(f"{away} 不在", f"{away} is away")] if away else []
    who += [say(f"{stands_in} {'顶班' if away else '加班'}", f"{stands_in} is on duty")] if stands_in else []
    words.append(say("，", ", ").join(who))
    return [*words, *(str(change[name]) for name in ("by", "note") if change.get(name))]


@roster.command(help=say("某人请假（可指定顶班的人）。", "Somebody is on leave; somebody else may stand in."))
@config_option
@click.argument("person")
@_FROM
@_TO
@click.option("--stands-in", default="", help=say("顶班的人", "who is on duty instead"))
@_NOTE
def leave(config: Path, person: str, start: str, end: str, stands_in: str, note: str) -> None:
    """Send the leave to the running daemon."""
    _change(config, "leave", start, end, away=person, stands_in=stands_in, note=note)


@roster.command(help=say("调班：AWAY 的班由 STANDS_IN 上。", "A swap: STANDS_IN is on duty instead of AWAY."))
@config_option
@click.argument("away")
@click.argument("stands_in")
@_FROM
@_TO
@_NOTE
def swap(config: Path, away: str, stands_in: str, start: str, end: str, note: str) -> None:
    """Send the swap to the running daemon."""
    _change(config, "swap", start, end, away=away, stands_in=stands_in, note=note)


@roster.command(help=say("某人加班。", "Somebody is on duty beyond the plan."))
@config_option
@click.argument("person")
@_FROM
@_TO
@_NOTE
def extra(config: Path, person: str, start: str, end: str, note: str) -> None:
    """Send the extra duty to the running daemon."""
    _change(config, "extra", start, end, stands_in=person, note=note)


@roster.command(help=say("撤销一条请假、调班或加班（编号见 changes）。", "Take a change back (its id: changes)."))
@config_option
@click.argument("change")
def cancel(config: Path, change: str) -> None:
    """Ask the running daemon to take a change back."""
    from sensord.commands.remote import cancel_change

    cancel_change(config, change)
    click.echo(say(f"已撤销 {change}，立即生效", f"{change} is taken back, in force at once"))


def _change(config: Path, reason: str, start: str, end: str, **about: str) -> None:
    from sensord.commands.remote import change_roster

    name = change_roster(config, reason, start, end, {key: text for key, text in about.items() if text})
    zh = f"已生效，编号 {name}；用 sensord roster check 查看有无空档"
    click.echo(say(zh, f"in force as {name}; sensord roster check says whether there is a hole now"))

"""The commands ``sensord simulate``, ``replay`` and ``backtest``. Each calls a function of the layers below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sensord.commands.options import asked_plain, plain_options
from sensord.phrasebook import shown
from sensord.words import say

if TYPE_CHECKING:
    from sensord.backtest.report import Report
    from sensord.commands.replaying import Play
    from sensord.source import Opened, Source

EXISTING = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)
FAR = 2**63 - 1
_TEXT_WIDTH = 160
"""Columns of a report in a file, which has no terminal's width."""
_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
_READ = frozenset({"source", "mapping", "rules", "config", "keys", "start", "end", "raw"})
_USED = {
    "publish": _READ | {"publish", "speed", "plain_plates", "by", "reason"},
    "state": _READ | {"state", "form", "output"},
    "who": _READ | {"who", "processes"},
    "table": _READ | {"form", "show", "limit", "processes"},
    "json": _READ | {"form", "output", "processes"},
    "html": _READ | {"form", "output", "processes"},
}
"""Per kind of replay: the parameters that have an effect. Others, when given, are refused and not passed over."""


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
        "--keys": say("用哪份配置的站点密钥给车辆化名（默认 --config）",
                      "the configuration whose site keys name vehicles (default: --config)"),
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
        raise click.BadParameter(shown(error)) from error


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
    type=click.Choice(["table", "json", "html"]),
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
@click.option("--who", is_flag=True, help=say("会通知谁、几次、为什么", "who would have been told, how often, and why"))
@click.option("--limit", type=int, default=40, show_default=True, help=say("表格行数（0：全部）", "rows (0: all)"))
@click.option("--output", type=NEW, default=None, help=say("写入文件（json、html）", "write to a file (json, html)"))
@click.option(
    "--state",
    type=NEW,
    default=None,
    help=say("进度文件：中断后从此继续（需 --format json --output）",
             "progress file: after an interruption go on from there (with --format json --output)"),
)  # fmt: skip
@click.option(
    "--publish",
    is_flag=True,
    help=say("发布到 --config 的 MQTT 服务器；号牌换成编造的", "publish to the broker of --config, plates made up"),
)
@plain_options
@click.option("--speed", type=click.FloatRange(0.01), default=1.0, help=say("发布倍速", "speed-up when publishing"))
@click.option(
    "--processes",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help=say("2：另一个进程提前解码", "2: another process decodes ahead"),
)
@click.option("--raw", is_flag=True, help=say("用原始消息而非已解码读数", "use raw messages, not decoded readings"))
@click.pass_context
def replay(
    context: click.Context,
    source: Path,
    mapping: Path | None,
    config: Path | None,
    keys: Path | None,
    rules: Path | None,
    start: str | None,
    end: str | None,
    form: str,
    show: str,
    who: bool,
    limit: int,
    output: Path | None,
    state: Path | None,
    publish: bool,
    plain_plates: bool,
    by: str | None,
    reason: str | None,
    speed: float,
    processes: int,
    raw: bool,
) -> None:
    """Replay a journal's folder, a recording, a file of messages, or a foreign table."""
    from sensord.source import Source

    kind = "publish" if publish else "state" if state is not None else "who" if who else form
    _refuse_idle(context, f"--{kind}" if kind in ("publish", "state", "who") else f"--format {kind}", _USED[kind])
    plain = Source(source, mapping, rules, config, raw=raw or publish, keys=keys)
    if publish:
        from sensord.commands.publishing import publish as publish_all

        publish_all(plain, start, end, speed, asked_plain(plain_plates, config, by, reason))
        return
    opened = plain.open()
    begin, stop = span(start, end, opened.zone)
    if state is not None:
        _resume(plain, opened, begin, stop, form, output, state)
    elif form == "html" and not who:
        from sensord.backtest.page import replay_page, replayed
        from sensord.backtest.run import Setup
        from sensord.commands.progress import watched

        outcome = replayed(Setup.of(plain, begin, stop, processes), watched)
        _required(output, "--output").write_text(replay_page(outcome), encoding="utf-8")
    else:
        from sensord.commands.replaying import Play

        _print(Play(plain, opened, begin, stop, ahead=processes > 1), form, show, limit, output, who=who)


def _print(play: Play, form: str, show: str, limit: int, output: Path | None, *, who: bool) -> None:
    from sensord.commands.replaying import print_json, print_table, print_who

    if who:
        print_who(play)
    elif form == "table":
        print_table(play, show, limit)
    elif output is None:
        print_json(play)
    else:
        with output.open("wb") as file:
            print_json(play, file)


def _refuse_idle(context: click.Context, kind: str, used: frozenset[str]) -> None:
    """Raise ``click.UsageError`` when an option was given that has no effect on this kind of run."""
    idle = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in used and context.get_parameter_source(parameter.name or "") in _GIVEN
    ]
    if idle:
        options = ", ".join(idle)
        raise click.UsageError(say(f"{kind} 与 {options} 不能同用", f"{kind} cannot be combined with {options}"))


def _required(path: Path | None, option: str) -> Path:
    if path is None:
        raise click.UsageError(say(f"此处需要 {option}", f"{option} is needed here"))
    return path


def _resume(plain: Source, opened: Opened, begin: int, stop: int, form: str, output: Path | None, state: Path) -> None:
    import signal

    from sensord.commands.resuming import Resumable

    if form != "json":
        raise click.UsageError(say("--state 需要 --format json", "--state needs --format json"))
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    resumable = Resumable(plain, opened, _required(output, "--output"), state, begin, stop)
    if not resumable.run(lambda: bool(stopping)):
        click.echo(say("已暂停；用同一命令继续", "stopped; the same command goes on"), err=True)
        raise SystemExit(130)


@click.command(
    help=say("用录制比较两套规则：告警差异、通知人次、对照真实事件、参数扫描、建议。",
             "Compare two sets of rules over a recording: the alert diff, pages, scores, sweeps, suggestions.")
)  # fmt: skip
@click.option("--recording", "source", type=EXISTING, required=True, help=say("录制或日志目录", "recording or journal"))
@click.option(
    "--rules", type=EXISTING, default=None, help=say("现行规则（默认：录制中的）", "rules now (default: recorded)")
)
@click.option("--candidate", type=EXISTING, default=None, help=say("候选规则", "the rules to compare with"))
@source_options
@span_options
@click.option(
    "--labels",
    type=FILE,
    default=None,
    help=say("真实事件 CSV：place,start,end,kind[,level,must]", "incidents, CSV: place,start,end,kind[,level,must]"),
)
@click.option(
    "--slack", default="5m", show_default=True, help=say("告警与事件的容许间隔", "how far off an alert may be")
)
@click.option("--sweep", multiple=True, help="[RULE:]levels.orange.above=2.5:5:0.25")
@click.option("--suggest", is_flag=True, help=say("根据误报反馈给出建议", "suggest from answered false alarms"))
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@click.option("--output", type=NEW, default=None, help=say("写入文件", "write to a file"))
@click.option(
    "--limit", type=int, default=40, show_default=True, help=say("差异行数（0：全部）", "rows of the diff (0: all)")
)
@click.pass_context
def backtest(
    context: click.Context,
    source: Path,
    rules: Path | None,
    candidate: Path | None,
    mapping: Path | None,
    config: Path | None,
    keys: Path | None,
    start: str | None,
    end: str | None,
    labels: Path | None,
    slack: str,
    sweep: tuple[str, ...],
    suggest: bool,
    processes: int,
    form: str,
    output: Path | None,
    limit: int,
) -> None:
    """See what another set of rules would have done."""
    from sensord.backtest.report import Question, answer, to_json
    from sensord.backtest.run import Setup
    from sensord.commands.progress import watched
    from sensord.core.instant import parse_duration
    from sensord.source import Source

    if form != "text":
        every = frozenset(parameter.name or "" for parameter in context.command.params)
        _refuse_idle(context, f"--format {form}", every - {"limit"})
    plain = Source(source, mapping, rules or candidate, config, keys=keys)
    begin, stop = span(start, end, plain.open().zone)
    try:
        question = Question(rules, candidate, labels, sweep, suggest, parse_duration(slack))
    except ValueError as error:
        raise click.BadParameter(shown(error)) from error
    report = answer(Setup.of(plain, begin, stop, processes), question, watched)
    _say_what_is_missing(report, suggest=suggest)
    if form == "text":
        _print_report(report, limit, output)
    elif form == "json":
        text = to_json(report)
        if output is None:
            click.echo(text, nl=False)
        else:
            output.write_bytes(text)
    else:
        from sensord.backtest.page import backtest_page

        _required(output, "--output").write_text(backtest_page(report), encoding="utf-8")


def _say_what_is_missing(report: Report, *, suggest: bool) -> None:
    """Say on stderr why a report does not hold what somebody may look for in it."""
    if suggest and not report.suggestions:
        text = say(
            "没有建议：某一级别要有三次以上被处置人员报为误报，而且改了阈值后真实情况一次不少，才提建议。",
            "No suggestion: one needs three or more alarms of a level that responders called false, and a threshold "
            "that keeps every true one.",
        )
        click.echo(text, err=True)
    elif not (report.diff or report.scores or report.curves or report.suggestions):
        text = "没有可比的：请给出 --candidate、--labels、--sweep 或 --suggest。"
        click.echo(say(text, "Nothing to compare: give --candidate, --labels, --sweep or --suggest."), err=True)


def _print_report(report: Report, limit: int, output: Path | None) -> None:
    from rich.console import Console

    from sensord.backtest.text import print_report

    if output is None:
        print_report(report, limit)
        return
    with output.open("w", encoding="utf-8") as file:
        print_report(report, limit, Console(file=file, width=_TEXT_WIDTH))


@click.command(
    help=say("模拟一条街道：发布到 MQTT 服务器，或直接写成录制。",
             "Simulate a street: publish to a broker, or write a recording.")
)  # fmt: skip
@click.option("--config", type=FILE, default=Path("config/sensord.yaml"), show_default=True)
@click.option("--list", "listing", is_flag=True, help=say("列出场景", "list the scenarios"))
@click.option("--scenario", default="everyday", show_default=True, help=say("场景名", "the scenario's name"))
@click.option("--speed", type=click.FloatRange(0.1, 100), default=1.0, show_default=True, help=say("倍速", "speed-up"))
@click.option(
    "--duration", type=float, default=None, help=say("秒数（默认：场景时长）", "seconds (default: scenario's)")
)
@click.option("--host", default=None, help=say("MQTT 主机（默认：配置中的）", "broker host (default: the configured)"))
@click.option("--port", type=int, default=None, help=say("MQTT 端口", "broker port"))
@click.option(
    "--start", default=None, help=say("录制从何时起（默认：现在）", "when the recording begins (default: now)")
)
@click.option(
    "--record",
    type=NEW,
    default=None,
    help=say("写成录制（目录，含真实事件 truth.csv）或消息文件（.jsonl、.jsonl.gz）",
             "write a recording (a folder, with truth.csv) or a file of messages (.jsonl, .jsonl.gz)"),
)  # fmt: skip
@click.option(
    "--readings-only", is_flag=True, help=say("录制不含原始消息（快）", "a recording without raw messages (fast)")
)
def simulate(
    config: Path,
    listing: bool,
    scenario: str,
    speed: float,
    duration: float | None,
    host: str | None,
    port: int | None,
    start: str | None,
    record: Path | None,
    readings_only: bool,
) -> None:
    """Simulate the street."""
    from simulators.publish import run_simulation
    from simulators.recorded import list_scenarios, record_simulation

    if listing:
        for name, text in list_scenarios(config):
            click.echo(f"{name:<16} {text}")
    elif record is not None:
        begin = span(start, None, "Asia/Shanghai")[0] or None
        messages = record_simulation(config, scenario, duration, record, begin, readings_only=readings_only)
        click.echo(say(f"已写入 {messages:,} 条", f"{messages:,} written"))
    else:
        done = run_simulation(config, scenario, speed, duration, host=host, port=port)
        click.echo(say(f"已发送 {done.messages} 条消息", f"{done.messages} messages sent"))

"""The command line: the only place that reads arguments. Each command calls one function of the layers below.

Exit codes: 0 done; 1 failed while running; 2 wrong usage; 3 the configuration is refused; 4 something that sensord
needs is not reachable (``doctor``); 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from pathlib import Path

import click

from sensord import __version__
from sensord.commands import auditcli, deskcli, offline, recordingcli, reportcli, rostercli, vehicles
from sensord.commands.options import EXISTING, config_option
from sensord.errors import ConfigError, SensordError
from sensord.phrasebook import shown, shown_problem
from sensord.words import say

EXIT_FAILED, EXIT_CONFIG, EXIT_UNREACHABLE = 1, 3, 4


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=say(
        "sensord：从传感器的一条消息，到负责网格人员的手机，直到人群疏散、案件结案。",
        "sensord: from a sensor's message to the phone of whoever is responsible, until the crowd is gone.",
    ),
    epilog=say(
        "退出码：0 成功；1 运行失败；2 用法错误；3 配置被拒绝；4 依赖的服务不可达；130 被中断。"
        "语言：SENSORD_LANGUAGE=zh|en。",
        "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 configuration refused; 4 a needed service is unreachable; "
        "130 interrupted. Language: SENSORD_LANGUAGE=zh|en.",
    ),
)
@click.version_option(__version__, prog_name="sensord")
def cli() -> None:
    """Hold the commands together."""


@cli.command(help=say("运行守护进程，直到收到 SIGTERM。", "Run the daemon until SIGTERM."))
@config_option
def run(config: Path) -> None:
    """Run the daemon."""
    from sensord.hangup import HangUp

    hang_up = HangUp()
    from sensord import app  # only now: importing it takes a second or two

    raise SystemExit(app.run(config, hang_up))


@cli.command(
    help=say("检查全部配置文件，逐条指出 文件:行:列。", "Check every configuration file; say file:line:column.")
)
@config_option
@click.option("--strict", is_flag=True, help=say("有提醒也算不通过（退出码 1）", "warnings fail, too (exit code 1)"))
def check(config: Path, strict: bool) -> None:
    """Validate the configuration."""
    from sensord.config.load import load

    loaded = load(config)
    for warning in loaded.warnings:
        click.echo(shown_problem(warning))
    whole = loaded.definition
    click.echo(
        say(
            f"配置有效：{len(whole.rules)} 条规则，{len(whole.places)} 处场所，{len(whole.devices)} 台设备，"
            f"{len(whole.people)} 名人员，{len(loaded.warnings)} 条提醒。版本 {whole.version}",
            f"valid: {len(whole.rules)} rules, {len(whole.places)} places, {len(whole.devices)} devices, "
            f"{len(whole.people)} people, {len(loaded.warnings)} warnings. Version {whole.version}",
        )
    )
    if strict and loaded.warnings:
        raise SystemExit(EXIT_FAILED)


@cli.command(help=say("检查依赖的服务是否可达。", "Say what is reachable and what is not."))
@config_option
def doctor(config: Path) -> None:
    """Check the surroundings."""
    from sensord.commands.doctor import examine

    bad = 0
    for finding in examine(config):
        mark = {True: "✓", False: "✗", None: "–"}[finding.ok]
        click.echo(f"{mark} {finding.subject}: {finding.detail}")
        bad += finding.ok is False
    raise SystemExit(EXIT_UNREACHABLE if bad else 0)


cli.add_command(offline.simulate)
cli.add_command(offline.replay)
cli.add_command(offline.backtest)
cli.add_command(recordingcli.recording)
for command in (*vehicles.COMMANDS, auditcli.audit, rostercli.roster):
    cli.add_command(command)


@cli.command(
    "test", help=say("运行规则测试，逐条指出与预期不符之处。", "Run rule tests; show whatever is not as expected.")
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--config",
    type=EXISTING,
    default=None,
    help=say("改用这份配置", "use this configuration instead"),
)
@click.option("--only", default="", help=say("只运行名称含此文字的测试", "only tests whose name holds this text"))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def test_rules(paths: tuple[Path, ...], config: Path | None, only: str, form: str) -> None:
    """Run rule tests on the real core."""
    from sensord.commands.ruletesting import run_tests

    tally = run_tests(paths, config, only, form)
    if form == "text":
        click.echo(
            say(
                f"{tally.tests} 项测试，{tally.checks} 次核对，{tally.failed} 项失败",
                f"{tally.tests} tests, {tally.checks} checks, {tally.failed} failed",
            )
        )
    if not tally.tests:
        raise click.UsageError(say("没有测试", "there are no such tests"))
    raise SystemExit(EXIT_FAILED if tally.failed else 0)


@cli.command(
    help=say(
        "说明一条告警或一个案件为何产生，或某条规则在某处为何没有报警。",
        "Say why an alert or a case came about, or why a rule did not fire somewhere.",
    )
)
@click.argument("what", default="", metavar="[ALERT|CASE]")
@click.option("--rule", default="", help=say("规则编号", "the rule's id"))
@click.option("--key", default="", help=say("场所或设备编号", "the place or device"))
@click.option(
    "--at", default="", help=say("时间，如 08:15 或 2026-03-02T08:15（默认：现在）", "when: 08:15 (default: now)")
)
@config_option
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help=say("录制文件（默认：本机日志）", "a recording (default: the daemon's journal)"),
)
def explain(what: str, rule: str, key: str, at: str, config: Path, source: Path | None) -> None:
    """Explain from the journal."""
    from sensord.commands.explaining import Question, Recorded, answer

    if bool(what) == bool(rule and key):
        raise click.UsageError(
            say("写告警或案件的编号，或者 --rule 和 --key", "give an alert's or a case's id, or --rule and --key")
        )
    recorded = Recorded(source, config) if source is not None else None
    for line in answer(Question(what, rule, key, at), config, recorded):
        click.echo(line)


deskcli.add_to(cli)
reportcli.add_to(cli)
reportcli.report.add_command(vehicles.report_vehicles)


@cli.command("reload", help=say("让守护进程重新读取规则和配置。", "Let the daemon read rules and configuration again."))
@config_option
def reload_rules(config: Path) -> None:
    """Reload by the API, so that the outcome is said here."""
    from sensord.commands.remote import reload

    outcome = reload(config)
    names = (("added", "新增", "added"), ("changed", "改动", "changed"), ("removed", "删除", "removed"))
    for name, zh, en in names:
        if outcome[name]:
            click.echo(say(f"{zh}：", f"{en}: ") + ", ".join(outcome[name]))
    if outcome["restart"]:
        sections = ", ".join(outcome["restart"])
        click.echo(say(f"需要重启守护进程才生效：{sections}", f"these wait for a restart of the daemon: {sections}"))
    click.echo(
        say(
            f"已生效：{outcome['rules']} 条规则，版本 {outcome['version']}",
            f"in force: {outcome['rules']} rules, version {outcome['version']}",
        )
    )


@cli.command(help=say("列出正在处理的案件，级别高的在前。", "List the open cases, the worst first."))
@config_option
def cases(config: Path) -> None:
    """Ask the running daemon for its cases."""
    from sensord.commands.opencases import lines
    from sensord.commands.remote import overview

    for line in lines(overview(config)["cases"]):
        click.echo(line)


@cli.command(
    "dead-letters",
    help=say(
        "列出无法使用的消息（不含内容）和数据库拒绝的点，及其原因。",
        "List messages that could not be used, and points that a database refused, and why.",
    ),
)
@config_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def dead_letters(config: Path, limit: int) -> None:
    """Read the dead letters from the state database."""
    from sensord.commands.remote import recent_dead_letters

    for letter in recent_dead_letters(config, limit):
        click.echo(letter)


@cli.command("generate", help=say("生成另一个街道的场所与名册样例。", "Write places and a roster for another street."))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--blocks", type=click.IntRange(1, 50), default=4, show_default=True)
@click.option("--grids", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--micro-grids", type=click.IntRange(1, 5000), default=125, show_default=True)
@click.option("--compounds", type=click.IntRange(1, 2000), default=38, show_default=True)
@click.option("--gates", type=click.IntRange(1, 4000), default=50, show_default=True)
def generate(folder: Path, blocks: int, grids: int, micro_grids: int, compounds: int, gates: int) -> None:
    """Write a sample street."""
    from sensord.config.generate import Numbers, generate_roster, generate_street

    numbers = Numbers(blocks, grids, micro_grids, compounds, gates)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("places.yaml", generate_street(numbers=numbers)),
        ("roster.yaml", generate_roster(numbers=numbers)),
    ):
        if (folder / name).exists():
            raise click.UsageError(
                say(f"{folder / name} 已存在，不会覆盖", f"{folder / name} exists and is not overwritten")
            )
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(str(folder / name))


@cli.command(help=say("备份状态目录；守护进程可以在运行。", "Back up the state directory, also while the daemon runs."))
@config_option
@click.argument("folder", type=click.Path(path_type=Path))
def backup(config: Path, folder: Path) -> None:
    """Copy the state directory."""
    from sensord.commands.backing import back_up

    done = back_up(config, folder)
    click.echo(say(f"已备份 {len(done.files)} 个文件到 {folder}", f"{len(done.files)} files backed up to {folder}"))


@cli.command(help=say("把备份放回空的状态目录（先停止守护进程）。", "Put a backup into the empty state directory."))
@config_option
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(config: Path, folder: Path) -> None:
    """Put a backup back."""
    from sensord.commands.backing import restore as put_back

    done = put_back(config, folder)
    click.echo(say(f"已恢复 {len(done.files)} 个文件", f"{len(done.files)} files restored"))


@cli.command(
    help=say(
        "升级前由新版本运行：从日志算出它要接着用的状态；旧守护进程照常运行，中断后用同一命令继续。",
        "Before an upgrade, with the new version: make the state that it goes on from, out of the journal. The old "
        "daemon runs meanwhile. Interrupted, the same command goes on.",
    )
)
@config_option
def prepare(config: Path) -> None:
    """Make what the new version begins with."""
    from sensord.commands.preparing import prepare as make

    said, whole = make(config, partial(click.echo, err=True))
    click.echo(said)
    raise SystemExit(0 if whole else 130)


@cli.command(
    help=say("打印一种文件的 JSON Schema，供编辑器补全。", "Print the JSON Schema of a kind of file, for editors.")
)
@click.argument("name", required=False)
@click.option(
    "--wire",
    type=EXISTING,
    default=None,
    metavar="SENSORD.YAML",
    help=say(
        "把全部 schema 写到这份配置旁边的 schema/，并让各文件首行指向它",
        "write all schemas beside this configuration, and point its files' first lines to them",
    ),
)
def schema(name: str | None, wire: Path | None) -> None:
    """Print a schema, list their names, or wire an installed configuration to them."""
    import json

    from sensord.config.export import schemas
    from sensord.config.modeline import wire as wire_up

    if wire is not None:
        for path in wire_up(wire):
            click.echo(str(path))
        return
    known = schemas()
    if name is None:
        click.echo("\n".join(sorted(known)))
    elif name not in known:
        raise click.UsageError(say(f"没有名为 {name} 的 schema", f"there is no schema called {name}"))
    else:
        click.echo(json.dumps(known[name], ensure_ascii=False, indent=2))


def collect_less() -> None:
    """Let the garbage collector look less often: the core makes many small values and no cycles."""
    gc.set_threshold(50_000, 20, 100)


def log_plainly() -> None:
    """Let commands log to standard error, redacted; ``run`` then logs as its configuration says.

    Left alone, structlog would print between a command's answers, and show each failing call's variables.
    """
    from sensord.config.settings import Logging
    from sensord.telemetry.logs import configure

    configure(Logging(format="console", level="warning"))


def main() -> None:
    """Run the command line; every expected failure is one clear text on stderr and an exit code."""
    collect_less()
    log_plainly()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        click.echo(shown(error), err=True)
        count = len(error.problems)
        click.echo(
            say(f"配置被拒绝：{count} 处错误", f"the configuration is refused: {count} mistake{'s' * (count > 1)}"),
            err=True,
        )
        sys.exit(EXIT_CONFIG)
    except SensordError as error:
        click.echo(shown(error), err=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)

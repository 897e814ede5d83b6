"""The commands of a duty desk: answers to cases, decisions, silences, counts; and the tokens of the REST API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensord.commands.options import config_option
from sensord.errors import SensordError
from sensord.words import say

if TYPE_CHECKING:
    from sensord.commands.remote import Decision

_ANSWERS = {
    "acknowledge": ("确认案件：有人正在处理。", "Acknowledge a case: somebody is on it."),
    "on-the-way": ("报告正在赶往现场。", "Say that somebody is on the way."),
    "on-the-scene": ("报告已到现场。", "Say that somebody is on the scene."),
    "dispersed": ("报告人群已疏散。", "Report that the crowd is gone."),
    "false-alarm": ("报告误报。", "Report a false alarm."),
    "need-help": ("请求支援。", "Ask for help."),
    "close": (
        "报告已结束并结案（传感器仍报警时会被拒绝；平静满规定时间后生效）。",
        "Report the end and close (refused while sensors still alarm; once they have been calm for long enough).",
    ),
}
_DECISIONS = {
    "void": ("作废案件（须说明原因）。", "Void a case (with the reason)."),
    "extend": ("延长本阶段时限（须说明原因）。", "Extend the limit of the present stage (with the reason)."),
    "return": ("退回案件，重新派遣（须说明原因）。", "Give a case back: it is dispatched again (with the reason)."),
}
_BY = say("以谁的名义（名册中的角色编号）", "in whose name (a role id of the roster)")


def add_to(cli: click.Group) -> None:
    """Add every command of this module."""
    for word, texts in _ANSWERS.items():
        cli.add_command(_answer(word, say(*texts)))
    for word, texts in _DECISIONS.items():
        cli.add_command(_decision(word, say(*texts)))
    for command in (silence, unsilence, count, finding, token):
        cli.add_command(command)


def _told(decision: Decision) -> None:
    """Say that it is recorded and what became of it; what was refused is an error."""
    seq, accepted, sentence = decision
    if accepted is False:
        raise SensordError(say(f"被拒绝：{sentence}（日志组 {seq}）", f"refused: {sentence} (journal group {seq})"))
    became = say(f"：{sentence}", f": {sentence}") if sentence else ""
    click.echo(say(f"已记录（日志组 {seq}）", f"recorded (journal group {seq})") + became)


def _answer(word: str, text: str) -> click.Command:
    @click.command(word, help=text)
    @config_option
    @click.argument("case")
    @click.option("--by", required=True, help=_BY)
    @click.option("--note", default="", help=say("备注", "a remark"))
    def command(config: Path, case: str, by: str, note: str) -> None:
        """Send the answer to the running daemon."""
        from sensord.commands.remote import act

        _told(act(config, case, word.replace("-", "_"), by, note))

    return command


def _decision(word: str, text: str) -> click.Command:
    @click.command(word, help=text)
    @config_option
    @click.argument("case")
    @click.option("--note", required=True, help=say("原因", "the reason"))
    @click.option("--by", default="", help=_BY)
    @click.option("--until", default=None, help=say("延长到何时（如 2026-05-01T12:00）", "until when (extend)"))
    def command(config: Path, case: str, note: str, by: str, until: str | None) -> None:
        """Send the decision to the running daemon."""
        from sensord.commands.remote import act

        _told(act(config, case, word, by, note, until))

    return command


@click.command(help=say("静默：符合条件的案件到时间前不通知。", "Silence: whatever fits is not told until then."))
@config_option
@click.option("--place", "places", multiple=True, help=say("场所编号，含其下所有场所", "a place, with all below it"))
@click.option("--rule", "rules", multiple=True, help=say("规则编号", "a rule's id"))
@click.option("--policy", "policies", multiple=True, help=say("派遣方案", "a dispatch plan"))
@click.option("--person", "people", multiple=True, help=say("只对这些人静默", "only for these people"))
@click.option(
    "--up-to",
    type=click.Choice(["blue", "yellow", "orange", "red"]),
    default="orange",
    show_default=True,
    help=say("最高到哪一级", "the highest level covered"),
)
@click.option("--for", "lasts", required=True, help=say("多久，如 2h", "how long, such as 2h"))
@click.option("--note", required=True, help=say("原因", "the reason"))
@click.option("--id", "name", default="", help=say("名称（可不填）", "a name of its own"))
def silence(config: Path, up_to: str, lasts: str, note: str, name: str, **scope: tuple[str, ...]) -> None:
    """Ask the running daemon for a silence."""
    from sensord.commands.remote import silence as send

    given = {part: words for part, words in scope.items() if words}
    _told(send(config, name, {**given, "up_to": up_to}, lasts, note))


@click.command(help=say("结束一个静默。", "End a silence."))
@config_option
@click.argument("name")
def unsilence(config: Path, name: str) -> None:
    """Ask the running daemon to end a silence."""
    from sensord.commands.remote import unsilence as send

    _told(send(config, name))


@click.command(
    help=say(
        "报告人工清点的结果：小区 COMPOUND 内现有 VEHICLES 辆车。此后“在内”按这个数继续计。",
        "Say that somebody has counted: VEHICLES are inside COMPOUND now. From then on that is the number inside.",
    ),
    context_settings={"ignore_unknown_options": True},  # a number below zero is answered, and no option
)
@config_option
@click.argument("compound")
@click.argument("vehicles", type=int)
@click.option("--by", required=True, help=_BY)
@click.option("--note", default="", help=say("备注", "a remark"))
def count(config: Path, compound: str, vehicles: int, by: str, note: str) -> None:
    """Send the count to the running daemon."""
    from sensord.commands.remote import count as send

    _told(send(config, compound, vehicles, by, note))


@click.command(help=say("上报一个巡查发现，进入案件流程。", "File what an inspection found; it becomes a case."))
@config_option
@click.option("--place", required=True, help=say("场所编号", "the place"))
@click.option(
    "--severity",
    type=click.Choice(["blue", "yellow", "orange", "red"]),
    required=True,
    help=say("级别", "how bad it is"),
)
@click.option("--kind", "code", default="", help=say("种类，如 占道", "what kind, such as obstruction"))
@click.option("--text", default="", help=say("说明（只存于日志）", "in words (kept in the journal only)"))
@click.option("--by", required=True, help=_BY)
def finding(config: Path, place: str, severity: str, code: str, text: str, by: str) -> None:
    """Send the finding to the running daemon."""
    from sensord.commands.remote import finding as send

    seq, device = send(config, place, severity, code, text, by)
    click.echo(say(f"已记录（日志组 {seq}，{device}）", f"recorded (journal group {seq}, {device})"))


@click.group(help=say("管理接口令牌（viewer、operator、admin）。", "Tokens of the REST API (viewer, operator, admin)."))
def token() -> None:
    """Hold the token commands together."""


@token.command("create", help=say("新建令牌；只显示这一次。", "Make a token; it is shown this once."))
@config_option
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]), required=True, help=say("角色", "the role"))
@click.option(
    "--expires", default=None, help=say("有效期，如 90d（默认长期）", "its life, such as 90d (default: no end)")
)
def create_token(config: Path, name: str, role: str, expires: str | None) -> None:
    """Make a token and print it."""
    from sensord.commands.accounts import create

    click.echo(create(config, name, role, expires))


@token.command("list", help=say("列出令牌（不含内容）。", "List the tokens (never their texts)."))
@config_option
def list_tokens(config: Path) -> None:
    """Print a line per token."""
    from sensord.commands.accounts import listed

    for line in listed(config):
        click.echo(line)


@token.command("revoke", help=say("吊销令牌，立即生效。", "Take a token out of force, at once."))
@config_option
@click.argument("name")
def revoke_token(config: Path, name: str) -> None:
    """Take a token out of force."""
    from sensord.commands.accounts import revoke

    if not revoke(config, name):
        raise click.UsageError(say(f"没有名为 {name} 的令牌", f"there is no token called {name}"))
    click.echo(say(f"已吊销 {name}", f"{name} is revoked"))

"""The rules that are built in: what is wrong with the daemon itself and with the duty plan, as alerts like any other.

What raises them differs (a notice in the journal, the daily look at the roster, a receipt); the rest is one mechanism:
a row of the table below, one version, one place where it stands what is active, one way in which a plan is chosen. So
they become cases, reach people, and are the same in every replay. What is active is not raised again, what is not
active is not cleared: something may be said twice.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sensord.core.alert import Change, Transition, change_of, transition_id
from sensord.core.cases.notice import Trouble
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.core.rules.rule import Clear, LevelSpec, Rule

VERSION = "built-in"
PREFIX = "sensord-"
"""Ids of the rules about the daemon itself begin with this; no rule of an operator's may."""
HOLE, UNREACHED = "roster-hole", "contact-undeliverable"
OTHERS = "others"
"""In ``built_in`` of ``dispatch.yaml``: all rules of the table that are not named there."""
SOON = DAY
"""A hole that begins so soon is orange, a later one yellow."""

Active = dict[str, tuple[Level, str]]
"""The built-in alerts that are active: ``rule:key`` to level and place."""


class _Row(NamedTuple):
    """One rule: what its alerts are about, its levels with what is reached for each, its name and text in zh and en."""

    by: PlaceKind
    levels: tuple[tuple[Level, float], ...]
    name: tuple[str, str]
    message: tuple[str, str]


def trouble_rule(trouble: Trouble) -> str:
    """The id of the rule that stands for a trouble of the daemon itself."""
    return PREFIX + trouble.value


_ROWS: dict[str, _Row] = {
    trouble_rule(Trouble.STATE_LOST): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("状态库丢失", "State database lost"),
        (
            "sensord 的状态库损坏或丢失，{time} 已从日志重建。请核对未结案件。",
            "The state database was damaged or gone; it was rebuilt from the journal at {time}. Check the open cases.",
        ),
    ),
    trouble_rule(Trouble.PAST_UNKNOWN): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("此前情况未知", "What was before is not known"),
        (
            "保存的状态无法读取，{time} 起仅按最近的日志运行：更早的未结案件、基线和在场车辆未知。请核对未结案件。",
            "No saved state could be read ({time}): older cases, baselines, vehicles are unknown. Check the cases.",
        ),
    ),
    trouble_rule(Trouble.JOURNAL_DAMAGED): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("日志损坏", "Journal damaged"),
        (
            "日志文件损坏或缺失，部分记录丢失；{time} 起照常报警。请用 sensord doctor 查看丢失内容，并核对未结案件。",
            "Journal files were damaged or missing, records are lost (see sensord doctor). Since {time} alerts go on.",
        ),
    ),
    trouble_rule(Trouble.DISK_FULL): _Row(
        PlaceKind.STREET,
        ((Level.RED, 1.0),),
        ("磁盘已满", "Disk full"),
        (
            "磁盘已满或文件数将尽（{time}）：空间用尽时读数排队等候，仅最新读数靠预留空间报警，维持时间有限。请立即清理磁盘。",
            "The disk is full, or out of files ({time}): the newest readings go on for a limited time. Clean up now.",
        ),
    ),
    trouble_rule(Trouble.DISK_RESERVE_USED): _Row(
        PlaceKind.STREET,
        ((Level.RED, 1.0),),
        ("预留空间用尽，停止接收读数", "Disk reserve used up, no readings are taken in"),
        (
            "磁盘预留空间已用尽：自 {time} 起不再接收传感器读数，新的聚集不会报警。请立即清理磁盘空间。",
            "The disk's reserve is used up: since {time} nobody is told of new crowds. Free space now.",
        ),
    ),
    trouble_rule(Trouble.POSSIBLE_GAP): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("消息可能缺失", "Messages may be missing"),
        (
            "MQTT 服务器丢失了会话，或会话被占用，{time} 前后的消息可能缺失。请查看运行手册。",
            "The broker lost our session, or somebody took it: messages around {time} may be missing. See the manual.",
        ),
    ),
    trouble_rule(Trouble.RELOAD_REFUSED): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("新配置被拒绝", "New configuration refused"),
        (
            "{time} 的新配置有错误，未生效，仍按原规则运行。请运行 sensord check。",
            "The configuration of {time} has a mistake and is not in force; the rules before are. Run: sensord check.",
        ),
    ),
    trouble_rule(Trouble.BROKER_BEHIND): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("读数积压", "Readings arrive late"),
        (
            "读数积压：{time} 起接收的读数多于处理能力，积压按序处理，最新读数优先报警。请查找异常发送的设备或网关。",
            "More readings come in than can be taken since {time}: the newest go first. Look for who sends too much.",
        ),
    ),
    trouble_rule(Trouble.BROKER_AWAY): _Row(
        PlaceKind.STREET,
        ((Level.RED, 1.0),),
        ("收不到传感器读数", "No readings come in"),
        (
            "sensord 与 MQTT 服务器断开已 1 分钟（{time}）：全街道情况未知，新的聚集不会报警。请检查网络并安排巡查。",
            "No connection to the broker for a minute ({time}): nobody is told of new crowds. Check it, send patrols.",
        ),
    ),
    trouble_rule(Trouble.HOST_CLOCK): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("时间有误", "The time is wrong"),
        (
            "主机时钟被改动，通知中的时间和值班安排有误（现在记为 {time}）。请核对时钟，按 sensord doctor 所示处理。",
            "The host's clock was set: times in messages and duty plans are wrong (now: {time}); see sensord doctor.",
        ),
    ),
    trouble_rule(Trouble.JOURNAL_CUT): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("日志超限，提前删除", "Journal cut short"),
        (
            "日志超过上限，{time} 提前删除了最早的数据，时序库可能缺数。报警不受影响。请查看 sensord doctor。",
            "The journal was too large: its oldest days went at {time}; time series may lack them. See sensord doctor.",
        ),
    ),
    trouble_rule(Trouble.SERIES_STALLED): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("时序数据停滞", "Time series stand still"),
        (
            "时序库超过 10 分钟写不进数据（{time}），积压在日志中保留，报警不受影响。请查看 sensord doctor。",
            "A time-series database took nothing for ten minutes ({time}); the journal keeps it. See sensord doctor.",
        ),
    ),
    trouble_rule(Trouble.HANDLING_FAILED): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("sensord 内部出错", "A mistake in sensord"),
        (
            "sensord 出错，有一起案件、一条规则或消息未能处理（{time}），其他照常报警。请看 sensord doctor，人工跟进。",
            "A case, rule or message could not be handled ({time}); all else goes on. Act by hand: see sensord doctor.",
        ),
    ),
    trouble_rule(Trouble.SAFE_MODE): _Row(
        PlaceKind.STREET,
        ((Level.ORANGE, 1.0),),
        ("安全模式", "Safe mode"),
        (
            "sensord 多次异常退出，{time} 起以安全模式运行：报警照常，时序数据等停用。请查看日志。",
            "The daemon died again and again; in safe mode since {time}: alerts go on, the rest does not. See the log.",
        ),
    ),
    trouble_rule(Trouble.LINKS_VOID): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("消息中的链接打不开", "Links in messages do not open"),
        (
            "链接签名密钥损坏或不可用（{time}）：以前消息里的链接打不开，请用控制台或命令行答复。",
            "The key of links is damaged or of no use ({time}): old links do not open. Use console or command line.",
        ),
    ),
    trouble_rule(Trouble.TOKENS_LOST): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("接口令牌丢失", "Tokens are lost"),
        (
            "接口令牌文件损坏，{time} 起原有令牌全部失效。请用 sensord token create 重新发放。",
            "The file of the API tokens was damaged: since {time} none of them holds. Run: sensord token create.",
        ),
    ),
    trouble_rule(Trouble.PLATES_OFF): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("车辆识别停用", "Vehicles are not followed"),
        (
            "号牌密钥损坏或不符，{time} 起不再区分车辆，车辆类规则停用；人群报警照常。请恢复 plate.keys。",
            "The site keys do not serve: vehicles are not followed since {time}, crowds are. Restore plate.keys.",
        ),
    ),
    trouble_rule(Trouble.CHANGES_UNREAD): _Row(
        PlaceKind.STREET,
        ((Level.YELLOW, 1.0),),
        ("调班记录无法读取", "Changes of duty cannot be read"),
        (
            "调班记录文件损坏，{time} 起按原值班表通知。请恢复 roster.changes.yaml，或重新登记调班。",
            "Changes of duty cannot be read: the plan holds without them since {time}. Restore roster.changes.yaml.",
        ),
    ),
    HOLE: _Row(
        PlaceKind.MICRO_GRID,
        ((Level.YELLOW, DAY / HOUR * 7), (Level.ORANGE, SOON / HOUR)),
        ("值班空档", "Hole in the roster"),
        (
            "{place}：{gap}无人值班且可联系。请安排人员（sensord roster extra 或 swap；空档清单：roster check）。",
            "{place}: {gap} nobody is on duty and reachable; find somebody (sensord roster extra, swap, check). ",
        ),
    ),
    UNREACHED: _Row(
        PlaceKind.STREET,
        ((Level.BLUE, 1.0),),
        ("联系不上", "Cannot be reached"),
        (
            "{place}：{contact}的联系方式无法送达，{time}，请核对值班表。",
            "{place}: the contact of {contact} does not deliver, {time}; check the roster. ",
        ),
    ),
}
IDS = frozenset(_ROWS)


def used_plans(definition: Definition) -> dict[str, tuple[str, ...]]:
    """The roles of each plan by which somebody may be told of a place: those that rules and built-in alerts name."""
    used = {rule.dispatch for rule in definition.rules} | set(definition.built_in.values())
    return {policy.id: policy.roles for policy in definition.policies if policy.id in used}


def reserved(rule: str) -> bool:
    """Whether no rule of an operator's may be called so."""
    return rule in IDS or rule.startswith(PREFIX)


def lowest(rule: str) -> Level:
    """The level at which a built-in rule begins."""
    return _ROWS[rule].levels[0][0]


def built_in(definition: Definition) -> tuple[Rule, ...]:
    """The built-in rules under a definition, each with its plan."""
    return tuple(_rule(rule, row, plan_of(definition, rule)) for rule, row in _ROWS.items())


def plan_of(definition: Definition, rule: str) -> str:
    """The plan by which a built-in rule is told: its own, that of the ``others``, or that of silent sensors.

    Whoever looks after the devices looks after the daemon. Without any rule on silence it is the first plan there is.
    """
    named = [definition.built_in[name] for name in (rule, OTHERS) if name in definition.built_in]
    silence = [one.dispatch for one in definition.rules if one.absent]
    plans = [policy.id for policy in definition.policies]
    return next((plan for plan in (*named, *silence, *plans) if plan in plans), "")


def _rule(rule: str, row: _Row, dispatch: str) -> Rule:
    return Rule(
        id=rule,
        name=dict(zip(("zh", "en"), row.name, strict=True)),
        stream=None,
        by=row.by,
        dispatch=dispatch,
        levels=tuple(LevelSpec(level, reached) for level, reached in row.levels),
        clear=Clear((0.0,) * len(row.levels), 0),
        message=dict(zip(("zh", "en"), row.message, strict=True)),
    )


def change_alert(
    active: Active, rule: str, key: str, place: str, level: Level, at: int, value: float | None = None
) -> Transition | None:
    """Move a built-in alert to a level at ``at`` (ns); None when it stands there already."""
    name = f"{rule}:{key}"
    previous, place = active.get(name, (Level.NONE, place))
    if previous is level:
        return None
    if level is Level.NONE:
        del active[name]
    else:
        active[name] = (level, place)
    return _transition(rule, key, place, change_of(previous, level), level, previous, at, value)


def go_on(rule: str, key: str, place: str, level: Level, at: int, value: float, which: str) -> Transition:
    """A built-in alert that is active goes on with something else, of a level of its own."""
    made = _transition(rule, key, place, Change.ANOTHER, level, level, at, value)
    return msgspec.structs.replace(made, id=transition_id(rule, VERSION, key, at, Change.ANOTHER, level, which))


def withdraw(active: Active, places: set[str], at: int) -> list[Transition]:
    """Take back the alerts of places that exist no more."""
    gone = [(name, level, place) for name, (level, place) in active.items() if place not in places]
    changes = []
    for name, level, place in gone:
        del active[name]
        rule, _, key = name.partition(":")
        changes.append(_transition(rule, key, place, Change.WITHDRAWN, Level.NONE, level, at, None))
    return changes


def _transition(
    rule: str, key: str, place: str, change: Change, level: Level, previous: Level, at: int, value: float | None
) -> Transition:
    return Transition(
        id=transition_id(rule, VERSION, key, at, change, level),
        rule=rule,
        version=VERSION,
        key=key,
        place=place,
        change=change,
        level=level,
        previous=previous,
        at=at,
        end=at,
        value=value,
        threshold=None,
        samples=0,
    )

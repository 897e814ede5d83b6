"""What people must know of the daemon itself: troubles, as alerts that take the same way as any other.

A notice is a journal record, so that replay decides the same. It raises or clears an alert of a rule of ours, at the
street, with the plan that also tells of silent sensors: whoever looks after the devices looks after the daemon. What is
already active is not raised again, what is not active is not cleared: a notice may be journaled twice.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.alert import Change, Transition, transition_id
from sensord.core.definition import Definition
from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.core.rules.rule import Clear, Rule

VERSION = "1"
PREFIX = "sensord-"
"""Ids of our own rules begin with this."""


class Trouble(StrEnum):
    """What can be wrong."""

    STATE_LOST = "state-lost"
    """The state database was damaged, gone, or of another journal; it was built anew."""
    DISK_FULL = "disk-full"
    """Readings are not taken in; they wait at the broker."""
    POSSIBLE_GAP = "possible-gap"
    """The broker has lost our session, or another client has taken it: messages may be missing."""
    RELOAD_REFUSED = "reload-refused"
    """The configuration holds a mistake; the rules before are in force."""
    SAFE_MODE = "safe-mode"
    """The daemon died again and again; it runs without time series, reports and the like."""


class Notice(msgspec.Struct, frozen=True):
    """A trouble begins (``active``), or is over."""

    trouble: Trouble
    active: bool


_TEXTS: dict[Trouble, tuple[Level, str, str, str, str]] = {
    Trouble.STATE_LOST: (
        Level.ORANGE,
        "状态库丢失",
        "State database lost",
        "sensord 的状态库损坏或丢失，{time} 已从日志重建。请核对未结案件。",
        "The state database was damaged or gone; it was rebuilt from the journal at {time}. Check the open cases.",
    ),
    Trouble.DISK_FULL: (
        Level.RED,
        "磁盘已满，停止接收读数",
        "Disk full, no readings are taken in",
        "磁盘已满：自 {time} 起不再接收传感器读数，新的聚集不会报警。请立即清理磁盘空间。",
        "The disk is full: since {time} no readings are taken in, and new crowds raise no alert. Free disk space now.",
    ),
    Trouble.POSSIBLE_GAP: (
        Level.YELLOW,
        "消息可能缺失",
        "Messages may be missing",
        "MQTT 服务器丢失了会话，或会话被占用，{time} 前后的消息可能缺失。请查看运行手册。",
        "The broker lost our session, or somebody took it: messages around {time} may be missing. See the manual.",
    ),
    Trouble.RELOAD_REFUSED: (
        Level.YELLOW,
        "新配置被拒绝",
        "New configuration refused",
        "{time} 的新配置有错误，未生效，仍按原规则运行。请运行 sensord check。",
        "The configuration of {time} holds a mistake and is not in force; the rules before are. Run: sensord check.",
    ),
    Trouble.SAFE_MODE: (
        Level.ORANGE,
        "安全模式",
        "Safe mode",
        "sensord 多次异常退出，{time} 起以安全模式运行：报警照常，时序数据等停用。请查看日志。",
        "The daemon died again and again; in safe mode since {time}: alerts go on, the rest does not. See the log.",
    ),
}


def decode_notice(text: bytes) -> Notice:
    """Read a notice; raises ``msgspec.DecodeError`` when it is none."""
    return msgspec.json.decode(text, type=Notice)


def rule_id(trouble: Trouble) -> str:
    """The id of the rule that stands for a trouble."""
    return PREFIX + trouble.value


def own_rules(definition: Definition) -> tuple[Rule, ...]:
    """The rules of our own, with the plan of the definition that tells whoever looks after the devices."""
    plans = [rule.dispatch for rule in definition.rules if rule.absent] + [plan.id for plan in definition.policies]
    return tuple(
        Rule(
            id=rule_id(trouble),
            name={"zh": name_zh, "en": name_en},
            stream=None,
            by=PlaceKind.STREET,
            dispatch=plans[0] if plans else "",
            levels=(),
            clear=Clear((), 0),
            message={"zh": zh, "en": en},
        )
        for trouble, (_, name_zh, name_en, zh, en) in _TEXTS.items()
    )


def transition_of(notice: Notice, at: int, definition: Definition) -> Transition | None:
    """What a notice changes at ``at`` (ns); None while no street is defined, for nobody could be told then."""
    street = next((place.id for place in definition.places if place.kind is PlaceKind.STREET), None)
    if street is None:
        return None
    level = _TEXTS[notice.trouble][0]
    change, now, before = (Change.RAISED, level, Level.NONE) if notice.active else (Change.CLEARED, Level.NONE, level)
    rule, key = rule_id(notice.trouble), notice.trouble.value
    return Transition(
        id=transition_id(rule, VERSION, key, at, change, now),
        rule=rule,
        version=VERSION,
        key=key,
        place=street,
        change=change,
        level=now,
        previous=before,
        at=at,
        end=at,
        value=None,
        threshold=None,
        samples=0,
    )

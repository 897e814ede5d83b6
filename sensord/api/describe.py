"""The table of routes in ``docs/api.md`` and its Chinese twin, drawn from the application itself (``make docs``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from sensord.api.access import LEAST
from sensord.api.application import Metrics, Office, build
from sensord.api.tokens import Role

_BEGIN, _END = "<!-- routes -->", "<!-- /routes -->"


_ZH = {
    "Does every worker make progress?": "各工作线程是否都在前进",
    "Is everything as it should be?": "一切是否正常",
    "Prometheus metrics": "Prometheus 指标",
    "Cases, alerts and sensors at a glance": "案件、告警、传感器总览",
    "Cases, newest first": "案件，最新的在前",
    "One case with its story: events, messages and their outcomes, holds": "一个案件的经过：事件、通知、未通知的理由",
    "Places with their live state; a blind place is unknown, never normal": "场所及实时状态；失联的是未知，不是正常",
    "One place with its live state": "一个场所及实时状态",
    "The rules in force": "现行规则",
    "One rule": "一条规则",
    "Who answers for which place, over which channels; addresses stay in the file": "谁负责哪里、用什么渠道；不含地址",
    "Who is on duty, till when, over which channels; who is away, who stands in": "谁在岗、到何时、渠道；请假与顶班",
    "The dispatch plans in force": "现行派遣预案",
    "Silences in force or to come": "当前和将来的静默",
    "Changes of alerts and cases as they happen (server-sent events)": "告警和案件的实时变更（服务器推送事件）",
    "Answer, or decide": "反馈或审批",
    "Silence what fits, until then": "静默符合条件的案件，到时为止",
    "End a silence": "结束静默",
    "Say how many vehicles are inside a compound, counted by hand": "报告小区在内车辆数（人工清点）",
    "Report what an inspection found": "上报巡查发现",
    "Say how far a message came": "上报消息送达情况",
    "Read rules and configuration again": "重新读取规则和配置",
    "The reports that are kept, the newest first": "已保存的报告，最新的在前",
    "One report": "一份报告",
    "Make the report of a local day": "生成某日的报告",
    "Vehicles by place, hour and day, of any time": "任意时间的车辆：按场所、小时、日",
    "A list of cases or people": "案件或人员清单",
    "The quarterly score of each grid and role": "各居民区、各角色的季度评分",
    "What somebody was told and did": "一个人的台账：收到什么、做了什么",
    "What a shift was told and did": "一个班次的台账",
    "Leave, swaps and extra duty, in force or to come": "当前和将来的请假、调班、加班",
    "Leave, swap or extra duty": "请假、调班或加班",
    "Take a change of the duty plan back": "撤销一条值班调整",
    "The rule files: names, hashes, sizes": "规则文件：名称、哈希、大小",
    "One rule file's text": "一个规则文件的内容",
    "Check a candidate; nothing changes": "检查候选规则，不改变任何东西",
    "Put a rule file live": "发布规则文件",
    "Delete a rule file": "删除规则文件",
    "Who changed what over the API, the newest first": "谁经接口改了什么，最新的在前",
}
"""What routes are for, in Chinese, by their summaries; one that is missing makes ``make docs`` fail."""
_HEAD = {"en": "| | path | role | |", "zh": "| | 路径 | 角色 | |"}


def table(language: str) -> str:
    """Return the table in ``en`` or ``zh``: method, path, least role, what it is for; one line per route."""
    nobody = cast(Any, None)
    app = build(nobody, nobody, Metrics(nobody, "", nobody), nobody, None, nobody, Office(nobody, nobody, nobody))
    lines = [_HEAD[language], "|---|---|---|---|"]
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute) and route.include_in_schema:
            role = max(_roles(route.dependant), default=None)
            word = role.word if role is not None else "-"
            methods = sorted(route.methods or ())
            summary = str(route.summary) if language == "en" else _ZH[str(route.summary)]
            lines += [f"| {method} | `{context.path}` | {word} | {summary} |" for method in methods]
    return "\n".join(lines) + "\n"


def _roles(dependant: Dependant) -> Iterator[Role]:
    for one in dependant.dependencies:
        if one.call in LEAST:
            yield LEAST[one.call]
        yield from _roles(one)


def redraw(text: str, language: str) -> str:
    """Return a document with the table between its marks drawn anew; raises ``ValueError`` when there are none."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    if not rest or not after:
        raise ValueError(f"the document lacks {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n{table(language)}{_END}{after}"

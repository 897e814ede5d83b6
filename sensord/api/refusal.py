"""What is refused, in Chinese and English: one exception for every answer of 4xx and 5xx, and words for others' errors.

Whoever stands behind the API raises ``Refused`` as it should be answered, in English; the Chinese is the phrasebook's.
What the framework itself refuses (a path, a
method, a body that does not fit) is put into the same form here, never with what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from sensord.phrasebook import chinese

MOST_TOLD = 10
"""So many mistakes of one request are told."""

_FRAMEWORK = {
    400: "the request cannot be read",
    404: "there is no such path",
    405: "this path does not take that method",
}
_INVALID = {
    "missing": "缺少这一项",
    "extra_forbidden": "没有这一项",
    "json_invalid": "不是有效的 JSON",
    "string_type": "应为文字",
    "string_too_short": "至少要有 {min_length} 个字",
    "string_too_long": "最多 {max_length} 个字",
    "string_pattern_mismatch": "写法不对，应符合 {pattern}",
    "too_long": "最多 {max_length} 项",
    "list_type": "应为列表",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "model_attributes_type": "应为 JSON 对象",
    "enum": "只能是 {expected}",
    "literal_error": "只能是 {expected}",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "timezone_aware": "时间要带时区，如 2026-01-31T18:00:00+08:00",
    "date_from_datetime_parsing": "应为日期，如 2026-01-31",
    "date_parsing": "应为日期，如 2026-01-31",
    "date_type": "应为日期，如 2026-01-31",
    "datetime_from_date_parsing": "应为时间，如 2026-01-31T18:00:00+08:00",
    "datetime_parsing": "应为时间，如 2026-01-31T18:00:00+08:00",
    "datetime_type": "应为时间，如 2026-01-31T18:00:00+08:00",
}
"""What is wrong with a part of a request, by pydantic's name for it; others keep pydantic's own words."""


class Refused(HTTPException):
    """A request that is not done: the HTTP status, and why; the Chinese is looked up unless it is given."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None, zh: str = "") -> None:
        self.en, self.zh = text, zh or chinese(text)
        super().__init__(status, text, headers)


def in_words(fault: HTTPException) -> Refused:
    """Say in both languages what the framework refuses."""
    if isinstance(fault, Refused):
        return fault
    return Refused(fault.status_code, _FRAMEWORK.get(fault.status_code, str(fault.detail)), fault.headers)


def invalid(problems: Sequence[Mapping[str, Any]]) -> Refused:
    """Say which parts of a request do not fit its description, and why."""
    told = problems[:MOST_TOLD]
    zh = "；".join(f"{_place(one)}：{_zh(one)}" for one in told)
    return Refused(422, "; ".join(f"{_place(one)}: {one['msg']}" for one in told), zh=zh)


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in problem["loc"])


def _zh(problem: Mapping[str, Any]) -> str:
    words = _INVALID.get(problem["type"])
    return str(problem["msg"]) if words is None else words.format_map(problem.get("ctx") or {})

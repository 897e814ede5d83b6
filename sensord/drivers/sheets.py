"""What tables for programs and spreadsheets have in common: one head, plain cells, and how they are called.

A head is a word for programs in English and what a person reads in Chinese. A number is a number and nothing beside it;
a cell is empty where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.cases.listing import Table
from sensord.core.instant import MINUTE, format_instant
from sensord.core.place import Places

_CHINESE = {
    "item": "项目",
    "value": "数值",
    "opened": "立案",
    "closed": "结案",
    "open": "未结",
    "blue": "蓝色",
    "yellow": "黄色",
    "orange": "橙色",
    "red": "红色",
    "told": "通知人次",
    "people": "派单人次",
    "answered": "已响应",
    "minutes_to_acknowledge": "接单用时中位数（分钟）",
    "minutes_to_arrive": "到场用时中位数（分钟）",
    "minutes_to_disperse": "疏散用时中位数（分钟）",
    "id": "编号",
    "code": "案件号",
    "grid": "居民区",
    "policy": "方案",
    "peak": "最高级别",
    "state": "阶段",
    "opened_at": "立案时间",
    "acknowledged_at": "接单时间",
    "arrived_at": "到场时间",
    "cleared_at": "疏散时间",
    "closed_at": "结案时间",
    "owner": "责任人",
    "overdue": "超时次数",
    "person": "人员",
    "role": "角色",
    "shift": "班次",
    "pages": "派单数",
    "unanswered": "未响应数",
    "most_people": "最多人数",
    "most_at": "最多时间",
    "people_per_m2": "密度（人/m²）",
    "minutes_blue": "蓝色（分钟）",
    "minutes_yellow": "黄色（分钟）",
    "minutes_orange": "橙色（分钟）",
    "minutes_red": "红色（分钟）",
    "minutes_unknown": "未知（分钟）",
    "start": "开始",
    "end": "结束",
    "kind": "类别",
    "street": "街道",
    "block": "街区",
    "compound": "小区",
    "gate": "出入口",
    "place": "地点编号",
    "name": "地点",
    "inward": "驶入",
    "outward": "驶出",
    "local": "本地",
    "out_of_town": "外地",
    "key_area": "重点地区",
    "special": "特种",
    "none": "无牌",
    "unread": "未识别",
    "new_energy": "新能源",
    "inside": "在内",
    "unsure": "在内误差",
    "inside_doubted": "在内存疑",
    "inside_begun": "在内起算",
    "counted_by_hand": "清点次数",
    "corrected": "清点更正",
    "parking": "车位",
    "gates": "出入口数",
    "gates_unseen": "失联出入口数",
    "province": "省份",
    "prefix": "号牌前缀",
    "city": "城市",
    "free": "剩余车位",
    "nearest": "最近空位编号",
    "nearest_name": "最近空位",
    "nearest_free": "最近空位剩余",
}
_BEFORE, _CHINESE_BEFORE = "before_", "此前同期"


class Sheet:
    """Writes cells in one language; ``places`` are the definition's, ``zone`` is that of the times."""

    def __init__(self, places: Places, zone: str, language: str) -> None:
        self._places, self._zone, self.language = places, zone, language

    def table(self, heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
        """A table with its heads in the language."""
        return Table("", tuple(map(self.word, heads)), list(rows))

    def word(self, name: str) -> str:
        """What stands above a column, or for a kind of place."""
        if self.language != "zh":
            return name
        before = _CHINESE_BEFORE if name.startswith(_BEFORE) else ""
        return before + _CHINESE[name.removeprefix(_BEFORE)]

    def name(self, place: str) -> str:
        """What a place is called."""
        return self._places.name(place, self.language)

    def time(self, instant: int) -> str:
        """An instant with its zone; empty: not yet."""
        return format_instant(instant, self._zone) if instant else ""


def minutes(duration: int) -> str:
    """Minutes to a tenth."""
    return f"{duration / MINUTE:.1f}"


def maybe(value: object) -> str:
    """A number, or nothing."""
    return "" if value is None else str(value)

"""Where a plate is registered: the province of its first character, the city of its letter.

A letter that is not in the table is still a plate of its province. A prefix tells where a
vehicle is registered, never where it came from.
"""

from __future__ import annotations

from sensord.core.cities import CITIES

PROVINCES: dict[str, tuple[str, str]] = {
    "京": ("北京", "Beijing"),
    "津": ("天津", "Tianjin"),
    "冀": ("河北", "Hebei"),
    "晋": ("山西", "Shanxi"),
    "蒙": ("内蒙古", "Inner Mongolia"),
    "辽": ("辽宁", "Liaoning"),
    "吉": ("吉林", "Jilin"),
    "黑": ("黑龙江", "Heilongjiang"),
    "沪": ("上海", "Shanghai"),
    "苏": ("江苏", "Jiangsu"),
    "浙": ("浙江", "Zhejiang"),
    "皖": ("安徽", "Anhui"),
    "闽": ("福建", "Fujian"),
    "赣": ("江西", "Jiangxi"),
    "鲁": ("山东", "Shandong"),
    "豫": ("河南", "Henan"),
    "鄂": ("湖北", "Hubei"),
    "湘": ("湖南", "Hunan"),
    "粤": ("广东", "Guangdong"),
    "桂": ("广西", "Guangxi"),
    "琼": ("海南", "Hainan"),
    "渝": ("重庆", "Chongqing"),
    "川": ("四川", "Sichuan"),
    "贵": ("贵州", "Guizhou"),
    "云": ("云南", "Yunnan"),
    "藏": ("西藏", "Tibet"),
    "陕": ("陕西", "Shaanxi"),
    "甘": ("甘肃", "Gansu"),
    "青": ("青海", "Qinghai"),
    "宁": ("宁夏", "Ningxia"),
    "新": ("新疆", "Xinjiang"),
}
"""Province character -> (Chinese name, English name); the 31 provinces, regions and municipalities of the mainland."""


def city(prefix: str, language: str) -> str:
    """The city or prefecture of a prefix (province character and letter); "" where its letter names none."""
    names = CITIES.get(prefix)
    return "" if names is None else names[0 if language == "zh" else 1]


def registered(prefix: str, language: str) -> str:
    """Return where a prefix is registered, in words: province and city.

    ``prefix`` is the first characters of a plate or of its mask (a temporary one begins with 临); "" when they are no
    prefix.
    """
    prefix = prefix.removeprefix("临")
    province = PROVINCES.get(prefix[:1])
    if province is None:
        return ""
    named = city(prefix[:2], language)
    if language == "zh":
        return province[0] + named if named != province[0] else named
    return f"{province[1]}, {named}" if named else province[1]

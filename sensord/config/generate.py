"""Writes a made-up street (``places.yaml``) and its roster: the samples, and any size for tests.

Rules: deterministic, the same numbers give the same text; only ``临汾路99弄`` is a real address; everything
else carries a name that nobody can take for one.
``sensord generate`` writes the samples again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEADER = """\
# yaml-language-server: $schema=../docs/schema/{schema}.json
#
# {title_zh}
# {title_en}
#
"""
_PLACES_NOTE = """\
# 除“临汾路99弄”以外，小区、弄、出入口等名称和面积均为示例，不是真实地址，使用前请换成本地数据。
# Only 临汾路99弄 is a real address. All other names, areas and numbers are illustrative: replace them.
# 摄像头没有过车时也要每个 period 发一次 status，否则安静的夜里会报失联。
# 发不了 status 的，把 period 放长：三个 period 要长过夜里没有车的时间（例如 2h）。
# Cameras must send `status` once in every period, vehicles or not, or a quiet night is taken for silence. For one that
# cannot, write a longer period: three of them must outlast the longest time without a vehicle (2h, say).
# (生成 / generated: sensord generate)

"""
_ROSTER_NOTE = """\
# 只写岗位，不写姓名和电话；怎样联系到人，由 address 在通知平台里对应。请换成本地的值班安排。
# Posts only, no names, no phone numbers; the address is what the receiving platform knows. Replace them.
# (生成 / generated: sensord generate)
#
# 不写 shifts 的人员全天在岗。班次、轮值、调班、节假日这样写（也可以用 sensord roster import 导入 CSV 或 iCalendar）：
# Without shifts people are on duty all day. Shifts, turns, changes and holidays (or: sensord roster import FILE):
#
# shifts:
#   day: {from: "08:00", to: "20:00", days: [workday]}
#   night: {from: "20:00", to: "08:00"}
# rotations:
#   - {id: g01-night, shift: night, starts: "2026-01-01", every: 1, people: [居委干部-G01-1, 居委干部-G01-2]}
# changes:
#   - {from: "2026-02-01 08:00", to: "2026-02-02", reason: leave, away: 居委干部-G01-1, stands_in: 居委干部-G01-2}
# holidays:
#   "2026-01-01": {name: 元旦}
#   "2026-01-04": {name: 元旦调休, work: true}

# 每天检查未来几天是否有空档：有空档就立案，按 dispatch.yaml 的 built_in 通知。
# Every day the coming days are looked through; a hole becomes a case, told as built_in in dispatch.yaml says.
check: {at: "08:00", days: 7}

"""
_AREAS = (180, 240, 120, 90, 310, 150, 210, 75, 360, 60, 400, 135, 270)
"""Plausible areas of a lane that one sensor sees, m2."""
_PARKING = (120, 85, 0, 160, 60, 210, 45, 0, 95)
_SIDES = (
    ("N", "北门", "North Gate"),
    ("S", "南门", "South Gate"),
    ("E", "东门", "East Gate"),
    ("W", "西门", "West Gate"),
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How large the street is. ``lanes`` are counted for each micro-grid, ``crowd`` for each lane."""

    blocks: int = 4
    grids: int = 20
    micro_grids: int = 125
    compounds: int = 38
    gates: int = 50
    lanes: int = 1
    crowd: int = 1
    cameras: bool = True
    gauges: bool = True
    reports: bool = True


@dataclass(slots=True)
class _Street:
    """The made-up street, worked out: who belongs to whom. Every list holds tuples (id, ...)."""

    numbers: Numbers
    grids: list[tuple[str, str]] = field(default_factory=list)
    micro_grids: list[tuple[str, str]] = field(default_factory=list)
    compounds: list[tuple[str, str, list[str], int]] = field(default_factory=list)
    gates: list[tuple[str, str, str, int]] = field(default_factory=list)
    lanes: list[tuple[str, str, str, int]] = field(default_factory=list)


def _share(total: int, parts: int, index: int) -> range:
    """Cut ``total`` things into ``parts`` even stretches and return the stretch of part ``index``."""
    return range(total * index // parts, total * (index + 1) // parts)


def _lay_out(numbers: Numbers) -> _Street:
    """Work the street out; raises ``ValueError`` when the numbers cannot be met."""
    if not 1 <= numbers.blocks <= numbers.grids <= numbers.compounds <= numbers.micro_grids:
        raise ValueError("a street needs 1 <= blocks <= grids <= compounds <= micro_grids")
    if not numbers.compounds <= numbers.gates <= numbers.compounds * len(_SIDES):
        raise ValueError(f"a street needs one to {len(_SIDES)} gates for each compound")
    street = _Street(numbers)
    for block in range(numbers.blocks):
        street.grids += [(f"G{grid + 1:02}", f"B{block + 1}") for grid in _share(numbers.grids, numbers.blocks, block)]
    for index, (grid, _) in enumerate(street.grids):
        _lay_out_grid(street, index, grid)
    return street


def _lay_out_grid(street: _Street, index: int, grid: str) -> None:
    numbers = street.numbers
    micro = [f"{grid}-{nth + 1}" for nth in range(len(_share(numbers.micro_grids, numbers.grids, index)))]
    street.micro_grids += [(name, grid) for name in micro]
    compounds = _share(numbers.compounds, numbers.grids, index)
    for nth, number in enumerate(compounds):
        covered = [micro[position] for position in _share(len(micro), len(compounds), nth)]
        compound = f"C{number + 1:02}"
        street.compounds.append((compound, grid, covered, _PARKING[number % len(_PARKING)]))
        for gate in range(len(_share(numbers.gates, numbers.compounds, number))):
            street.gates.append((f"{compound}-{_SIDES[gate][0]}", compound, covered[gate % len(covered)], gate))
        for name in covered:
            for _ in range(numbers.lanes):
                lane = len(street.lanes)
                street.lanes.append((f"L{lane + 1:03}", compound, name, _AREAS[lane % len(_AREAS)]))


def _beside(street: _Street, nth: int) -> str:
    """The made-up grids lie in a row: each has the one before and the one after it as neighbours, across blocks."""
    beside = [street.grids[one][0] for one in (nth - 1, nth + 1) if 0 <= one < len(street.grids)]
    return f", neighbours: [{', '.join(beside)}]" if beside else ""


def generate_street(
    street_id: str = "linfen",
    name: str = "临汾路街道",
    name_en: str = "Linfen Road Subdistrict",
    numbers: Numbers | None = None,
) -> str:
    """Return the text of a ``places.yaml``; raises ``ValueError`` when the numbers cannot be met."""
    street = _lay_out(numbers or Numbers())
    title = {
        "title_zh": f"{name}：网格、小区、弄、出入口和设备。",
        "title_en": f"{name_en}: places and devices.",
    }
    lines = [f"street: {{id: {street_id}, name: {name}, name_en: {name_en}}}"]
    for part, entries in _parts(street):
        lines += ["", f"{part}:", *(f"  - {{{entry}}}" for entry in entries)]
    return _HEADER.format(schema="places", **title) + _PLACES_NOTE + "\n".join(lines) + "\n"


def _parts(street: _Street) -> Iterator[tuple[str, Iterator[str]]]:
    yield (
        "blocks",
        (
            f"id: B{nth}, name: 示例街区{nth}, name_en: Example Block {nth}"
            for nth in range(1, street.numbers.blocks + 1)
        ),
    )
    yield (
        "grids",
        (
            f"id: {grid}, name: 示例居民区{grid[1:]}, name_en: Example Grid {grid[1:]}, block: {block}"
            f"{_beside(street, nth)}"
            for nth, (grid, block) in enumerate(street.grids)
        ),
    )
    yield (
        "micro_grids",
        (
            f"id: {micro}, name: 微网格{micro[1:]}, name_en: Micro-grid {micro[1:]}, grid: {grid}"
            for micro, grid in street.micro_grids
        ),
    )
    yield (
        "compounds",
        (
            f"id: {compound}, {_compound_name(compound)}, grid: {grid}, micro_grids: [{', '.join(micro)}]"
            f", position: {_position(int(compound[1:]))}" + (f", parking: {parking}" if parking else "")
            for compound, grid, micro, parking in street.compounds
        ),
    )
    yield (
        "gates",
        (
            f"id: {gate}, name: {_SIDES[side][1]}, name_en: {_SIDES[side][2]}, "
            f"compound: {compound}, micro_grid: {micro}"
            for gate, compound, micro, side in street.gates
        ),
    )
    yield (
        "lanes",
        (
            f"id: {lane}, {_lane_name(lane, compound)}, compound: {compound}, micro_grid: {micro}, area_m2: {area}"
            for lane, compound, micro, area in street.lanes
        ),
    )
    yield "devices", _devices(street)


def _position(number: int) -> str:
    """Where a made-up compound lies: in rows of seven, 240 m apart; no real place is meant."""
    row, column = divmod(number - 1, 7)
    return f"[{31.315 + row * 0.0022:.4f}, {121.445 + column * 0.0025:.4f}]"


def _compound_name(compound: str) -> str:
    if compound == "C01":
        return "name: 临汾路99弄, name_en: Lane 99 Linfen Road"
    return f"name: 示例小区{compound[1:]}, name_en: Example Compound {compound[1:]}"


def _lane_name(lane: str, compound: str) -> str:
    number = lane[1:]
    if compound == "C01":
        return f"name: 临汾路99弄内通道{number}, name_en: Lane 99 Linfen Road passage {number}"
    return f"name: 示例弄{number}, name_en: Example Lane {number}"


def _devices(street: _Street) -> Iterator[str]:
    """Crowd sensors, a camera for each direction of a gate, gauges of parking, inspectors' terminals."""
    for lane, _, _, _ in street.lanes:
        for nth in range(street.numbers.crowd):
            suffix = f"-{nth + 1}" if street.numbers.crowd > 1 else ""
            yield f"id: crowd-{lane[1:]}{suffix}, stream: crowd, place: {lane}, period: 10s"
    if street.numbers.cameras:
        ways = itertools.product((gate for gate, _, _, _ in street.gates), ("entry", "exit"))
        yield from (f"id: cam-{gate}-{way}, stream: plate, place: {gate}, period: 60s" for gate, way in ways)
    if street.numbers.gauges:
        compounds = (compound for compound, _, _, parking in street.compounds if parking)
        yield from (f"id: parking-{compound}, stream: level, place: {compound}, period: 60s" for compound in compounds)
    if street.numbers.reports:
        # People report when they find something: only after weeks does their silence mean a fault.
        yield from (f"id: report-{grid}, stream: report, place: {grid}, period: 7d" for grid, _ in street.grids)


def generate_roster(street_id: str = "linfen", numbers: Numbers | None = None) -> str:
    """Return the text of a ``roster.yaml`` that goes with :func:`generate_street` of the same numbers.

    Two volunteers for each micro-grid, two cadres for each grid, an officer for each block, a police station and a
    duty officer.
    """
    street = _lay_out(numbers or Numbers())
    lines = ["people:", "  # 街道 / the subdistrict"]
    lines += [
        _person("街道值班-01", "duty_officer", street_id, "duty-officer-01"),
        _person("派出所-01", "police", street_id, "police-01"),
        "  # 街区：每个街区一名值班员 / a duty officer for each block",
        *(
            _person(f"街区值班-B{nth}", "block_officer", f"B{nth}", f"block-officer-B{nth}")
            for nth in range(1, street.numbers.blocks + 1)
        ),
        "  # 居委干部：每个居民区两名 / two cadres for each residential grid",
        "  # 居民区的屏幕订阅了 grid-mqtt 的主题，才加上这个联系方式；没有人订阅，就算没有送达：",
        "  # Once the grid's screen subscribes to the topic of grid-mqtt, not before (unheard, it is not delivered):",
        "  # contacts: [{channel: people, address: cadre-G01-1}, {channel: grid-mqtt}]",
    ]
    for grid, _ in street.grids:
        lines += [_person(f"居委干部-{grid}-{nth}", "cadre", grid, f"cadre-{grid}-{nth}") for nth in (1, 2)]
    lines.append("  # 志愿者：每个微网格两名 / two volunteers for each micro-grid")
    for micro, _ in street.micro_grids:
        lines += [_person(f"志愿者-{micro}-{nth}", "volunteer", micro, f"volunteer-{micro}-{nth}") for nth in (1, 2)]
    title = {
        "title_zh": "值班表：哪个岗位负责哪里。",
        "title_en": "The roster: which post answers for which place.",
    }
    return _HEADER.format(schema="roster", **title) + _ROSTER_NOTE + "\n".join(lines) + "\n"


def _person(name: str, role: str, serves: str, address: str) -> str:
    contact = f"{{channel: people, address: {address}}}"
    return f"  - {{id: {name}, role: {role}, serves: {serves}, contacts: [{contact}]}}"

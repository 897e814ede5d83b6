"""Overviews and notifications for the view's tests, in the shape of the daemon's API."""

from __future__ import annotations

from typing import Any

from sensord.core.instant import SECOND, format_instant
from simulators.receiver import Received
from tests.simulators.small import START


def case(name: str = "L001-crowd-1", **parts: object) -> dict[str, Any]:
    """Make an open case."""
    return {
        "id": name,
        "place": "L001",
        "place_name": "一弄",
        "place_name_en": "Lane 1",
        "grid": "G01",
        "policy": "crowd",
        "level": "yellow",
        "peak": "yellow",
        "state": "handling",
        "opened_at": format_instant(START, "Asia/Shanghai"),
        "closed_at": None,
        "acknowledged_by": "",
        **parts,
    }


def overview(*cases: dict[str, Any], received: int = 0, **places: dict[str, Any]) -> dict[str, Any]:
    """Make an overview of 20 grids in four blocks; ``places`` replaces parts of single grids."""
    grids = {}
    for number in range(20):
        name = f"G{number + 1:02d}"
        grids[name] = {
            "kind": "grid",
            "name": f"居民区{number + 1}",
            "name_en": f"Grid {number + 1}",
            "block": f"B{number // 5 + 1}",
            "level": "none",
            "unknown": 0,
            "total": 6,
            **places.get(name, {}),
        }
    return {
        "at": format_instant(START + 90 * SECOND, "Asia/Shanghai"),
        "site": "linfen",
        "places": grids,
        "cases": list(cases),
        "counts": {"received": received, "applied": received},
        "lag_seconds": 0.4,
        "notifications": {"sent": 5, "pending": 1, "failed": 0},
    }


def notification(key: str, at: int = START + 80 * SECOND, **parts: str) -> Received:
    """Make a notification that has arrived."""
    body = {
        "key": key,
        "case": "L001-crowd-1",
        "reason": "case_opened",
        "receiver": "居委干部-G01-1",
        "role": "cadre",
        "level": "yellow",
        "grid": "G01",
        "title": "【黄色预警】一弄",
        "text": "一弄人员密度偏高",
        **parts,
    }
    return Received(at, "cadre-G01-1", body)

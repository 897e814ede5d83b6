"""What the core's metrics say of a step, and of all that is known now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sensord.core.level import LADDER
from sensord.core.site import Site, Step
from sensord.ports import Meter


def measure_step(meter: Meter, step: Step) -> None:
    """Count what a step brought."""
    for (stream, outcome), amount in step.counts.items():
        meter.count("readings_total", amount, stream=stream, outcome=outcome)
    for letter in step.dead:
        meter.count("dead_letters_total", reason=letter.reason)
    for transition in step.transitions:
        meter.count("transitions_total", rule=transition.rule, change=transition.change.value)
    for hold in step.holds:
        meter.count("messages_held_total", reason=hold.reason.value)
    for device, amount in step.gaps.items():
        meter.count("sequence_gaps_total", amount, device=device)
    for device, amount in step.filled.items():
        meter.count("sequence_gaps_filled_total", amount, device=device)
    for device, amount in step.leaps.items():
        meter.count("sequence_leaps_total", amount, device=device)


def measure_site(meter: Meter, site: Site, view: dict[str, Any]) -> None:
    """Set the gauges of a site; ``view`` is its overview."""
    meter.gauge("unknown_places", sum(grid["unknown"] for grid in view["places"].values()))
    cases = Counter(case["level"] for case in view["cases"])
    alerts = Counter(alert.level for alert in site.engine.active())
    for level in LADDER:
        meter.gauge("open_cases", cases[level.word], level=level.word)
        meter.gauge("active_alerts", alerts[level], level=level.word)
    worst: dict[str, float] = {}
    for drift in site.engine.drifts():
        worst[drift.rule] = max(worst.get(drift.rule, 0.0), abs(drift.residue), drift.clamped)
    for rule, amount in worst.items():
        meter.gauge("occupancy_drift", amount, rule=rule)

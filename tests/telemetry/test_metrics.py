"""The table of metrics, the meter on it, and the code that uses both."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensord.telemetry.metrics import METRICS, PrometheusMeter

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {metric.name: metric for metric in METRICS}
KIND_OF_CALL = {"count": "counter", "gauge": "gauge", "observe": "histogram"}
DYNAMIC = {"amount", "value"}


def _calls() -> Iterator[tuple[str, str, str, set[str] | None]]:
    """Yield (where, kind, name, labels) of every call of a meter in the package; labels None for ``**labels``."""
    for file in sorted((ROOT / "sensord").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            holder, name = ast.unparse(node.func.value), node.args[0]
            if node.func.attr not in KIND_OF_CALL or "meter" not in holder.lower():
                continue
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                keywords = {keyword.arg for keyword in node.keywords}
                labels = None if None in keywords else {word for word in keywords if word} - DYNAMIC
                where = f"{file.relative_to(ROOT)}:{node.lineno}"
                yield where, KIND_OF_CALL[node.func.attr], name.value, labels


def test_every_metric_that_the_code_counts_is_in_the_table() -> None:
    """A name, kind or label that the table does not hold would raise in the daemon; here it fails a test."""
    wrong = [
        f"{where}: {kind} {name} {labels}"
        for where, kind, name, labels in _calls()
        if name not in BY_NAME
        or BY_NAME[name].kind != kind
        or (labels is not None and labels != set(BY_NAME[name].labels))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_scan_of_the_code_finds_something() -> None:
    """Guards the test above: it must not pass because it looks for the wrong thing."""
    assert {"messages_received_total", "groups_committed_total"} <= {name for _, _, name, _ in _calls()}


def test_names_carry_their_unit() -> None:
    """Counters end with ``_total``, histograms with a base unit, and no name is declared twice."""
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.kind != "histogram" or metric.name.endswith(("_seconds", "_bytes")), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric.name


def test_what_was_counted_is_exposed() -> None:
    """Counters add, gauges hold the latest value, histograms count; the process's own metrics are beside them."""
    meter = PrometheusMeter()
    meter.count("messages_received_total", 2, kind="crowd")
    meter.count("messages_received_total", kind="crowd")
    meter.gauge("queue_bytes", 7)
    meter.gauge("queue_bytes", 5)
    meter.observe("commit_seconds", 0.003)
    text = meter.text().decode()
    assert 'sensord_messages_received_total{kind="crowd"} 3.0' in text
    assert "sensord_queue_bytes 5.0" in text
    assert 'sensord_commit_seconds_bucket{le="0.005"} 1.0' in text
    assert "process_cpu_seconds_total" in text
    assert meter.value("messages_received_total", kind="crowd") == 3
    assert meter.value("messages_received_total", kind="plate") == 0


def test_two_meters_do_not_share_anything() -> None:
    """Each meter has its own registry, so that two can live in one process (tests, replay beside live)."""
    first, second = PrometheusMeter(), PrometheusMeter()
    first.count("groups_committed_total")
    assert (first.value("groups_committed_total"), second.value("groups_committed_total")) == (1, 0)


@pytest.mark.parametrize("call", ["count", "gauge", "observe"])
def test_an_unknown_name_is_an_error(call: str) -> None:
    """A typing error in a name raises at once."""
    with pytest.raises(KeyError):
        getattr(PrometheusMeter(), call)("mesages_received_total", 1)


def test_a_name_of_another_kind_is_an_error() -> None:
    """Adding to a gauge is a mistake in the calling line."""
    with pytest.raises(KeyError):
        PrometheusMeter().count("queue_bytes")


@pytest.mark.parametrize("labels", [{}, {"sort": "crowd"}, {"kind": "crowd", "device": "d1"}])
def test_other_labels_are_an_error(labels: dict[str, str]) -> None:
    """Missing, misspelt and additional labels raise."""
    with pytest.raises(ValueError, match="label"):
        PrometheusMeter().count("messages_received_total", 1, **labels)

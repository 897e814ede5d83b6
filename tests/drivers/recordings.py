"""Recordings for tests, written in the notation of rule tests."""

from __future__ import annotations

import json
from pathlib import Path

from sensord.config.ruletest import load_tests
from sensord.drivers.made import Messages

ROOT = Path(__file__).resolve().parents[2]
STREET = ROOT / "rules" / "tests" / "street" / "sensord.yaml"


def write_recording(path: Path, *readings: str) -> Path:
    """Write what the devices send (rows of ``readings:`` in a rule test) from 08:00 on as JSON lines."""
    test = path.with_suffix(".yaml")
    rows = "".join(f"      - {row}\n" for row in readings)
    text = f"config: {STREET}\ntests:\n  - name: made\n    readings:\n{rows}    expect: [{{at: 1s}}]\n"
    test.write_text(text, encoding="utf-8")
    tests = load_tests(test)
    messages = Messages(tests.definition, tests.start)
    with path.open("w", encoding="utf-8") as file:
        for sent in tests.tests[0].sent:
            record = messages.record(sent)
            line = {
                "received_at_ns": record.received_at,
                "topic": record.topic,
                "payload": record.payload.decode(),
            }
            file.write(json.dumps(line) + "\n")
    return path

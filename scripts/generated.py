"""Writes every file of the repository that is made from the code: ``python scripts/generated.py`` (``make docs``).

The schemas and the reference of the configuration, the list of metrics, the drawing of the case's states, the API's
routes, the sample street and the sample of a report. A test compares each with what is written here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sensord.api import describe
from sensord.commands.sights import HAPPENING
from sensord.config import export
from sensord.config.generate import generate_roster, generate_street
from sensord.core.cases.drawing import redraw
from sensord.telemetry import metrics

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import vehiclesample

ROOT = Path(__file__).resolve().parents[1]


def generated() -> dict[Path, str]:
    """Return each generated file, below the repository's folder, with its text."""
    english, chinese = Path("docs/cases.md"), Path("docs/cases.zh-CN.md")
    reports = {Path("docs/reports.md"): "en", Path("docs/reports.zh-CN.md"): "zh"}
    routes = {Path("docs/api.md"): "en", Path("docs/api.zh-CN.md"): "zh"}
    said = {happening: words[0].partition("，")[0] for happening, words in HAPPENING.items()}
    return {
        **{Path("docs") / name: text for name, text in export.texts().items()},
        Path("docs/metrics.md"): metrics.document(),
        **{path: describe.redraw(_now(path), name) for path, name in routes.items()},
        english: redraw(_now(english), "en", {}),
        chinese: redraw(_now(chinese), "zh", said),
        **{path: vehiclesample.redraw(_now(path), name) for path, name in reports.items()},
        Path("config/places.yaml"): generate_street(),
        Path("config/roster.yaml"): generate_roster(),
    }


def _now(path: Path) -> str:
    """A document as it is: what is not made from the code stays."""
    return (ROOT / path).read_text(encoding="utf-8")


if __name__ == "__main__":
    for name, text in generated().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

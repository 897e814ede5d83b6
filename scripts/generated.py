"""Writes every file of the repository that is made from the code: ``python scripts/generated.py`` (``make docs``).

The schemas and the reference of the configuration, the list of metrics, the drawing of the case's states, the API's
routes, the sample street and the sample of a report. A test compares each with what is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
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


def generated() -> dict[Path, Callable[[], str]]:
    """Return what makes the text of each generated file, below the repository's folder."""
    pages = {Path("docs") / name: partial(str, text) for name, text in export.texts().items()}
    said = {happening: words[0].partition("，")[0] for happening, words in HAPPENING.items()}
    return {
        **pages,
        Path("docs/metrics.md"): metrics.document,
        **_redrawn("docs/api", describe.redraw),
        **_redrawn("docs/cases", lambda text, language: redraw(text, language, {} if language == "en" else said)),
        **_redrawn("docs/reports", vehiclesample.redraw),
        Path("config/places.yaml"): generate_street,
        Path("config/roster.yaml"): generate_roster,
    }


def _redrawn(name: str, draw: Callable[[str, str], str]) -> dict[Path, Callable[[], str]]:
    """A document in both languages, a part of which is drawn again; what is not made from the code stays."""

    def made(path: Path, language: str) -> str:
        return draw((ROOT / path).read_text(encoding="utf-8"), language)

    paths = {"en": Path(f"{name}.md"), "zh": Path(f"{name}.zh-CN.md")}
    return {path: partial(made, path, language) for language, path in paths.items()}


if __name__ == "__main__":
    for name, make in generated().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")

"""Draws the pictures of ``docs/backtest.md``: the worked example's report, part by part, in both languages.

Needs the Melbourne counts (``SENSORD_DATA``, the folder that holds ``melbourne/``) and a Chromium (``CHROMIUM``, by
default ``chromium``). The page is the one that ``sensord backtest --format html`` writes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sensord.backtest.page import backtest_page
from sensord.backtest.report import Question, answer
from sensord.backtest.run import Setup
from sensord.source import Source

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config" / "examples" / "melbourne"
PICTURES = ROOT / "docs" / "pictures"
SWEEP = "levels.yellow.at_least=2000:14000:1000"
PARTS: dict[str, tuple[str | int, int]] = {
    "summary": (r"<h1>.*?(?=<section>)", 360),
    "timeline": (1, 340),
    "scores": (-2, 470),
    "sweep": (-1, 850),
}
"""Per picture: which part of the page (a pattern, or the number of the section), and its height (pixels)."""
WIDTH = 900


def data() -> Path:
    """The counts; ends the program when they are not there."""
    folder = Path(os.environ.get("SENSORD_DATA", ""))
    found = list(folder.glob("melbourne/pedestrian_hourly_*.csv.gz"))
    if not found:
        sys.exit("set SENSORD_DATA to the folder that holds melbourne/pedestrian_hourly_2015_2016_4sensors.csv.gz")
    return found[0]


def page(source: Path) -> str:
    """The worked example's report, in the language of the environment."""
    folder = EXAMPLE / "backtest"
    question = Question(folder / "now", folder / "candidate", folder / "incidents.csv", (SWEEP,))
    return backtest_page(answer(Setup.of(Source(source, EXAMPLE / "mapping.yaml", folder / "now")), question))


def draw(whole: str, which: str | int, height: int, target: Path) -> None:
    """Draw one part of a page."""
    head, body = whole.split("<main>")
    sections = re.findall(r"<section>.*?</section>", body, re.DOTALL)
    if isinstance(which, int):
        part = sections[which - 1 if which > 0 else which]
    else:
        found = re.search(which, body, re.DOTALL)
        assert found is not None
        part = found[0]
    with tempfile.TemporaryDirectory(prefix="sensord-pictures-") as folder:
        file = Path(folder) / "page.html"
        file.write_text(
            f"{head}<style>main{{padding:0 16px}}body{{overflow:hidden}}</style><main>{part}</main></body></html>",
            encoding="utf-8",
        )
        command = [os.environ.get("CHROMIUM", "chromium"), "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--screenshot={target}", f"--window-size={WIDTH},{height}", "--virtual-time-budget=6000"]
        subprocess.run([*command, file.as_uri()], check=True, capture_output=True, timeout=120)


def main() -> None:
    """Draw all pictures."""
    source = data()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for language in ("en", "zh"):
        os.environ["SENSORD_LANGUAGE"] = language
        whole = page(source)
        for name, (which, height) in PARTS.items():
            target = PICTURES / f"melbourne-{name}.{language}.png"
            draw(whole, which, height, target)
            sys.stdout.write(f"{target.relative_to(ROOT)} {target.stat().st_size}\n")


if __name__ == "__main__":
    main()

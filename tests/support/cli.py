"""Commands of sensord, as a person would run them, in English."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sensord(*arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, from the project's folder."""
    line = [sys.executable, "-m", "sensord", *arguments]
    environment = {**os.environ, "SENSORD_LANGUAGE": language}
    return subprocess.run(
        line, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False, env=environment, encoding="utf-8"
    )

"""Commands of sensord, as a person would run them, in English."""

from __future__ import annotations

import os
import subprocess

from tests.support.launching import run


def sensord(*arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, from the project's folder."""
    return run(arguments, {**os.environ, "SENSORD_LANGUAGE": language})

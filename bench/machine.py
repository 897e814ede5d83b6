"""What a benchmark says of the machine that it ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np


def describe(method: str | None) -> str:
    """Return the heading of a benchmark: its method, and this machine."""
    model = platform.processor() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    machine = f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return (
        f"{(method or '').strip()}\n\nmachine: {machine}; Python {platform.python_version()}, numpy {np.__version__}\n"
    )

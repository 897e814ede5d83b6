"""What a benchmark promised, and whether it was so: a line for each target, and an exit code."""

from __future__ import annotations

import sys


class Targets:
    """The targets of one run. What others do on the machine meanwhile counts against them."""

    def __init__(self) -> None:
        self._missed = list[str]()

    def at_most(self, what: str, value: float, target: float, unit: str = "") -> None:
        """Print how a value stands that is to be no more than its target."""
        self._say(what, f"{value:,.4g} {unit}".strip(), f"at most {target:,.4g} {unit}".strip(), met=value <= target)

    def at_least(self, what: str, value: float, target: float, unit: str = "") -> None:
        """Print how a value stands that is to be no less than its target."""
        self._say(what, f"{value:,.4g} {unit}".strip(), f"at least {target:,.4g} {unit}".strip(), met=value >= target)

    def _say(self, what: str, value: str, target: str, *, met: bool) -> None:
        print(f"target {'met' if met else 'MISSED'}: {what}: {value} ({target})", flush=True)
        if not met:
            self._missed.append(what)

    def end(self) -> None:
        """End the process with an error (exit code 1) that names what was missed, if anything was."""
        if self._missed:
            sys.exit(f"missed: {'; '.join(self._missed)}")

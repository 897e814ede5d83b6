"""Child processes of the demonstration: each has a name, a log file and a clean end by its own process id."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sensord.errors import UnavailableError

PATIENCE = 15.0
"""Seconds between asking a child to end and killing it."""
_TAIL_LINES = 15
_TAIL_BYTES = 32 * 1024


class Child:
    """One process. Its output goes into ``log`` and nowhere else."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.log = name, log
        self._process = process

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> Iterator[Child]:
        """Run a command while the context lasts; ``environment`` is added to ours.

        The child is in a session of its own, so that Ctrl-C at the terminal reaches it only through us. Raises
        ``UnavailableError`` when the command cannot be started.
        """
        with log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,
                )
            except OSError as error:
                raise UnavailableError(f"{name} cannot be started: {error.strerror} ({command[0]})") from error
        child = cls(name, process, log)
        try:
            yield child
        finally:
            child.end()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise ``UnavailableError`` with the end of its log when the child has ended."""
        if (code := self.exit_code) is not None:
            raise UnavailableError(f"{self.name} has ended with exit code {code}; its last lines:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TAIL_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(the log is empty)"

    def end(self) -> None:
        """Ask the child to end and wait; kill it when it does not."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        finally:  # also when somebody presses Ctrl-C again
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

"""Every exception that sensord raises on purpose, in one tree.

::

    SensordError                 retryable? -- data on the instance, never a separate class
    ├── ConfigError              a file that a person wrote is wrong; carries every Problem found, with its position
    ├── DecodeError              one message cannot become readings; carries the named reason of its dead letter
    ├── SnapshotError            state bytes that this version cannot restore
    ├── PlateKeyError            a site key that pseudonyms are made with is missing or is another one
    ├── StoreError               the journal or the state database cannot do what was asked
    │   ├── DamageError          a file of a database is malformed, unreadable or missing; carries which
    │   └── LockedError          another daemon owns this state directory
    ├── DeliveryError            a channel did not take a notification; retryable, retry_after
    ├── UnavailableError         a service that we need (broker, database) does not answer; retryable
    └── EndedError               a start was told to end (SIGTERM) before it had come to its own

Rules: code raises the narrowest class, with a message that says what happened, where, and what to do next.
Only a task's boundary catches ``SensordError`` as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SensordError(Exception):
    """The root of the tree; ``retryable`` says whether the same call may succeed later."""

    retryable: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process raise it as it is, whatever it is built of."""
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(kind: type[SensordError], args: tuple[object, ...], state: dict[str, object]) -> SensordError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file: position (1-based line and column), what is wrong, and what was probably meant."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        """Write ``file:line:column: severity: message (hint)``, the form that editors can jump to."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint}"


class ConfigError(SensordError):
    """Configuration is refused; ``problems`` holds every mistake that was found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DecodeError(SensordError):
    """A message cannot become readings; ``reason`` names why and becomes the dead letter's reason."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class SnapshotError(SensordError):
    """State bytes are damaged, or of another version or rule set than this process can restore."""


class PlateKeyError(SensordError):
    """The secret of a site key is missing, damaged, or not the one that the definition names; says what to do."""


class StoreError(SensordError):
    """The journal or the state database refused; the message says which file and what to do."""


class DamageError(StoreError):
    """A file is not what was written; ``path`` is the file.

    ``missing`` are the first and last group that should be before the file's first one, when these are what is missed.
    """

    def __init__(self, message: str, path: Path, missing: tuple[int, int] | None = None) -> None:
        self.path = path
        self.missing = missing
        super().__init__(message)


class LockedError(StoreError):
    """Another process holds the lock of the state directory."""


class DeliveryError(SensordError):
    """A channel did not take a notification.

    ``retryable`` says whether trying again makes sense, ``retry_after`` is the receiver's own wish in seconds, and
    ``dropped`` of how many points a database says that it cannot hold them.
    The message never holds a secret, a phone number or the notification's text.
    """

    def __init__(
        self, message: str, *, retryable: bool = True, retry_after: float | None = None, dropped: int | None = None
    ) -> None:
        self.retryable = retryable
        self.retry_after = retry_after
        self.dropped = dropped
        super().__init__(message)


class UnavailableError(SensordError):
    """A service that sensord needs does not answer now; trying again later makes sense."""

    retryable = True


class EndedError(SensordError):
    """A start was told to end before it had come to its own: no fault of anybody."""

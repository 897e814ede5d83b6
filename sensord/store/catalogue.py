"""Which groups are in which day file, and how far the journal reaches: shared by the writer and all readers.

The writer announces a group only after its commit, so what a reader finds here is durable.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from pathlib import Path

from sensord.store.dayfile import day_files, hole, read_span
from sensord.store.lost import Lost


class Catalogue:
    """Day files in order with their first ``seq``, the newest ``seq``, and what is lost. Safe from any thread."""

    def __init__(self, lost: Lost | None = None) -> None:
        self._changed = threading.Condition()
        self._starts: list[int] = []
        self._paths: list[Path] = []
        self._last_seq = 0
        self._closed = False
        self.last_at = 0
        self.lost = lost or Lost()

    @classmethod
    def scan(cls, directory: Path) -> Catalogue:
        """Look into every day file; raises ``DamageError`` for a damaged one, or a hole that is not known of."""
        catalogue = cls(Lost.load(directory))
        for path in day_files(directory):
            span = read_span(path)
            if span.last_seq:
                catalogue._extend(path, span.first_seq, span.last_seq, span.last_at)
        catalogue._last_seq = catalogue.lost.behind(catalogue._last_seq + 1) - 1
        return catalogue

    def _extend(self, path: Path, first: int, last: int, last_at: int) -> None:
        expected = self._last_seq + 1
        if self._paths and first != expected and not self.lost.covers(expected, first - 1):
            raise hole(path, expected, first)
        self._starts.append(first)
        self._paths.append(path)
        self._last_seq, self.last_at = last, max(self.last_at, last_at)

    @property
    def last_seq(self) -> int:
        """The newest group; 0 when there is none."""
        return self._last_seq

    @property
    def first_seq(self) -> int:
        """The oldest group still kept; 0 when there is none."""
        with self._changed:
            return self._starts[0] if self._starts else 0

    def announce(self, path: Path, seq: int, last_at: int) -> None:
        """Say that ``seq`` is committed in ``path``; wakes waiting readers."""
        with self._changed:
            if not self._paths or self._paths[-1] != path:
                self._starts.append(seq)
                self._paths.append(path)
            self._last_seq, self.last_at = seq, last_at
            self._changed.notify_all()

    def skip(self, lost: Lost, seq: int, last_at: int) -> None:
        """Say that everything up to ``seq`` is there or lost, and that journal time is not before ``last_at`` (ns)."""
        with self._changed:
            self.lost, self._last_seq, self.last_at = lost, max(seq, self._last_seq), max(last_at, self.last_at)

    def locate(self, seq: int) -> tuple[Path, int] | None:
        """Return the file that holds ``seq`` and the last ``seq`` in it; None past the end.

        For a ``seq`` older than the journal it is the oldest file; for one that is lost, where the next one is.
        """
        with self._changed:
            seq = self.lost.behind(seq)
            if not self._paths or seq > self._last_seq:
                return None
            index = max(bisect_right(self._starts, seq) - 1, 0)
            return self._paths[index], self._end(index)

    def _end(self, index: int) -> int:
        return self._starts[index + 1] - 1 if index + 1 < len(self._starts) else self._last_seq

    def oldest(self) -> tuple[Path, int] | None:
        """The oldest file and the last ``seq`` in it, unless it is the only one."""
        with self._changed:
            return (self._paths[0], self._end(0)) if len(self._paths) > 1 else None

    def precedes(self, path: Path) -> bool:
        """Say whether a day file is older than all that hold something."""
        with self._changed:
            return bool(self._paths) and path < self._paths[0]

    def forget(self, path: Path) -> None:
        """Drop the oldest file, before it is deleted."""
        with self._changed:
            if self._paths and self._paths[0] == path:
                del self._paths[0], self._starts[0]

    def wait(self, after: int, timeout: float) -> bool:
        """Block until ``last_seq > after`` (True), or the timeout (s) or the journal's end (False)."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._last_seq > after, timeout)
            return self._last_seq > after

    def close(self) -> None:
        """Let waiting readers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

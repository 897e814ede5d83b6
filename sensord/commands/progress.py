"""How far a long command has come: a bar with rate and remaining time, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sensord.core.intake.reader import Read
from sensord.core.record import Group
from sensord.drivers.replay import Piece, Prepared
from sensord.words import say

_Piece = TypeVar("_Piece", bound=Piece)
Show = Callable[[int], None]
"""Takes how much is done by now."""


@contextmanager
def bar(total: int | None) -> Iterator[Show | None]:
    """Show a bar on stderr while it lasts; None when stderr is no terminal. ``total`` None: it is not known."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(say("重放", "replay")), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console, transient=True
    ) as progress:
        task, began = progress.add_task("", total=total, rate=""), time.perf_counter()

        def show(done: int) -> None:
            speed = done / max(time.perf_counter() - began, 1e-9)
            # The tick that ends a replay is not in the source.
            progress.update(
                task,
                completed=done if total is None else min(done, total),
                rate=say(f"{speed:,.0f} 条/秒", f"{speed:,.0f}/s"),
            )

        yield show


def watched(recorded: Iterable[_Piece], total: int | None) -> Iterator[_Piece]:
    """Pass everything on, and show how far it has come."""
    with bar(total) as show:
        done = 0
        for item in recorded:
            yield item
            if show is not None:
                show(done := done + _amount(item))


def _amount(item: Piece) -> int:
    if isinstance(item, Group):
        return len(item.records)
    if isinstance(item, Prepared):
        return len(item.content.rows if isinstance(item.content, Read) else item.content.batch)
    return len(item.batch)

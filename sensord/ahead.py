"""Reads and decodes what is recorded in a process of its own, while this one decides: two cores for one replay.

What decoding takes is most of the work on raw messages. The pipe between the two holds less than a piece, so the
other process is a piece ahead and no more, whatever the length. The decisions are the same bytes: it is the same
intake, fed in the same order.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from sensord.core.site import Site
from sensord.drivers.replay import Override, Piece, prepare
from sensord.errors import SensordError, UnavailableError
from sensord.source import FAR, Source
from sensord.words import say

_PATIENCE = 5.0
"""Seconds that the other process gets to end by itself once nobody listens."""


def read_ahead(source: Source, start: int = 0, end: int = FAR, override: Override | None = None) -> Generator[Piece]:
    """Yield what ``source.open().recorded(start, end)`` does, decoded for one site, its definitions overridden.

    ``override`` (default: the source's) must be one that can be handed to a process. Raises what reading raises, and
    ``UnavailableError`` when the other process is gone.
    """
    # A fresh interpreter: nothing of this one's threads and files is inherited half-way.
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(source, start, end, override, there), name="read-ahead", daemon=True)
    process.start()
    there.close()
    try:
        yield from _received(here)
    finally:
        here.close()
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def _received(here: Connection) -> Iterator[Piece]:
    while True:
        try:
            piece = here.recv()
        except EOFError:
            text = (
                "解码进程意外结束；请重试，或用 --processes 1",
                "the process that decodes has ended; try --processes 1",
            )
            raise UnavailableError(say(*text)) from None
        if piece is None:
            return
        if isinstance(piece, SensordError):
            raise piece
        yield piece


def _read(source: Source, start: int, end: int, override: Override | None, there: Connection) -> None:
    """Be the other process: send pieces, then None; or the error that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that decides says when to stop
    with suppress(BrokenPipeError), closing(there):
        try:
            opened = source.open()
            chosen = opened.override if override is None else override
            opened = opened.waiting_for([chosen])
            site = Site(secrets=opened.secrets)
            for piece in prepare(opened.recorded(start, end), site, chosen):
                there.send(piece)
        except SensordError as error:
            there.send(error)
        else:
            there.send(None)

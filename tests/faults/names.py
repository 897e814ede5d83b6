"""Experiments with names: the receiver's cannot be resolved, because the resolver fails, denies it, or is silent.

A small name server of our own listens on port 53 of a loopback address, and the daemon's processes alone are shown a
``resolv.conf`` that names it (a mount namespace): what they call is the system's resolver, with its own patience.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import socket
import struct
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.receivers import arrived
from tests.faults.tally import Row
from tests.support import wait_until

NAME = "people.test"
"""The receiver's; no such domain is ever given away (RFC 6761)."""
FAILS, DENIES = 2, 3
"""Return codes of RFC 1035: SERVFAIL, NXDOMAIN."""
WAYS: dict[str, int | None] = {
    "receiver's name: the resolver fails": FAILS,
    "receiver's name: the resolver denies it": DENIES,
    "receiver's name: the resolver does not answer": None,
}
_ADDRESS = 1
_OF_OUR_OWN, _DEEP, _PRIVATE, _BOUND = 0x20000, 0x4000, 0x40000, 0x1000
"""CLONE_NEWNS; MS_REC, MS_PRIVATE, MS_BIND."""


class NameServer:
    """Knows one name, that of this machine. ``code`` is what it says instead of the address; None: nothing at all."""

    def __init__(self, directory: Path) -> None:
        """Listen; raises ``PermissionError`` for whoever may not on port 53. ``file`` is a ``resolv.conf``."""
        self.code: int | None = 0
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = self._bind()
        self.file = directory / "resolv.conf"
        self.file.write_text(f"nameserver {address}\n", encoding="ascii")
        threading.Thread(target=self._serve, daemon=True).start()

    def _bind(self) -> str:
        """Take an address of the loopback network on which nobody else listens."""
        for number in range(2, 250):
            address = f"127.53.0.{number}"
            try:
                self._socket.bind((address, 53))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return address
        raise OSError(errno.EADDRINUSE, "no address is free")

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                question, asker = self._socket.recvfrom(512)
                if not question:
                    return  # the socket is shut down
                self.asked += 1
                if self.code is not None:
                    self._socket.sendto(_answer(question, self.code), asker)

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _answer(question: bytes, code: int) -> bytes:
    """Answer one question (RFC 1035, section 4): the loopback address, for as long as it is asked for, or a code."""
    end = question.index(b"\0", 12) + 5
    labels = b"".join(struct.pack("B", len(label)) + label.encode() for label in NAME.split("."))
    known = code == 0 and question[12:].startswith(labels + struct.pack("!BH", 0, _ADDRESS))
    head = question[:2] + struct.pack("!5H", 0x8180 | code, 1, known, 0, 0)
    address = struct.pack("!3HIH", 0xC00C, _ADDRESS, 1, 0, 4) + socket.inet_aton("127.0.0.1")
    return head + question[12:end] + (address if known else b"")


def show(file: Path) -> None:
    """Show this process, and nobody else, another ``resolv.conf``; raises ``OSError`` without the right to mount."""
    library = ctypes.CDLL(None, use_errno=True)
    place = str(Path("/etc/resolv.conf").resolve()).encode()
    if (
        library.unshare(_OF_OUR_OWN)
        or library.mount(None, b"/", None, _DEEP | _PRIVATE, None)
        or library.mount(str(file).encode(), place, None, _BOUND, None)
    ):
        raise OSError(ctypes.get_errno(), "the name server cannot be shown to a daemon")


@contextmanager
def name_server(directory: Path) -> Iterator[NameServer | None]:
    """A name server of our own; None without the right to have one."""
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        warnings.warn("names were not lost for real: only root may mount a resolv.conf", stacklevel=1)
        yield None
        return
    server = NameServer(directory)
    try:
        yield server
    finally:
        server.close()


PATIENCE = "5s"
"""Longer than a busy machine takes to answer: what had left, and was not answered in time, is in doubt by right."""
_TRIED = 'notifications_total{channel="people",outcome="retried"'


def unresolved(directory: Path, rounds: Iterable[int], seed: int, way: str) -> list[Row]:
    """Take the receiver's name away and give it back: other channels go on, pages wait, and none is in doubt for it.

    *Duplicated* counts pages, too, that say they may be repeats though nothing had left. No row without a name server.
    """
    dice, recovery = random.Random(seed), list[float]()
    with name_server(directory) as names:
        if names is None:
            return []
        stage = Stage(directory, seed, influx=False)
        host = f"{NAME}:{stage.people.host.rpartition(':')[2]}"
        people = {
            "type": "webhook",
            "name": "people",
            "url": f"http://{host}/notify",
            "allow": [host],
            "timeout": PATIENCE,
        }
        stage.daemon.set(channels=[people, {"type": "mqtt", "name": "grid"}])
        stage.resolver = names.file
        with stage:
            stage.begin()
            for _ in rounds:
                tried, heard, names.code = stage.metric(_TRIED), len(stage.sensors.heard), WAYS[way]
                wait_until(partial(_tried, stage, tried), 60, f"somebody is to be told, and {way}")
                wait_until(partial(_heard, stage, heard), 60, "the other channel goes on")
                time.sleep(dice.uniform(0.0, 2.0))
                names.code, well, before = 0, time.monotonic(), len(stage.people.requests)
                wait_until(partial(arrived, stage, before), 120, "pages arrive again")
                recovery.append(time.monotonic() - well)
            tries, asked = stage.metric(_TRIED), names.asked
            stage.settle(patience=600)  # whose name was away often waits for long
            row = stage.verdict(way, len(recovery), recovery)
            row.doubled += _unfounded(stage)
            row.remark += f"; {tries:,.0f} attempts in vain, {asked:,} questions; recovery is to the next page"
            return [row]


def _unfounded(stage: Stage) -> int:
    """Pages that say that they may be repeats, though none of the same key had come before."""
    seen, found = set[str](), 0
    for page in stage.pages():
        found += page["possibly_repeated"] and page["key"] not in seen
        seen.add(page["key"])
    return found


def _tried(stage: Stage, before: float) -> bool:
    return stage.metric(_TRIED) > before


def _heard(stage: Stage, before: int) -> bool:
    return len(stage.sensors.heard) > before + 1

"""A real server whose answers would fill the memory of whoever takes them in, and how much memory that was."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

SIZE = 256 << 20
"""Bytes that each bomb would come to."""
ROOM = 24 << 20
"""Bytes by which a process may grow while it takes an answer in: far less than a bomb, more than a test's own noise."""
_BLOCK = bytes(1 << 20)
_Send = Callable[[bytes], object]


@cache
def _folded(times: int) -> bytes:
    """``SIZE`` zeros, compressed so many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    text = b"".join(packer.compress(_BLOCK) for _ in range(SIZE >> 20)) + packer.flush()
    for _ in range(times - 1):
        text = gzip.compress(text, 9)
    return text


def _packed(times: int) -> Callable[[_Send, bytes], None]:
    def answer(send: _Send, status: bytes) -> None:
        text, names = _folded(times), b", ".join([b"gzip"] * times)
        send(b"HTTP/1.1 %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (status, names, len(text)) + text)

    return answer


def _zeros(send: _Send, status: bytes) -> None:
    send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, SIZE))
    _endless(send, _BLOCK)


def _chunks(send: _Send, status: bytes) -> None:
    send(b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
    _endless(send, b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK))


def _until_closed(send: _Send, status: bytes) -> None:
    send(b"HTTP/1.1 %b\r\nConnection: close\r\n\r\n" % status)
    _endless(send, _BLOCK)


def _headers(send: _Send, status: bytes) -> None:
    send(b"HTTP/1.1 %b\r\n" % status)
    _endless(send, b"".join(b"X-%05d: %b\r\n" % (number, b"x" * 1000) for number in range(1000)))


def _endless(send: _Send, block: bytes) -> None:
    for _ in range(0, SIZE, len(block)):
        send(block)


BOMBS = {
    "gzip": _packed(1),
    "gzip in gzip": _packed(2),
    "zeros": _zeros,
    "chunks": _chunks,
    "until closed": _until_closed,
}
"""Ways to answer that a client takes for an answer; each says a status and then far too much."""
NO_ANSWERS = {"headers": _headers}
"""Ways to answer that never come to an answer."""


@contextmanager
def bombing(bomb: str, status: str = "200 OK") -> Iterator[str]:
    """Serve the bomb to every request; yields the server's root."""
    answer = (BOMBS | NO_ANSWERS)[bomb]
    _folded(1), _folded(2)  # made before anybody measures

    def serve(line: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (part := line.recv(65_536)):
            request += part
        answer(line.sendall, status.encode())

    with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Let ``serve`` speak to each who connects to the port, until they hang up."""

    def one(line: socket.socket) -> None:
        with line, suppress(OSError):
            serve(line)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class Growth:
    """By how much this process has grown at most since it was asked to look (bytes); of Linux."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew: proc(5)
        self._before = self._peak()

    @property
    def peak(self) -> int:
        """The most so far."""
        return self._peak() - self._before

    def _peak(self) -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))

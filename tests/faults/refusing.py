"""A kernel that refuses: from a moment on, a process's own calls to its disk fail with an I/O error.

A seccomp filter (Linux) makes the named system calls return EIO, so that the error is the kernel's, as it comes from a
disk that dies: SQLite and the program on top of it see nothing else. It is for the whole process, and for good.

Worse is a disk that fails once: the kernel has dropped what it could not write, and says of the next call that all is
well. For that the filter asks a thread of the same process about each call (seccomp's user notification), which takes
back what was written to the file since the filter was put in.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CALLS = {
    "x86_64": {"fsync": 74, "fdatasync": 75, "pwrite64": 18, "pread64": 17},
    "aarch64": {"fsync": 82, "fdatasync": 83, "pwrite64": 68, "pread64": 67},
}
"""Numbers of system calls, from the kernel's ``unistd`` tables."""
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_NO_NEW_PRIVILEGES, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000
_LISTENER, _NO_THREAD_ID = 8, 16
_HEAR, _ANSWER = 0xC0502100, 0xC0182101
"""The requests with which a question is heard, and answered: ``ioctl`` numbers of ``linux/seccomp.h``."""
_QUESTION, _REPLY = struct.Struct("QI20xQ40x"), struct.Struct("QqiI")
"""A question (its number, the thread, the call's first argument), and the reply to it."""
_GO_ON = 1
_OPEN = Path("/proc/self/fd")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def available() -> bool:
    """Whether this machine is one of those whose calls are known."""
    return platform.system() == "Linux" and platform.machine() in CALLS


def refuse(*names: str) -> None:
    """Let these system calls of this process fail with EIO from now on; raises ``OSError`` when the kernel will not."""
    _filter(names, _ERRNO | errno.EIO, _ALL_THREADS)


def refuse_once(*names: str) -> None:
    """Let the next of these system calls of this thread fail with EIO, and none after it; raises ``OSError``.

    The file is then as it was when this was called, if it is a log of SQLite's: so nothing may be under way in one.
    """
    logs = {path: path.read_bytes() for path in _open_files() if path.name.endswith("-wal")}
    thread = threading.get_native_id()
    listener = _filter(names, _ASK, _ALL_THREADS | _LISTENER | _NO_THREAD_ID)
    threading.Thread(target=_answer, args=(listener, thread, logs), daemon=True).start()


def _open_files() -> Iterator[Path]:
    """The files that this process has open."""
    for number in _OPEN.iterdir():
        with suppress(OSError):  # closed since
            yield number.readlink()


def _answer(listener: int, thread: int, logs: Mapping[Path, bytes]) -> None:
    """Say of each call what becomes of it."""
    refused = False
    while True:
        question = bytearray(_QUESTION.size)
        fcntl.ioctl(listener, _HEAR, question)
        number, asking, file = _QUESTION.unpack(question)
        now, refused = not refused and asking == thread, refused or asking == thread
        if now:
            _take_back(file, logs)
        fcntl.ioctl(listener, _ANSWER, _REPLY.pack(number, 0, -errno.EIO if now else 0, 0 if now else _GO_ON))


def _take_back(file: int, logs: Mapping[Path, bytes]) -> None:
    """Put a log back to what the disk has of it."""
    content = logs.get((_OPEN / str(file)).readlink())
    if content is not None:
        os.pwrite(file, content, 0)
        os.ftruncate(file, len(content))


def _filter(names: Sequence[str], verdict: int, flags: int) -> int:
    """Put a filter before these calls; returns what the kernel gives."""
    numbers = [CALLS[platform.machine()][name] for name in names]
    lines = [struct.pack("HBBI", _LOAD, 0, 0, 0)]  # the number of the call
    for left, number in zip(range(len(numbers) - 1, -1, -1), numbers, strict=True):
        lines.append(struct.pack("HBBI", _EQUAL, left + 1, 0, number))  # jump to the verdict, the last line
    lines += [struct.pack("HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("HBBI", _RETURN, 0, 0, verdict)]
    code = ctypes.create_string_buffer(b"".join(lines))
    program = _Program(len(lines), ctypes.cast(code, ctypes.c_void_p))
    library = ctypes.CDLL(None, use_errno=True)
    given = -1
    if not library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        given = library.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, flags, ctypes.byref(program))
    if given < 0 or (given and not flags & _LISTENER):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")
    return int(given)

"""A kernel that refuses: from a moment on, a process's own calls to its disk fail with an I/O error.

A seccomp filter (Linux) makes the named system calls return EIO, so that the error is the kernel's, as it comes from a
disk that dies: SQLite and the program on top of it see nothing else. It is for the whole process, and for good.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

CALLS = {
    "x86_64": {"fsync": 74, "fdatasync": 75, "pwrite64": 18, "pread64": 17},
    "aarch64": {"fsync": 82, "fdatasync": 83, "pwrite64": 68, "pread64": 67},
}
"""Numbers of system calls, from the kernel's ``unistd`` tables."""
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_NO_NEW_PRIVILEGES, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def available() -> bool:
    """Whether this machine is one of those whose calls are known."""
    return platform.system() == "Linux" and platform.machine() in CALLS


def refuse(*names: str) -> None:
    """Let these system calls of this process fail with EIO from now on; raises ``OSError`` when the kernel will not."""
    numbers = [CALLS[platform.machine()][name] for name in names]
    lines = [struct.pack("HBBI", _LOAD, 0, 0, 0)]  # the number of the call
    for left, number in zip(range(len(numbers) - 1, -1, -1), numbers, strict=True):
        lines.append(struct.pack("HBBI", _EQUAL, left + 1, 0, number))  # jump to the refusal, the last line
    lines += [struct.pack("HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | errno.EIO)]
    code = ctypes.create_string_buffer(b"".join(lines))
    program = _Program(len(lines), ctypes.cast(code, ctypes.c_void_p))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.syscall(
        _SECCOMP[platform.machine()], _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")

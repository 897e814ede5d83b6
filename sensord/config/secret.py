"""Paths in configuration files, and the secrets that some of them lead to.

Rules: a path is relative to the file that names it; ``${CREDENTIALS_DIRECTORY}`` is where systemd puts
credentials, and the only variable there is. A secret that everybody on the machine can read is refused, not
used.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from sensord.config.files import read_regular
from sensord.errors import ConfigError, Problem

_VARIABLE = re.compile(r"\$\{([^}]*)\}|\$")
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MAX_SECRET = 64 * 1024
SHORTEST_KEY = 32
"""Bytes: 128 bits, written as people write them, in hexadecimal."""


def resolve_path(text: str, base: Path) -> Path:
    """Make a real path of one that configuration names; raises ``ConfigError`` for an unknown variable."""

    def expand(match: re.Match[str]) -> str:
        if match[1] != _CREDENTIALS:
            raise _refused(text, f"{match[0]} is unknown in a path", f"only ${{{_CREDENTIALS}}} can be used")
        folder = os.environ.get(_CREDENTIALS)
        if not folder:
            hint = "run under systemd with LoadCredential=, or write a path"
            raise _refused(text, f"{_CREDENTIALS} is not set", hint)
        return folder

    return Path(os.path.normpath(base / _VARIABLE.sub(expand, text)))


def read_secret(path: Path) -> str:
    """Return a secret file's text without its last line break.

    Raises ``ConfigError`` when the file cannot be read, is not text, is empty or damaged, or can be read by everybody.
    """
    try:
        raw, mode = read_regular(path, _MAX_SECRET + 1)
    except OSError as error:
        hint = "check the path, and that the daemon's user may read it"
        raise _refused(str(path), f"the secret cannot be read: {error.strerror}", hint) from error
    if mode & stat.S_IROTH:
        raise _refused(str(path), "the secret can be read by everybody on this machine", f"run: chmod o-r {path}")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _refused(str(path), "the secret is not UTF-8 text", "write it again as plain text") from error
    if "\0" in text:  # what a power cut leaves of a file is as long as it was, and known to everybody
        raise _refused(
            str(path), "the secret holds NUL characters: the file is damaged", "write it again as plain text"
        )
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(raw) > _MAX_SECRET:
        fault = "is empty" if not text else "is larger than 64 KiB"
        raise _refused(str(path), f"the secret {fault}", "put the secret, and nothing else, into the file")
    return text


def read_signing_key(path: Path) -> bytes:
    """Return the secret with which we sign; raises ``ConfigError`` also when it is short enough to be guessed."""
    key = read_secret(path).encode()
    if len(key) < SHORTEST_KEY:
        message = f"the key has {len(key)} bytes; one that signs links needs {SHORTEST_KEY}, or others can sign"
        raise _refused(str(path), message, "make one: openssl rand -hex 32")
    return key


def _refused(file: str, message: str, hint: str) -> ConfigError:
    return ConfigError([Problem(file, 1, 1, message, hint)])

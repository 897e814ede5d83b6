"""Secrets: files of their own, read as they are, and refused without being shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sensord.config.secret import read_secret
from sensord.errors import ConfigError


@pytest.mark.parametrize(
    ("raw", "secret"), [(b"abc", "abc"), (b"abc\n", "abc"), (b"abc\r\n", "abc"), (b" a b \n\n", " a b \n")]
)
def test_a_secret_loses_one_line_break_and_nothing_else(tmp_path: Path, raw: bytes, secret: str) -> None:
    """Editors add a line break; blanks may belong to the secret."""
    path = tmp_path / "secret"
    path.write_bytes(raw)
    path.chmod(0o600)
    assert read_secret(path) == secret


@pytest.mark.parametrize(
    ("raw", "mode", "words"),
    [
        (b"abc", 0o644, "chmod o-r"),
        (b"abc", 0o604, "by everybody"),
        (b"\n", 0o600, "is empty"),
        (b"\xff", 0o600, "not UTF-8"),
        (bytes(64), 0o600, "is damaged"),
        (b"x" * 70_000, 0o600, "larger than 64 KiB"),
    ],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, raw: bytes, mode: int, words: str) -> None:
    """The message says what to do and never holds the secret."""
    path = tmp_path / "secret"
    path.write_bytes(raw)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        read_secret(path)
    assert "abc" not in str(caught.value).replace(str(path), "")


def test_a_secret_that_is_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Opening a pipe would block the start for ever."""
    os.mkfifo(tmp_path / "secret", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_secret(tmp_path / "secret")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "missing")

"""Programs that prepare a test: they run to their end, and must succeed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import program


def run(name: str, *arguments: str) -> None:
    """Run a program; raises ``CalledProcessError`` when it fails."""
    subprocess.run([program(name), *arguments], check=True, stderr=subprocess.DEVNULL)


def make_certificate(directory: Path, who: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for ``who`` (``IP:...`` or ``DNS:...``); returns its file and its key's."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    names = ["-subj", "/CN=test", "-addext", f"subjectAltName={who}"]
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names)
    return certificate, key

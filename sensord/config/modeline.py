"""Wires a configuration's files to their schemas, wherever it is installed, so that editors complete and check them.

The first line of each file tells the YAML language server where its schema is. In the repository that is
``docs/schema``; an installed configuration gets a folder ``schema`` of its own beside ``sensord.yaml``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sensord.config.connection import load_settings
from sensord.config.export import schemas
from sensord.config.secret import resolve_path

_LINE = re.compile(r"# yaml-language-server: \$schema=.*")


def wire(config: Path) -> list[Path]:
    """Write the schemas beside ``config`` and point the files' first lines to them; returns what was written.

    A file that names no schema gets the line; nothing else of it changes. Raises ``ConfigError`` when ``sensord.yaml``
    cannot be read, and ``OSError`` when a file cannot be written.
    """
    folder = config.parent / "schema"
    folder.mkdir(exist_ok=True)
    written = []
    for name, schema in schemas().items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written + [path for path, kind in _files(config) if _point(path, folder / f"{kind}.json")]


def _files(config: Path) -> Iterator[tuple[Path, str]]:
    """Yield every YAML file of a configuration with the name of its schema."""
    settings = load_settings(config)
    yield config, "sensord"
    known = schemas()
    for kind, text in msgspec.to_builtins(settings.files).items():
        if text is None or kind not in known:
            continue
        named = resolve_path(text, config.parent)
        for path in sorted(named.glob("*.y*ml")) if named.is_dir() else [named]:
            yield path, kind


def _point(path: Path, schema: Path) -> bool:
    """Write the first line anew; returns whether it was different."""
    text = path.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    line = f"# yaml-language-server: $schema={os.path.relpath(schema.absolute(), path.absolute().parent)}"
    if first == line:
        return False
    path.write_text(f"{line}\n{rest if _LINE.fullmatch(first) else text}", encoding="utf-8")
    return True

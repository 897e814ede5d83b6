"""The shape of the code, read from its imports: which part may use which, what the pure core may not touch."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ADAPTER = {"errors", "decoders", "core", "config", "ports"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "words": set(),
    "answers": set(),
    "keepalive": set(),
    "decoders": set(),
    "phrasebook": {"errors", "words"},
    "core": {"errors", "decoders"},
    "ports": {"core"},
    "config": {"errors", "decoders", "core"},
    "ingest": ADAPTER | {"keepalive"},
    "store": ADAPTER,
    "notify": ADAPTER | {"answers", "keepalive"},
    "series": ADAPTER | {"answers"},
    "telemetry": ADAPTER,
    "api": ADAPTER | {"bulkheads", "phrasebook"},
    "defining": {"core"},
    "desk": {"errors", "core", "config", "ports", "api", "drivers", "ingest", "store"},
    "recordings": {"errors", "decoders", "words", "core", "config"},
    "drivers": {"errors", "decoders", "core", "config", "ports", "recordings"},
    "backtest": {"errors", "phrasebook", "words", "core", "config", "drivers", "recordings", "source", "ahead"},
    "source": {"errors", "words", "core", "config", "store", "drivers", "recordings"},
    "ahead": {"errors", "words", "core", "drivers", "source"},
    "hangup": set(),
    "reload": {"errors", "core", "config", "ports"},
    "starting": {"errors", "core", "config", "ports", "reload"},
    "records": {"api", "core", "config", "drivers", "reporting", "store"},
    "workshop": {"api", "errors", "core", "config", "reload"},
    "office": {"api", "records", "reload", "reporting", "store", "workshop"},
    "reporting": {"errors", "decoders", "core", "config", "ports", "drivers", "store"},
    "reportmessages": {"errors", "core", "config", "notify", "ports", "reporting", "store"},
    "revealing": {"errors", "words", "core", "config", "drivers", "store"},
    "inlet": {"config", "ports", "ingest", "store", "telemetry"},
    "upkeep": {"errors", "core", "config", "ports", "store"},
    "supervisor": {"errors", "core", "ports", "ingest", "store", "telemetry"},
    "harm": {"errors", "api", "core", "config", "store", "supervisor", "telemetry"},
    "results": {"errors", "core", "ports", "notify"},
    "bulkheads": {"errors", "core", "ports"},
    "app": ADAPTER
    | {
        "api",
        "bulkheads",
        "defining",
        "desk",
        "drivers",
        "hangup",
        "harm",
        "ingest",
        "inlet",
        "notify",
        "reload",
        "revealing",
        "office",
        "reporting",
        "reportmessages",
        "results",
        "series",
        "starting",
        "store",
        "supervisor",
        "telemetry",
        "upkeep",
    },
    "commands": ADAPTER
    | {"phrasebook", "words"}
    | {
        "ahead",
        "answers",
        "api",
        "backtest",
        "drivers",
        "ingest",
        "notify",
        "recordings",
        "reporting",
        "revealing",
        "simulators",
        "source",
        "starting",
        "store",
        "telemetry",
    },
    "cli": {"errors", "phrasebook", "words", "config", "telemetry", "app", "commands", "hangup", "simulators"},
    "__main__": {"cli"},
    "simulators": {"errors", "decoders", "phrasebook", "words", "core", "config", "recordings", "source", "backtest"},
}
"""Each part, and the other parts that it may import. A part that is not here may not exist."""

CORE_MAY_IMPORT: dict[str, set[str]] = {
    "people": set(),
    "rules": set(),
    "vehicles": {"rules"},
    "intake": {"vehicles"},
    "cases": {"rules", "people"},
}
"""Within the core: each folder, and the other folders that it may import, beside the values at the core's top."""

IMPURE = {
    "asyncio", "concurrent", "ctypes", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "shutil", "signal", "socket", "sqlite3", "ssl", "structlog", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip
"""What the core may not import: clocks, chance, files, networks, threads, logs."""
_TYPED = {"msgspec.json.Decoder", "msgspec.msgpack.Decoder", "msgspec.convert"}
_UNTYPED = {"msgspec.json.decode", "msgspec.msgpack.decode"}
"""What makes a decoder of a type; what does when it is given one."""
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "now", "utcnow", "today"}
READS_ARGUMENTS = {
    "cli.py",
    "commands/auditcli.py",
    "commands/deskcli.py",
    "commands/offline.py",
    "commands/options.py",
    "commands/publishing.py",
    "commands/recordingcli.py",
    "commands/vehicles.py",
    "simulators/demo.py",
    "simulators/broker.py",
    "simulators/score.py",
    "commands/reportcli.py",
    "commands/rostercli.py",
}


def part_of(module: str) -> str:
    """``sensord.core.site`` -> ``core``; ``simulators.street`` -> ``simulators``; ``""`` for what is not ours."""
    first, _, rest = module.partition(".")
    if first == "simulators":
        return first
    return rest.partition(".")[0] if first == "sensord" else ""


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, wherever in the file, as an absolute name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(part: str, tree: ast.AST) -> list[str]:
    """The imports of a file of ``part`` that go against the table."""
    allowed = MAY_IMPORT[part] | {part, "", "__version__"}
    return [module for module in imports(tree) if part_of(module) not in allowed]


def impurities(tree: ast.AST) -> list[str]:
    """Where a file of the core reaches for a clock, for chance or for the outside."""
    found = [module for module in imports(tree) if module.partition(".")[0] in IMPURE]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in IMPURE_CALLS:
                found.append(f"{called}() in line {node.lineno}")
    return found


def sources(*folders: str) -> list[Path]:
    """Our Python files below the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked() -> list[Path]:
    """Every file of the project, as git sees it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("this is not a git checkout")
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def parse(path: Path) -> ast.Module:
    """Read a file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", sources("sensord", "simulators"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    """Each part imports only what the table allows; adapters never import each other."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    part = parts[0] if parts[0] == "simulators" else parts[1]
    if part == "__init__":
        assert not list(imports(parse(path)))
        return
    assert part in MAY_IMPORT, f"{part} is a new part: give it a place in the table and in docs/architecture.md"
    assert wrong_imports(part, parse(path)) == []


@pytest.mark.parametrize("folder", sorted(CORE_MAY_IMPORT))
def test_the_folders_of_the_core_go_one_way(folder: str) -> None:
    """Rules know nothing of cases, cases nothing of vehicles: what one folder may use of another is in the table."""
    assert {path.name for path in (ROOT / "sensord/core").iterdir() if path.is_dir()} - {"__pycache__"} == set(
        CORE_MAY_IMPORT
    )
    allowed = CORE_MAY_IMPORT[folder] | {folder}
    used = {
        part[2]
        for path in sources(f"sensord/core/{folder}")
        for module in imports(parse(path))
        if len(part := module.split(".")) > 3 and part[:2] == ["sensord", "core"] and part[2] in CORE_MAY_IMPORT
    }
    assert used <= allowed


def test_the_core_is_pure() -> None:
    """No clock, no chance, no input or output in the core: time and data are values."""
    assert {str(path): found for path in sources("sensord/core") if (found := impurities(parse(path)))} == {}


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("core", "from sensord.store.journal import Journal"),
        ("store", "def f():\n    import sensord.notify.worker"),
        ("config", "from sensord import app"),
        ("simulators", "from sensord.store import state"),
        ("drivers", "from sensord.store.state import StateStore"),
    ],
)
def test_a_wrong_direction_is_seen(part: str, source: str) -> None:
    """The check itself fails on a broken tree."""
    assert wrong_imports(part, ast.parse(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import choice",
        "from datetime import datetime\ndatetime.now()",
        "import os.path",
        "print(1)",
        "open('x')",
        "def f():\n    import structlog",
    ],
)
def test_an_impurity_is_seen(source: str) -> None:
    """The check of the core fails on each kind of impurity."""
    assert impurities(ast.parse(source)) != []


def decoders_made(tree: ast.AST) -> list[str]:
    """Where a file has msgspec work out a type by itself: threads that do so at once end the process."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            typed = len(node.args) > 1 or any(keyword.arg in {"type", None} for keyword in node.keywords)
            if (called in _TYPED and (node.args or node.keywords)) or (called in _UNTYPED and typed):
                found.append(f"{called}() in line {node.lineno}")
    return found


def test_decoders_are_made_in_one_place() -> None:
    """One thread at a time makes them there."""
    found = {
        str(path.relative_to(ROOT)): made
        for path in sources("sensord", "simulators")
        if path.name != "decoders.py" and (made := decoders_made(parse(path)))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "msgspec.json.Decoder(Case)",
        "msgspec.json.decode(text, type=Case)",
        "msgspec.msgpack.decode(text, **how)",
        "msgspec.convert(data, Case)",
    ],
)
def test_a_decoder_made_elsewhere_is_seen(source: str) -> None:
    """The check fails on each way to make one."""
    assert decoders_made(ast.parse(source)) != []


def test_arguments_are_read_in_few_places() -> None:
    """Only the command line and the generators of documents look at ``sys.argv`` or use click."""
    readers = set()
    for path in sources("sensord", "simulators"):
        text = path.read_text(encoding="utf-8")
        if "sys.argv" in text or "import click" in text or "import argparse" in text:
            readers.add(str(path.relative_to(ROOT)).removeprefix("sensord/"))
    assert readers <= READS_ARGUMENTS


def test_files_are_of_a_size_to_read() -> None:
    """No source file is longer than 400 lines."""
    sizes = {
        str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in tracked() if path.suffix == ".py"
    }
    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_locks_name_versions_hashes_and_no_index() -> None:
    """Each pinned package has hashes, and no lock says where to fetch from."""
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-fuzz.lock"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        code = [line for line in lines if line and not line.lstrip().startswith("#")]
        assert not any(line.startswith("-") or "://" in line for line in code)
        assert all("==" in line or line.startswith("    --hash=sha256:") for line in code)
        assert sum("==" in line for line in code) < sum("--hash=" in line for line in code)


def test_the_project_speaks_of_itself_alone() -> None:
    """No address of a package registry and no folder of somebody's machine in any file."""
    words = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry" + ".npmjs",
        "/work" + "/main",
        "/home" + "/runner",
        "/root" + "/",
    ]
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in words if word in text]
    assert found == []

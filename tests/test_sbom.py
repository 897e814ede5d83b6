"""The bill of materials lists what is installed, all of it and nothing else, with the hashes that are checked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``make sbom`` writes; it needs a tool that is fetched once, so without network and cache it is skipped."""
    path = tmp_path_factory.mktemp("sbom") / "sbom.json"
    made = subprocess.run(
        ["make", "sbom", f"SBOM={path}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )
    if made.returncode:
        warnings.warn(f"the bill of materials was not made: {made.stderr[-300:]}", stacklevel=1)
        (pytest.fail if os.environ.get("CI") else pytest.skip)("cyclonedx-bom can neither be found nor fetched")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def pinned() -> dict[tuple[str, str], set[str]]:
    """What the lock pins: the hashes by name and version."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^([a-z][\w.-]*)==([\w.+!-]+)(.*)$", text, re.MULTILINE)
    return {(name, version): set(re.findall(r"sha256:([0-9a-f]{64})", rest)) for name, version, rest in found}


def test_the_bill_lists_what_the_lock_pins(bill: dict[str, Any]) -> None:
    """Name by name, version by version."""
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == set(pinned())
    assert len(listed) > 30


def test_every_part_has_an_address_and_the_locks_hashes(bill: dict[str, Any]) -> None:
    """A scanner finds it by its package address; what is installed can be compared with its hashes."""
    locked = pinned()
    for one in bill["components"]:
        assert one["purl"].startswith(f"pkg:pypi/{one['name']}@{one['version']}")
        hashes = {item["content"] for link in one["externalReferences"] for item in link.get("hashes", ())}
        assert hashes == locked[one["name"], one["version"]], one["name"]

"""Every example of the handbook of channels is a configuration that loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensord.config.connection import load_settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def blocks(name: str) -> list[str]:
    """The YAML of a handbook that belongs into sensord.yaml."""
    found = _BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))
    return [block for block in found if "contacts:" not in block]


@pytest.mark.parametrize("name", ["channels.md", "channels.zh-CN.md"])
def test_examples_load(name: str, tmp_path: Path) -> None:
    """As they stand, below their key."""
    kinds = set()
    for number, block in enumerate(blocks(name)):
        path = tmp_path / f"{number}.yaml"
        head = "site: example\n" + ("channels:\n" if block.startswith("  - ") else "")
        path.write_text(head + block, encoding="utf-8")
        settings = load_settings(path)
        kinds |= {type(channel).__name__ for channel in settings.channels}
    assert kinds >= {"WecomRobot", "WecomApp", "DingtalkRobot", "FeishuRobot", "Sms", "Smtp", "Alertmanager"}


def test_both_languages_say_the_same() -> None:
    """The same examples but for their remarks, in the same order."""
    one, other = (
        [re.sub(r" *#.*", "", block) for block in blocks(name)] for name in ("channels.md", "channels.zh-CN.md")
    )
    assert one == other

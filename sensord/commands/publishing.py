"""``sensord replay --publish``: recorded messages to a broker, where many may listen; so plates are made up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensord.words import say

if TYPE_CHECKING:
    from sensord.core.record import Record
    from sensord.revealing import Asker
    from sensord.source import Opened, Source

    Through = Callable[[Iterable[Record]], Iterable[Record]]


def publish(source: Source, start: str | None, end: str | None, speed: float, plain: Asker | None) -> None:
    """Publish a stretch; true plates only when they are asked for, and after that was written down."""
    from sensord.commands.offline import span
    from sensord.commands.progress import bar
    from simulators.publish import publish_records

    if source.config is None:
        raise click.UsageError(say("此处需要 --config", "--config is needed here"))
    opened = source.open()
    begin, stop = span(start, end, opened.zone)
    through = _through(source, opened, f"{start or '…'}/{end or '…'}", plain)
    with bar(opened.message_total if start is None and end is None else None) as show:
        done = publish_records(
            source.config,
            opened.messages(begin, stop, through),
            speed,
            None if show is None else lambda now: show(now.messages),
        )
    click.echo(say(f"已发送 {done.messages} 条消息", f"{done.messages} messages sent"))


def _through(source: Source, opened: Opened, stretch: str, plain: Asker | None) -> Through:
    """What the records go through: nothing when their plates are made up already."""
    from sensord.recordings.anonymise import anonymise
    from sensord.revealing import admit_export

    if opened.made_up:
        if plain is not None:
            raise click.UsageError(say("这份录制的号牌本来就是编造的", "the plates of this recording are made up"))
        return iter
    if plain is None:
        return partial(anonymise, key=secrets.token_bytes(32))
    admit_export(_owner(source), opened.journal, plain, stretch if opened.journal else f"{source.path.name} {stretch}")
    return partial(anonymise, key=None)


def _owner(source: Source) -> Path:
    """The configuration in whose access log it is written down: the site's, which need not be that of the broker."""
    owner = source.keys or source.config
    assert owner is not None
    return owner

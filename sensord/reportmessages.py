"""What a message that tells of a report brings along: the main numbers in its text, and files where they are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import get_args

import msgspec

from sensord.config.channels import ChannelSettings, Smtp
from sensord.core.cases.notification import REPORT, Notification
from sensord.core.cases.reports import ReportTable, span_of
from sensord.errors import DeliveryError, StoreError
from sensord.notify.attached import AttachedChannel
from sensord.ports import Attachment, Channel
from sensord.reporting import PATIENCE, KeptReports
from sensord.store.reports import ReportFolder

_AGAIN = 5.0
_WITHOUT = {
    "zh": "报告暂时无法生成；请稍后运行 sensord report show {name}",
    "en": "The report could not be made yet; later: sensord report show {name}",
}
_TYPES = {"csv": "text/csv", "txt": "text/plain", "md": "text/markdown", "html": "text/html"}


class ReportFiller:
    """Puts the numbers of a report into the message that tells of it. Implements ``ports.Filling``."""

    def __init__(self, folder: ReportFolder, clock: Callable[[], int] = time.time_ns) -> None:
        self._folder, self._clock = folder, clock

    def concerns(self, notification: Notification) -> bool:
        """Whether the message tells of a report."""
        return span_of(notification.event) is not None and REPORT in notification.text

    def fill(self, notification: Notification) -> Notification:
        """Return the message as it is sent; raises ``DeliveryError`` (to be tried again) while there is no report."""
        span = span_of(notification.event)
        if span is None:
            return notification
        found = self._read(span.name, f"{notification.language}.message")
        if found is None and self._clock() - notification.at < PATIENCE:
            raise DeliveryError(f"the report {span.name} is not made yet", retryable=True, retry_after=_AGAIN)
        text = found.decode() if found else _WITHOUT[notification.language].format(name=span.name)
        return msgspec.structs.replace(notification, text=notification.text.replace(REPORT, text))

    def _read(self, name: str, file: str) -> bytes | None:
        """What stands in a file: nothing, when it cannot be read; the message must not wait for that."""
        try:
            return self._folder.read(name, file)
        except StoreError:
            return b""


def with_files(channel: Channel, settings: ChannelSettings, kept: KeptReports) -> Channel:
    """Return the channel as its settings want it: bringing the files of reports, or as it is."""
    attach = settings.attach if isinstance(settings, Smtp) else ()
    return AttachedChannel(channel, ReportFiles(kept, attach)) if attach else channel


class ReportFiles:
    """The files of a report in the language of the message that tells of it. Implements ``ports.Attaching``.

    ``forms`` are those of documents, and ``csv``: a file for each table. What is not there, or is damaged, is
    left out, and the message goes without.
    """

    def __init__(self, kept: KeptReports, forms: Sequence[str]) -> None:
        self._kept, self._forms = kept, forms

    def files(self, notification: Notification) -> tuple[Attachment, ...]:
        """Return what goes with a message."""
        span = span_of(notification.event)
        if span is None:
            return ()
        return tuple(found for form in self._forms for found in self._of(span.name, form, notification.language))

    def _of(self, name: str, form: str, language: str) -> Iterator[Attachment]:
        for table in get_args(ReportTable) if form == "csv" else (None,):
            with suppress(StoreError):
                if found := self._kept.read(name, form, language, table):
                    yield Attachment(f"{name}{f'-{table}' if table else ''}.{form}", _TYPES[form], found)

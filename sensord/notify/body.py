"""The JSON that programs receive, the same over HTTP and MQTT; the contact's address is not part of it."""

from __future__ import annotations

import msgspec

from sensord.core.instant import SECOND, to_datetime
from sensord.ports import Entry


def encode_body(entry: Entry) -> bytes:
    """Write an entry as JSON; ``at`` is RFC 3339 in UTC with milliseconds.

    ``key`` stays the same over every attempt; ``possibly_repeated`` says that one may have arrived, ``late_seconds``
    how long it has waited to be sent.
    """
    notification = entry.notification
    return msgspec.json.encode(
        {
            "key": notification.key,
            "possibly_repeated": entry.possibly_repeated,
            "late_seconds": entry.late // SECOND,
            "case": notification.case,
            "event": notification.event,
            "at": to_datetime(notification.at).isoformat(timespec="milliseconds"),
            "reason": notification.reason.value,
            "receiver": notification.receiver,
            "role": notification.role,
            "level": notification.level.word,
            "place": notification.place,
            "grid": notification.grid,
            "title": notification.title,
            "text": notification.text,
            "language": notification.language,
            "link": entry.link,
        }
    )

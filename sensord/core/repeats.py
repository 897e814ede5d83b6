"""Recognising repeats: the broker sends again whatever was not acknowledged, and so do gateways.

A device that numbers its messages (``boot``, ``seq``) has a window over its newest numbers, a bit for each, as IPsec
has against replay (RFC 4303, section 3.4.3). The window is as wide as what a broker may have under way to us
(``mqtt.receive_maximum``, 1,000 unless configured), so that a crash before the acknowledgement doubles nothing even
when all of that came from one device. The boot before is remembered, too: what is sent again may begin before a
restart.

A device that only stamps its messages is known by their content; so many of the newest are kept.
"""

from __future__ import annotations

import msgspec

WIDTH = 1024
"""Bits of a window: numbers from the newest one down. Older ones are taken as new: they can only be stored readings."""
BOOTS = 2
CONTENTS = 64
_MASK = (1 << WIDTH) - 1
_ALL = b"\xff" * (WIDTH // 8)


class Window(msgspec.Struct, array_like=True):
    """Which of a boot's newest numbers were seen: bit ``n`` of ``seen`` (little endian) stands for ``top - n``."""

    boot: int
    top: int
    seen: bytes = b"\x01"


class Repeats(msgspec.Struct, array_like=True):
    """What is remembered of one device; part of every snapshot."""

    windows: list[Window] = []
    contents: list[int] = []

    def numbered(self, boot: int, seq: int) -> bool:
        """Say whether this number was seen, and remember it."""
        window = self.windows[-1] if self.windows else None
        if window is not None and window.boot == boot and seq == window.top + 1 and window.seen == _ALL:
            window.top = seq  # by far the most frequent: the next number of a device of which nothing is missing
            return False
        window = next((one for one in self.windows if one.boot == boot), None)
        if window is None:
            self.windows.append(Window(boot, seq))
            del self.windows[:-BOOTS]
            return False
        ahead, seen = seq - window.top, int.from_bytes(window.seen, "little")
        if ahead > 0:  # a number may be any: a distance is compared before it is shifted by
            seen = (seen << ahead | 1) & _MASK if ahead < WIDTH else 1
            window.top = seq
        elif -ahead >= WIDTH:
            return False
        elif seen >> -ahead & 1:
            return True
        else:
            seen |= 1 << -ahead
        window.seen = seen.to_bytes((seen.bit_length() + 7) // 8, "little")
        return False

    def content(self, identity: int) -> bool:
        """Say whether a message with this hash is among the newest, and remember it."""
        if identity in self.contents:
            return True
        self.contents.append(identity)
        del self.contents[:-CONTENTS]
        return False

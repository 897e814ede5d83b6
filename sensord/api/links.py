"""The links in messages: signed, expiring, good for answering one message of one case and for nothing else.

::

    <url>/a/<token>       token = base64url(MAC || msgpack [expires, key])
    MAC                   the first 16 bytes of HMAC-SHA256(key file, "sensord answer 1" || 0 || payload)

``key`` is the notification's (``case:event:receiver:channel``): it names the case, and who answers. Opening the link
changes nothing, because chat programs open every link for a preview; the button on its page does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from pathlib import Path

import msgspec

from sensord.api.tokens import write_private
from sensord.config.files import move_aside, read_regular
from sensord.core.cases.notification import Notification
from sensord.core.instant import SECOND
from sensord.decoders import msgpack_decoder
from sensord.errors import SensordError

KEY_FILE = "answer.key"
_PURPOSE = b"sensord answer 1\0"
_MAC = 16
_PAYLOAD = msgpack_decoder(tuple[int, str])
_LONGEST = 1000
_FORM = re.compile(rb"[0-9a-f]{64}\n?")
"""What a key of ours looks like. Anything else, an empty file above all, would let others sign."""
_NOTHING_TO_ANSWER = ("case_closed", "case_void")


class LinkError(SensordError):
    """A link that this daemon did not make, or one that is too old; ``expired`` says which."""

    def __init__(self, message: str, *, expired: bool) -> None:
        self.expired = expired
        super().__init__(message)


class Invitation(msgspec.Struct, frozen=True):
    """What a good link says: the message's key, its case and event (or its report), and who answers."""

    key: str
    case: str
    event: str
    receiver: str


class AnswerLinks:
    """Implements ``ports.Links``. ``url`` is where people's phones find us; links live for ``lives`` (ns)."""

    def __init__(self, url: str, key: bytes, lives: int) -> None:
        self._url, self._key, self._lives = url.rstrip("/"), key, lives

    def link(self, notification: Notification) -> str:
        """The address at which the receiver can answer; empty when there is nothing to answer (any more)."""
        if notification.reason.value in _NOTHING_TO_ANSWER or not _parts(notification.key):
            return ""
        return f"{self._url}/a/{self.token(notification.key, notification.at + self._lives)}"

    def token(self, key: str, expires: int) -> str:
        """Make the token of a message that can be answered until ``expires`` (ns)."""
        payload = msgspec.msgpack.encode((expires // SECOND, key))
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode()

    def read(self, token: str, now: int) -> Invitation:
        """Check a token and return what it says; raises ``LinkError``."""
        payload = self._verified(token)
        expires, key = _PAYLOAD.decode(payload)
        parts = _parts(key)
        if parts is None:
            raise LinkError("the link names no message", expired=False)
        if expires * SECOND <= now:
            raise LinkError("the link has expired", expired=True)
        return Invitation(key, *parts)

    def _verified(self, token: str) -> bytes:
        refused = LinkError("the link is not one of ours", expired=False)
        if len(token) > _LONGEST:
            raise refused
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise refused from error
        mac, payload = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise refused
        return payload

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + payload, hashlib.sha256).digest()[:_MAC]


def _parts(key: str) -> tuple[str, str, str] | None:
    """Take case, event and receiver out of a message's key; None when it is not of that form."""
    parts = key.split(":")
    return (parts[0], parts[1], parts[2]) if len(parts) == 4 and parts[0] and parts[2] else None


def own_key(directory: Path, now: int) -> tuple[bytes, str]:
    """Return the signing key of a state directory, and why links made before are void (empty: they are not).

    A missing key is made. A damaged one is set aside under the instant ``now`` (ns), and another takes its place.
    """
    path, why = directory / KEY_FILE, ""
    try:
        content, _ = read_regular(path, _LONGEST)
        if _FORM.fullmatch(content):
            return content.strip(), ""
        why = f"{KEY_FILE} was damaged and moved to {move_aside(path, now).name}: links in earlier messages are void"
    except FileNotFoundError:
        pass
    except OSError as error:
        why = f"{KEY_FILE} cannot be read ({error.strerror}): links in earlier messages are void"
    return _new_key(path, why)


def _new_key(path: Path, why: str) -> tuple[bytes, str]:
    """Make a key; one that cannot be written down (full disk) signs until the daemon ends."""
    key = secrets.token_hex(32)
    try:
        write_private(path, key)
    except OSError as error:
        why = f"{KEY_FILE} cannot be written ({error.strerror}): links are void once sensord ends"
    return key.encode(), why

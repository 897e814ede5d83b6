"""E-mail over SMTP submission (RFC 6409), with the standard library's client on a thread.

For good is only what the server says of the one mailbox or message: a mailbox that it does not have, a message that is
too large. A wrong password, a refused sender, relaying that is denied or a certificate that is not valid would be the
same for everybody, and are tried again.

What fails before the text has gone out has certainly not arrived; when the connection ends after it, nobody knows. The
Message-ID is made of the notification's key, so that mailboxes recognise a repeat. ``Auto-Submitted`` (RFC 3834) keeps
out-of-office programs from answering.

``timeout`` bounds the conversation as a whole. The client's own timeout begins anew with every byte, so a server that
dribbles would hold its thread for ever: when time is up, the connection is cut under it. The client would
also take in a reply of lines without end: what a server says in one conversation is bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path

from sensord.answers import LIMIT
from sensord.config.channels import Smtp
from sensord.core.instant import SECOND, parse_duration, to_datetime
from sensord.errors import ConfigError, DeliveryError, Problem
from sensord.notify.outcome import InDoubtError
from sensord.notify.text import answer_line, title_of
from sensord.ports import Entry

_NO_MAILBOX = frozenset({550, 551, 553})
_TOO_LARGE = frozenset({552})
_POLICY = b"5.7."
"""Beginning of the enhanced status codes by which a server says that it does not trust us (RFC 3463, section 3.8)."""


class _Conversation:
    """One conversation on a thread, which can be ended from outside. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._over = False
        self.handed_over = False

    def begin(self, line: socket.socket) -> None:
        """Note the connection; a duplicate, for TLS takes the socket over. Raises ``TimeoutError`` when it is over."""
        with self._lock:
            self._check()
            self._line = line.dup()

    def hand_over(self) -> None:
        """The text goes out from here on; raises ``TimeoutError`` when it is too late for that."""
        with self._lock:
            self._check()
            self.handed_over = True

    def end(self) -> None:
        """Cut the connection, if there is one: whoever reads from it comes back."""
        with self._lock:
            self._over = True
            if self._line is not None:
                with suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)
                self._line.close()

    def _check(self) -> None:
        if self._over:
            raise TimeoutError


class _Said(io.BufferedReader):
    """What the server says, up to ``LIMIT`` bytes; then it ends, as if the server had hung up."""

    def __init__(self, line: io.RawIOBase) -> None:
        super().__init__(line)
        self._left = LIMIT

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line, as far as there is room."""
        line = super().readline(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(line)
        return line if self._left else b""


class _Server(smtplib.SMTP):
    """The standard library's client on a connection of which the conversation knows; with ``tls`` from its start."""

    def __init__(self, settings: Smtp, timeout: float, conversation: _Conversation, tls: ssl.SSLContext | None) -> None:
        self._conversation, self._tls = conversation, tls
        super().__init__(settings.host, settings.port, timeout=timeout)

    def getreply(self) -> tuple[int, bytes]:
        """The base class's, which reads from a file that it makes when there is none."""
        if self.file is None and self.sock is not None:
            self.file = _Said(self.sock.makefile("rb", buffering=0))
        return super().getreply()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """The base class's hook for connections of another kind."""
        line = socket.create_connection((host, port), timeout)
        try:
            self._conversation.begin(line)
            return line if self._tls is None else self._tls.wrap_socket(line, server_hostname=host)
        except BaseException:
            line.close()
            raise


def tls_context(settings: Smtp, resolve: Callable[[str], Path] = Path) -> ssl.SSLContext | None:
    """Build the TLS context; None for a channel without TLS.

    ``resolve`` turns a path of the configuration into a real one. Raises ``ConfigError`` when ``ca_file`` cannot be
    read, or holds no certificates.
    """
    if settings.security == "none":
        return None
    path = None if settings.ca_file is None else resolve(settings.ca_file)
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        said = f"channel {settings.name}: ca_file cannot be used: {error}"
        raise ConfigError([Problem(str(path), 1, 1, said, "a PEM file that this user may read")]) from error


class SmtpChannel:
    """A :class:`sensord.ports.Channel`; a contact's address is a mailbox. ``zone`` is that of the Date header.

    ``tls`` verifies the server (``tls_context``); None is for a channel without TLS.
    """

    def __init__(self, settings: Smtp, password: str | None, tls: ssl.SSLContext | None, zone: str = "UTC") -> None:
        self.name: str = settings.name
        self._settings, self._password, self._zone = settings, password, zone
        self._timeout = parse_duration(settings.timeout) / SECOND
        self._tls = tls

    async def send(self, entry: Entry) -> str:
        """Hand one message to the mail server. Raises ``DeliveryError`` as the module's rules say."""
        message, recipient = self._message(entry), parseaddr(entry.notification.address)[1]
        conversation = _Conversation()
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.to_thread(self._submit, message, recipient, conversation)
        except TimeoutError as error:
            raise self._failed(error, conversation) from error
        finally:
            conversation.end()

    async def close(self) -> None:
        """Nothing is kept open between sends."""

    def _message(self, entry: Entry) -> EmailMessage:
        notification = entry.notification
        if "@" not in parseaddr(notification.address)[1] or set("\r\n") & set(notification.address):
            raise DeliveryError(f"channel {self.name}: a contact's address is not a mailbox", retryable=False)
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = notification.address
        message["Subject"] = " ".join(title_of(entry).split())
        message["Date"] = format_datetime(to_datetime(notification.at, self._zone))
        digest = hashlib.sha256(notification.key.encode()).hexdigest()[:32]
        message["Message-ID"] = f"<{digest}@{parseaddr(self._settings.sender)[1].rpartition('@')[2] or 'sensord'}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Priority"] = "1" if notification.level.word == "red" else "3"
        message.set_content(notification.text + answer_line(entry), cte="base64")
        for file in entry.attachments:
            subtype = file.media_type.partition("/")[2]
            message.add_attachment(file.content.decode(), subtype=subtype, cte="base64", filename=file.name)
        return message

    def _submit(self, message: EmailMessage, recipient: str, conversation: _Conversation) -> str:
        """Speak to the server; called on a thread."""
        try:
            with closing(self._connect(conversation)) as server:
                server.ehlo_or_helo_if_needed()
                self._accepted(server.mail(parseaddr(self._settings.sender)[1]))
                self._accepted(server.rcpt(recipient), _NO_MAILBOX)
                conversation.hand_over()
                code, _ = answer = server.data(message.as_bytes(policy=SMTP))
                self._accepted(answer, _TOO_LARGE)
                with suppress(OSError, smtplib.SMTPException):
                    server.putcmd("QUIT")  # the message is theirs: what they say to this changes nothing
                return f"smtp {code}"
        except smtplib.SMTPResponseException as error:
            raise self._refused(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            raise self._failed(error, conversation) from error

    def _failed(self, error: Exception, conversation: _Conversation) -> DeliveryError:
        where, kind = f"{self._settings.host}:{self._settings.port}", type(error).__name__
        if conversation.handed_over:
            return InDoubtError(f"channel {self.name}: {where} did not confirm the message ({kind})")
        advice = "check host, port and security"
        if isinstance(error, ssl.SSLCertVerificationError):
            advice = "check its certificate, ca_file and this machine's clock"
        return DeliveryError(f"channel {self.name}: cannot speak to {where} ({kind}); {advice}")

    def _connect(self, conversation: _Conversation) -> smtplib.SMTP:
        settings = self._settings
        server = _Server(settings, self._timeout, conversation, self._tls if settings.security == "tls" else None)
        try:
            if self._tls is not None and settings.security == "starttls":
                server.starttls(context=self._tls)
            if settings.username is not None:
                server.login(settings.username, self._password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _accepted(self, answer: tuple[int, bytes], final: frozenset[int] = frozenset()) -> None:
        """Raise ``DeliveryError`` unless the server said yes; its words may quote the mailbox and are left out."""
        code, words = answer
        if not 200 <= code < 300:
            raise self._refused(code, final=code in final and not words.startswith(_POLICY))

    def _refused(self, code: int, *, final: bool = False) -> DeliveryError:
        return DeliveryError(f"channel {self.name}: {self._settings.host} answered {code}", retryable=not final)

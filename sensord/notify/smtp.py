"""E-mail over SMTP submission (RFC 6409), with the standard library's client on a thread.

What fails before the text has gone out has certainly not arrived; when the connection ends after it, nobody knows. The
Message-ID is made of the notification's key, so that mailboxes recognise a repeat. ``Auto-Submitted`` (RFC 3834) keeps
out-of-office programs from answering.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from sensord.config.channels import Smtp
from sensord.core.instant import SECOND, parse_duration, to_datetime
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.text import answer_line, title_of
from sensord.ports import Entry


class SmtpChannel:
    """A :class:`sensord.ports.Channel`; a contact's address is a mailbox. ``zone`` is that of the Date header."""

    def __init__(self, settings: Smtp, password: str | None, zone: str = "UTC") -> None:
        self.name: str = settings.name
        self._settings, self._password, self._zone = settings, password, zone
        self._timeout = parse_duration(settings.timeout) / SECOND
        self._tls = ssl.create_default_context(cafile=settings.ca_file) if settings.security != "none" else None

    async def send(self, entry: Entry) -> str:
        """Hand one message to the mail server. Raises ``DeliveryError``; 5xx answers are for good."""
        message = self._message(entry)
        return await asyncio.to_thread(self._submit, message, parseaddr(entry.notification.address)[1])

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
        return message

    def _submit(self, message: EmailMessage, recipient: str) -> str:
        """Speak to the server; called on a thread."""
        sent = False
        try:
            with self._connect() as server:
                server.ehlo_or_helo_if_needed()
                self._accepted(server.mail(parseaddr(self._settings.sender)[1]))
                self._accepted(server.rcpt(recipient))
                sent = True
                code, _ = answer = server.data(message.as_bytes())
                self._accepted(answer)
                return f"smtp {code}"
        except smtplib.SMTPResponseException as error:
            raise self._refused(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            where, kind = f"{self._settings.host}:{self._settings.port}", type(error).__name__
            if sent:
                raise InDoubtError(f"channel {self.name}: {where} did not confirm the message ({kind})") from error
            certain = not isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPNotSupportedError)
            message_text = f"channel {self.name}: cannot speak to {where} ({kind}); check host, port and security"
            raise DeliveryError(message_text, retryable=certain) from error

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        if self._tls is not None and settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=self._timeout, context=self._tls
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=self._timeout)
        try:
            if self._tls is not None and settings.security == "starttls":
                server.starttls(context=self._tls)
            if settings.username is not None:
                server.login(settings.username, self._password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _accepted(self, answer: tuple[int, bytes]) -> None:
        """Raise ``DeliveryError`` unless the server said yes; its words may quote the mailbox and are left out."""
        code = answer[0]
        if not 200 <= code < 300:
            raise self._refused(code)

    def _refused(self, code: int) -> DeliveryError:
        host = self._settings.host
        return DeliveryError(f"channel {self.name}: {host} answered {code}", retryable=not 500 <= code < 600)

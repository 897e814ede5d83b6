"""E-mail against a real SMTP server of this process."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from sensord.config.channels import Smtp
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.smtp import SmtpChannel, tls_context
from sensord.ports import Attachment
from tests.notify.parts import entry
from tests.support import POLL, free_port, program
from tests.support.bombs import ROOM, SIZE, Growth, listening

BOX = "cadre01@example.org"


class Mailboxes:
    """Takes messages; the answers of a test stand in for a full or unwilling server."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.raw: list[bytes] = []
        self.rcpt, self.data = "250 OK", "250 OK"
        self.hang_up = False
        self.thinks = 0.0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient."""
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message."""
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, email.message.EmailMessage)
        self.messages.append(message)
        self.raw.append(envelope.original_content or b"")
        if self.hang_up:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        await asyncio.sleep(self.thinks)
        return self.data


Serve = Callable[..., tuple[Mailboxes, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start mail servers; they end with the test."""
    running: list[Controller] = []

    def start(**options: Any) -> tuple[Mailboxes, int]:
        boxes, port = Mailboxes(), free_port()
        controller = Controller(boxes, "127.0.0.1", port, **options)
        controller.start()
        running.append(controller)
        return boxes, port

    yield start
    for controller in running:
        controller.stop()


def channel(port: int, password: str | None = None, **changes: Any) -> SmtpChannel:
    """A mail channel."""
    settings: dict[str, Any] = {
        "name": "mail",
        "host": "localhost",
        "port": port,
        "security": "none",
        "sender": "哨兵 <sensord@example.org>",
        "timeout": "5s",
    }
    mail = Smtp(**(settings | changes))
    return SmtpChannel(mail, password, tls_context(mail), "Asia/Shanghai")


async def test_a_mail_arrives_as_it_was_written(serve: Serve) -> None:
    """Subject, text and link in Chinese; a Message-ID that every attempt shares; no answer from machines wanted."""
    boxes, port = serve()
    mail = channel(port)
    assert await mail.send(entry(address=f"居委 <{BOX}>", link="https://s.example/a/x")) == "smtp 250"
    await mail.send(entry(address=BOX, repeated=True))
    first, second = boxes.messages
    assert first["Subject"] == "临汾路99弄 拥挤"
    assert second["Subject"] == "（可能重复）临汾路99弄 拥挤"
    assert first.get_content().rstrip().endswith("点此反馈：https://s.example/a/x")
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Date"].endswith("+0800")


async def test_a_long_text_arrives(serve: Serve) -> None:
    """Lines end as RFC 5321 wants them: a server takes none of more than a thousand bytes, and some none without CR."""
    boxes, port = serve()
    text = "弄1：人数超过阈值，请到场疏散。\n" * 200
    await channel(port).send(entry(address=BOX, text=text))
    assert boxes.messages[0].get_content() == text
    assert boxes.raw[0].count(b"\n") == boxes.raw[0].count(b"\r\n") > 100


async def test_files_come_with_it(serve: Serve) -> None:
    """Each by its name and type, as it was, behind the text; the Message-ID is still the notification's."""
    boxes, port = serve()
    files = (
        Attachment("morning-cases.csv", "text/csv", '\ufeff编号,地点\nL1,"弄,一"\n'.encode()),
        Attachment("morning.html", "text/html", "<p>报告</p>\n".encode()),
    )
    mail = channel(port)
    await mail.send(msgspec.structs.replace(entry(address=BOX), attachments=files))
    await mail.send(entry(address=BOX))
    whole, bare = boxes.messages
    body = whole.get_body()
    assert body is not None
    assert body.get_content() == bare.get_content()
    came = [(one.get_filename(), one.get_content_type(), one.get_content()) for one in whole.iter_attachments()]
    assert came == [(file.name, file.media_type, file.content.decode()) for file in files]
    assert whole["Message-ID"] == bare["Message-ID"]


@pytest.mark.parametrize(
    ("stage", "answer", "retryable"),
    [
        ("rcpt", "550 no such user cadre01@example.org", False),
        ("rcpt", "550 5.1.1 no such user", False),
        ("rcpt", "550 5.7.1 relaying of cadre01@example.org denied", True),
        ("rcpt", "554 your host is on a list", True),
        ("rcpt", "450 greylisted", True),
        ("data", "552 too much", False),
        ("data", "554 transaction failed", True),
        ("data", "451 try later", True),
    ],
)
async def test_refusals_say_whether_to_try_again(serve: Serve, stage: str, answer: str, retryable: bool) -> None:
    """One mailbox or letter is refused for good; what all would hear passes; the server's words are not repeated."""
    boxes, port = serve()
    setattr(boxes, stage, answer)
    with pytest.raises(DeliveryError, match=answer[:3]) as caught:
        await channel(port).send(entry(address=BOX))
    assert caught.value.retryable is retryable
    assert not isinstance(caught.value, InDoubtError)
    assert "cadre01" not in str(caught.value)


async def test_a_connection_that_ends_after_the_text_is_in_doubt(serve: Serve) -> None:
    """The server may have kept it."""
    boxes, port = serve()
    boxes.hang_up = True
    with pytest.raises(InDoubtError):
        await channel(port).send(entry(address=BOX))
    assert len(boxes.messages) == 1


class Dribbler:
    """A mail server that never comes to the end of its greeting: a byte after the other, for ever."""

    def __init__(self) -> None:
        self.cut = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            line, _ = self._server.accept()
            try:
                while not self.cut.wait(POLL):
                    line.sendall(b"220-wait\r\n")
            finally:
                self.cut.set()

    def close(self) -> None:
        """Stop."""
        self.cut.set()
        self._server.close()


async def test_a_server_that_dribbles_is_cut_off() -> None:
    """The deadline is for the conversation, not for each byte, and the thread is not left behind."""
    with closing(Dribbler()) as server:
        with pytest.raises(DeliveryError, match="check host") as caught:
            await channel(server.port, timeout="1s").send(entry(address=BOX))
        assert await asyncio.to_thread(server.cut.wait, 10)
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)


def _endless(line: socket.socket) -> None:
    """Say a line again and again, none of which is the reply's last."""
    for _ in range(0, SIZE, 8000):
        line.sendall(b"250-" + b"x" * 7994 + b"\r\n")


def _endless_after_the_text(line: socket.socket) -> None:
    """Be a mail server until the text is there."""
    heard = line.makefile("rb")
    line.sendall(b"220 hello\r\n")
    for command in heard:
        line.sendall(b"354 go on\r\n" if command.startswith(b"data") else b"250 ok\r\n")
        if command.startswith(b"data"):
            break
    while heard.readline() != b".\r\n":
        pass
    _endless(line)


@pytest.mark.parametrize(("serve", "doubt"), [(_endless, False), (_endless_after_the_text, True)])
async def test_a_reply_without_end_does_not_fill_the_memory(
    serve: Callable[[socket.socket], None], doubt: bool
) -> None:
    """It counts as a server that hangs up; after the text nobody knows whether it was taken."""
    with listening(serve) as port:
        growth = Growth()
        with pytest.raises(DeliveryError) as caught:
            await channel(port, timeout="20s", host="127.0.0.1").send(entry(address=BOX))
        assert growth.peak < ROOM
    assert caught.value.retryable
    assert isinstance(caught.value, InDoubtError) is doubt


async def test_a_server_that_is_silent_after_the_text_is_in_doubt(serve: Serve) -> None:
    """Time is up while it thinks about what it was given."""
    boxes, port = serve()
    boxes.thinks = 30.0
    with pytest.raises(InDoubtError):
        await channel(port, timeout="1s").send(entry(address=BOX))
    assert len(boxes.messages) == 1


async def test_a_server_that_is_away_is_no_doubt() -> None:
    """Nothing has left."""
    with pytest.raises(DeliveryError, match="check host") as caught:
        await channel(free_port()).send(entry(address=BOX))
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)


@pytest.mark.parametrize("address", ["", "nobody", "a@b\r\nBcc: c@d"])
async def test_an_address_that_is_no_mailbox_is_final(address: str) -> None:
    """A header cannot be smuggled in."""
    with pytest.raises(DeliveryError, match="mailbox") as caught:
        await channel(free_port()).send(entry(address=address))
    assert not caught.value.retryable


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += [
        "-keyout",
        str(key),
        "-out",
        str(cert),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_over_tls_with_a_password(serve: Serve, certificate: tuple[Path, Path], security: str) -> None:
    """The password goes over an encrypted connection to a server whose certificate is verified."""
    cert, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    def login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(handled=False, success=(data.login, data.password) == (b"sensord", b"mail-secret"))

    options: dict[str, Any] = {"authenticator": login, "auth_required": True}
    options |= {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
    boxes, port = (
        serve(**options) if security == "starttls" else serve(ssl_context=context, auth_require_tls=False, **options)
    )
    settings = {"security": security, "username": "sensord", "password_file": "p"}
    await channel(port, "mail-secret", ca_file=str(cert), **settings).send(entry(address=BOX))
    with pytest.raises(DeliveryError, match="535") as caught:
        await channel(port, "wrong", ca_file=str(cert), **settings).send(entry(address=BOX))
    assert caught.value.retryable, "a password is nobody's mailbox"
    with pytest.raises(DeliveryError, match=r"SSLCertVerificationError.*clock") as caught:
        await channel(port, "mail-secret", **settings).send(entry(address=BOX))
    assert caught.value.retryable, "it may be not yet valid by a clock that is wrong for a while"
    assert len(boxes.messages) == 1

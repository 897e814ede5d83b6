"""``sensord doctor`` tells the truth of a daemon that does not answer, files it cannot read, and useless secrets."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from sensord.commands.doctor import Finding, examine
from sensord.config.settings import TOKEN_FILE
from sensord.store.journal import Journal
from sensord.store.starts import Starts
from sensord.store.state import StateStore
from tests.notify.programs import make_certificate
from tests.notify.receiver import Receiver
from tests.store.parts import change, fill
from tests.support import free_port
from tests.support.bombs import BOMBS, ROOM, Growth, bombing
from tests.support.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """A configuration whose daemon has run once; nothing runs now, no broker either."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    made = Daemon(tmp_path / "sensord", free_port(), f"http://127.0.0.1:{free_port()}")
    with closing(StateStore(made.state)), closing(Journal(made.state / "journal")) as journal:
        fill(journal, 1)
    return made


def findings(daemon: Daemon) -> dict[str, Finding]:
    """What the doctor says, by what it is about."""
    return {finding.subject: finding for finding in examine(daemon.config)}


def test_a_daemon_that_was_stopped_is_no_trouble(daemon: Daemon) -> None:
    """It is said, and not held against it; what it needs and cannot reach is."""
    found = findings(daemon)
    assert found["daemon"].ok is None
    assert found["channel people"].ok is False
    assert [name for name, finding in found.items() if name.startswith("MQTT") and not finding.ok]


def test_a_daemon_that_dies_again_and_again_is(daemon: Daemon) -> None:
    """Between two starts nobody answers, but the record of starts tells."""
    for now in range(3):
        Starts(daemon.state).begin(now)
    assert findings(daemon)["daemon"] == Finding(
        "daemon", False, "does not run; it ended soon after its start, 3 times in a row: see the log"
    )


@pytest.fixture
def silent() -> Iterator[int]:
    """A process that is called like a daemon and answers nobody."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "sensord"])
    yield process.pid
    process.kill()
    process.wait(10)


def test_a_daemon_that_hangs_is_named_by_its_process(daemon: Daemon, silent: int) -> None:
    """It holds the state directory and does not answer."""
    (daemon.state / "lock").write_text(f"{silent}\n", encoding="ascii")
    finding = findings(daemon)["daemon"]
    assert (finding.ok, f"process {silent} runs" in finding.detail) == (False, True)


@pytest.mark.parametrize("file", ["state.db", "journal"])
def test_files_of_a_newer_program_are_found_before_a_start(daemon: Daemon, file: str) -> None:
    """With the advice; the present ones are not spoken of."""
    assert not [name for name in findings(daemon) if name.endswith(".db")]
    path = daemon.state / file if file.endswith(".db") else next((daemon.state / file).glob("*.db"))
    change(path, "PRAGMA user_version=99")
    finding = findings(daemon)[path.name]
    assert (finding.ok, "newer sensord" in finding.detail) == (False, True)


def test_a_secret_that_cannot_be_used_is_found(daemon: Daemon) -> None:
    """Of a channel, with the file's name and what to do; never its content."""
    secret = daemon.directory / "secret"
    secret.write_text("canary-x\n", encoding="utf-8")
    secret.chmod(0o644)
    text = daemon.config.read_text(encoding="utf-8")
    daemon.config.write_text(text.replace("type: webhook", f"type: webhook\n  secret_file: {secret}"), encoding="utf-8")
    finding = findings(daemon)["channel people secret_file"]
    assert (finding.ok, "chmod" in finding.detail, "canary" in finding.detail) == (False, True, False)


def test_small_files_that_are_damaged_are_found(daemon: Daemon) -> None:
    """Those that the daemon goes on without: it starts, so nobody else would say so before."""
    (daemon.state / "plate.keys").write_bytes(b"")
    (daemon.state / "roster.changes.yaml").write_bytes(bytes(9))
    (daemon.state / "audit.log").write_bytes(b"{}\n{}\n")
    found = findings(daemon)
    wrong = ("plates", "changes", "audit.log")
    assert [found[name].ok for name in wrong] == [False] * 3
    assert "plate.keys" in found["plates"].detail


def put(daemon: Daemon, **settings: object) -> str:
    """Change settings of the one channel; returns what the doctor says of it, ✓ or ✗ before it."""
    (channel, *others) = yaml.safe_load(daemon.config.read_text(encoding="utf-8"))["channels"]
    daemon.set(channels=[channel | settings, *others])
    finding = findings(daemon)["channel people"]
    return f"{'✓' if finding.ok else '✗'} {finding.detail}"


def test_an_address_to_which_nothing_will_be_sent_is_found(daemon: Daemon) -> None:
    """It accepts connections, but the channel does not allow it."""
    with Receiver() as receiver:
        assert put(daemon, url=receiver.url, allow=[receiver.host]).startswith("✓ ")
        assert "internal address" in put(daemon, allow=[])
    assert not receiver.requests


def test_it_is_said_whose_answers_are_guessed_at(daemon: Daemon) -> None:
    """A remark, no mistake; and with ``success`` what it takes for a delivery, and what becomes of all else."""
    put(daemon)
    remark = findings(daemon)["channel people success"]
    assert (remark.ok, "success:" in remark.detail) == (None, True)
    put(daemon, success={"path": "code", "equals": "0"})
    remark = findings(daemon)["channel people success"]
    assert (remark.ok, "code 0" in remark.detail or "code 是 0" in remark.detail) == (None, True)


def test_a_receiver_whom_we_will_not_believe_is_found(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts connections, but its certificate is nobody's whom this system trusts; nobody is paged to find out."""
    certificate, key = make_certificate(daemon.directory, "IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Receiver(tls=tls) as receiver:
        assert ": 127.0.0.1 shows a certificate" in put(daemon, url=receiver.url, allow=[receiver.host])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert put(daemon).startswith("✓ ")
    assert not receiver.requests


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_answer_without_end_does_not_fill_its_memory(daemon: Daemon, bomb: str) -> None:
    """Neither a database's, of which only the status matters, nor that of whoever has the daemon's port."""
    (daemon.state / TOKEN_FILE).write_text("token\n", encoding="ascii")
    with bombing(bomb) as url:
        (daemon.state / "http.port").write_text(url.rpartition(":")[2], encoding="ascii")
        text = daemon.config.read_text(encoding="utf-8")
        one, two = f"type: influxdb1, name: one, url: {url}", f"type: influxdb2, name: two, url: {url}"
        sinks = f"sinks:\n- {{{one}, database: d}}\n- {{{two}, bucket: b}}\n"
        daemon.config.write_text(text + sinks, encoding="utf-8")
        growth = Growth()
        found = findings(daemon)
        assert growth.peak < 2 * ROOM
    assert (found["sink one"].ok, found["sink two"].ok) == (True, True)
    assert found["daemon"].detail.endswith("but not as the daemon does")

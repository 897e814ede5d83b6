"""Who may connect: TLS with certificates of both sides, and passwords, against a real broker."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from sensord.config.broker import broker as broker_of
from sensord.config.load import load
from sensord.config.settings import Mqtt, Tls
from sensord.errors import ConfigError
from sensord.ingest.receiver import tls_context
from tests.config.rejection import STREET
from tests.ingest.lane import running
from tests.ingest.support import Stage
from tests.support import program, wait_until
from tests.support.broker import SHIPPED, Mosquitto, shipped

PASSWORD = "correct horse"
_TLS_LINES = ("certfile", "keyfile", "tls_version", "cafile", "require_certificate", "use_identity_as_username")
_EXPIRED = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = host
[any]
commonName = supplied
[host]
subjectAltName = IP:127.0.0.1
"""


class Certificates:
    """A certificate authority in a directory, and what it signs; made with the ``openssl`` program."""

    def __init__(self, directory: Path) -> None:
        """Make the authority."""
        directory.mkdir()
        self._directory = directory
        self.ca = directory / "ca.pem"
        self._key = directory / "ca.key"
        self._openssl("req", "-x509", "-newkey", "ec", *self._new(self._key, "test authority"), "-out", str(self.ca))

    def _new(self, key: Path, name: str) -> list[str]:
        curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", str(key), "-subj", f"/CN={name}", "-days", "2"]

    def expired(self, name: str) -> tuple[Path, Path]:
        """Make a certificate that was good in January 2020; returns it and its key."""
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        request, settings = self._directory / f"{name}.csr", self._directory / "ca.cnf"
        (self._directory / "index.txt").touch()
        (self._directory / "serial").write_text("01\n")
        settings.write_text(_EXPIRED.format(folder=self._directory))
        self._openssl("req", "-newkey", "ec", *self._new(key, name)[:-2], "-out", str(request))
        dates = ["-startdate", "20200101000000Z", "-enddate", "20200131000000Z"]
        files = ["-cert", str(self.ca), "-keyfile", str(self._key), "-in", str(request), "-out", str(certificate)]
        self._openssl("ca", "-batch", "-notext", "-config", str(settings), *dates, *files)
        return certificate, key

    def issue(self, name: str, address: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """Make a certificate for ``name`` that also is good for an address; returns it and its key."""
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        signer = ["-CA", str(self.ca), "-CAkey", str(self._key)]
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            *self._new(key, name),
            "-addext",
            f"subjectAltName={address}",
            *signer,
            "-out",
            str(certificate),
        )
        return certificate, key

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([program("openssl"), *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """The authority that the broker trusts."""
    return Certificates(tmp_path / "certificates")


@pytest.fixture
def tls_broker(brokers: Callable[..., Mosquitto], certificates: Certificates) -> Mosquitto:
    """A broker that shows a certificate and asks for ours."""
    certificate, key = certificates.issue("broker")
    files = (f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}")
    return brokers(listener=(*files, "require_certificate true", "use_identity_as_username true"))


def _settings(broker: Mosquitto, ca: Path, certificate: tuple[Path, Path] | None) -> Mqtt:
    cert_file, key_file = (str(file) for file in certificate) if certificate else (None, None)
    return Mqtt(port=broker.port, tls=Tls(ca_file=str(ca), cert_file=cert_file, key_file=key_file))


def test_both_sides_show_certificates(tls_broker: Mosquitto, certificates: Certificates) -> None:
    """Connected, identified by our certificate; a message of several TLS records comes whole and is acknowledged."""
    settings = _settings(tls_broker, certificates.ca, certificates.issue("sensord"))
    publisher = _settings(tls_broker, certificates.ca, certificates.issue("publisher"))
    with Stage(settings) as stage:
        wait_until(lambda: stage.receiver.connected)
        payloads = [b"%d" % number * 40_000 for number in range(5)]
        for payload in payloads:
            _publish(publisher, payload)
        wait_until(lambda: stage.journal.payloads == payloads)
        wait_until(lambda: len(tls_broker.log_lines("Received PUBACK from sensord")) == 5)


def test_the_fresh_lane_goes_by_the_same_certificates(tls_broker: Mosquitto, certificates: Certificates) -> None:
    """Ahead of the others over TLS, too; under another authority's certificate it stays out, and goes on trying."""
    publisher = _settings(tls_broker, certificates.ca, certificates.issue("publisher"))
    with running(_settings(tls_broker, certificates.ca, certificates.issue("sensord"))) as bench:
        bench.open()
        payloads = [b"%d" % number * 40_000 for number in range(3)]
        for payload in payloads:
            _publish(publisher, payload)
            wait_until(lambda wanted=payload: wanted in bench.came())  # type: ignore[misc]
    with running(_settings(tls_broker, certificates.ca, None)) as stranger:
        wait_until(lambda: len(tls_broker.log_lines("peer did not return a certificate")) > 1)
        assert stranger.lane.alive


def _publish(settings: Mqtt, payload: bytes, topic: str = "linfen/c1/crowd/d1", *, retain: bool = False) -> None:
    assert settings.tls is not None
    client = Client(CallbackAPIVersion.VERSION2, "publisher", protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(tls_context(settings.tls))
    client.connect("127.0.0.1", settings.port)
    client.loop_start()
    try:
        client.publish(topic, payload, 1, retain).wait_for_publish(30)
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_certificate_publishes_for_its_own_compound_only(
    brokers: Callable[..., Mosquitto], certificates: Certificates, tmp_path: Path
) -> None:
    """The name in a gateway's certificate is its account: other compounds, alerts and retained lies stay out."""
    certificate, key = certificates.issue("broker")
    rules = tmp_path / "acl"
    rules.write_text("user sensord\ntopic read linfen/+/crowd/+\nuser gateway-c1\ntopic write linfen/c1/crowd/+\n")
    files = (f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}")
    broker = brokers(
        f"acl_file {rules}", listener=(*files, "require_certificate true", "use_identity_as_username true")
    )
    gateway = _settings(broker, certificates.ca, certificates.issue("gateway-c1"))
    with Stage(_settings(broker, certificates.ca, certificates.issue("sensord"))) as stage:
        wait_until(lambda: stage.receiver.connected)
        _publish(gateway, b"spoofed", "linfen/c2/crowd/d2")
        _publish(gateway, b"spoofed and kept", "linfen/c2/crowd/d2", retain=True)
        _publish(gateway, b"an alert", "linfen/alerts/G1")
        _publish(gateway, b"its own")
        wait_until(lambda: stage.journal.payloads == [b"its own"])


def test_a_certificate_publishes_for_its_own_device_only(
    brokers: Callable[..., Mosquitto], certificates: Certificates
) -> None:
    """With the shipped access list and the shipped lines for TLS: no device speaks for another, alerts, or commands."""
    certificate, key = certificates.issue("broker")
    here = {"cafile": certificates.ca, "certfile": certificate, "keyfile": key}
    lines = [line[1:].split(maxsplit=1) for line in shipped(*(f"#{word}" for word in _TLS_LINES))]
    broker = brokers(
        f"acl_file {SHIPPED.with_name('mosquitto.acl')}",
        listener=tuple(f"{word} {here.get(word, value)}" for word, value in lines),
    )
    device = _settings(broker, certificates.ca, certificates.issue("crowd-001"))
    with Stage(_settings(broker, certificates.ca, certificates.issue("sensord"))) as stage:
        wait_until(lambda: stage.receiver.connected)
        for topic in ("C01/crowd/crowd-002", "C01/plate/camera-001", "alerts/G01", "commands/by/crowd-002/x"):
            _publish(device, b"in another's name", f"linfen/{topic}")
        _publish(device, b"and kept", "linfen/C01/crowd/crowd-002", retain=True)
        _publish(device, b"its own", "linfen/C01/crowd/crowd-001")
        wait_until(lambda: stage.journal.payloads == [b"its own"])


def test_a_client_key_that_everybody_can_read_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    """As every other secret, whether it has a file of its own or stands in the certificate's."""
    certificate, key = certificates.issue("sensord")
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    config = shutil.copytree(STREET, tmp_path / "street") / "sensord.yaml"
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    for tls in ({"cert_file": str(certificate), "key_file": str(key)}, {"cert_file": str(both)}):
        config.write_text(yaml.safe_dump({**document, "mqtt": {"tls": tls}}, allow_unicode=True), encoding="utf-8")
        path = Path([*tls.values()][-1])
        path.chmod(0o600)
        assert broker_of(load(config))[0].tls is not None
        path.chmod(0o644)
        with pytest.raises(ConfigError, match="everybody"):
            broker_of(load(config))


@pytest.mark.parametrize("shown", ["another authority's", "expired", "another host's"])
def test_a_broker_whose_certificate_does_not_hold_is_refused(
    brokers: Callable[..., Mosquitto], certificates: Certificates, tmp_path: Path, shown: str
) -> None:
    """We do not talk to it; the word names the setting to look at, and we go on trying."""
    match shown:
        case "another authority's":
            certificate, key = Certificates(tmp_path / "other").issue("broker")
        case "expired":
            certificate, key = certificates.expired("broker")
        case _:
            certificate, key = certificates.issue("broker", "DNS:elsewhere.example,IP:192.0.2.1")
    broker = brokers(listener=(f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true"))
    with Stage(_settings(broker, certificates.ca, None)) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="untrusted") >= 2)
        assert "mqtt.tls.ca_file" in stage.links[0][1]
        assert stage.receiver.alive
        assert not stage.receiver.connected


@pytest.mark.parametrize("shown", ["nothing", "another authority's", "expired"])
def test_a_broker_that_refuses_our_certificate(
    tls_broker: Mosquitto, certificates: Certificates, tmp_path: Path, shown: str
) -> None:
    """With TLS 1.3 the refusal comes after our handshake: not taken for a connection, and said what to look at."""
    ours = None
    if shown == "another authority's":
        ours = Certificates(tmp_path / "other").issue("sensord")
    elif shown == "expired":
        ours = certificates.expired("sensord")
    with Stage(_settings(tls_broker, certificates.ca, ours)) as stage:
        wait_until(lambda: len(stage.links) >= 2)
        assert not any(ok for ok, _ in stage.links)
        assert "see its log" in stage.links[0][1] or "mqtt.tls.cert_file" in stage.links[0][1]
        assert stage.receiver.alive


def test_tls_towards_a_broker_without_it(broker: Mosquitto, certificates: Certificates) -> None:
    """The wrong port: neither hangs nor dies, and says so."""
    with Stage(_settings(broker, certificates.ca, None)) as stage:
        wait_until(lambda: stage.links != [])
        assert not stage.links[0][0]
        assert str(broker.port) in stage.links[0][1]
        assert stage.receiver.alive


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_certificate_files_are_a_config_error(tmp_path: Path, content: str | None) -> None:
    """Missing or not PEM: refused before anything starts, naming the file."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem.*mqtt\.tls"):
        tls_context(Tls(ca_file=str(file)))


@pytest.fixture
def password_broker(brokers: Callable[..., Mosquitto], tmp_path: Path) -> Mosquitto:
    """A broker that knows the user ``daemon`` only."""
    file = tmp_path / "passwords"
    subprocess.run(
        [program("mosquitto_passwd"), "-c", "-b", str(file), "daemon", PASSWORD],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return brokers(listener=("allow_anonymous false", f"password_file {file}"))


def test_the_fresh_lane_shows_the_same_password(password_broker: Mosquitto) -> None:
    """It opens with the right one."""
    with running(Mqtt(port=password_broker.port, username="daemon"), PASSWORD) as bench:
        bench.open()


def test_the_right_password_connects(password_broker: Mosquitto) -> None:
    """User and password as given."""
    with Stage(Mqtt(port=password_broker.port, username="daemon"), password=PASSWORD) as stage:
        wait_until(lambda: stage.receiver.connected)


@pytest.mark.parametrize(("username", "password"), [("daemon", "wrong"), (None, None)])
def test_a_wrong_password_is_refused_and_said(
    password_broker: Mosquitto, username: str | None, password: str | None
) -> None:
    """Counted with its reason, tried again, and the password is in no word of ours."""
    with Stage(Mqtt(port=password_broker.port, username=username), password=password) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="refused") >= 2)
        detail = stage.links[0][1]
        assert "refused the connection: Not authorized" in detail
        assert password is None or password not in detail

"""A broker with TLS, whose authority's file lies beside ``sensord.yaml``: readings come in, and alerts go out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.notify.receiver import Receiver
from tests.support import program, wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd


def test_a_path_is_that_of_the_configuration_for_readings_and_for_alerts(tmp_path: Path, people: Receiver) -> None:
    """Who relates it to ``sensord.yaml`` for one of them and to the working directory for the other tells no grid."""
    folder, key = tmp_path / "sensord", tmp_path / "broker.key"
    folder.mkdir()
    made = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate = folder / "ca.pem"
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    listener = ("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    broker = Mosquitto(tmp_path, listener=listener).start()
    daemon = Daemon(
        folder, broker.port, people.url + "/notify", mqtt={"host": "127.0.0.1", "tls": {"ca_file": "ca.pem"}}
    )
    heard = list[str]()
    client = paho.Client(CallbackAPIVersion.VERSION2, "gateway", protocol=paho.MQTTv5)
    client.tls_set(str(certificate))
    client.on_connect = lambda client, *_: client.subscribe("t/alerts/#", 1)
    client.on_message = lambda _c, _d, message: heard.append(json.loads(message.payload)["place"])
    try:
        daemon.start()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        seqs = iter(range(1000))

        def told() -> bool:
            client.publish(*crowd(1, 150, next(seqs)), 1)
            return "L1" in heard

        wait_until(told, 20, lambda: f"the grid hears of the crowd over the broker: {daemon.standing()}")
    finally:
        client.disconnect()
        client.loop_stop()
        daemon.kill()
        broker.stop()

"""The broker's settings with their paths made real and the password read: what a client needs to connect."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sensord.config.load import Loaded, read_secret
from sensord.config.settings import Mqtt


def broker(loaded: Loaded) -> tuple[Mqtt, str | None]:
    """Return (settings with real TLS paths, password); raises ``ConfigError`` for a secret that is not private."""
    mqtt = loaded.settings.mqtt
    password = read_secret(loaded.resolve(mqtt.password_file)) if mqtt.password_file else None
    if mqtt.tls is None:
        return mqtt, password
    paths = {
        name: str(loaded.resolve(path))
        for name in ("ca_file", "cert_file", "key_file")
        if (path := getattr(mqtt.tls, name)) is not None
    }
    key = paths.get("key_file", paths.get("cert_file"))  # without a file of its own the key is in the certificate's
    if key is not None:
        read_secret(Path(key))
    return msgspec.structs.replace(mqtt, tls=msgspec.structs.replace(mqtt.tls, **paths)), password

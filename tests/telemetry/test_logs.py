"""One pipeline for all loggers, and nothing private in what comes out of it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sensord.config.settings import Logging
from sensord.telemetry.logs import MASK, configure, redact


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Configure JSON logging into a buffer; afterwards put everything back."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    buffer = io.StringIO()
    configure(Logging(format="json", level="info"), buffer)
    yield buffer
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def _fail(text: str) -> None:
    raise ValueError(text)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "token",
        "secret",
        "address",
        "plate",
        "phone",
        "text",
        "payload",
        "user_phone",
        "API-Token",
        "plates",
        "addresses",
        "mqttPassword",
    ],
)
def test_private_keys_are_masked(key: str) -> None:
    """Whatever stands under such a key does not come out, whether it looks private or not."""
    assert redact(None, "info", {"event": "e", key: "hello"}) == {"event": "e", key: MASK}


@pytest.mark.parametrize("key", ["context", "device", "why", "texture", "place"])
def test_other_keys_are_kept(key: str) -> None:
    """A key that merely contains the letters of a private one is kept."""
    assert redact(None, "info", {key: "hello"}) == {key: "hello"}


@pytest.mark.parametrize(
    "number",
    ["13812345678", "+8613812345678", "+86 138 1234 5678", "199-1234-5678", "008619912345678"],
)
def test_phone_numbers_are_masked(number: str) -> None:
    """Mainland mobile numbers disappear from any text, with country code and separators or without."""
    assert redact(None, "info", {"why": f"no answer from {number}, gave up"}) == {
        "why": f"no answer from {MASK}, gave up"
    }


@pytest.mark.parametrize(
    "plate",
    [
        "沪A12345",
        "沪a12345",
        "沪A·12345",
        "沪A 12345",
        "沪AD12345",
        "沪A12345D",
        "粤Z1234港",
        "京A1234警",
        "沪22478领",
        "使123456",
        "WJ警00081",
        "WJ京1234J",
        "浙C1234学",
    ],
)
def test_plates_are_masked(plate: str) -> None:
    """Plates disappear from any text: ordinary, new-energy, special endings, embassies, armed police."""
    assert redact(None, "info", {"event": f"read {plate} at the gate"}) == {"event": f"read {MASK} at the gate"}


@pytest.mark.parametrize(
    "harmless",
    [
        "1777879800000000000",
        "1777879800000",
        "12345678901",
        "gate-12",
        "rule crowd-lane@3f2a",
        "沪",
        "journal-2026-05-01",
    ],
)
def test_harmless_texts_are_kept(harmless: str) -> None:
    """Instants, ids and names are not mistaken for numbers or plates."""
    assert redact(None, "info", {"event": harmless}) == {"event": harmless}


def test_masking_reaches_into_nested_values() -> None:
    """Lists, mappings, objects and bytes are looked into as well; numbers stay numbers."""
    event = {
        "a": [{"phone": "x", "n": 3}],
        "b": ("沪A12345", 2.5, None, True),
        "c": b"\x01",
        "d": ValueError("13812345678"),
    }
    assert redact(None, "info", event) == {
        "a": [{"phone": MASK, "n": 3}],
        "b": [MASK, 2.5, None, True],
        "c": MASK,
        "d": MASK,
    }


def test_both_kinds_of_logger_write_json_lines(stream: io.StringIO) -> None:
    """Both structlog and the standard library come out alike, masked alike, with level, time and logger."""
    structlog.get_logger("ours").warning("the gate is closed", gate="g1", token="t")
    logging.getLogger("theirs").warning("called %s", "13812345678")
    ours, theirs = _lines(stream)
    assert ours.pop("timestamp").endswith("Z")
    assert theirs.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "the gate is closed",
        "gate": "g1",
        "token": MASK,
        "level": "warning",
        "logger": "ours",
    }
    assert theirs == {"event": f"called {MASK}", "level": "warning", "logger": "theirs"}


def test_a_traceback_is_masked(stream: io.StringIO) -> None:
    """The text of an exception is searched, too."""
    try:
        _fail("cannot send to 13812345678")
    except ValueError:
        structlog.get_logger().exception("sending failed")
    (line,) = _lines(stream)
    assert "ValueError" in line["exception"]
    assert "138" not in line["exception"]


def test_the_console_form_is_masked(stream: io.StringIO) -> None:
    """The console renderer must not render the traceback by itself, behind the mask's back."""
    configure(Logging(format="console", level="info"), stream)
    try:
        _fail("沪A12345")
    except ValueError:
        structlog.get_logger().exception("reading failed", phone="13812345678")
    output = stream.getvalue()
    assert "reading failed" in output
    assert "ValueError" in output
    assert "12345" not in output


def test_the_level_is_honoured_and_libraries_are_hushed(stream: io.StringIO) -> None:
    """Below the level nothing comes out; chatty libraries are heard from warnings on."""
    structlog.get_logger().debug("detail")
    logging.getLogger("httpx").info("HTTP Request: GET https://example.invalid")
    logging.getLogger("httpx").warning("trouble")
    assert [line["event"] for line in _lines(stream)] == ["trouble"]


def test_a_second_configuration_replaces_the_first(stream: io.StringIO) -> None:
    """A reload must not make every line come twice."""
    second = io.StringIO()
    configure(Logging(level="error"), second)
    structlog.get_logger("again").error("once")
    assert stream.getvalue() == ""
    assert len(_lines(second)) == 1

"""Logging: structlog and the standard library's loggers through one pipeline, to one stream.

A pipeline is a list of one-signature callables. The last one before the renderer redacts: values of keys that
name something secret or personal, and, in every other text (tracebacks included), phone numbers and plates.
It is a safety net, not a licence: nothing of the kind is to be logged in the first place.

Numbers in mainland China: 1, then 3 to 9, then nine digits (with or without +86 and separators). Plates: GA
36-2018 with the eight characters of new-energy plates, special endings, embassies (使) and armed police (WJ).
Of army plates (two Latin letters and five digits) those with the letter of a service or command in front.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

from sensord.config.settings import Logging
from sensord.core.vehicles.blot import without_plates

MASK = "***"
KEYS = frozenset({"password", "token", "secret", "address", "plate", "phone", "text", "payload"})
"""A key is redacted when one of its words (``user_phone``, ``bot-token``, plurals) is among these."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_PHONE = re.compile(r"(?<![0-9])(?:(?:\+|00)?86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{4}){2}(?![0-9])", re.ASCII)


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be logged with :data:`MASK` (a structlog processor)."""
    return {key: MASK if _is_private(key) else _clean(value) for key, value in event.items()}


def _is_private(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    return any(word in KEYS or word.removesuffix("s") in KEYS or word.removesuffix("es") in KEYS for word in words)


def _clean(value: object) -> object:
    """Clean texts at any depth; bytes are payloads wherever they appear."""
    if isinstance(value, str):
        return without_plates(_PHONE.sub(MASK, value), MASK)
    if isinstance(value, bytes | bytearray | memoryview):
        return MASK
    if isinstance(value, Mapping):
        return {key: MASK if _is_private(str(key)) else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _clean(str(value))


def configure(settings: Logging, stream: TextIO | None = None) -> None:
    """Send every log line, ours and the libraries', to ``stream`` (standard error) in the configured form.

    Replaces what was configured before, so that a reload may call it again.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                _renderer(settings.format, target),
            ],
        )
    )
    handler.addFilter(_is_somebodys)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    _hush_libraries(settings.level)


def _renderer(form: str, target: TextIO) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(colors=target.isatty())


def _is_somebodys(record: logging.LogRecord) -> bool:
    """Leave out what libraries say below a warning without saying who they are: one of them dumps whole answers."""
    return record.name != "root" or record.levelno >= logging.WARNING


def _hush_libraries(level: str) -> None:
    """Libraries log each request or packet at ``info``; we want to hear of their troubles only.

    Those that send for us log whole addresses, and with them the keys of robots: never more than their troubles.
    """
    for name in ("httpx", "httpcore", "apprise", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs each refused write with the whole answer, which may repeat our token; the sink says the same, masked.
    logging.getLogger("influxdb_client").setLevel(logging.CRITICAL)
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)

"""What all tests share: logs as tests read them."""

from __future__ import annotations

import structlog

# Without the values of variables: to show them takes seconds for a large object, and a test then waits in vain.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

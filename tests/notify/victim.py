"""A process that works off an outbox until it is killed: ``python -m tests.notify.victim DIRECTORY HOST:PORT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sensord.config.settings import Webhook
from sensord.notify.webhook import WebhookChannel
from sensord.notify.worker import OutboxWorker
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import Pulse


async def main(directory: Path, host: str) -> None:
    """Send what is there to the receiver at ``host``."""
    channel = WebhookChannel(Webhook(name="desk", url=f"http://{host}", allow=(host,), timeout="60s"), None)
    outbox = StateStore(directory).outbox
    await OutboxWorker(channel, outbox, PrometheusMeter(), Pulse()).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

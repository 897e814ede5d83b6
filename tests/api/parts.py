"""What the API's tests share: a daemon to stand behind it, and a server on a free port."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from sensord.api import server
from sensord.api.application import Metrics, Office, build
from sensord.api.links import AnswerLinks
from sensord.api.refusal import Refused
from sensord.api.tokens import Role, TokenStore
from sensord.bulkheads import Bulkheads
from sensord.config.load import Loaded, load
from sensord.core.definition import Definition
from sensord.core.instant import HOUR
from sensord.core.outcome import Outcome
from sensord.core.record import Action, Receipt
from sensord.errors import ConfigError, Problem
from sensord.records import Records
from sensord.reload import Reloaded
from sensord.reporting import Reporter
from sensord.store.audit import AuditLog
from sensord.store.state import StateStore
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import CONTENT_TYPE, PrometheusMeter
from sensord.workshop import Workshop
from tests.config.rejection import STREET, street

CASE = "L1-crowd-20231114T221320"
KEY = f"{CASE}:1:居委干部-03:desk"
START = 1_700_000_000_000_000_000


class Daemon:
    """Implements ``Backend`` in memory: one open case, whatever is journaled gets the number 7."""

    def __init__(self, folder: Path) -> None:
        self.health, self.meter = Health(), PrometheusMeter()
        self.tokens = TokenStore(folder)
        self.given = {role: self.tokens.create(f"t-{role.word}", role, START) for role in Role}
        self.links = AnswerLinks("https://s.example", b"link-key", HOUR)
        self.journal: list[Any] = []
        self.answer: Callable[[Future[int]], None] = lambda future: future.set_result(7)
        self.verdict: tuple[bool, str, str, str] | None = (True, "noted", "已记录", "noted")
        self.threads: set[str] = set()
        self.causes: list[str] = []
        self.outcome = Reloaded(True, "0123456789ab", 7, added=("parking",))
        self.applied = 3
        self.history: list[tuple[int, str, dict[str, Any]]] = [(3, "case", {"id": "c:1"})]
        self.folder, self.audit = folder, AuditLog(folder)
        self.refusal: tuple[Problem, ...] = ()
        self._loaded: Loaded | None = None
        self.found: dict[str, Any] = {
            "id": CASE,
            "rule": "lane-crowding",
            "level": "red",
            "peak": "red",
            "opened_at": "2023-11-15T06:13:20+08:00",
            "closed_at": None,
            "place_name": "临汾路99弄 <b>",
            "place_name_en": "Lane 99",
        }

    @property
    def definition(self) -> Definition:
        """The small street's."""
        return street().definition

    def _here(self) -> None:
        self.threads.add(threading.current_thread().name)

    def overview(self) -> dict[str, Any]:
        """One case."""
        self._here()
        return {"cases": [{"id": CASE}]}

    def cases(self, which: str, limit: int) -> list[dict[str, Any]]:
        """The one case, when it is open."""
        self._here()
        return [self.found] if which != "closed" else []

    def case(self, case: str) -> dict[str, Any] | None:
        """The one case."""
        self._here()
        return self.found if case == CASE else None

    def places(self) -> list[dict[str, Any]]:
        """Two places."""
        return [{"id": "G1", "kind": "grid", "state": "unknown"}, {"id": "L1", "kind": "lane", "state": "red"}]

    def silences(self) -> list[dict[str, Any]]:
        """None."""
        return []

    def on_duty(self, at: int | None, place: str) -> dict[str, Any]:
        """What was asked."""
        self._here()
        return {"at": at, "place": place, "posts": []}

    def _record(self, what: object) -> Future[int]:
        future: Future[int] = Future()
        self.answer(future)
        self.journal.append(what)
        return future

    def act(self, action: Action) -> Future[int]:
        """Journal an action."""
        if action.verb not in ("silence", "unsilence", "count") and action.case != CASE:
            raise Refused(404, f"no case is called {action.case}")
        return self._record(action)

    def became(self, seq: int, action: Action) -> Outcome | None:
        """Everything is accepted, unless ``verdict`` is set otherwise."""
        about = action.case, action.verb, action.by, action.via, START
        return None if self.verdict is None else Outcome(*about, *self.verdict)

    def report(self, topic: str, payload: bytes) -> Future[int]:
        """Journal a message."""
        return self._record((topic, payload))

    def receipts(self, receipts: Sequence[Receipt]) -> Future[int]:
        """Journal receipts."""
        return self._record(list(receipts))

    async def reload(self, cause: str) -> Reloaded:
        """Say what became of it."""
        self.causes.append(cause)
        return self.outcome

    def changes(self, after: int, upto: int) -> list[tuple[int, str, dict[str, Any]]]:
        """What happened."""
        return [change for change in self.history if after < change[0] <= upto]

    def app(self, *, linked: bool = True) -> FastAPI:
        """The application in front of it, with or without pages behind links."""
        metrics = Metrics(self.meter.text, CONTENT_TYPE, self.meter)
        history: Any = _History(self)
        reporter = Reporter(lambda: self.loaded, history, self.folder)
        records = Records(lambda: self.loaded, history, reporter)
        workshop = Workshop(self.folder / "street" / "sensord.yaml", lambda: self.loaded, self.read_again)
        office = Office(records, workshop, self.audit)
        return build(self, self.health, metrics, self.tokens, self.links if linked else None, self.reload, office)

    @cached_property
    def config(self) -> Path:
        """The small street's files, with a state directory of their own; most tests need none of them."""
        path = shutil.copytree(STREET, self.folder / "street") / "sensord.yaml"
        path.write_text(f"{path.read_text(encoding='utf-8')}state_dir: {self.folder}\n", encoding="utf-8")
        return path

    @cached_property
    def state(self) -> StateStore:
        """The state database."""
        return StateStore(self.folder)

    @property
    def loaded(self) -> Loaded:
        """What was last read of the files."""
        self._loaded = self._loaded or load(self.config)
        return self._loaded

    async def read_again(self, cause: str) -> Reloaded:
        """Read the small street's files again, as the daemon does."""
        self.causes.append(cause)
        if self.refusal:
            return Reloaded(False, self.loaded.definition.version, 0, self.refusal)
        try:
            self._loaded = load(self.config)
        except ConfigError as error:
            return Reloaded(False, self.loaded.definition.version, 0, tuple(error.problems))
        return Reloaded(True, self.loaded.definition.version, len(self.loaded.definition.rules))

    def bearer(self, role: Role = Role.ADMIN) -> dict[str, str]:
        """The header of a token with this role."""
        return {"Authorization": f"Bearer {self.given[role]}"}


class _History:
    """The state database's history, opened when something is asked of it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def __getattr__(self, name: str) -> Any:
        return getattr(self._daemon.state.history, name)


class Serving:
    """Runs the server in a thread with its own event loop, and cancels it at the end."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.meter = PrometheusMeter()
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(Bulkheads())  # as the daemon has it
        self._task = asyncio.ensure_future(server.serve(self._app, "127.0.0.1", 0, self._port.set_result, self.meter))
        await asyncio.gather(self._task, return_exceptions=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._port.result(timeout=10)}"

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=15)
        assert not self._thread.is_alive()


def client_of(url: str, **headers: str) -> httpx.Client:
    """A client of a server."""
    return httpx.Client(base_url=url, headers=headers, timeout=10, trust_env=False)

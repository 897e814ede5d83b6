"""Lives of a daemon without its threads, one after the other on one state directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from sensord.core.cases.notice import Trouble
from sensord.core.definition import Definition
from sensord.core.record import Record
from sensord.drivers.live import LiveCore
from sensord.store.opening import open_stores
from sensord.supervisor import Troubles
from sensord.telemetry.metrics import PrometheusMeter
from tests.ingest.support import Beats


class Life:
    """One life of a daemon without its threads: the stores, the core, and what it says of itself at its start."""

    def __init__(self, directory: Path, go_on: Callable[[int, int], bool], assumed: Definition | None) -> None:
        meter = PrometheusMeter()
        self.stores = open_stores(directory, "Asia/Shanghai", meter)
        self.journal, self.state = self.stores.journal, self.stores.state
        self.core = LiveCore(
            self.journal.reader(), self.state, meter, Beats(), on_outcomes=lambda _told: None, assumed=assumed
        )
        with ExitStack() as ends:
            ends.callback(self.state.close)
            ends.callback(self.journal.close)
            self.core.recover(go_on)
            ends.pop_all()
        known = {trouble: self.core.site.book.troubled(trouble) for trouble in Trouble}
        self.troubles = Troubles(self._submit, lambda: self.journal.last_received_at + 1, meter, known)

    def tell_of_a_loss(self) -> None:
        """Say what the start has found, as the daemon does before anything else."""
        self.troubles.recall(self.core.used)
        self.troubles.lose(self.core.orphans, damaged=True)

    def tell(self) -> None:
        """Say how it stands with the state, as the daemon does at each start."""
        self.troubles.recall(self.core.used)
        self.troubles.lose_state(lost=bool(self.stores.lost), anew=self.stores.anew, begun=self.core.begun)
        self.troubles.lose(self.core.orphans, damaged=False)

    def take(self, records: Sequence[Record]) -> None:
        """Let records come, ten to a group, and be decided."""
        for first in range(0, len(records), 10):
            self.journal.append(records[first : first + 10])
        while self.core.groups_behind:
            self.core._turn()  # one turn of the thread, without the thread

    def save(self) -> None:
        """Save the core."""
        self.core._save()

    def _submit(self, record: Record, _timeout: float) -> Future[int]:
        journaled = Future[int]()
        journaled.set_result(self.journal.append([record]))
        return journaled


@contextmanager
def living(
    directory: Path,
    go_on: Callable[[int, int], bool] = lambda _done, _of: True,
    assumed: Definition | None = None,
) -> Iterator[Life]:
    """A life that ends without a farewell: nothing is saved at its end.

    ``go_on`` as ``LiveCore.recover`` has it, ``assumed`` as the core itself.
    """
    life = Life(directory, go_on, assumed)
    with closing(life.stores.journal), closing(life.stores.state):
        yield life

"""Runs a recording under several sets of rules: one pass for all, or several processes that share the sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from sensord.ahead import read_ahead
from sensord.backtest.outcome import Collector, Outcome
from sensord.config.load import load
from sensord.core.definition import Definition
from sensord.core.site import Site
from sensord.core.vehicles.pseudonym import Secrets
from sensord.drivers.replay import Override, Piece, replay_together, unchanged
from sensord.errors import ConfigError, Problem
from sensord.source import FAR, Replacement, Source
from sensord.words import say

Watch = Callable[[Iterable[Piece], int | None], Iterable[Piece]]
"""Passes what is recorded through, and shows how far it has come; takes the total where it is known."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A named set of rules; ``override`` makes its definition of the recorded one."""

    name: str
    override: Override


@dataclass(frozen=True, slots=True)
class Setup:
    """What to run over: a source, a stretch of it (ns), and by how many processes.

    ``definition`` replaces the recorded one (places, people, plans) before any rules do.
    """

    source: Source
    definition: Definition | None = None
    start: int = 0
    end: int = FAR
    processes: int = 1

    @classmethod
    def of(cls, source: Source, start: int = 0, end: int = FAR, processes: int = 1) -> Setup:
        """The setup for a source; a configuration that it names takes the recorded one's place."""
        definition = None if source.config is None else load(source.config).definition
        return cls(source, definition, start, end, processes)

    def candidate(self, name: str, rules: Path | None) -> Candidate:
        """A candidate with the rules of a file or folder (None: the recorded ones)."""
        if rules is None and self.definition is None:
            return Candidate(name, unchanged)
        return Candidate(name, Replacement(self.definition, rules))


def run(setup: Setup, candidates: Sequence[Candidate], watch: Watch | None = None) -> list[Outcome]:
    """Return an outcome per candidate, in their order.

    With several processes each reads the recording for its share of the candidates; for a single one, another process
    decodes ahead. The result is the same.
    """
    if setup.processes > 1 and len(candidates) > 1:
        return _shared(setup, candidates, watch)
    opened = setup.source.open().waiting_for(candidate.override for candidate in candidates)
    recorded: Iterable[Piece] = opened.recorded(setup.start, setup.end)
    if setup.processes > 1 and candidates:
        recorded = read_ahead(setup.source, setup.start, setup.end, candidates[0].override)
        candidates = [Candidate(candidates[0].name, unchanged)]
    seen = watch(recorded, opened.total) if watch is not None else recorded
    outcomes = list(_together(seen, candidates, opened.secrets))
    if not all(outcome.zone for outcome in outcomes):
        nothing = say("没有可重放的内容", "there is nothing to replay")
        hint = say(
            "看看 --from、--to，或用 sensord recording info", "look at --from and --to, or sensord recording info"
        )
        raise ConfigError([Problem(str(setup.source.path), 1, 1, nothing, hint)])
    return outcomes


def _shared(setup: Setup, candidates: Sequence[Candidate], watch: Watch | None) -> list[Outcome]:
    workers = min(setup.processes, len(candidates))
    shares = [list(candidates[number::workers]) for number in range(workers)]
    alone = replace(setup, processes=1)
    # A fresh interpreter per process: nothing of this one's threads and files is inherited half-way.
    with ProcessPoolExecutor(workers - 1, get_context("spawn")) as pool:
        theirs = pool.map(run, [alone] * (workers - 1), shares[1:])
        # The first share, which none is larger than, is this process's: it shows how far all are.
        results = [run(alone, shares[0], watch), *theirs]
    return [results[number % workers][number // workers] for number in range(len(candidates))]


def _together(recorded: Iterable[Piece], candidates: Sequence[Candidate], secrets: Secrets) -> Iterator[Outcome]:
    sites = [Site(secrets=secrets) for _ in candidates]
    collectors = [Collector(candidate.name, site) for candidate, site in zip(candidates, sites, strict=True)]
    for steps in replay_together(recorded, sites, [candidate.override for candidate in candidates]):
        for collector, step in zip(collectors, steps, strict=True):
            collector.take(step)
    for collector in collectors:
        yield collector.outcome

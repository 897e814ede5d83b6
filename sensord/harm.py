"""Small files of the state directory that are damaged: a fact for those who ask, a trouble for people.

So is the secret of a sink. None of them keeps the daemon from telling of crowds. A sound start clears what the one
before had to say.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from sensord.api.links import AnswerLinks, own_key
from sensord.api.tokens import TokenStore
from sensord.config.load import Loaded, Spare
from sensord.core.cases.notice import Trouble
from sensord.core.instant import format_instant, parse_duration
from sensord.errors import ConfigError, StoreError
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.registers import Registers
from sensord.supervisor import Troubles
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import PrometheusMeter

_FACTS = {
    Trouble.LINKS_VOID: "links",
    Trouble.TOKENS_LOST: "tokens",
    Trouble.PLATES_OFF: "plates",
    Trouble.CHANGES_UNREAD: "duty",
}

_END = "end"
"""Where it is kept what the access log has lost of its end, beside what is wrong with each register."""

log = structlog.get_logger()


class Harm:
    """What was found damaged in a state directory, which nobody else may use meanwhile."""

    def __init__(self, health: Health, directory: Path) -> None:
        """Look at tokens and registers; sets damaged tokens aside."""
        self._health, self._directory = health, directory
        self._said = dict.fromkeys(_FACTS, "")
        self._off = dict[str, float]()
        self.note(Trouble.TOKENS_LOST, TokenStore(directory).mend(time.time_ns()))
        self.accesses, self.audit = AccessLog(directory), AuditLog(directory)
        self._torn = dict[str, str]()
        for register in (self.accesses, self.audit):
            register.hear = partial(self._hear_register, register.path.name)
        self.look()

    def look(self) -> None:
        """Look at the registers, and let one note where the other ends: at the start, and daily."""
        both = self.accesses, self.audit
        for register in both:
            register.hear(register.look())
        registers = Registers(*both)
        torn = any(self._torn[register.path.name] for register in both)
        lost = "" if torn else registers.lost()
        self._hear_register(_END, lost)
        if not torn and not lost:
            try:
                registers.note(format_instant(time.time_ns(), "UTC"))
            except StoreError as error:
                log.error("the end of the access log could not be written down", why=str(error))

    def _hear_register(self, name: str, fault: str) -> None:
        """Say whether the registers take what happens; called on any thread."""
        self._torn[name] = fault
        torn = "; ".join(filter(None, self._torn.values()))
        self._health.set_fact("registers", not torn, torn)

    def signing_key(self) -> bytes:
        """The key that signs links; a damaged one is replaced."""
        key, void = own_key(self._directory, time.time_ns())
        self.note(Trouble.LINKS_VOID, void)
        return key

    def links(self, loaded: Loaded) -> AnswerLinks | None:
        """The links for answers; None when none are wanted, or the key that a person made for them cannot be used."""
        answers = loaded.settings.answers
        if answers.url is None or Spare.LINKS in loaded.without:
            return None
        key = loaded.link_key or self.signing_key()
        return AnswerLinks(answers.url, key, parse_duration(answers.expires))

    def sink_off(self, sink: str, error: ConfigError) -> None:
        """A sink is not fed in this run; after a while that counts as one that stands still."""
        why = f"it is turned off until a restart: {error.problems[0]}"
        log.error("a sink cannot be used; everything else goes on without it", sink=sink, why=why)
        self._health.set_fact(f"sink-{sink}", ok=False, detail=why)
        self._off[sink] = time.monotonic()

    def idle(self) -> dict[str, float]:
        """For how many seconds each sink that is turned off has got nothing."""
        return {sink: time.monotonic() - since for sink, since in self._off.items()}

    def note(self, trouble: Trouble, why: str) -> None:
        """Say how it stands with a file; ``why`` is empty when it is sound."""
        if why and why != self._said[trouble]:
            log.error("a small file is of no use; alerting goes on without it", trouble=trouble.value, why=why)
        self._said[trouble] = why
        self._health.set_fact(_FACTS[trouble], not why, why)

    def note_missing(self, without: Mapping[Spare, str]) -> None:
        """Say what the configuration in force does without."""
        self.note(Trouble.PLATES_OFF, without.get(Spare.PLATES, ""))
        self.note(Trouble.CHANGES_UNREAD, without.get(Spare.CHANGES, ""))
        if Spare.LINKS in without:  # a key is read at a start only: that it is sound now says nothing yet
            self.note(Trouble.LINKS_VOID, without[Spare.LINKS])

    def tell(self, troubles: Troubles) -> None:
        """Let people hear of it, or that it is over."""
        for trouble, why in self._said.items():
            troubles.report(trouble, bool(why))


def hear_damage(health: Health, meter: PrometheusMeter, why: str) -> None:
    """Something in the state database is not what was written: the next start makes it anew."""
    meter.count("state_damage_total")
    health.set_fact("state", ok=False, detail=why)

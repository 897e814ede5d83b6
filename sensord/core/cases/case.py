"""Cases: what people handle. One state machine, in one table.

The stages are those of the city's case flow: 受理 accepted, 立案 filed, 派遣 dispatched, 处置 handling,
督办 supervised, 核查 verifying, 结案 closed, and 作废 void; 延时 (extend) and 回退 (return) are approvals on the way.

Alerts of one place and one policy belong to one case as long as it is open. A person's word alone never closes a case:
it ends when the sensors agree; where the policy says so, a person must have reported as well.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from sensord.core.alert import Free, Gap, Transition, Vehicle
from sensord.core.cases.call import Call
from sensord.core.cases.told import Told
from sensord.core.level import Level


class State(StrEnum):
    """The stage that a case stands at."""

    ACCEPTED = "accepted"
    """Taken in; it is filed once it has lasted for the policy's ``wait``."""
    FILED = "filed"
    """It has a code. Nobody has been told yet: it is muted, or nobody is on duty."""
    DISPATCHED = "dispatched"
    """Somebody was told; nobody has answered."""
    HANDLING = "handling"
    """Somebody answered."""
    SUPERVISED = "supervised"
    """A time limit passed, or a person's report and the sensors disagree: supervisors follow it up."""
    VERIFYING = "verifying"
    """The person or the sensors say that it is over; the other side is awaited."""
    CLOSED = "closed"
    VOID = "void"
    """Withdrawn by approval, or vanished before it was filed."""


class Happening(StrEnum):
    """What can happen to a case."""

    LEVEL_ROSE = "level_rose"
    LEVEL_FELL = "level_fell"
    ANOTHER_VEHICLE = "another_vehicle"
    ANOTHER_TROUBLE = "another_trouble"
    ANOTHER_ALERT = "another_alert"
    FILE = "file"
    DISPATCH = "dispatch"
    STEP_DUE = "step_due"
    LINK = "link"
    ACKNOWLEDGE = "acknowledge"
    ON_THE_WAY = "on_the_way"
    ON_THE_SCENE = "on_the_scene"
    NEED_HELP = "need_help"
    DISPERSED = "dispersed"
    FALSE_ALARM = "false_alarm"
    ALL_CLEAR = "all_clear"
    UNWATCHED = "unwatched"
    """No alert stands any more, and of some nobody knows whether it is over: the hours of its rule are."""
    RELAPSE = "relapse"
    HAND_OVER = "hand_over"
    """Whoever had answered is off duty by now: nobody has."""
    DISAGREE = "disagree"
    OVERDUE = "overdue"
    ASK = "ask"
    EXTEND = "extend"
    RETURN = "return"
    CLOSE = "close"
    VOID = "void"
    LATE_ANSWER = "late_answer"


_A, _F, _D, _H, _S, _V, _C, _X = State
__ = None
_ROWS: dict[Happening, tuple[State | None, ...]] = {
    # where it stands:          _A  _F  _D  _H  _S  _V  _C  _X
    Happening.LEVEL_ROSE:       (_A, _F, _D, _H, _S, _V, __, __),
    Happening.LEVEL_FELL:       (_A, _F, _D, _H, _S, _V, __, __),
    Happening.ANOTHER_VEHICLE:  (_A, _F, _D, _H, _S, _V, __, __),
    Happening.ANOTHER_TROUBLE:  (_A, _F, _D, _H, _S, _V, __, __),
    Happening.ANOTHER_ALERT:    (_A, _F, _D, _H, _S, _V, __, __),
    Happening.FILE:             (_F, __, __, __, __, __, __, __),
    Happening.DISPATCH:         (__, _D, __, __, __, __, __, __),
    Happening.STEP_DUE:         (__, _F, _D, _H, _S, _V, __, __),
    Happening.LINK:             (_A, _F, _D, _H, _S, _V, __, __),
    Happening.ACKNOWLEDGE:      (__, _H, _H, _H, _S, _V, __, __),
    Happening.ON_THE_WAY:       (__, _H, _H, _H, _S, _V, __, __),
    Happening.ON_THE_SCENE:     (__, _H, _H, _H, _S, _V, __, __),
    Happening.NEED_HELP:        (__, _H, _H, _H, _S, _V, __, __),
    Happening.DISPERSED:        (__, _V, _V, _V, _V, _V, __, __),
    Happening.FALSE_ALARM:      (__, _V, _V, _V, _V, _V, __, __),
    Happening.ALL_CLEAR:        (__, _V, _V, _V, _V, _V, __, __),
    Happening.UNWATCHED:        (__, _V, _V, _V, _V, _V, __, __),
    Happening.RELAPSE:          (__, _F, _F, _F, _F, _F, __, __),
    Happening.HAND_OVER:        (__, _F, _D, _D, _S, _V, __, __),
    Happening.DISAGREE:         (__, __, __, __, _S, _S, __, __),
    Happening.OVERDUE:          (__, _S, _S, _S, _S, _S, __, __),
    Happening.ASK:              (__, _F, _D, _H, _S, _V, __, __),
    Happening.EXTEND:           (__, _F, _D, _H, _S, _V, __, __),
    Happening.RETURN:           (__, __, _F, _F, _F, _F, __, __),
    Happening.CLOSE:            (__, __, __, __, _C, _C, __, __),
    Happening.VOID:             (_X, _X, _X, _X, _X, _X, __, __),
    Happening.LATE_ANSWER:      (__, __, __, __, __, __, _C, _X),
}  # fmt: skip
TABLE = {(state, what): follows for what, row in _ROWS.items() for state, follows in zip(State, row, strict=True)}
"""The whole state machine: the stage that follows, for each stage and each happening; the same one where it stays.

None: that is refused, or cannot come. ``drawing`` draws the diagram of ``docs/cases.md`` from it.
"""

STAGES = {
    State.ACCEPTED: {"zh": "受理", "en": "accepted"},
    State.FILED: {"zh": "立案", "en": "filed"},
    State.DISPATCHED: {"zh": "派遣", "en": "dispatched"},
    State.HANDLING: {"zh": "处置", "en": "handling"},
    State.SUPERVISED: {"zh": "督办", "en": "supervised"},
    State.VERIFYING: {"zh": "核查", "en": "verifying"},
    State.CLOSED: {"zh": "结案", "en": "closed"},
    State.VOID: {"zh": "作废", "en": "void"},
}
"""What each stage is called, by language."""
ENDED = (State.CLOSED, State.VOID)


def allows(state: State, happening: Happening) -> bool:
    """Whether it can happen at that stage."""
    return TABLE[state, happening] is not None


class Answer(IntEnum):
    """How far people have come with a case; it starts anew with each round."""

    NONE = 0
    ACKNOWLEDGED = 1
    ON_THE_WAY = 2
    ON_THE_SCENE = 3
    DISPERSED = 4

    @property
    def word(self) -> str:
        """The answer as configuration and messages write it."""
        return self.name.lower()


class Due(IntEnum):
    """What a case waits for; the number orders what comes due at one instant."""

    FILE = 0
    STEP = 1
    FALLBACK = 2
    """A second way to reach somebody, when the first did not deliver."""
    LIMIT = 3
    AGREE = 4
    """The sensors should agree with the report by now."""
    SETTLE = 5
    """The alerts have been clear for the policy's ``agree_for``."""
    RECHECK = 6
    """Nobody could be told, or the case was muted: look again."""
    GIVE_UP = 7
    """The case has been clear for long, and nobody reported."""


class Subject(msgspec.Struct, frozen=True):
    """What texts say of one alert: at which level, and since when (``subject_at``, ns: raised, or its vehicle came)."""

    level: Level
    rule: str
    key: str
    subject_at: int
    value: float | None = None
    threshold: float | None = None
    samples: int = 0
    vehicle: Vehicle | None = None
    spaces: tuple[Free, ...] = ()
    gap: Gap | None = None
    finding: int = 0

    @property
    def alert(self) -> str:
        """The id of the alert."""
        return f"{self.rule}:{self.key}"

    def same(self, other: Subject) -> bool:
        """Whether both speak of one alert, and of one vehicle, hole in the roster, or finding."""
        return self._which == other._which

    @property
    def _which(self) -> tuple[str, str, int, int]:
        vehicle = self.vehicle.id if self.vehicle is not None else ""
        return self.alert, vehicle, self.gap.start if self.gap is not None else 0, self.finding


class SecondWay(msgspec.Struct, frozen=True, array_like=True):
    """A message that goes to a person's other channel, unless the first delivers that of the event (its number).

    ``about`` is what it speaks of, whatever the case is about by then; none in the state of an earlier version. ``at``
    is the instant of the event (ns): whoever has done something since then knows of it.
    """

    person: str
    channel: str
    event: str
    about: Subject | None = None
    at: int = 0

    def spared(self, receiver: str, event: str) -> bool:
        """Whether it is not needed: the receiver has the message of the event, or the digest that told of it.

        Ways of what a digest tells of begin with it (those of an earlier version, without an instant, with any).
        """
        if event.startswith("digest-"):
            return self.person == receiver and (not self.at or event.rstrip("+") == f"digest-{self.at}")
        return self.person == receiver and self.event == event


class Case(msgspec.Struct):
    """A case. Times are ns (0: not yet). ``alerts`` maps the ids ``rule:key`` of active alerts to their levels.

    ``code`` is the sixteen-digit number of the case flow, ``filed`` counts the filed cases of the site. ``rule``,
    ``key``, ``value``, ``threshold``, ``samples``, ``vehicle``, ``spaces``, ``gap``, ``finding`` and ``subject_at``
    are those of the latest transition that reached the level of the case, for texts (see ``Subject``); when it falls,
    of what stands yet (``standing``, see the module of that name), and once nothing does, of what stood last. ``owner``
    answers for the case now, ``lead`` leads a joint dispatch.
    ``answer`` is how far people have come in the present ``round``, which begins when the alarm comes back or the
    case is given back. ``acknowledged_at``, ``arrived_at`` and ``reported_at`` (of a report not refuted) are the
    first times, for measuring. ``claimed``: a person's report stands that it is over (``false_alarm``: that it
    never was); ``disagreed``: the sensors contradicted one. ``deadline`` is the limit of the present stage,
    ``since`` the instant at which it began. ``links`` are open cases nearby. ``told`` is the ledger by person;
    ``pending`` what is awaited, as (at, ``Due``, number); ``fallbacks`` holds the second ways by their numbers.
    ``muted`` is the named reason why nobody is told now. ``returned`` lists who gave it back, ``asked_back`` who asks
    to. ``passed_over`` are the steps that came due while people had come far enough: they speak after all when that
    turns out to be wrong. ``untold`` is what nobody has heard of yet (see ``untold``); ``told_of`` holds, by alert, the
    level at which it was told last and when it ended since (0: it has not). ``begun`` is the level up to which the
    plan's steps go on, none while nobody could be told, and ``reached`` when the case, as far as people were to be
    told, came to each level, by the level's word: the times of its plan's steps count from there. ``unwatched`` are the
    alerts (ids) that have ended only because the hours of their rules have, or because their rules were changed or
    taken out (``withdrawn``, of the latest of them): the sensors have not agreed. ``calls`` are what must come through
    to a supervisor, or to whoever is to verify.
    """

    id: str
    policy: str
    place: str
    grid: str
    rule: str
    state: State
    level: Level
    peak: Level
    opened_at: int
    code: str = ""
    filed: int = 0
    key: str = ""
    value: float | None = None
    threshold: float | None = None
    samples: int = 0
    vehicle: Vehicle | None = None
    spaces: tuple[Free, ...] = ()
    gap: Gap | None = None
    events: int = 0
    alerts: dict[str, Level] = {}
    owner: str = ""
    lead: str = ""
    answer: Answer = Answer.NONE
    acknowledged_at: int = 0
    acknowledged_by: str = ""
    arrived_at: int = 0
    arrived_by: str = ""
    reported_at: int = 0
    reported_by: str = ""
    claimed: bool = False
    false_alarm: bool = False
    disagreed: bool = False
    cleared_at: int = 0
    closed_at: int = 0
    closed_by: str = ""
    since: int = 0
    deadline: int = 0
    overdue: int = 0
    extended: int = 0
    links: list[str] = []
    told: dict[str, Told] = {}
    returned: list[str] = []
    asked_back: list[str] = []
    round: int = 0
    passed_over: list[int] = []
    pending: list[tuple[int, Due, int]] = []
    fallbacks: dict[str, SecondWay] = {}
    muted: str = ""
    subject_at: int = 0
    untold: list[Subject] = []
    told_of: dict[str, tuple[Level, int]] = {}
    begun: Level = Level.NONE
    reached: dict[str, int] = {}
    standing: list[Subject] = []
    finding: int = 0
    unwatched: list[str] = []
    withdrawn: bool = False
    calls: list[Call] = []

    @property
    def ledger(self) -> list[tuple[str, Told]]:
        """The lines of ``told`` in the order of telling: a saved state keeps no other order."""
        return sorted(self.told.items(), key=lambda line: line[1].number)


def subject(of: Transition | Case) -> Subject:
    """What texts say of a transition's alert, or of a case as it stands."""
    at = of.at if isinstance(of, Transition) else of.subject_at
    about = of.value, of.threshold, of.samples, of.vehicle, of.spaces, of.gap, of.finding
    return Subject(of.level, of.rule, of.key, at, *about)


def about(case: Case, one: Subject) -> Case:
    """The case as far as one of its alerts goes, to be read only: its level, its rule, what its text says."""
    return msgspec.structs.replace(case, **msgspec.structs.asdict(one))


class CaseEvent(msgspec.Struct, frozen=True):
    """One step of a case's story. ``id`` is ``case:n``.

    ``cause`` names the transition, the person or the clock; ``via`` the channel by which a person spoke.
    """

    id: str
    case: str
    policy: str
    place: str
    at: int
    happening: Happening
    state: State
    level: Level
    previous: Level
    cause: str
    note: str = ""
    via: str = ""

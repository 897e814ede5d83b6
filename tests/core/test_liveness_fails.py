"""A mistake of ours in telling who is heard makes places unknown, never normal, and all else goes on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.batch import Batch
from sensord.core.failure import Failure, Part
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.record import Group
from sensord.core.rules.liveness import Bools, Liveness
from sensord.core.rules.rule import Clear
from sensord.core.site import Site
from tests.core.failing import DENSITY, Following, MistakeError, crowd, fail, frozen, street, tick
from tests.core.street import START, devices, grouped, rules, stream_of

pytestmark = pytest.mark.usefixtures("in_service")
SILENT = next(one for one in rules() if one.id == "silent")
LANES = {"G1-L1", "G1-L2", "G2-L1", "G2-L2"}


def deaf_to(device: int) -> Callable[[Liveness, Batch, slice], Bools]:
    """Cannot tell of the readings of a device whether they say something of now."""
    whole = Liveness.tells

    def tells(self: Liveness, batch: Batch, part: slice) -> Bools:
        if (batch.device[part] == device).any():
            raise MistakeError
        return whole(self, batch, part)

    return tells


def unsure_in(*turns: int) -> Callable[[Liveness, int], Bools]:
    """Cannot tell who is heard at some instants, by their seconds of a minute since the start."""
    whole = Liveness._heard

    def heard(self: Liveness, at: int) -> Bools:
        if (at - START) // SECOND % 60 in turns:
            raise MistakeError
        return whole(self, at)

    return heard


def test_while_it_cannot_be_told_who_is_heard_nothing_ends_and_nothing_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that leaves, and another one that comes, while nobody knows which sensors speak; told of afterwards."""
    site = Following(DENSITY)
    site.until(60, 100, since=1)
    assert site.open == [("G1-L1", Level.YELLOW)]
    with monkeypatch.context() as patch:
        patch.setattr(Liveness, "_heard", fail)
        for at in range(60, 160):
            site.step(*(crowd(at, count, lane) for lane, count in ((0, 0), (2, 100)) if not at % 5), tick(at))
        assert site.site.engine.unknown() > LANES
        assert site.site.engine.look("density", "G1-L1").level is Level.YELLOW
    assert {(one.part, one.what, one.why) for one in site.failures} == {(Part.LIVENESS, "devices", "MistakeError")}
    assert [(key, change) for _, _, key, change in site.changes] == [("G1-L1", Change.RAISED)]
    for at in range(160, 200):
        site.step(*(crowd(at, count, lane) for lane, count in ((0, 0), (2, 100)) if not at % 5), tick(at))
    assert [(key, change) for _, _, key, change in site.changes[1:]] == [
        ("G2-L1", Change.RAISED),
        ("G1-L1", Change.CLEARED),
    ]
    assert site.site.engine.unknown() == {"G1-L2", "G2-L2", "C1-N"}


def test_a_rule_without_a_window_keeps_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """How something stands is not known where nobody can say who looks; what is seen raises all the same."""
    standing = replace(DENSITY, id="finding", window=0, every=0, clear=Clear((0.2,), 20 * SECOND))
    site = Following(standing)
    site.step(crowd(1, 100))
    monkeypatch.setattr(Liveness, "_heard", fail)
    site.until(60, 1, since=2)
    site.step(crowd(60, 100, 2))
    assert site.open == [("G1-L1", Level.YELLOW), ("G2-L1", Level.YELLOW)]
    assert {one.part for one in site.failures} == {Part.LIVENESS}


def test_a_device_whose_readings_cannot_be_taken_falls_silent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is heard up to its deadline, by what could be taken of it; others in the same groups are heard."""
    site = Following(DENSITY, SILENT)
    site.until(60, 100, since=1, lanes=(0, 2))
    monkeypatch.setattr(Liveness, "tells", deaf_to(0))
    site.until(120, 0, since=60, lanes=(0, 2))
    assert {one.part for one in site.failures} == {Part.LIVENESS}
    assert "G1-L1" in site.site.engine.unknown()
    assert "G2-L1" not in site.site.engine.unknown()
    assert ("silent", "crowd-0", Change.RAISED) in [change[1:] for change in site.changes]
    assert [place for place, level in site.open if level is Level.YELLOW] == ["G1-L1"], "the other crowd has left"


def test_what_is_stuck_stays_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also once it can be told again who is heard, before the rule on stillness looks again."""
    site = Following(frozen(by="lane"))
    for second in range(1, 62, 5):
        site.step(crowd(second, 1), tick(second + 1))
    assert "G1-L1" in site.site.engine.unknown()
    with monkeypatch.context() as patch:
        patch.setattr(Liveness, "_heard", fail)
        site.step(crowd(62, 1), tick(64))  # the rule looks each three seconds
        assert "G1-L1" in site.site.engine.unknown()
    assert {one.part for one in site.failures} == {Part.LIVENESS}
    assert "G1-L1" in site.site.engine.unknown()
    site.step(crowd(65, 2))
    assert "G1-L1" not in site.site.engine.unknown()


def test_what_failed_half_way_is_not_believed() -> None:
    """What is stuck was looked at after who is heard: nobody is alive at an instant by the first half."""
    engine = Following(DENSITY)
    engine.until(10, 1, since=1)
    liveness = engine.site.engine._liveness
    assert liveness.alive(START + 10 * SECOND)[0]
    liveness.mark_stuck("frozen", np.zeros(len(devices()) + 1, np.bool_))
    for _ in range(2):
        assert not liveness.alive(START + 10 * SECOND).any()


def test_whoever_looks_on_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The overview says that all is unknown; a replay, in which nobody looks on, must decide the same."""
    site = Following(DENSITY)
    site.until(10, 1, since=1)
    monkeypatch.setattr(Liveness, "_heard", fail)
    assert site.site.engine.unknown() > LANES
    assert not site.site.engine.failures


@pytest.mark.parametrize("cuts", [[7], [40, 3], [500]])
def test_restarts_decide_the_same(cuts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon and whoever steps the same groups again, from any saved state."""
    groups = grouped(stream_of(3, 4), cuts, street())
    sound, none = run(groups)
    assert not none
    monkeypatch.setattr(Liveness, "_heard", unsure_in(*range(20, 40)))
    monkeypatch.setattr(Liveness, "tells", deaf_to(1))
    whole, failures = run(groups)
    assert {one.part for one in failures} == {Part.LIVENESS}
    assert whole != sound
    for restart in (1, 3):
        assert run(groups, restart) == (whole, failures)


@pytest.mark.parametrize("seed", [1, 3])
def test_instants_for_which_it_cannot_be_told_are_the_same_however_readings_are_cut(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rule jumps over what it would look at by itself because nobody seems to be heard from there on."""
    stream = stream_of(seed, 4)
    monkeypatch.setattr(Liveness, "_heard", unsure_in(*range(20, 40)))
    one_by_one = run(grouped(stream, [1], street()))[0]
    for sizes in ([7], [40, 3], [500]):
        assert run(grouped(stream, sizes, street()))[0] == one_by_one


def run(groups: list[Group], restart_every: int = 0) -> tuple[bytes, list[Failure]]:
    """Everything decided on some groups, and what failed in it."""
    site, decided, failures = Site(), b"", list[Failure]()
    for number, group in enumerate(groups, 1):
        step = site.step(group)
        decided, failures = decided + step.decisions(), failures + step.failures
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    return decided, failures

"""The narrator: what truly happens is told once when it changes, and stands in one line while it lasts."""

from __future__ import annotations

from sensord.core.instant import SECOND
from simulators.narrator import Narrator
from simulators.scenario import Silence
from tests.simulators.small import CROWD, START, street


def identity(instant: int) -> int:
    """The scenario's clock is the wall clock."""
    return instant


def told(narrator: Narrator, seconds: range) -> list[tuple[int, str]]:
    """Ask once a second, and keep what is new."""
    return [(second, text) for second in seconds for text in narrator.news(START + second * SECOND)]


def test_a_crowd_is_told_phase_by_phase() -> None:
    """Each phase once, in its order, with the density that truly is there: peak 3 from second 30 to 70, over at 80."""
    narrator = Narrator(street(crowds=(CROWD,)), identity, "en")
    news = told(narrator, range(100))
    phases = ("a crowd is forming", "crowded", "the crowd is dispersing", "the crowd has gone")
    assert [next(phase for phase in phases if phase in text) for _, text in news] == list(phases)
    assert all("G1 Lane 1" in text for _, text in news)
    at = [second for second, _ in news]
    assert at[0] == 10
    assert 25 <= at[1] <= 30
    assert 70 <= at[2] <= 75
    assert at[3] == 80
    assert "people/m2" in news[1][1]


def test_a_silence_is_told_when_it_begins_and_ends() -> None:
    """A sensor without power, and with power again."""
    silence = Silence("crowd-1", 5 * SECOND, 20 * SECOND)
    news = told(Narrator(street(silences=(silence,)), identity, "zh"), range(60))
    assert [(second, text.split()[-1]) for second, text in news] == [
        (5, "传感器断电"),
        (silence.end // SECOND, "传感器恢复供电"),
    ]


def test_the_note_says_what_goes_on_or_that_all_is_quiet() -> None:
    """Before anything happens the line says so; then it holds everything that goes on."""
    narrator = Narrator(street(crowds=(CROWD,)), identity, "en")
    assert "all is quiet" in narrator.note(START)
    assert "Lane 1 crowded" in narrator.note(START + 50 * SECOND)


def test_a_faster_street_is_told_in_its_own_time() -> None:
    """At four times the speed the crowd is complete after a quarter of the time."""
    fast = Narrator(street(crowds=(CROWD,)), lambda instant: START + 4 * (instant - START), "en")
    assert "Lane 1 crowded" in fast.note(START + 10 * SECOND)

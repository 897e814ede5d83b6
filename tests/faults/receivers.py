"""Experiments with who is to be told: receivers that are down, slow, overloaded, or lie."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.tally import Row
from tests.notify.receiver import Answer, Request
from tests.support import wait_until

WAYS = {
    "receiver cuts the connection": Answer(drop=True),
    "receiver does not answer": Answer(hang=True),
    "receiver answers 500": Answer(500),
    "receiver answers 429 with Retry-After": Answer(429, headers={"Retry-After": "1"}),
    "an ingress without its backend answers 404": Answer(404),
    "receiver answers 200 with an error in the body": Answer(200, b'{"errcode": 45009}', lies=True),
    "receiver answers 200 with success false": Answer(200, b'{"success": false}', lies=True),
    "a portal answers 200 with its login page": Answer(200, b"<html><form>login</form></html>", lies=True),
    "a portal redirects to its login page": Answer(302, headers={"Location": "/login"}),
    "receiver answers 403": Answer(403),
}
SEND = "1s"
"""How long one attempt may take: a minute's patience in the field, but a round has to end."""


def failing_receiver(directory: Path, rounds: Iterable[int], seed: int, way: str) -> Row:
    """Let the receiver fail in one way for a few seconds, again and again; pages wait, and arrive once it is well."""
    dice, recovery = random.Random(seed), list[float]()
    stage = Stage(directory, seed, influx=False)
    host = stage.people.host
    channel = {"type": "webhook", "name": "people", "url": f"http://{host}/notify", "allow": [host], "timeout": SEND}
    stage.daemon.set(channels=[channel, {"type": "mqtt", "name": "grid"}])
    with stage:
        stage.begin()
        for _ in rounds:
            refused = len(stage.people.refused)
            stage.people.otherwise = WAYS[way]
            wait_until(partial(_refused, stage, refused), 60, f"somebody is to be told, and {way}")
            time.sleep(dice.uniform(0.5, 2.0))
            stage.people.otherwise = Answer()
            well, before = time.monotonic(), len(stage.people.requests)
            wait_until(partial(arrived, stage, before), 120, "pages arrive again")
            recovery.append(time.monotonic() - well)
        refused = len(stage.people.refused)
        stage.settle(patience=120)
        row = stage.verdict(way, len(recovery), recovery)
        if WAYS[way].hang or WAYS[way].drop:
            row.doubled += _unmarked(stage)
        row.remark += f"; {refused:,} attempts refused; recovery is to the next page"
        return row


def _unmarked(stage: Stage) -> int:
    """Pages that came once more without a word of it, though nobody knows what became of the one before."""
    seen, found = set[str](), 0
    for page in (request.json for request in stage.people.requests):
        found += page["key"] in seen and not page["possibly_repeated"]
        seen.add(page["key"])
    return found


WAY = 60
"""Seconds after which the second way is taken: what the catalogue of faults says."""
LONGER = 5
"""Seconds more, after which nobody takes it any more."""
_SECOND = "/second"
_ROSTER = """
people:
  - {{id: 志愿者-1, role: volunteer, serves: G1-1, contacts: [{first}, {second}]}}
  - {{id: 居委干部-1, role: cadre, serves: G1, contacts: [{first}, {second}]}}
  - {{id: 派出所-1, role: police, serves: street, contacts: [{first}, {{channel: grid}}]}}
"""
TWO_WAYS = {"志愿者-1", "居委干部-1"}
"""Whoever is to be told another way; the police have none that waits."""


def second_ways(directory: Path, rounds: Iterable[int], seed: int, after: int = WAY) -> Row:
    """Let the first way fail for longer than it may: each person with a second one is told over that, once, in time.

    In the end a crowd comes while the first is well. *Lost* counts persons who were not told over the second way, and
    pages over it that came too early, to people without one, or though the first had delivered.
    """
    recovery, wrong = list[float](), 0
    stage = Stage(directory, seed, influx=False, speech=Speech(moods=None))
    host = stage.people.host
    ways = [
        {"type": "webhook", "name": name, "url": f"http://{host}/{name}", "allow": [host], "timeout": SEND}
        for name in ("people", "second")
    ]
    stage.daemon.set(channels=[*ways, {"type": "mqtt", "name": "grid"}])
    contacts = {"first": "{channel: people, address: x}", "second": f"{{channel: second, address: x, after: {after}s}}"}
    (stage.daemon.directory / "roster.yaml").write_text(_ROSTER.format(**contacts), encoding="utf-8")
    with stage:
        stage.begin()
        for number in rounds:
            answer = list(WAYS.values())[number % len(WAYS)]
            stage.people.decide = partial(_fails_first, answer)
            seen, heard = len(stage.people.requests), len(stage.sensors.heard)
            stage.sensors.counts[1] = MANY
            wait_until(lambda: stage.crowds() == ["L1"], 30, "a crowd has come")
            wait_until(partial(_more_heard, stage, heard), after / 2, "the other channel goes out at once")
            wait_until(partial(_told_second, stage, seen, TWO_WAYS), 2 * after + 30, "the second way is taken")
            waits = _waits(stage.people.requests[seen:])
            recovery += waits.values()
            wrong += len(waits.keys() ^ TWO_WAYS) + sum(wait < after for wait in waits.values())
            stage.people.decide = lambda _: Answer()
            stage.sensors.counts[1] = FEW
            wait_until(lambda: not stage.crowds(), 60, "the crowd has gone")
        wrong += _not_spared(stage, after)
        stage.settle(patience=600)  # pages of the first way wait for longer and longer
        row = stage.verdict(
            f"first channel fails: the second after {after} s", len(recovery) // len(TWO_WAYS), recovery
        )
        row.lost += wrong
        row.remark += "; recovery is from the page to the same person's over the second channel"
        return row


def _not_spared(stage: Stage, after: int) -> int:
    """Let a crowd stay for longer than the second way waits; returns how many pages came over that all the same."""
    seen = len(stage.people.requests)
    stage.sensors.counts[1] = MANY
    wait_until(lambda: stage.crowds() == ["L1"], 30, "another crowd has come")
    time.sleep(after + LONGER)
    (case,) = (case["id"] for case in stage.daemon.overview()["cases"] if case["place"] == "L1")
    stage.sensors.counts[1] = FEW
    pages = [one.json for one in stage.people.requests[seen:] if one.path.startswith(_SECOND)]
    return sum(page["case"] == case for page in pages)


def _fails_first(answer: Answer, request: Request) -> Answer:
    return Answer() if request.path.startswith(_SECOND) else answer


def _told_second(stage: Stage, seen: int, people: set[str]) -> bool:
    pages = [one.json["receiver"] for one in stage.people.requests[seen:] if one.path.startswith(_SECOND)]
    return people <= set(pages)


def _more_heard(stage: Stage, before: int) -> bool:
    return len(stage.sensors.heard) > before


def _waits(requests: list[Request]) -> dict[str, float]:
    """Of each person told over the second way: seconds, in journal time, since the case's first page over the first."""
    first, second = dict[tuple[str, str], datetime](), dict[tuple[str, str], datetime]()
    for request in requests:
        pages, page = second if request.path.startswith(_SECOND) else first, request.json
        pages.setdefault((page["receiver"], page["case"]), datetime.fromisoformat(page["at"]))
    return {one[0]: (at - first[one]).total_seconds() for one, at in second.items()}


def _refused(stage: Stage, before: int) -> bool:
    return len(stage.people.refused) > before


def arrived(stage: Stage, before: int) -> bool:
    """Whether people were told more than before."""
    return len(stage.people.requests) > before

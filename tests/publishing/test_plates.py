"""``sensord replay --publish`` sends no true plate, unless somebody who may see plates asks for it, and says why."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.config.load import load, with_keys
from sensord.core.intake.topic import all_routes
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.stream import Stream
from sensord.errors import SensordError
from sensord.recordings.work import WHOLE, export
from sensord.source import journal_records
from sensord.store.access import AccessLog
from sensord.store.journal import Journal
from simulators.broker import Broker
from simulators.receiver import Inbox, Receiver
from simulators.stage import SHIPPED, write_config
from tests.core.traffic import MONDAY
from tests.simulators.small import eventually
from tests.simulators.test_publish import Subscriber

PLATE = "皖K13579"
REASON = ("--reason", "协查 118")


def written(folder: Path, broker: Broker) -> Path:
    """A configuration of the shipped street with that broker."""
    folder.mkdir()
    return write_config(folder, SHIPPED, broker, Receiver(Inbox(), "127.0.0.1", 9), "zh")


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Path:
    """A site with a site key and a journal in which a camera read a plate."""
    config = written(tmp_path / "site", broker)
    (tmp_path / "site" / "state").mkdir()
    loaded = with_keys(load(config), MONDAY)
    routes = all_routes(loaded.definition)
    topic = next(text for text, route in routes.items() if route.stream is Stream.PLATE)
    reading = json.dumps({"plate": PLATE, "direction": "in", "confidence": 0.99}).encode()
    with closing(Journal(tmp_path / "site" / "state" / "journal")) as journal:
        definition = definition_record(loaded.definition, MONDAY)
        journal.append((definition, Record(RecordKind.MESSAGE, MONDAY + 1, topic, reading)))
    return config


@pytest.fixture(params=["journal", "recording", "file"])
def source(request: pytest.FixtureRequest, site: Path, tmp_path: Path) -> Path:
    """What holds true plates: the journal, a recording that says so, a file that says nothing."""
    journal = site.parent / "state" / "journal"
    if request.param == "journal":
        return journal
    secrets = load(site).secrets
    export(journal_records(journal), tmp_path / "plain", WHOLE, None, readings=False, secrets=secrets)
    return tmp_path / "plain" if request.param == "recording" else next((tmp_path / "plain").rglob("*.gz"))


def played(source: Path, config: Path, *more: str) -> int:
    """Publish a source; returns the exit code."""
    done = CliRunner().invoke(cli, ["replay", str(source), "--publish", "--config", str(config), *more])
    assert isinstance(done.exception, SensordError | SystemExit | None), done.exception
    return done.exit_code


def heard(subscriber: Subscriber) -> str:
    """The plate that a subscriber heard."""
    assert eventually(lambda: bool(subscriber.got))
    ((_, _, reading),) = subscriber.got
    return str(json.loads(reading)["plate"])


def accesses(site: Path) -> list[tuple[str, str, str]]:
    """Who asked for what, as the access log has it."""
    return [(one.by, one.via, one.vehicle) for one in AccessLog(site.parent / "state").entries()]


def allowed(site: Path, plates: str) -> str:
    """Somebody of the roster who sees plates so."""
    definition = load(site).definition
    roles = {role.id for role in definition.roles if role.plates == plates}
    return next(person.id for person in definition.people if person.role in roles)


def test_plates_are_made_up(source: Path, site: Path, subscriber: Subscriber) -> None:
    """A broker is no place for true ones: many may listen. The made-up one is of the same province."""
    assert played(source, site) == 0
    said = heard(subscriber)
    assert (said[:1], len(said), said == PLATE) == ("皖", 7, False)
    assert accesses(site) == []


def test_true_plates_are_published_by_name_and_reason(source: Path, site: Path, subscriber: Subscriber) -> None:
    """Written down before, as a recording with true plates is."""
    by = allowed(site, "plain")
    assert played(source, site, "--plain-plates", "--by", by, *REASON) == 0
    assert heard(subscriber) == PLATE
    name = "" if source.name == "journal" else f"{source.name} "
    assert accesses(site) == [(by, "export", f"* {name}…/…")]


def test_whoever_may_not_see_plates_publishes_none(source: Path, site: Path, subscriber: Subscriber) -> None:
    """Without a name or a reason, as a stranger, or in a role that sees none: nothing is sent at all."""
    by = allowed(site, "masked")
    assert played(source, site, "--plain-plates", "--by", by) == 2
    assert played(source, site, "--by", by, *REASON) == 2
    assert played(source, site, "--plain-plates", "--by", by, *REASON) != 0
    assert played(source, site, "--plain-plates", "--by", "nobody", *REASON) != 0
    assert accesses(site) == [(one, "refused", accesses(site)[0][2]) for one in (by, "nobody")]
    assert subscriber.got == []


def test_the_site_writes_it_down_and_not_the_laboratory(
    site: Path, tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    """Into another configuration's broker a journal's true plates go only under the site's own (``--keys``)."""
    laboratory, journal = written(tmp_path / "laboratory", broker), site.parent / "state" / "journal"
    (tmp_path / "laboratory" / "state").mkdir()
    asked = ("--plain-plates", "--by", allowed(site, "plain"), *REASON)
    assert played(journal, laboratory, *asked) != 0
    assert subscriber.got == []
    assert played(journal, laboratory, "--keys", str(site), *asked) == 0
    assert heard(subscriber) == PLATE
    assert [len(accesses(one)) for one in (laboratory, site)] == [0, 1]


def test_plates_that_are_made_up_cannot_be_asked_for(site: Path, tmp_path: Path, subscriber: Subscriber) -> None:
    """What would do nothing is refused, and not written down as an access."""
    export(journal_records(site.parent / "state" / "journal"), tmp_path / "bare", WHOLE, b"k" * 32, readings=False)
    asked = ("--plain-plates", "--by", allowed(site, "plain"), *REASON)
    assert played(tmp_path / "bare", site, *asked) == 2
    assert (accesses(site), subscriber.got) == ([], [])

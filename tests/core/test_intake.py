"""From raw messages to readings: what is taken, what is refused and why, what is recognised as a repeat."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sensord.core.batch import CLOCK_SUSPECT
from sensord.core.instant import SECOND
from sensord.core.intake.intake import Decoded, Intake
from sensord.core.intake.plainjson import is_plain
from sensord.core.place import Places
from sensord.core.record import Action, Record, RecordKind
from sensord.core.site import Site
from tests.core.street import START, definition, devices, grouped, message

CROWD, CAMERA = devices()[0], devices()[4]


def intake() -> Intake:
    """A fresh intake of the test street."""
    whole = definition()
    return Intake(whole, Places(whole.places, whole.devices))


def decode(*records: Record) -> Decoded:
    """Decode records with a fresh intake."""
    return intake().decode(records, START + 60 * SECOND)


def raw(topic: str, payload: bytes, *, retained: bool = False) -> Record:
    """A message as bytes."""
    return Record(RecordKind.MESSAGE, START, topic, payload, retained)


def test_a_crowd_message_becomes_a_row_with_its_density() -> None:
    """Count and derived density (count over the lane's 50 m2), at event time."""
    batch = decode(message(CROWD, START, {"count": 100, "at": START / 1e6})).batch
    assert (batch.fields["count"][0], batch.fields["density"][0]) == (100.0, 2.0)
    assert (int(batch.event_at[0]), int(batch.flags[0])) == (START, 0)


def test_a_plate_leaves_only_its_class() -> None:
    """Direction, class, province and energy are labels; the plate itself is nowhere in what is decoded."""
    out = decode(message(CAMERA, START, {"plate": "皖K12345", "direction": "in", "confidence": 0.9}))
    assert {name: int(codes[0]) for name, codes in out.batch.labels.items()} == {
        "direction": 0,
        "class": 2,
        "province": 11,
        "energy": 0,
        "list": 1,
    }
    assert "12345" not in repr(out)


REFUSED = {
    "not_json": ("t/C1/crowd/crowd-0", b"{"),
    "not_json (NaN)": ("t/C1/crowd/crowd-0", b'{"count": NaN}'),
    "not_json (Infinity)": ("t/C1/level/crowd-0", b'{"value": Infinity}'),
    "not_json (trailing)": ("t/C1/crowd/crowd-0", b'{"count": 1} {}'),
    "not_utf8": ("t/C1/crowd/crowd-0", b'{"count": 1, "device": "\xff"}'),
    "not_json (empty)": ("t/C1/crowd/crowd-0", b""),
    "wrong_shape (negative)": ("t/C1/crowd/crowd-0", b'{"count": -1}'),
    "wrong_shape (text for number)": ("t/C1/crowd/crowd-0", b'{"count": "7"}'),
    "wrong_shape (true for number)": ("t/C1/crowd/crowd-0", b'{"count": true}'),
    "wrong_shape (list)": ("t/C1/crowd/crowd-0", b"[]"),
    "wrong_shape (huge)": ("t/C1/crowd/crowd-0", b'{"count": 99999999999999999999}'),
    "no_value": ("t/C1/crowd/crowd-0", b'{"at": 1}'),
    "bad_time": ("t/C1/crowd/crowd-0", b'{"count": 1, "at": "yesterday"}'),
    "bad_time (1e300)": ("t/C1/crowd/crowd-0", b'{"count": 1, "at": 1e300}'),
    "other_device": ("t/C1/crowd/crowd-0", b'{"count": 1, "device": "crowd-1"}'),
    "duplicate_key (in a command)": ("t/commands/by/居委干部-1/x", b'{"verb": "close", "verb": "arrive"}'),
    "too_deep (in a command)": (
        "t/commands/by/居委干部-1/x",
        b'{"verb": "close", "x": ' + b"[" * 99 + b"]" * 99 + b"}",
    ),
    "not_utf8 (in an unknown key)": ("t/C1/crowd/crowd-0", b'{"count": 1, "x": "\xff"}'),
    "unknown_topic": ("t/C1/crowd", b'{"count": 1}'),
    "unknown_kind": ("t/C1/weather/crowd-0", b'{"count": 1}'),
    "unknown_device": ("t/C1/crowd/nobody", b'{"count": 1}'),
    "wrong_stream": ("t/C1/plate/crowd-0", b'{"count": 1}'),
    "wrong_place": ("t/C2/crowd/crowd-0", b'{"count": 1}'),
    "bad_command": ("t/commands/by/居委干部-1/x", b"close it"),
    "other_user": ("t/commands/by/居委干部-1/x", '{"verb": "close", "by": "派出所-1"}'.encode()),
    "unknown_user (no post)": ("t/commands/by/gateway/x", b'{"verb": "close"}'),
    "unknown_topic (a command without a user)": ("t/commands/x", '{"verb": "close", "by": "居委干部-1"}'.encode()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_input_becomes_a_dead_letter_with_its_reason(name: str) -> None:
    """Nothing is raised, nothing is read, the reason is named, and the payload is not kept."""
    topic, payload = REFUSED[name]
    if topic == "t/C1/level/crowd-0":
        topic = "t/C1/crowd/crowd-0"
    out = decode(raw(topic, payload))
    assert len(out.batch) == 0
    assert [letter.reason for letter in out.dead] == [name.split(" ", maxsplit=1)[0]]


def test_a_command_of_a_journal_of_0_1_0_is_what_it_was() -> None:
    """Its topic named nobody, and the payload said who spoke: such a journal is stepped again as it was."""
    old = replace(definition(), commands="t/commands/{case}")
    told = raw("t/commands/x", '{"verb": "acknowledge", "by": "居委干部-1"}'.encode())
    out = Intake(old, Places(old.places, old.devices)).decode([told], START)
    assert [action for *_, action in out.actions] == [Action("acknowledge", "x", "居委干部-1", "mqtt")]
    assert out.dead == []


def test_deep_nesting_is_refused() -> None:
    """200,000 opening brackets do not bring the decoder down."""
    out = decode(raw("t/C1/crowd/crowd-0", b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"))
    assert [letter.reason for letter in out.dead] == ["too_deep"]


def test_depth_is_bounded_at_one_place_for_every_reader() -> None:
    """64 levels in an unknown key are read past, 65 are refused; brackets in strings and many side by side are none."""
    for brackets, inside, taken in (("[" * 63, "]" * 63, 1), ("[" * 64, "]" * 64, 0)):
        assert (
            len(decode(raw("t/C1/crowd/crowd-0", f'{{"count": 1, "x": {brackets}{inside}}}'.encode())).batch) == taken
        )
    for flat in ('"' + "[" * 500 + '\\""', "[" + ",".join(["[]"] * 500) + "]"):
        assert len(decode(raw("t/C1/crowd/crowd-0", f'{{"count": 1, "x": {flat}}}'.encode())).batch) == 1


TWICE = {
    "a value": b'{"count": 1, "count": 2}',
    "the same value": b'{"count": 1, "count": 1}',
    "the number": b'{"count": 1, "boot": 1, "seq": 4, "seq": 5}',
    "an unknown key": b'{"count": 1, "x": 1, "x": 2}',
    "in an unknown object": b'{"count": 1, "x": [{"y": 1, "y": 2}]}',
    "written differently": b'{"count": 1, "c\\u006funt": 2}',
    "beside an escaped colon": b'{"count": 1, "count": 2, "x": "\\u003a"}',
    "null and a value": b'{"count": null, "count": 2}',
    "a stamp as text": b'{"count": 1, "at": "2026-11-24T00:00:00Z", "at": "2026-11-24T00:00:00Z"}',
}
ONCE = {
    "unknown keys": b'{"count": 1, "firmware": {"v": 3, "w": {"v": 4}}, "list": [{"v": 1}, {"v": 2}]}',
    "colons in text": b'{"count": 1, "at": "2026-11-24T00:00:00Z", "x": "a:b", "y:z": "\\":"}',
    "nulls": b'{"count": 1, "boot": null, "seq": null}',
    "a number beyond every type": b'{"count": 1, "x": 1e400, "y": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("around", [0, 20])
@pytest.mark.parametrize("name", [*TWICE, *ONCE])
def test_a_key_that_is_there_twice_is_refused(name: str, around: int) -> None:
    """Which of the two was meant nobody knows. It is the same whether the message is decoded alone or with others."""
    payload = (TWICE | ONCE)[name]
    others = [raw("t/C1/crowd/crowd-1", b'{"count": %d}' % number) for number in range(around)]
    out = decode(*others, raw("t/C1/crowd/crowd-0", payload), *others)
    assert [letter.reason for letter in out.dead] == ["duplicate_key"] * (name in TWICE)
    assert len(out.batch) == 2 * around + (name in ONCE)


@given(
    st.dictionaries(
        st.text(max_size=3), st.recursive(st.integers() | st.text(max_size=9), st.lists, max_leaves=8), max_size=5
    ),
    st.booleans(),
    st.booleans(),
)
def test_whether_a_key_is_there_twice_does_not_depend_on_how_it_is_written(
    content: dict[str, object], ascii_only: bool, twice: bool
) -> None:
    """Random objects of names, texts, numbers and lists: refused if and only if one pair is written again."""
    text = json.dumps(content, ensure_ascii=ascii_only)
    twice = twice and bool(content)
    if twice:
        name, told = next(iter(content.items()))
        text = f"{text[:-1]}, {json.dumps(name, ensure_ascii=not ascii_only)}: {json.dumps(told)}}}"
    assert is_plain(text.encode()) is not twice


def test_retained_messages_trigger_nothing() -> None:
    """A retained reading or command is counted, not taken."""
    out = decode(
        raw("t/C1/crowd/crowd-0", b'{"count": 1}', retained=True),
        raw("t/commands/by/居委干部-1/x", b'{"verb": "close"}', retained=True),
    )
    assert (len(out.batch), out.actions, out.dead) == (0, [], [])
    assert out.counts["crowd", "retained"] == 1


def test_repeats_are_recognised() -> None:
    """By boot and sequence; by content when it has a stamp; without either two readings may be the same.

    Of these a repeat is only what the broker says that it sends again.
    """
    twice = [
        message(CROWD, START, {"count": 1, "boot": 1, "seq": 5}),
        message(CROWD, START + 1, {"count": 1, "boot": 1, "seq": 5}),
        message(CROWD, START + 2, {"count": 1, "boot": 2, "seq": 5}),
        message(CROWD, START + 3, {"count": 1, "at": START / 1e6}),
        message(CROWD, START + 4, {"count": 1, "at": START / 1e6}),
        message(CROWD, START + 5, {"count": 1}),
        message(CROWD, START + 6, {"count": 1}),
        replace(message(CROWD, START + 7, {"count": 1}), duplicate=True),
        replace(message(CROWD, START + 8, {"count": 2}), duplicate=True),
    ]
    out = decode(*twice)
    assert len(out.batch) == 6
    assert out.counts["crowd", "duplicate"] == 3


def test_gaps_in_sequence_numbers_are_counted() -> None:
    """Two messages lost within a boot are two; a restart is none, nor is what was sent before we heard the first."""
    assert gaps((1, 1), (1, 2), (1, 5), (2, 0), (2, 1), (2, 1)) == (2, 0)
    assert gaps((1, 5), (1, 4), (1, 6)) == (0, 0)


def test_a_gap_that_is_filled_later_is_told_apart() -> None:
    """Late messages fill gaps, of the boot before, too, and do not hide one of the newer boot; repeats fill nothing."""
    assert gaps((1, 1), (1, 4), (1, 2), (1, 2), (1, 5)) == (2, 1)
    assert gaps((1, 1), (1, 3), (2, 0), (1, 2), (2, 2)) == (2, 1)
    assert gaps((1, 1), (2, 0), (1, 3), (1, 2), (2, 1)) == (1, 1)


def test_numbers_without_a_boot_show_gaps_too() -> None:
    """As far as that goes: who numbers from 0 again says nothing."""
    out = decode(*(message(CROWD, START + n, {"count": 1, "seq": seq}) for n, seq in enumerate((1, 4, 2, 5))))
    assert out.gaps == {CROWD.id: 2}
    out = decode(*(message(CROWD, START + n, {"count": 1, "seq": seq}) for n, seq in enumerate((1, 2**53, 2, 5))))
    assert (out.gaps, out.leaps) == ({CROWD.id: 2}, {CROWD.id: 1})
    times = (10**15 + 10**7 * n for n in range(9))
    out = decode(*(message(CROWD, START + n, {"count": 1, "seq": seq}) for n, seq in enumerate(times)))
    assert (out.gaps, out.leaps) == ({}, {CROWD.id: 1})


def test_a_number_that_leaps_is_counted_apart() -> None:
    """A bogus number adds nothing to what is missing, nor do those that follow it fill anything."""
    numbers = (0, 2**53, 1, 2, 5)
    out = decode(*(message(CROWD, START + n, {"count": 1, "boot": 1, "seq": seq}) for n, seq in enumerate(numbers)))
    assert (out.gaps, out.filled, out.leaps) == ({CROWD.id: 2}, {}, {CROWD.id: 1})
    assert len(out.batch) == len(numbers)


def gaps(*numbers: tuple[int, int]) -> tuple[int, int]:
    """How many messages are missing, and how many came later, when messages with these boots and numbers arrive."""
    out = decode(
        *(message(CROWD, START + n, {"count": 1, "boot": boot, "seq": seq}) for n, (boot, seq) in enumerate(numbers))
    )
    assert set(out.gaps) | set(out.filled) <= {CROWD.id}
    return out.gaps.total(), out.filled.total()


def test_a_reading_without_stamp_is_flagged() -> None:
    """It is taken at its arrival."""
    batch = decode(message(CROWD, START, {"count": 1})).batch
    assert int(batch.event_at[0]) == START
    assert int(batch.flags[0]) & CLOCK_SUSPECT


@given(payload=st.binary(max_size=200), kind=st.sampled_from(("crowd", "plate", "report", "level", "status")))
@settings(max_examples=100)
def test_no_bytes_raise(payload: bytes, kind: str) -> None:
    """Whatever arrives, the site steps on."""
    site = Site(definition())
    step = site.step(
        grouped([raw(f"t/C1/{kind}/crowd-0", payload), raw("t/commands/by/居委干部-1/x", payload)], [5])[0]
    )
    assert len(step.dead) + sum(step.counts.values()) + len(step.outcomes) == 2


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("count", "at", "seq", "boot", "plate", "value")), inner)
    ),
    max_leaves=8,
)


@given(body=_JSON, kind=st.sampled_from(("crowd", "plate", "report", "level", "status")))
@settings(max_examples=100)
def test_no_json_raises(body: object, kind: str) -> None:
    """Whatever JSON arrives, on whichever device, the site steps on, and can be saved and restored."""
    device = {"crowd": "crowd-0", "plate": "camera-0", "report": "report-0"}.get(kind, "crowd-0")
    place = "C2" if kind == "report" else "C1"
    site = Site(definition())
    site.step(grouped([raw(f"t/{place}/{kind}/{device}", json.dumps(body).encode())], [5])[0])
    Site.restored(site.snapshot())

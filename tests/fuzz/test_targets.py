"""Everything that reads input takes its seeds, what fuzzers once found, and mutations of both."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).with_name("found")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))


@st.composite
def mutations(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with pieces cut out, repeated, turned over, or of another seed put in; or anything."""
    if not seeds or draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    text = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 40))
        piece = bytes(text[at : at + length])
        match draw(st.integers(0, 4)):
            case 0:
                del text[at : at + length]
            case 1:
                text[at:at] = piece * draw(st.sampled_from((1, 2, 300)))
            case 2:
                text[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 3:
                other = draw(st.sampled_from(seeds))
                start = draw(st.integers(0, len(other)))
                text[at:at] = other[start : start + length]
            case _:
                text[at:at] = draw(st.sampled_from(_TOKENS))
    return bytes(text)


_TOKENS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b'"',
    b"\\",
    b"\x00",
    b"\xff",
    b"[",
    b"{",
    b": ",
    b"\n",
    b"9" * 40,
    b"\xf0\x9f\x9a\x97",
)


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_nonsense_is_refused_and_nothing_else(target: Target) -> None:
    """Whatever the bytes, no exception but a refusal, from seeds and their mutations."""
    for seed in target.seeds:
        target.feed(seed)

    @given(mutations(target.seeds))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def feed(data: bytes) -> None:
        target.feed(data)

    feed()


@pytest.mark.parametrize("case", sorted(FOUND.glob("*/*")), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_what_was_found_once_is_refused(case: Path) -> None:
    """Each input that a fuzzer broke something with, on the target that it broke."""
    TARGETS[case.parent.name].feed(case.read_bytes())

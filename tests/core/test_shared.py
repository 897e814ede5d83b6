"""What follows from a definition alone is made once, for whoever goes by the same one, and goes with it."""

from __future__ import annotations

import gc
from weakref import ref

from sensord.core.definition import decode_definition
from sensord.core.intake.topic import all_routes
from sensord.core.shared import places_of
from tests.core.street import definition


def test_whoever_reads_the_same_text_goes_by_one_definition() -> None:
    """While it is in use; places and routes are one, too, also when another definition was looked at in between."""
    text = definition().encode()
    one = decode_definition(text)
    places, routes = places_of(one), all_routes(one)
    other = decode_definition(definition(district="310109").encode())
    assert places_of(other) is not places
    assert decode_definition(bytes(bytearray(text))) is one
    assert places_of(one) is places
    assert all_routes(one) is routes


def test_what_was_shared_goes_with_its_definition() -> None:
    """A reload leaves nothing behind."""
    one = decode_definition(definition().encode())
    gone = ref(places_of(one))
    del one
    gc.collect()
    assert gone() is None

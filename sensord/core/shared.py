"""What follows from a definition alone, and is large: the core and each sink share it while they go by the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from weakref import ref

from sensord.core.definition import Definition
from sensord.core.place import Places

T = TypeVar("T")


def shared(make: Callable[[Definition], T]) -> Callable[[Definition], T]:
    """Let ``make`` be asked once for a definition (that very object); its answer lives as long as the definition."""
    known: dict[int, tuple[ref[Definition], T]] = {}

    def asked(definition: Definition) -> T:
        number = id(definition)
        found = known.get(number)  # threads may ask at the same time: the last answer stays
        if found is None or found[0]() is not definition:
            found = ref(definition, lambda _gone: known.pop(number, None)), make(definition)
            known[number] = found
        return found[1]

    return asked


@shared
def places_of(definition: Definition) -> Places:
    """The places and devices of a definition, with their look-ups; raises as :class:`Places` does."""
    return Places(definition.places, definition.devices)

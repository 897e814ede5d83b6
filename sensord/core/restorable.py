"""Whether a saved state is one that this program goes on from: its version says so, and everything in it fits.

A version is raised by hand; where that was forgotten, or a rule was mended that keeps something else now, a state of
the same version does not fit. So it is tried.
"""

from __future__ import annotations

from sensord.core.site import Site
from sensord.errors import SnapshotError


def is_restorable(state: bytes) -> bool:
    """Whether a site can be built from a state; the site keys do not matter. As long as a start takes for that."""
    try:
        Site.restored(state, lenient=True)
    except SnapshotError:
        return False
    return True

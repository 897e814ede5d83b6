"""The total of a key: what its devices say together, each of its own part.

Of each device it is the mean of its readings in the window, so that it matters neither how often a device sends, nor in
what order its readings come, and one odd reading weighs little; of a key with one device the total is its mean.
"""

from __future__ import annotations

import math

import numpy as np

from sensord.core.batch import Float64, Int32
from sensord.core.rules.summary import Readings
from sensord.core.rules.window import Ahead, Array, Sliding, Table


class Total:
    """See :class:`sensord.core.rules.window.Window`; readings come with devices for keys, and so does the state.

    ``of_device`` int32 (devices,) is the key of each device, -1 for none. The samples of a key are those of the device
    that has the fewest: a device with fewer than ``needed`` of them is not in the total, which lacks its part.
    """

    still = True

    def __init__(self, apart: Sliding, keys: int, of_device: Int32, needed: int) -> None:
        self._apart, self._keys, self._needed = apart, keys, max(needed, 1)
        self.depth, self.length = apart.depth, apart.length
        self._devices = np.flatnonzero(of_device >= 0)
        self._key_of = of_device[self._devices]

    def add(self, readings: Readings) -> None:
        """See the protocol."""
        self._apart.add(readings)

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """See the protocol."""
        return self._together(*self._apart.seal(pane))

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead:
        """See the protocol."""
        apart = self._apart.ahead(pane, count, readings)
        return Ahead(*self._together(apart.value, apart.samples), apart.take)

    def _together(self, mean: Float64, samples: Float64) -> tuple[Float64, Float64]:
        """The (total, fewest samples) of each key, from those of each device; the last axis is that of the devices."""
        shape = (*mean.shape[:-1], self._keys)
        mean, samples = (each[..., self._devices].reshape(-1) for each in (mean, samples))
        cells = (np.arange(math.prod(shape[:-1]))[:, None] * self._keys + self._key_of).reshape(-1)
        heard = samples >= self._needed
        (total, some), fewest = np.zeros((2, math.prod(shape))), np.full(math.prod(shape), np.inf)
        np.add.at(total, cells, np.where(heard, mean, 0.0))
        np.add.at(some, cells, heard)
        np.minimum.at(fewest, cells, samples)
        return np.where(some > 0, total, np.nan).reshape(shape), fewest.reshape(shape)

    def arrays(self) -> dict[str, Array]:
        """Return the live state with devices along the last axis."""
        return self._apart.arrays()

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """Everything is in the arrays."""

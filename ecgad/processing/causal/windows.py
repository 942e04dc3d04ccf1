"""What is kept of a recording for as long as it is needed, and what is read off it."""

import numpy as np
from numpy.typing import DTypeLike


class Buffer:
    """The latest samples of some rows, (n_rows, n), counted from the recording's first.

    n_zeros: how many zeros stand before the first; their numbers are below 0.
    """

    def __init__(self, n_rows: int, n_zeros: int = 0, dtype: DTypeLike = float) -> None:
        self.first = -n_zeros
        self._values = np.zeros((n_rows, n_zeros), dtype)

    @property
    def end(self) -> int:
        """The number of the sample that comes next."""
        return self.first + self._values.shape[1]

    def append(self, values: np.ndarray) -> None:
        """Take the next samples, (n_rows, n)."""
        self._values = np.concatenate([self._values, values], axis=1)

    def get(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from start to stop, as far as they are there."""
        return self._values[:, max(0, start - self.first) : max(0, stop - self.first)]

    def forget(self, before: int) -> None:
        """Drop what comes before a sample."""
        if before > self.first:
            self._values = self._values[:, before - self.first :].copy()
            self.first = before

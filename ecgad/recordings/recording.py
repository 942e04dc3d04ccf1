"""A recording: leads over time, from whatever file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ecgad.errors import FileError

# To mV, by the unit in lower case.
UNITS = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# Hz: beyond it, a rate is wrong.
LOWEST_RATE, HIGHEST_RATE = 1.0, 100_000.0
# mV: beyond it, a gain or a unit is wrong.
LARGEST = 1e6


@dataclass(frozen=True)
class BeatAnnotations:
    """The annotated beats of a recording, in time.

    samples: int64, (n_beats,). symbols: str, (n_beats,), as in PhysioNet's annotation files.
    left_out: how many annotations are not among them, by reason.
    """

    samples: np.ndarray
    symbols: np.ndarray
    left_out: dict[str, int]


@dataclass(frozen=True)
class Recording:
    """Leads over time, and what is known of them.

    leads: float64, (n_leads, n_samples), in `unit`; NaN where a sample is missing. sampling_rate:
    in Hz. start: when the first sample was taken. annotations: None where nobody has annotated it.
    comments: what its header says besides.
    """

    name: str
    leads: np.ndarray
    lead_names: tuple[str, ...]
    sampling_rate: float
    unit: str = "mV"
    start: datetime | None = None
    annotations: BeatAnnotations | None = None
    comments: tuple[str, ...] = ()


def choose_leads(
    name: str, there: Sequence[str], wanted: Sequence[str | Sequence[str]]
) -> list[int]:
    """Return the indices of the wanted leads among those of the recording `name`.

    wanted: a name each, or several in order of preference. Case does not matter. Raises FileError,
    with the leads that there are.
    """
    folded = [lead.casefold() for lead in there]
    chosen: list[int] = []
    for names in wanted:
        preferred = [names] if isinstance(names, str) else names
        found = [folded.index(n.casefold()) for n in preferred if n.casefold() in folded]
        found = [index for index in found if index not in chosen]
        if not found:
            raise FileError(
                f"record {name} has no lead {' or '.join(preferred)}, only {', '.join(there)}; "
                f"name another as well, in order of preference, or leave the record out"
            )
        chosen.append(found[0])
    return chosen


def largest(values: np.ndarray) -> float:
    """Return the largest magnitude among values, (n,); 0 where all are missing."""
    found = max(values.max(), -values.min())
    if np.isnan(found):
        values = values[~np.isnan(values)]
        found = np.abs(values).max() if len(values) else 0.0
    return float(found)

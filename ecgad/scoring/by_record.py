"""Scores that are adapted to the start of the record that a beat is of."""

import numpy as np

from ecgad.runtime import processes
from ecgad.runtime.reading import read_rows
from ecgad.scoring.scorer import Scorer


def sharded_scores(
    scorer: Scorer, beats: np.ndarray, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Return scores, float64 (n_beats,), of scaled beats, of which each rank scores its share."""
    first, last = processes.shard(len(beats), scorer.model.members[0].scored_at_once)
    of_shard = None if lengths is None else lengths[first:last]
    return processes.all_gather(scorer.scores(beats[first:last], of_shard))


def adapted_scores(
    scorer: Scorer,
    beats: np.ndarray,
    lengths: np.ndarray | None,
    records: np.ndarray,
    times: np.ndarray,
    minutes: float,
) -> np.ndarray:
    """Return scores, float64 (n_beats,), of scaled beats; each record is adapted to by itself.

    The first `minutes` of a record are scored by `scorer` as it is, what follows by what it is when
    adapted to them: the part of a record that ANSI/AAMI EC57 grants for it. records: (n_beats,).
    times: (n_beats,), in seconds from the record's start. Records are shared out among the ranks.
    Raises ConfigError where the score cannot be adapted.
    """
    records, early = np.asarray(records), np.asarray(times) < 60 * minutes
    adapted = np.full((1, len(beats)), np.nan)
    for record in np.unique(records)[processes.RANK :: processes.SIZE]:
        first = np.flatnonzero((records == record) & early)
        later = np.flatnonzero((records == record) & ~early)
        if len(first) and len(later):
            own = scorer.adapted(*_take(beats, lengths, first))
            adapted[0, later] = own.scores(*_take(beats, lengths, later))
    # Each beat was scored by one rank at most.
    by_rank = processes.all_gather(adapted)
    scored = ~np.isnan(by_rank).all(axis=0)
    plain = sharded_scores(scorer, beats, lengths)
    return np.where(scored, np.nansum(by_rank, axis=0), plain)


def _take(
    beats: np.ndarray, lengths: np.ndarray | None, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    return read_rows(beats, indices), None if lengths is None else lengths[indices]

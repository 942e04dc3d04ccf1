"""Which beats are worth looking at."""

from collections.abc import Mapping

import numpy as np

from ecgad.data.beats import ANOMALOUS, NORMAL, Beats
from ecgad.scoring.thresholds import Threshold

# Of each kind, as many as a picture can ask for.
N_EXAMPLES = 24
# More points of the latent space would hide one another.
N_ENCODED = 5000


def judged(splits: Mapping[str, Beats]) -> list[str]:
    """Return the splits that examples are of: test of labelled beats, all of others."""
    return list(splits) if splits["test"].labels is None else ["test"]


def take_examples(splits: Mapping[str, Beats], indices: np.ndarray) -> Beats:
    """Return beats by their indices in the judged splits, one after the other."""
    first, parts, order = 0, [], []
    for beats in (splits[name] for name in judged(splits)):
        within = np.flatnonzero((indices >= first) & (indices < first + len(beats)))
        parts.append(beats.take(indices[within] - first))
        order.append(within)
        first += len(beats)
    return Beats.concatenate(parts).take(np.argsort(np.concatenate(order)))


def choose_examples(
    scores: Mapping[str, np.ndarray], splits: Mapping[str, Beats], threshold: Threshold
) -> dict[str, np.ndarray]:
    """Choose telling beats, by kind, the most telling first; at most N_EXAMPLES of each.

    Returns their indices, as `take_examples` takes them. scores: by split, (n_beats,). `normal` and
    `anomalous` are typical ones, with scores near the median of their class, the classes of anomaly
    taking turns. `false_alarm` and `missed` are called wrongly: in `_worst` the scores furthest
    from the threshold come first, in `_mildest` the nearest. Without labels there are the `lowest`
    and `highest` scores instead.
    """
    return _choose(np.concatenate([scores[name] for name in judged(splits)]), splits, threshold)


def _choose(
    scores: np.ndarray, splits: Mapping[str, Beats], threshold: Threshold
) -> dict[str, np.ndarray]:
    beats = splits["test"]
    if beats.labels is None:
        indices = np.arange(len(scores))
        return {"lowest": _lowest(indices, scores), "highest": _lowest(indices, -scores)}
    labels, symbols = np.asarray(beats.labels), np.asarray(beats.symbols)
    flagged = threshold.predict(scores) == ANOMALOUS
    false_alarms = np.flatnonzero(flagged & (labels == NORMAL))
    missed = np.flatnonzero(~flagged & (labels == ANOMALOUS))
    typical = {
        label: _in_turns(
            [
                _nearest_median(scores, np.flatnonzero((symbols == symbol) & (labels == label)))
                for symbol in np.unique(symbols[labels == label])
            ]
        )
        for label in (NORMAL, ANOMALOUS)
    }
    return {
        "normal": typical[NORMAL],
        "anomalous": typical[ANOMALOUS],
        "false_alarm_worst": _lowest(false_alarms, -scores[false_alarms]),
        "false_alarm_mildest": _lowest(false_alarms, scores[false_alarms]),
        "missed_worst": _lowest(missed, scores[missed]),
        "missed_mildest": _lowest(missed, -scores[missed]),
    }


def choose_to_encode(beats: Beats) -> np.ndarray:
    """Return the indices of the beats whose codes are kept: evenly spaced, at most N_ENCODED."""
    n = min(len(beats), N_ENCODED)
    return np.linspace(0, len(beats) - 1, n).round().astype(int)


def _lowest(indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the N_EXAMPLES of the indices with the lowest values, the lowest first."""
    if len(indices) > N_EXAMPLES:
        few = values <= np.partition(values, N_EXAMPLES - 1)[N_EXAMPLES - 1]
        indices, values = indices[few], values[few]
    return indices[np.argsort(values, kind="stable")][:N_EXAMPLES]


def _nearest_median(scores: np.ndarray, indices: np.ndarray) -> np.ndarray:
    distances = scores[indices]
    distances -= np.median(distances)
    return _lowest(indices, np.abs(distances, out=distances))


def _in_turns(groups: list[np.ndarray]) -> np.ndarray:
    """Take the first of each group, then the second of each, and so on; N_EXAMPLES in all."""
    turns = [group[turn] for turn in range(N_EXAMPLES) for group in groups if turn < len(group)]
    return np.array(turns[:N_EXAMPLES])

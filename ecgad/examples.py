"""Which beats are worth looking at."""

import numpy as np

from ecgad.data.beats import ANOMALOUS, NORMAL, Beats
from ecgad.thresholds import Threshold

# Of each kind, as many as a picture can ask for.
N_EXAMPLES = 12
# More points of the latent space would hide one another.
N_ENCODED = 5000


def choose_examples(
    scores: np.ndarray, beats: Beats, threshold: Threshold
) -> dict[str, np.ndarray]:
    """Places of telling beats, by kind, the most telling first; at most N_EXAMPLES of each.

    scores: (n_beats,). `normal` and `anomalous` are typical ones, with scores near the median of
    their class, the classes of anomaly taking turns. `false_alarm` and `missed` are the verdicts
    that are wrong: `_worst` by the furthest, `_mildest` by the least. Without labels there are the
    beats of `lowest` and `highest` score instead.
    """
    ascending = np.argsort(scores, kind="stable")
    if beats.labels is None:
        return {"lowest": ascending[:N_EXAMPLES], "highest": ascending[::-1][:N_EXAMPLES]}
    labels, symbols = np.asarray(beats.labels), np.asarray(beats.symbols)
    flagged = threshold.predict(scores) == ANOMALOUS
    false_alarms = ascending[(flagged & (labels == NORMAL))[ascending]]
    missed = ascending[(~flagged & (labels == ANOMALOUS))[ascending]]
    typical = {
        label: _in_turns(
            [
                _nearest_median(scores, np.flatnonzero((symbols == symbol) & (labels == label)))
                for symbol in np.unique(symbols[labels == label])
            ]
        )
        for label in (NORMAL, ANOMALOUS)
    }
    chosen = {
        "normal": typical[NORMAL],
        "anomalous": typical[ANOMALOUS],
        "false_alarm_worst": false_alarms[::-1],
        "false_alarm_mildest": false_alarms,
        "missed_worst": missed,
        "missed_mildest": missed[::-1],
    }
    return {kind: places[:N_EXAMPLES] for kind, places in chosen.items()}


def choose_to_encode(beats: Beats) -> np.ndarray:
    """Places of the beats whose codes are kept: evenly spaced, at most N_ENCODED."""
    n = min(len(beats), N_ENCODED)
    return np.linspace(0, len(beats) - 1, n).round().astype(int)


def _nearest_median(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    distance = np.abs(scores[places] - np.median(scores[places]))
    return places[np.argsort(distance, kind="stable")]


def _in_turns(groups: list[np.ndarray]) -> np.ndarray:
    """The first of each group, then the second of each, and so on."""
    longest = max(map(len, groups))
    return np.array(
        [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
    )

"""Which beats are for training, validation and test."""

import numpy as np

from ecgad.data.beats import Beats
from ecgad.errors import ConfigError

SPLITS = ("train", "validation", "test")


def split_beats(
    beats: Beats, fractions: tuple[float, float, float], seed: int, keep_test: bool = False
) -> dict[str, np.ndarray]:
    """Places of the beats of each split, in the source's order; stratified by class, seeded.

    A class is dealt out in proportion, as nearly as whole beats allow. With `keep_test` the test
    split is the source's own, and the rest is divided in the ratio of the first two fractions.
    Raises ConfigError where a split would lack normal beats, or, of labelled beats, anomalous ones
    (training needs none).
    """
    rng = np.random.default_rng(seed)
    in_test = np.zeros(len(beats), bool)
    if keep_test:
        assert beats.in_test is not None
        in_test = beats.in_test
        fractions = (fractions[0], fractions[1], 0.0)
    ends = np.cumsum(fractions) / sum(fractions)

    dealt: list[list[np.ndarray]] = [[], [], [np.flatnonzero(in_test)]]
    for symbol in np.unique(beats.symbols):
        rows = rng.permutation(np.flatnonzero((beats.symbols == symbol) & ~in_test))
        cuts = np.rint(ends * len(rows)).astype(int)
        for part, rows_of_part in zip(dealt, np.split(rows, cuts[:-1]), strict=True):
            part.append(rows_of_part)
    splits = {name: np.sort(np.concatenate(part)) for name, part in zip(SPLITS, dealt, strict=True)}

    for name, rows in splits.items():
        part_of = beats.take(rows)
        n_normal = len(part_of.normals)
        lacking = "normal" if not n_normal else ""
        if beats.labels is not None and name != "train" and n_normal == len(rows):
            lacking = "anomalous"
        if lacking:
            raise ConfigError(
                f"too few beats to split: of {len(beats)} beats ({_counts(beats)}), the {name} "
                f"split would get no {lacking} one; give more beats or change data.split.fractions"
            )
    return splits


def _counts(beats: Beats) -> str:
    return ", ".join(f"class {symbol}: {n}" for symbol, n in beats.class_counts.items())

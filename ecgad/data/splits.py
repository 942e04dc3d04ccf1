"""Which beats are for training, validation and test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ecgad.config.experiment import SplitConfig
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats
from ecgad.errors import ConfigError

SPLITS = ("train", "validation", "test")


def hide_anomalies(beats: Beats, share: float, seed: int) -> Beats:
    """Training beats, of which some anomalous ones at random are labelled normal.

    share: which part of the beats labelled normal they are then, or all anomalous beats where there
    are fewer. Their classes are left as they are.
    """
    if not share or beats.labels is None:
        return beats
    labels = np.array(beats.labels)
    anomalous = np.flatnonzero(labels == ANOMALOUS)
    n_hidden = round(share / (1 - share) * len(beats.normals))
    labels[np.random.default_rng(seed).permutation(anomalous)[:n_hidden]] = NORMAL
    return replace(beats, labels=labels)


@dataclass(frozen=True)
class Recording:
    """What is known of a record before its signal is read.

    group: what the patients are stratified by, such as the diagnosis.
    """

    name: str
    patient: str
    group: str = ""


@dataclass
class Tally:
    """How many beats a split has got."""

    by_class: Counter[str] = field(default_factory=Counter)
    normal: int = 0

    @property
    def total(self) -> int:
        return self.by_class.total()


class Dealer:
    """Deals beats, which may come in parts, to training, validation and test.

    sides: the split of each record, by `sides_of_recordings`; None where beats are dealt one by
    one. That is stratified by class and seeded: a class is dealt out in proportion, as nearly as
    whole beats allow, over the parts that have come so far.
    """

    def __init__(
        self, config: SplitConfig, seed: int, sides: Mapping[str, str] | None = None
    ) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.sides = sides
        self.dealt: dict[str, np.ndarray] = {}
        self.tallies = {split: Tally() for split in SPLITS}
        self.labelled = True

    def deal(self, beats: Beats) -> dict[str, np.ndarray]:
        """Places of the beats of each split, in the order of `beats`."""
        if self.sides is None:
            splits = self._one_by_one(beats)
        else:
            assert beats.records is not None
            side = np.array([self.sides[record] for record in beats.records.tolist()])
            splits = {split: np.flatnonzero(side == split) for split in SPLITS}
        self.labelled = beats.labels is not None
        for split, places in splits.items():
            part = beats.take(places)
            self.tallies[split].by_class += Counter(part.class_counts)
            self.tallies[split].normal += len(part.normals)
        return splits

    def check(self) -> None:
        """Raise ConfigError where a split has no normal beats, or, of labelled beats, no anomalous
        ones (training needs none).
        """
        total = Counter[str]()
        for tally in self.tallies.values():
            total += tally.by_class
        counts = ", ".join(f"class {symbol}: {n}" for symbol, n in total.most_common())
        if not total:
            raise ConfigError(
                "not one beat could be cut; look at the window, the classes and the records of the "
                "source"
            )
        key = "records" if self.config.method == "records" else "fractions"
        for split, tally in self.tallies.items():
            lacking = "" if tally.normal else "normal"
            if self.labelled and split != "train" and tally.normal == tally.total:
                lacking = "anomalous"
            if lacking:
                raise ConfigError(
                    f"too few beats to split: of {total.total()} beats ({counts}), the {split} "
                    f"split would get no {lacking} one; give more beats or change "
                    f"data.split.{key}"
                )

    def _one_by_one(self, beats: Beats) -> dict[str, np.ndarray]:
        kept = np.zeros(len(beats), bool)
        if self.config.method == "source":
            assert beats.in_test is not None
            kept = beats.in_test
        none = np.empty(0, int)
        dealt: list[list[np.ndarray]] = [[none], [none], [np.flatnonzero(kept)]]
        for symbol in np.unique(beats.symbols[~kept]):
            places = self.rng.permutation(np.flatnonzero((beats.symbols == symbol) & ~kept))
            anomalous = beats.labels is not None and beats.labels[places[0]] == ANOMALOUS
            cuts = np.cumsum(self._shares(str(symbol), len(places), anomalous))[:-1]
            for part, places_of_part in zip(dealt, np.split(places, cuts), strict=True):
                part.append(places_of_part)
        return {
            split: np.sort(np.concatenate(part)) for split, part in zip(SPLITS, dealt, strict=True)
        }

    def _shares(self, symbol: str, n: int, anomalous: bool) -> np.ndarray:
        """How many of `n` more beats of a class each split gets."""
        fractions = self.config.fractions
        if anomalous and self.config.anomalous_fractions is not None:
            fractions = self.config.anomalous_fractions
        if self.config.method == "source":
            fractions = (fractions[0], fractions[1], 0.0)
        before = self.dealt.get(symbol, np.zeros(len(SPLITS), int))
        shares = proportional(before.sum() + n, fractions) - before
        while (shares < 0).any():
            # Rounding would take a beat back from one split: take it from the largest share.
            shares[shares.argmax()] -= 1
            shares[shares.argmin()] += 1
        self.dealt[symbol] = before + shares
        return shares


def proportional(n: int, fractions: Sequence[float]) -> np.ndarray:
    """`n` as whole numbers in the ratio of the fractions, (n_fractions,)."""
    ends = np.cumsum(fractions) / sum(fractions)
    return np.diff(np.rint(ends * n).astype(int), prepend=0)


def sides_of_recordings(
    recordings: Sequence[Recording], config: SplitConfig, seed: int
) -> dict[str, str] | None:
    """The split of each recording, by name; None where beats are dealt one by one.

    Raises ConfigError where a patient would be on two sides and the config does not allow it.
    """
    match config.method:
        case "records":
            assert config.records is not None
            listed = {name: split for split in SPLITS for name in getattr(config.records, split)}
            sides = {r.name: listed[r.name] for r in recordings if r.name in listed}
        case "patients":
            sides = _deal_patients(recordings, config, seed)
        case _:
            if recordings and not config.allow_patient_overlap:
                raise ConfigError(
                    f"data.split.method: {config.method} deals out the beats of a patient to "
                    f"training and test alike; take patients or records, or set "
                    f"data.split.allow_patient_overlap: true"
                )
            return None
    if not config.allow_patient_overlap:
        seen: dict[str, Recording] = {}
        for recording in recordings:
            if recording.name not in sides:
                continue
            other = seen.setdefault(recording.patient, recording)
            if sides[other.name] != sides[recording.name]:
                raise ConfigError(
                    f"records {other.name} ({sides[other.name]}) and {recording.name} "
                    f"({sides[recording.name]}) are of one patient; put them on one side, or set "
                    f"data.split.allow_patient_overlap: true"
                )
    return sides


def _deal_patients(
    recordings: Sequence[Recording], config: SplitConfig, seed: int
) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    groups = {recording.patient: recording.group for recording in recordings}
    side_of_patient: dict[str, str] = {}
    for group in sorted(set(groups.values())):
        patients = rng.permutation(sorted(p for p, of in groups.items() if of == group))
        names = np.repeat(SPLITS, proportional(len(patients), config.fractions))
        side_of_patient |= dict(zip(patients.tolist(), names.tolist(), strict=True))
    return {recording.name: side_of_patient[recording.patient] for recording in recordings}

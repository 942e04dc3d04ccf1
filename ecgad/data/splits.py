"""Which beats are for training, validation and test."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ecgad.config.data import SplitConfig
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats
from ecgad.data.sources.source import Record
from ecgad.errors import ConfigError

SPLITS = ("train", "validation", "test")


@dataclass
class Tally:
    """How many beats a split has got. anomalous: the classes that are labelled so."""

    by_class: Counter[str] = field(default_factory=Counter)
    normal: int = 0
    anomalous: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return self.by_class.total()


class SplitAssignment:
    """Assigns beats, which may come in parts, to training, validation and test.

    by_record: the split of each record, by `splits_of_records`; None where beats are assigned one
    by one. That is stratified by class and seeded: a class is divided in proportion, as nearly as
    whole beats allow, over the parts that have come so far.
    """

    def __init__(
        self, config: SplitConfig, seed: int, by_record: Mapping[str, str] | None = None
    ) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.by_record = by_record
        self.assigned: dict[str, np.ndarray] = {}
        self.tallies = {split: Tally() for split in SPLITS}
        self.labelled = True

    def assign(self, beats: Beats) -> Iterator[tuple[str, Beats]]:
        """Give the beats of each split, in the order of `beats`."""
        for split, indices in self.indices(beats).items():
            part = beats.take(indices)
            self.tallies[split].by_class += Counter(part.class_counts)
            self.tallies[split].normal += len(part.normals)
            if part.labels is not None:
                of_anomalous = np.unique(part.symbols[part.labels == ANOMALOUS])
                self.tallies[split].anomalous.update(of_anomalous.tolist())
            yield split, part

    def indices(self, beats: Beats) -> dict[str, np.ndarray]:
        """Return the indices of the beats of each split, ascending."""
        self.labelled = beats.labels is not None
        if self.by_record is None:
            return self._one_by_one(beats)
        assert beats.records is not None
        split_of = np.array([self.by_record[record] for record in beats.records.tolist()])
        return {split: np.flatnonzero(split_of == split) for split in SPLITS}

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
        chosen: list[list[np.ndarray]] = [[none], [none], [np.flatnonzero(kept)]]
        for symbol in np.unique(beats.symbols[~kept]):
            indices = self.rng.permutation(np.flatnonzero((beats.symbols == symbol) & ~kept))
            anomalous = beats.labels is not None and beats.labels[indices[0]] == ANOMALOUS
            ends = np.cumsum(self._shares(str(symbol), len(indices), anomalous))[:-1]
            for part, of_part in zip(chosen, np.split(indices, ends), strict=True):
                part.append(of_part)
        return {
            split: np.sort(np.concatenate(part)) for split, part in zip(SPLITS, chosen, strict=True)
        }

    def _shares(self, symbol: str, n: int, anomalous: bool) -> np.ndarray:
        """Return how many of `n` more beats of a class each split gets."""
        fractions = self.config.fractions
        if anomalous and self.config.anomalous_fractions is not None:
            fractions = self.config.anomalous_fractions
        if self.config.method == "source":
            fractions = (fractions[0], fractions[1], 0.0)
        before = self.assigned.get(symbol, np.zeros(len(SPLITS), int))
        shares = proportional(before.sum() + n, fractions) - before
        while (shares < 0).any():
            # Rounding would take a beat back from one split: take it from the largest share.
            shares[shares.argmax()] -= 1
            shares[shares.argmin()] += 1
        self.assigned[symbol] = before + shares
        return shares


def proportional(n: int, fractions: Sequence[float]) -> np.ndarray:
    """Divide `n` into whole numbers in the ratio of the fractions, (n_fractions,)."""
    ends = np.cumsum(fractions) / sum(fractions)
    return np.diff(np.rint(ends * n).astype(int), prepend=0)


def splits_of_records(
    records: Sequence[Record], config: SplitConfig, seed: int
) -> dict[str, str] | None:
    """Return the split of each record, by name; None where beats are assigned one by one.

    Raises ConfigError where a patient would be in two splits and the config does not allow it.
    """
    match config.method:
        case "records":
            assert config.records is not None
            listed = {name: split for split in SPLITS for name in getattr(config.records, split)}
            by_record = {r.name: listed[r.name] for r in records if r.name in listed}
        case "patients":
            by_record = _assign_patients(records, config, seed)
        case _:
            if records and not config.allow_patient_overlap:
                raise ConfigError(
                    f"data.split.method: {config.method} deals out the beats of a patient to "
                    f"training and test alike; take patients or records, or set "
                    f"data.split.allow_patient_overlap: true"
                )
            return None
    if not config.allow_patient_overlap:
        first: dict[str, Record] = {}
        for record in records:
            if record.name not in by_record:
                continue
            other = first.setdefault(record.patient, record)
            if by_record[other.name] != by_record[record.name]:
                raise ConfigError(
                    f"records {other.name} ({by_record[other.name]}) and {record.name} "
                    f"({by_record[record.name]}) are of one patient; put them into one split, or "
                    f"set data.split.allow_patient_overlap: true"
                )
    return by_record


def _assign_patients(records: Sequence[Record], config: SplitConfig, seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    groups = {record.patient: record.group for record in records}
    split_of: dict[str, str] = {}
    for group in sorted(set(groups.values())):
        patients = rng.permutation(sorted(p for p, of in groups.items() if of == group))
        names = np.repeat(SPLITS, proportional(len(patients), config.fractions))
        split_of |= dict(zip(patients.tolist(), names.tolist(), strict=True))
    return {record.name: split_of[record.patient] for record in records}


def hide_anomalies(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Label some anomalous training beats normal, at random: what nobody has noticed in real data.

    labels: int8, (n_beats,), of the whole training split; a changed copy is returned. share: which
    part of the beats labelled normal they are then, or all anomalous beats where there are fewer.
    """
    labels = labels.copy()
    anomalous = np.flatnonzero(labels == ANOMALOUS)
    n_hidden = round(share / (1 - share) * int((labels == NORMAL).sum()))
    labels[np.random.default_rng(seed).permutation(anomalous)[:n_hidden]] = NORMAL
    return labels

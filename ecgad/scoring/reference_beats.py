"""Reference beats: a random subsample of the training normals, which scores compare with."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ecgad.config.training import TrainingConfig
from ecgad.data.beats import Beats
from ecgad.errors import ConfigError
from ecgad.models import Autoencoder
from ecgad.scoring.components import COMPONENTS
from ecgad.scoring.inference import Features, compute_features, encode

# No more beats, and no more numbers in the codes of a member: some 20 MB. No more of them in the
# beats themselves, which each member keeps.
MOST_BEATS = 10_000
MOST_NUMBERS = 5_000_000
ALL_FEATURES = frozenset(component.feature for component in COMPONENTS.values())


@dataclass(frozen=True)
class ReferenceBeats:
    """The features of reference beats. members: those that each network makes of them."""

    members: list[Features]

    def __len__(self) -> int:
        return max(map(len, self.members[0].values()))

    def only(self, needed: Set[str]) -> "ReferenceBeats":
        """Return the reference beats with the needed features alone."""
        return ReferenceBeats([{name: of[name] for name in sorted(needed)} for of in self.members])

    def to_dict(self) -> dict[str, list[dict[str, Tensor]]]:
        """Return tensors, for a file."""
        return {
            "members": [
                {name: torch.from_numpy(of[name]) for name in sorted(of)} for of in self.members
            ]
        }

    @classmethod
    def from_dict(cls, content: dict[str, list[dict[str, Tensor]]]) -> Self:
        """Return the reference beats of `to_dict`."""
        return cls([{k: v.numpy() for k, v in of.items()} for of in content["members"]])


def choose_reference_beats(
    model: Autoencoder, train: Beats, config: TrainingConfig, seed: int
) -> ReferenceBeats:
    """Draw normals of the scaled training split, and keep what the trained model makes of them.

    The worst reconstructed, the share `config.trimmed` of all, are left out first. Raises
    ConfigError where fewer are left than `training.coreset` asks for.
    """
    timing, normals = train.format.timing, train.normals
    if config.trimmed:
        of_members = [
            compute_features(member, train.waveforms, train.lengths, timing, {"mae"})["mae"]
            for member in model.members
        ]
        errors = sum(of_members[1:], of_members[0]) / len(of_members)
        errors = errors[normals]
        kept = max(1, round((1 - config.trimmed) * len(normals)))
        normals = np.sort(normals[np.argsort(errors)[:kept]])
    size = config.coreset
    if size is None:
        code_size = encode(model.members[0], train.waveforms[:1]).size
        size = min(len(normals), MOST_BEATS, max(1, MOST_NUMBERS // code_size))
    check_size(size, len(normals))
    rng = np.random.default_rng(seed)
    chosen = train.take(np.sort(rng.choice(normals, size, replace=False)))
    needed = ALL_FEATURES - {"beats"}
    reference = compute_reference(model, chosen.waveforms, chosen.lengths, timing, needed)
    beats = chosen.waveforms[:, : model.n_leads].reshape(size, -1)
    step = math.ceil(beats.size * len(model.members) / MOST_NUMBERS)
    for features in reference.members:
        features["beats"] = beats[::step]
    return reference


def compute_reference(
    model: Autoencoder,
    beats: np.ndarray,
    lengths: np.ndarray | None,
    timing: Sequence[str],
    needed: Set[str] = ALL_FEATURES,
) -> ReferenceBeats:
    """Make reference beats of scaled beats, with the needed features, or all."""
    return ReferenceBeats(
        [compute_features(member, beats, lengths, timing, needed) for member in model.members]
    )


def check_size(size: int | None, n_normals: int) -> None:
    """Raise ConfigError where so many reference beats cannot be had."""
    if size is not None and size > n_normals:
        raise ConfigError(
            f"training.coreset: {size} is more than the {n_normals} normal training beats there "
            f"are to choose from; lower it, or leave it out"
        )

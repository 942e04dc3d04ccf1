"""Anomaly scores: one number a beat, higher = more anomalous.

A score has one component or several. Each is a function of something that a network, or each member
of an ensemble, makes of a beat: its reconstruction error, its code, the beat's timing. Those that
compare with training normals find them in the coreset, which a checkpoint holds.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ecgad.config.experiment import TrainingConfig
from ecgad.data.beats import Beats, read_rows
from ecgad.errors import ConfigError, FileError
from ecgad.models import Autoencoder
from ecgad.runtime import ranks
from ecgad.training.feeding import read_ahead

# Read at a time, in batches of the model's size.
BATCHES_READ = 2
# A coreset holds no more beats, and no more numbers in the codes of a member: some 20 MB.
CORESET_BEATS = 10_000
CORESET_NUMBERS = 5_000_000

# Of a patient's own unlabelled beats, those with the highest scores may be anomalous.
ADAPTATION_TRIM = 0.2

# A neighbour so much nearer than the next is the beat itself, but for rounding.
SAME = 1e-4

# From absolute errors (n_beats, n_leads, n_samples), 0 where they do not count, and the number that
# counts in each beat, (n_beats,) or the same in all, to one number a beat.
ERRORS: dict[str, Callable[[Tensor, Tensor | int], Tensor]] = {
    "mae": lambda errors, counts: errors.sum(dim=(1, 2)) / counts,
    "mse": lambda errors, counts: errors.square().sum(dim=(1, 2)) / counts,
    "max": lambda errors, _: errors.amax(dim=(1, 2)),
}

# What a member makes of beats: errors by name, float64 (n_beats,); `codes`, float32
# (n_beats, code_size); `timing`, float32 (n_beats, n_timing_leads), and `before`, those of them
# that are of the interval before the beat.
Seen = dict[str, np.ndarray]
Component = Callable[[Seen], np.ndarray]


def _error(name: str) -> Callable[[Seen, int], Component]:
    return lambda _known, _neighbours: lambda seen: seen[name]


def _distance(what: str) -> Callable[[Seen, int], Component]:
    """The mean Euclidean distance to the nearest training normals (Ramaswamy et al. 2000).

    A beat of the coreset is not its own neighbour.
    """

    def prepare(known: Seen, neighbours: int) -> Component:
        from scipy.spatial import cKDTree

        tree = cKDTree(known[what])

        def score(seen: Seen) -> np.ndarray:
            apart = tree.query(seen[what], neighbours + 1, workers=-1)[0]
            itself = apart[:, :1] < SAME * apart[:, 1:2]
            return np.where(itself, apart[:, 1:], apart[:, :-1]).mean(axis=1)

        return score

    return prepare


def _mahalanobis(known: Seen, _neighbours: int) -> Component:
    """The distance from the middle of the codes in units of their spread.

    Both by the minimum covariance determinant, which outliers do not move (Rousseeuw & Van Driessen
    1999).
    """
    from sklearn.covariance import MinCovDet

    codes = known["codes"].astype(np.float64)
    scale = codes.std(axis=0) + 1e-12
    with warnings.catch_warnings():
        # Of subsets on a line, which a code of few effective dimensions has; others are taken.
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = MinCovDet(support_fraction=0.75, random_state=0).fit(codes / scale)
    return lambda seen: np.sqrt(spread.mahalanobis(seen["codes"] / scale))


def _prematurity(known: Seen, _neighbours: int) -> Component:
    """How early a beat comes, where it is earlier than the middle of the training normals.

    The exponential of how many standard deviations of theirs it is early by: the mean over the
    intervals before the beat, such as that in seconds and that over the running median.
    """
    middle, spread = np.median(known["before"], axis=0), known["before"].std(axis=0) + 1e-12
    return lambda seen: np.exp(np.maximum(0, (middle - seen["before"]) / spread).mean(axis=1))


# By name: what of `Seen` a component looks at, and how it is prepared from the coreset.
COMPONENTS: dict[str, tuple[str, Callable[[Seen, int], Component]]] = {
    **{name: (name, _error(name)) for name in ERRORS},
    "code_distance": ("codes", _distance("codes")),
    "code_mahalanobis": ("codes", _mahalanobis),
    "timing": ("timing", _distance("timing")),
    "prematurity": ("before", _prematurity),
}


@dataclass(frozen=True)
class Coreset:
    """Some training normals as the members see them: all that scores compare with.

    members: a `Seen` each, with all that COMPONENTS look at.
    """

    members: list[Seen]

    def __len__(self) -> int:
        return len(self.members[0]["codes"])

    def to_dict(self) -> dict[str, list[dict[str, Tensor]]]:
        """As tensors, for a checkpoint."""
        members = [{k: torch.from_numpy(v) for k, v in seen.items()} for seen in self.members]
        return {"members": members}

    @classmethod
    def from_dict(cls, content: dict[str, list[dict[str, Tensor]]]) -> "Coreset":
        """The coreset of `to_dict`."""
        return cls([{k: v.numpy() for k, v in seen.items()} for seen in content["members"]])


def choose_coreset(model: Autoencoder, train: Beats, config: TrainingConfig, seed: int) -> Coreset:
    """Normals of the scaled training split at random, as the trained model sees them.

    The share `config.trimmed` of them, the worst reconstructed, cannot be chosen. Raises
    ConfigError where there are fewer than `training.coreset`.
    """
    places = train.normals
    if config.trimmed:
        errors = Scorer(model, {"mae": 1}, None).scores(train.beats, train.lengths)[places]
        kept = max(1, round((1 - config.trimmed) * len(places)))
        places = np.sort(places[np.argsort(errors)[:kept]])
    size = config.coreset
    if size is None:
        code_size = encode(model.members[0], train.beats[:1]).size
        size = min(len(places), CORESET_BEATS, max(1, CORESET_NUMBERS // code_size))
    check_coreset(size, len(places))
    rng = np.random.default_rng(seed)
    chosen = train.take(np.sort(rng.choice(places, size, replace=False)))
    needed = {what for what, _ in COMPONENTS.values()}
    return Coreset(
        [
            observe(member, chosen.beats, chosen.lengths, train.timing, needed)
            for member in model.members
        ]
    )


def check_coreset(size: int | None, n_normals: int) -> None:
    """Raise ConfigError where a coreset of that size cannot be had."""
    if size is not None and size > n_normals:
        raise ConfigError(
            f"training.coreset: {size} is more than the {n_normals} normal training beats there "
            f"are to choose from; lower it, or leave it out"
        )


class Scorer:
    """Scores scaled beats by a model, with the components that a config names.

    A single reconstruction error is the score as it is, the mean over the members. Otherwise each
    component of each member is divided by its median over training normals, and the score is the
    weighted geometric mean of these: a typical normal beat scores 1.
    """

    def __init__(
        self,
        model: Autoencoder,
        components: Mapping[str, float],
        coreset: Coreset | None,
        neighbours: int = 5,
        timing: Sequence[str] = (),
    ) -> None:
        """Prepare the components, each with its weight.

        coreset: only a single reconstruction error needs none. timing: the names of the last
        leads, which are timing features. Raises FileError where a component is unknown, ConfigError
        where the coreset or the beats lack what it needs.
        """
        for name in components:
            if name not in COMPONENTS:
                raise FileError(
                    f"score component {name} is not in this version of ecgad, which has "
                    f"{', '.join(COMPONENTS)}; use the version that wrote it, or evaluate again"
                )
        self.model = model
        self.components = dict(components)
        self.coreset = coreset
        self.neighbours = neighbours
        self.timing = timing
        self.plain = len(components) == 1 and components.keys() <= ERRORS.keys()
        for name, columns in (("timing", timing), ("prematurity", before(timing))):
            if name in components and not columns:
                raise ConfigError(
                    f"evaluation.score: {name} needs beats with timing features; set the timing of "
                    f"source wfdb or ptbdb, or take another component"
                )
        self.prepared: list[list[tuple[Component, float]]] = []
        if self.plain:
            return
        if coreset is None:
            raise FileError("the checkpoint holds no coreset, which this score needs; train again")
        if neighbours >= len(coreset):
            raise ConfigError(
                f"evaluation.neighbours: a beat of a coreset of {len(coreset)} has fewer than "
                f"{neighbours} neighbours there; lower it"
            )
        for seen in coreset.members:
            self.prepared.append([_on_scale(name, seen, neighbours) for name in self.components])

    def scores(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Scores, float64 (n_beats,), of scaled beats, float32 (n_beats, n_leads, n_samples).

        lengths: int, (n_beats,): errors beyond them, in the padding, do not count; None: nothing is
        padded.
        """
        needed = {COMPONENTS[name][0] for name in self.components}
        members = (
            observe(member, beats, lengths, self.timing, needed) for member in self.model.members
        )
        if self.plain:
            (name,) = self.components
            total = next(members)[name]
            for seen in members:
                total += seen[name]
            total /= len(self.model.members)
            return total
        weights = list(self.components.values())
        logarithms = [
            np.average([_logarithm(of(seen)) - median for of, median in prepared], 0, weights)
            for seen, prepared in zip(members, self.prepared, strict=True)
        ]
        return np.exp(np.mean(logarithms, axis=0))

    def adapted(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> "Scorer":
        """This score for the patient whose scaled, unlabelled beats these are.

        They join the training normals that it compares with, but for the share ADAPTATION_TRIM of
        them with the highest scores. Raises ConfigError where the score is an error alone, which
        compares with none.
        """
        if self.plain or self.coreset is None:
            raise ConfigError(
                "evaluation.adaptation_minutes: a score that is a reconstruction error alone "
                "compares with no beats; add code_distance to evaluation.score"
            )
        order = np.argsort(self.scores(beats, lengths), kind="stable")
        own = np.sort(order[: math.ceil((1 - ADAPTATION_TRIM) * len(order))])
        of_own = None if lengths is None else lengths[own]
        members = []
        for member, known in zip(self.model.members, self.coreset.members, strict=True):
            seen = observe(member, beats[own], of_own, self.timing, set(known))
            members.append({what: np.concatenate([known[what], seen[what]]) for what in known})
        return Scorer(self.model, self.components, Coreset(members), self.neighbours, self.timing)


def shared_scores(scorer: Scorer, beats: Beats) -> np.ndarray:
    """Scores, float64 (n_beats,), of scaled beats, of which each rank scores its share."""
    first, last = ranks.share(len(beats), scorer.model.members[0].scored_at_once)
    lengths = None if beats.lengths is None else beats.lengths[first:last]
    return ranks.gathered(scorer.scores(beats.beats[first:last], lengths))


def adapted_scores(scorer: Scorer, beats: Beats, minutes: float) -> np.ndarray:
    """Scores, float64 (n_beats,), of scaled beats of records, each by a score of its own.

    The first `minutes` of a record are scored by `scorer` as it is, what follows by what it is when
    adapted to them: the part of a record that ANSI/AAMI EC57 grants for it. Records are shared out
    among the ranks. Raises ConfigError where the beats are not of records, or the score cannot be
    adapted.
    """
    if beats.times is None or beats.records is None:
        raise ConfigError(
            "evaluation.adaptation_minutes: these beats are of no records; leave it out"
        )
    records, early = np.asarray(beats.records), np.asarray(beats.times) < 60 * minutes
    adapted = np.full((1, len(beats)), np.nan)
    for record in np.unique(records)[ranks.RANK :: ranks.SIZE]:
        first = beats.take(np.flatnonzero((records == record) & early))
        places = np.flatnonzero((records == record) & ~early)
        if len(first) and len(places):
            later = beats.take(places)
            own = scorer.adapted(first.beats, first.lengths)
            adapted[0, places] = own.scores(later.beats, later.lengths)
    # Each beat was scored by one rank at most.
    by_rank = ranks.gathered(adapted)
    scored = ~np.isnan(by_rank).all(axis=0)
    return np.where(scored, np.nansum(by_rank, axis=0), shared_scores(scorer, beats))


def _on_scale(name: str, known: Seen, neighbours: int) -> tuple[Component, float]:
    """A component, and the median of its logarithm over the coreset."""
    component = COMPONENTS[name][1](known, neighbours)
    return component, float(np.median(_logarithm(component(known))))


def _logarithm(values: np.ndarray) -> np.ndarray:
    # A beat that is a training beat itself has distance 0.
    return np.log(np.maximum(values, 1e-12))


def before(timing: Sequence[str]) -> list[int]:
    """Which of the timing features are of the interval before the beat."""
    return [place for place, name in enumerate(timing) if "previous" in name]


@torch.inference_mode()
def observe(
    member: Autoencoder,
    beats: np.ndarray,
    lengths: np.ndarray | None,
    timing: Sequence[str],
    needed: set[str],
) -> Seen:
    """What a member makes of scaled beats (n_beats, n_leads, n_samples), as far as it is needed.

    timing: names of the last leads, which are timing features.
    """
    member.eval()
    seen: Seen = {}
    for start, batch in _batches(member, beats):

        def keep(what: str, made: Tensor, start: int = start) -> None:
            # Into one array: small ones, kept among the large of each batch, would split memory up.
            if what not in seen:
                seen[what] = np.empty((len(beats), *made.shape[1:]), made.cpu().numpy().dtype)
            seen[what][start : start + len(made)] = made.cpu()

        codes = member.encode(batch)
        if "codes" in needed:
            keep("codes", codes)
        if needed & {"timing", "before"}:
            intervals = batch[:, batch.shape[1] - len(timing) :].mean(dim=2)
            keep("timing", intervals)
            keep("before", intervals[:, before(timing)])
        if not needed & ERRORS.keys():
            continue
        errors = member.decode(codes).sub_(batch).abs_()
        counts: Tensor | int = batch.shape[1] * batch.shape[2]
        if lengths is not None:
            of_batch = torch.from_numpy(lengths[start : start + len(batch)].astype(np.int64))
            of_batch = of_batch.to(batch.device)
            places = torch.arange(batch.shape[2], device=batch.device)
            errors = errors * (places < of_batch[:, None])[:, None]
            counts = of_batch * batch.shape[1]
        for name in needed & ERRORS.keys():
            keep(name, ERRORS[name](errors, counts).double())
    return seen


@torch.no_grad()
def encode(model: Autoencoder, beats: np.ndarray) -> np.ndarray:
    """Codes, float32 (n_beats, code_size), of scaled beats (n_beats, n_leads, n_samples)."""
    model.eval()
    return torch.cat([model.encode(batch).cpu() for _, batch in _batches(model, beats)]).numpy()


@torch.no_grad()
def reconstruct(model: Autoencoder, beats: np.ndarray) -> np.ndarray:
    """Reconstructions of scaled beats (n_beats, n_leads, n_samples), in scaled units."""
    model.eval()
    return torch.cat([model(batch).cpu() for _, batch in _batches(model, beats)]).numpy()


def _batches(model: Autoencoder, beats: np.ndarray) -> Iterator[tuple[int, Tensor]]:
    """Beats, some at a time, with the place of the first of them; a thread reads ahead."""
    device, size = next(model.parameters()).device, model.scored_at_once
    starts = range(0, max(1, len(beats)), size * BATCHES_READ)
    chunks = read_ahead(lambda at: read_rows(beats, slice(at, at + starts.step)), starts)
    for start, chunk in zip(starts, chunks, strict=True):
        # An empty share of beats is one empty batch.
        for place in range(0, max(1, len(chunk)), size):
            yield start + place, torch.from_numpy(chunk[place : place + size]).to(device)

"""What was tried on training and validation beats alone, by cross-validation.

There are five folds: of whole records where the beats are of records, else of beats. A network is
trained on the normal beats of four folds and scores all beats of the fifth. Test beats that lie in
files of their own are not even read.
"""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from measured import CONFIGS
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.model_selection import GroupKFold, StratifiedKFold
from torch.nn import functional
from trial_networks import NETWORKS, Penalised

from ecgad.data.beats import Beats
from ecgad.data.scaling import Scaler
from ecgad.data.splits import SplitAssignment, splits_of_records
from ecgad.experiment import Experiment, load_experiment
from ecgad.models import Autoencoder, build_model
from ecgad.scoring.by_record import adapted_scores
from ecgad.scoring.reference_beats import choose_reference_beats
from ecgad.scoring.scorer import Scorer

FOLDS = 5
# The part of a record that a detector may adapt to, unlabelled (ANSI/AAMI EC57), in minutes.
ADAPTATION = 5
# In units of the standard deviation of training normals.
NOISE = 0.3
# Which part of the samples is hidden from a network that is to fill it in.
MASKED = 0.25


@dataclass(frozen=True)
class Trial:
    """A way to detect: a config, options on top of it, and what no config can say.

    network: of NETWORKS; None: that of the config. corrupt: what is done to the beats that a
    network sees in training, `none`, `noise` or `mask`. adapt: what the first five minutes of a
    record are used for, `codes` (as by evaluation.adaptation_minutes) or `scores` (all scores of
    the record are divided by the median there); None: nothing.
    """

    name: str
    config: str
    what: str
    options: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    corrupt: str = "none"
    adapt: str | None = None
    seeds: int = 2


def cross_validate(trial: Trial, raw: Path) -> list[dict[str, float]]:
    """Return AUROC and average precision, and more for beats of records, seed by seed."""
    overrides = [f"{key}={value}" for key, value in trial.options.items()]
    overrides += [f"data.raw_dir={raw}"]
    found = []
    for seed in range(trial.seeds):
        experiment = load_experiment(CONFIGS / f"{trial.config}.yaml", overrides, seed)
        beats = known_beats(experiment)
        scores = np.empty(len(beats))
        for train, held_out in folds(beats, seed):
            scores[held_out] = fold_scores(trial, experiment, beats, train, held_out)
        found.append(measures(beats, scores))
    return found


def known_beats(experiment: Experiment) -> Beats:
    """Read the beats that the split assignment gives to training and validation."""
    source, split = experiment.source, experiment.data.split
    source.find()
    by_record = splits_of_records(source.records, split, experiment.seed)
    if by_record is not None:
        # Test records are not even read.
        source.names = [
            record.name for record in source.records if by_record[record.name] != "test"
        ]
        source.find()
    assignment = SplitAssignment(split, experiment.seed, by_record)
    parts = []
    for part in source.read():
        of_splits = assignment.indices(part.beats)
        known = np.concatenate([of_splits["train"], of_splits["validation"]])
        parts.append(part.beats.take(np.sort(known)))
    return Beats.concatenate(parts)


def folds(beats: Beats, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of the normals to train on and of all beats to score, fold by fold."""
    assert beats.labels is not None
    if beats.records is None:
        by_class = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        pairs = by_class.split(beats.rows, beats.symbols)
    else:
        # Records differ in how many anomalies they hold: the folds are those of every trial.
        by_record = GroupKFold(FOLDS, shuffle=True, random_state=0)
        pairs = by_record.split(beats.rows, groups=beats.records)
    for train, held_out in pairs:
        yield train[beats.labels[train] == 0], held_out


def fold_scores(
    trial: Trial, experiment: Experiment, beats: Beats, train: np.ndarray, held_out: np.ndarray
) -> np.ndarray:
    """Score held-out beats, (n_held_out,), by a network trained on the others."""
    scaling = experiment.data.scaling
    scaler = Scaler.fit(beats.waveforms[train], scaling.method, scaling.per)
    known = replace(beats.take(train), waveforms=scaler.transform(beats.waveforms[train]))
    model = fit(trial, experiment, known)
    reference = choose_reference_beats(model, known, experiment.training, experiment.seed)

    config = experiment.evaluation
    scorer = Scorer(model, config.components, reference, config.neighbours, beats.format.timing)
    unknown = beats.take(held_out)
    unknown = replace(unknown, waveforms=scaler.transform(unknown.waveforms))
    if trial.adapt == "codes":
        assert unknown.records is not None and unknown.times is not None
        of_beats = (unknown.waveforms, unknown.lengths, unknown.records, unknown.times)
        return adapted_scores(scorer, *of_beats, ADAPTATION)
    scores = scorer.scores(unknown.waveforms, unknown.lengths)
    if trial.adapt == "scores":
        assert unknown.records is not None and unknown.times is not None
        for record in np.unique(unknown.records):
            of_record = unknown.records == record
            first = of_record & (unknown.times < 60 * ADAPTATION)
            # Those first minutes as well: scores on two scales could not be ranked together.
            scores[of_record] /= np.median(scores[first])
    return scores


def fit(trial: Trial, experiment: Experiment, known: Beats) -> Autoencoder:
    """Train a network on scaled beats by the recipe of the config: all of its epochs."""
    config, description = experiment.training, experiment.model
    torch.manual_seed(experiment.seed)
    beats = torch.from_numpy(known.waveforms)
    _, n_leads, n_samples = known.waveforms.shape
    model: Autoencoder
    if trial.network is None:
        model = build_model(description.kind, n_leads, n_samples, description.parameters)
    else:
        model = NETWORKS[trial.network](n_leads, n_samples, **description.parameters)
    n_steps = config.epochs * -(-len(beats) // config.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, n_steps + 1)
    model.train()
    for _ in range(config.epochs):
        for rows in torch.randperm(len(beats)).split(config.batch_size):
            batch = beats[rows]
            made = model(corrupted(batch, trial.corrupt, len(known.format.timing)))
            loss = functional.mse_loss(made, batch)
            if isinstance(model, Penalised):
                loss = loss + model.penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model.eval()


def corrupted(batch: torch.Tensor, how: str, n_timing: int) -> torch.Tensor:
    """Return beats as a network sees them in training."""
    if how == "noise":
        return batch + NOISE * torch.randn_like(batch)
    if how == "mask":
        n_samples = batch.shape[2]
        length = round(MASKED * n_samples)
        starts = torch.randint(n_samples - length + 1, (len(batch), 1))
        indices = torch.arange(n_samples)
        hidden = (indices >= starts) & (indices < starts + length)
        seen = batch.masked_fill(hidden[:, None], 0.0)
        n_ecg = batch.shape[1] - n_timing
        return torch.cat([seen[:, :n_ecg], batch[:, n_ecg:]], dim=1)
    return batch


def measures(beats: Beats, scores: np.ndarray) -> dict[str, float]:
    """Measure the held-out scores, over all folds."""
    assert beats.labels is not None
    labels, symbols = beats.labels, beats.symbols
    found = {
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
    }
    if beats.records is not None:
        records = beats.records
        of_records = [
            roc_auc_score(labels[records == record], scores[records == record])
            for record in np.unique(records)
            if 0 < labels[records == record].mean() < 1
        ]
        found["auroc_records"] = statistics.mean(map(float, of_records))
        chosen = (labels == 0) | (symbols == "V")
        false_alarms, sensitivity, _ = roc_curve(labels[chosen], scores[chosen])
        found["sensitivity_v"] = float(np.interp(0.05, false_alarms, sensitivity))
    return found

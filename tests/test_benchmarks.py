"""What the benchmarks are made of: folds, and the networks that were tried."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cross_validation import Trial, cross_validate, folds
from torch.nn import functional
from trial_networks import NETWORKS, Penalised

from tests.conftest import REPOSITORY
from tests.helpers import some_beats


def test_folds_score_every_beat_once_and_part_records() -> None:
    beats = some_beats(100)
    records = np.repeat([f"r{n}" for n in range(10)], 10)
    for of_records in (None, records):
        known = replace(beats, records=of_records)
        held_out = []
        for train, there in folds(known, seed=0):
            assert known.labels is not None and not known.labels[train].any()
            assert not set(train) & set(there)
            if of_records is not None:
                assert not set(records[train]) & set(records[there])
            held_out.append(there)
        assert sorted(np.concatenate(held_out)) == list(range(len(beats)))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_were_tried_learn(name: str) -> None:
    torch.manual_seed(0)
    phases = torch.rand(64, 1, 1) + torch.tensor([0.0, 0.5])[:, None]
    beats = torch.sin(6 * phases + torch.linspace(0, 6, 30))
    model = NETWORKS[name](2, 30, code_size=4)
    assert model.encode(beats).shape == (64, 4)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        made = model(beats)
        assert made.shape == beats.shape
        error = functional.mse_loss(made, beats)
        loss = error + model.penalty if isinstance(model, Penalised) else error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(error.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_a_trial_is_measured_on_known_beats() -> None:
    options = {"data.synthetic.beats": "300", "training.epochs": "5", "evaluation.score": "mae"}
    (found,) = cross_validate(
        Trial("tiny", "smoke", "", options, corrupt="mask", seeds=1), REPOSITORY
    )
    assert 0.7 < found["auroc"] <= 1

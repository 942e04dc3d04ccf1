"""Training: exact resumption, early stopping, divergence, and that it learns."""

import math
from typing import Any

import pytest
import torch

from ecgad.config.training import TrainingConfig
from ecgad.errors import DivergedError
from ecgad.models import Autoencoder, build_model
from ecgad.training.fit import TrainingState, fit, mean_loss


def waves(n: int, seed: int) -> torch.Tensor:
    """Sines of random height and phase, (n, 1, 32)."""
    draw = torch.Generator().manual_seed(seed)
    height, phase = torch.rand(2, n, 1, 1, generator=draw)
    return (0.5 + height) * torch.sin(torch.linspace(0, 6, 32) + phase)


def small_model() -> Autoencoder:
    torch.manual_seed(0)
    return build_model("dense", 1, 32, {"layers": [16], "code_size": 3})


def run(config: dict[str, Any], state: TrainingState | None = None) -> list[TrainingState]:
    settings = TrainingConfig(**{"epochs": 6, "batch_size": 16, "learning_rate": 0.01, **config})
    return list(fit(small_model(), waves(50, 1), waves(20, 2), settings, seed=5, state=state))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_going_on_gives_the_numbers_of_an_uninterrupted_run(optimizer: str, schedule: str) -> None:
    config = {
        "optimizer": optimizer,
        "schedule": schedule,
        "input_noise": 0.1,
        "gradient_clip": 1.0,
    }
    whole = run(config)
    resumed = run(config, state=whole[2])
    assert len(resumed) == 3
    for name, weights in whole[-1].weights.items():
        assert torch.equal(weights, resumed[-1].weights[name])
    for row, again in zip(whole[-1].history, resumed[-1].history, strict=True):
        assert {**row, "seconds": 0} == {**again, "seconds": 0}


@pytest.mark.parametrize("loss", ["mae", "mse"])
def test_it_learns(loss: str) -> None:
    last = run({"loss": loss, "epochs": 60})[-1]
    assert last.history[-1]["validation_loss"] < 0.2 * last.history[0]["validation_loss"]
    losses = [row["validation_loss"] for row in last.history]
    assert last.best_epoch == losses.index(min(losses)) + 1
    model = small_model()
    model.load_state_dict(last.best_weights)
    assert mean_loss(model, waves(20, 2), loss) == pytest.approx(min(losses))


def test_learning_rates_follow_their_schedule() -> None:
    rates = {
        schedule: [row["learning_rate"] for row in run({"schedule": schedule})[-1].history]
        for schedule in ("constant", "cosine", "one_cycle")
    }
    assert rates["constant"] == [0.01] * 6
    expected = [0.01 * (1 + math.cos(math.pi * epoch / 6)) / 2 for epoch in range(6)]
    assert rates["cosine"] == pytest.approx(expected)
    assert rates["one_cycle"][0] == pytest.approx(0.01 / 25)
    assert max(rates["one_cycle"]) > 0.009


def test_it_stops_when_patience_ends() -> None:
    # So slow that float32 sees no progress.
    states = run({"learning_rate": 1e-12, "schedule": "constant", "patience": 3, "epochs": 50})
    assert states[-1].epoch < 50
    assert states[-1].epoch - states[-1].best_epoch == 3
    assert len(run({"learning_rate": 1e-12, "schedule": "constant", "epochs": 8})) == 8


def test_a_loss_that_is_not_finite_stops_it_and_the_last_good_state_stays() -> None:
    states = []
    # The rate climbs, and becomes too high after some epochs.
    config = TrainingConfig(epochs=20, learning_rate=3.0, optimizer="sgd", loss="mse")
    with pytest.raises(DivergedError, match="no longer finite"):
        for state in fit(small_model(), 5 * waves(500, 1), 5 * waves(20, 2), config, seed=0):
            states.append(state)
    assert states
    assert all(torch.isfinite(weights).all() for weights in states[-1].best_weights.values())
    assert all(math.isfinite(row["validation_loss"]) for row in states[-1].history)

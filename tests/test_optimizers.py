"""Optimizers and schedules beside PyTorch's own classes, whose arithmetic they are to do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from ecgad.config.training import TrainingConfig
from ecgad.training.optimizers import Optimizer

RATE = 0.01
CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda weights: torch.optim.Adam(weights, RATE, fused=True),
    "adamw": lambda weights: torch.optim.AdamW(weights, RATE, fused=True),
    "nadam": lambda weights: torch.optim.NAdam(weights, RATE),
    "sgd": lambda weights: torch.optim.SGD(weights, RATE, momentum=0.9),
}


@pytest.mark.parametrize("optimizer", CLASSES)
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("n_steps", [1, 9])
def test_weights_move_as_by_the_classes_of_pytorch(
    optimizer: str, schedule: str, n_steps: int
) -> None:
    torch.manual_seed(0)
    ours = [torch.rand(33, 7, requires_grad=True), torch.rand(5, requires_grad=True)]
    theirs = [weight.detach().clone().requires_grad_() for weight in ours]
    settings = {"optimizer": optimizer, "schedule": schedule, "learning_rate": RATE}
    config = TrainingConfig.model_validate(settings)
    moves = Optimizer(ours, config, n_steps)
    twin = CLASSES[optimizer](theirs)
    schedulers: dict[str, Callable[[], Any]] = {
        "constant": lambda: lr_scheduler.ConstantLR(twin, factor=1.0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(twin, n_steps),
        "one_cycle": lambda: lr_scheduler.OneCycleLR(twin, RATE, n_steps + 1),
    }
    scheduler = schedulers[schedule]()
    for _ in range(n_steps):
        assert moves.rates[0] == pytest.approx(twin.param_groups[0]["lr"], rel=1e-12, abs=1e-18)
        for weight, other in zip(ours, theirs, strict=True):
            weight.grad = torch.randn(weight.shape)
            other.grad = weight.grad.clone()
        moves.step()
        twin.step()
        scheduler.step()
    for weight, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-6, atol=1e-7)

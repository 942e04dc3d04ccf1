"""What moves the weights: optimizers and the schedule of their learning rate.

The arithmetic is PyTorch's, by the functional form of its optimizers. Its classes for optimizers
and schedules do the same, but import the compiler as they start, which takes nearly as long as
importing PyTorch itself and longer than many a training.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.nadam import nadam
from torch.optim.sgd import sgd

from ecgad.config.training import TrainingConfig

# PyTorch's defaults; adamw decays the weights, nadam the growth of its momentum.
MOMENTUM, BETA2, EPSILON, WEIGHT_DECAY, MOMENTUM_DECAY = 0.9, 0.999, 1e-8, 1e-2, 4e-3
# Of one cycle (Smith & Topin 2018), as in PyTorch: the share of the steps in which the rate climbs,
# its start below the peak and its end below the start, and between what the momentum moves.
CLIMB, START, END = 0.3, 25.0, 1e4
HIGHEST_MOMENTUM, LOWEST_MOMENTUM = 0.95, 0.85


class Optimizer:
    """Moves weights against their gradients, as the config's optimizer and schedule say.

    All weights are moved as one vector: a small network has many tensors, and each operation costs
    as much on few numbers as on thousands.
    """

    def __init__(self, weights: Iterable[Tensor], config: TrainingConfig, n_steps: int) -> None:
        """Begin at the first of `n_steps` steps."""
        self.weights = list(weights)
        self.config = config
        self.n_steps = n_steps
        self.steps = 0
        self.vector = torch.cat([weight.detach().reshape(-1) for weight in self.weights])
        device = self.vector.device
        self.state = {
            # Running means of gradient and squared gradient; sgd has the first alone, its velocity.
            "mean": torch.zeros_like(self.vector),
            "square": torch.zeros_like(self.vector),
            # As PyTorch wants them: the number of steps, and the product of nadam's momenta.
            "count": torch.zeros((), device=device),
            "product": torch.ones((), device=device),
        }

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rate and momentum of the next step."""
        return rates(self.config, self.steps, self.n_steps)

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradients, and drop these."""
        gradients = [weight.grad for weight in self.weights]
        gradient = torch.cat([part.reshape(-1) for part in gradients if part is not None])
        self._move(gradient)
        self.steps += 1
        sizes = [weight.numel() for weight in self.weights]
        for weight, moved in zip(self.weights, self.vector.split(sizes), strict=True):
            weight.copy_(moved.view_as(weight))
            weight.grad = None

    def _move(self, gradient: Tensor) -> None:
        rate, momentum = self.rates
        mean, square, count, product = ([tensor] for tensor in self.state.values())
        common: dict[str, Any] = {"lr": rate, "weight_decay": 0.0, "maximize": False}
        adaptive = {**common, "beta1": momentum, "beta2": BETA2, "eps": EPSILON}
        moved: tuple[Any, Any, Any] = ([self.vector], [gradient], mean)
        match self.config.optimizer:
            case "adam":
                adam(*moved, square, [], count, fused=True, amsgrad=False, **adaptive)
            case "adamw":
                adaptive["weight_decay"] = WEIGHT_DECAY
                adamw(*moved, square, [], count, fused=True, amsgrad=False, **adaptive)
            case "nadam":
                # On a GPU the counts stay there.
                adaptive |= {"momentum_decay": MOMENTUM_DECAY, "capturable": gradient.is_cuda}
                nadam(*moved, square, product, count, **adaptive)
            case "sgd":
                common |= {"momentum": momentum, "dampening": 0.0, "nesterov": False}
                sgd(*moved, **common)

    def state_dict(self) -> dict[str, Any]:
        """Copy all that going on needs but the weights."""
        return {"steps": self.steps, **{k: v.clone() for k, v in self.state.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of `state_dict`."""
        self.steps = state["steps"]
        for name, tensor in self.state.items():
            tensor.copy_(state[name])


def rates(config: TrainingConfig, step: int, n_steps: int) -> tuple[float, float]:
    """Return learning rate and momentum of a step, counted from 0, of `n_steps`."""
    peak = config.learning_rate
    match config.schedule:
        case "constant":
            return peak, MOMENTUM
        case "cosine":
            return _between(peak, 0.0, step / n_steps), MOMENTUM
        case "one_cycle":
            # PyTorch counts one step more than is taken.
            top, last = CLIMB * (n_steps + 1) - 1, n_steps
            if step <= top:
                part = step / top
                return (
                    _between(peak / START, peak, part),
                    _between(HIGHEST_MOMENTUM, LOWEST_MOMENTUM, part),
                )
            part = (step - top) / (last - top)
            return (
                _between(peak, peak / START / END, part),
                _between(LOWEST_MOMENTUM, HIGHEST_MOMENTUM, part),
            )


def _between(start: float, end: float, part: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

"""Training of an autoencoder, one epoch at a time. Knows tensors, no files."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler

from ecgad.config import TrainingConfig
from ecgad.errors import ConfigError, DivergedError
from ecgad.models import Autoencoder

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mae": functional.l1_loss,
    "mse": functional.mse_loss,
    "huber": functional.huber_loss,
}
# Scoring needs no gradients, so that a large batch costs little memory.
VALIDATION_BATCH = 4096


@dataclass
class TrainingState:
    """Where a training stands after an epoch: all that going on from there needs."""

    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far; infinite before the first epoch."""
        if not self.best_epoch:
            return math.inf
        return self.history[self.best_epoch - 1]["validation_loss"]

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are done, or `patience` of them without a lower validation loss."""
        patience = config.patience
        impatient = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= config.epochs or impatient


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises ConfigError where this machine has no such device.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available.append("cuda")
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return torch.device(available[-1])
    if name not in available:
        raise ConfigError(f"--device {name}: not on this machine, which has {', '.join(available)}")
    return torch.device(name)


def prepare(device: torch.device, seed: int) -> None:
    """Seed the initial weights, and make what a GPU computes repeatable."""
    torch.manual_seed(seed)
    if device.type == "cuda":
        # What cuBLAS asks for before it promises the same result twice.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def fit(
    model: Autoencoder,
    train: Tensor,
    validation: Tensor,
    config: TrainingConfig,
    seed: int,
    state: TrainingState | None = None,
) -> Iterator[TrainingState]:
    """Train `model` to reconstruct beats, and yield the state after each epoch.

    `train` and `validation` are normal beats, float32, (n_beats, n_leads, n_samples), on the
    model's device. With a `state` of an earlier run, training goes on from there to the very
    numbers of an uninterrupted one: what is drawn in an epoch depends on the seed and the epoch
    alone. Raises DivergedError at the first epoch whose loss is not finite.
    """
    state = state or TrainingState()
    loss_of = LOSSES[config.loss]
    n_kept = max(1, round((1 - config.trimmed) * len(train)))
    # The first epoch sees all beats: an untrained network tells none of them apart.
    n_batches = [math.ceil(n / config.batch_size) for n in (len(train), n_kept)]
    optimizer = _optimizer(model, config)
    scheduler = _scheduler(optimizer, config, n_batches[0] + (config.epochs - 1) * n_batches[1])
    if state.epoch:
        model.load_state_dict(state.weights)
        optimizer.load_state_dict(state.optimizer)
        scheduler.load_state_dict(state.scheduler)

    while not state.finished(config):
        started = time.perf_counter()
        epoch = state.epoch + 1
        learning_rate = optimizer.param_groups[0]["lr"]
        generator, noise_generator = _generators(seed, epoch, train.device)

        kept = torch.arange(len(train))
        if config.trimmed and epoch > 1:
            kept = best_reconstructed(model, train, config.loss, n_kept)
        model.train()
        total = torch.zeros((), dtype=torch.float64, device=train.device)
        order = kept[torch.randperm(len(kept), generator=generator)].to(train.device)
        for rows in order.split(config.batch_size):
            beats = train[rows]
            seen = beats
            if config.input_noise:
                noise = torch.empty_like(beats).normal_(generator=noise_generator)
                seen = beats + config.input_noise * noise
            optimizer.zero_grad()
            # Members share the batch; the gradient of each is that of its own loss.
            losses = [loss_of(member(seen), beats) for member in model.members]
            loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
            loss.backward()
            if config.gradient_clip is not None:
                for member in model.members:
                    nn.utils.clip_grad_norm_(member.parameters(), config.gradient_clip)
            optimizer.step()
            scheduler.step()
            total += loss.detach() * (len(rows) / len(model.members))

        train_loss = float(total) / len(kept)
        validation_loss = mean_loss(model, validation, config.loss)
        if not math.isfinite(train_loss) or not math.isfinite(validation_loss):
            raise DivergedError(
                f"epoch {epoch}: the loss is no longer finite (training {train_loss:g}, validation "
                f"{validation_loss:g}); lower training.learning_rate ({config.learning_rate:g}) or "
                f"set training.gradient_clip"
            )
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": validation_loss,
            "learning_rate": learning_rate,
            "seconds": time.perf_counter() - started,
        }
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        better = validation_loss < state.best_loss
        state = TrainingState(
            epoch=epoch,
            weights=weights,
            optimizer=copy.deepcopy(optimizer.state_dict()),
            scheduler=copy.deepcopy(scheduler.state_dict()),
            best_epoch=epoch if better else state.best_epoch,
            best_weights=weights if better else state.best_weights,
            history=[*state.history, row],
        )
        yield state


@torch.no_grad()
def best_reconstructed(model: Autoencoder, beats: Tensor, loss: str, n: int) -> Tensor:
    """Places, in order, of the `n` of the beats (n_beats, n_leads, n_samples) with the lowest loss.

    Training on these alone, chosen anew before each epoch, is trimming as in Shen & Sanghavi 2019.
    """
    model.eval()
    members = model.members
    by_beat = [
        torch.stack([LOSSES[loss](member(batch), batch, reduction="none") for member in members])
        for batch in beats.split(VALIDATION_BATCH)
    ]
    losses = torch.cat([losses.mean(dim=(0, 2, 3)) for losses in by_beat])
    return losses.topk(n, largest=False).indices.sort().values.cpu()


@torch.no_grad()
def mean_loss(model: Autoencoder, beats: Tensor, loss: str) -> float:
    """The mean loss of the model in evaluation mode over beats (n_beats, n_leads, n_samples).

    Of an ensemble, the mean of its members' losses.
    """
    model.eval()
    total = sum(
        LOSSES[loss](member(batch), batch).double() * len(batch)
        for batch in beats.split(VALIDATION_BATCH)
        for member in model.members
    )
    return float(total) / (len(beats) * len(model.members))


def _generators(
    seed: int, epoch: int, device: torch.device
) -> tuple[torch.Generator, torch.Generator]:
    order_seed, noise_seed = np.random.SeedSequence([seed, epoch]).generate_state(2)
    order = torch.Generator().manual_seed(int(order_seed))
    return order, torch.Generator(device).manual_seed(int(noise_seed))


def _optimizer(model: Autoencoder, config: TrainingConfig) -> torch.optim.Optimizer:
    parameters, rate = model.parameters(), config.learning_rate
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, fused=True)
        case "nadam":
            return torch.optim.NAdam(parameters, rate)
        case "sgd":
            # The usual momentum; one_cycle moves it between 0.85 and 0.95.
            return torch.optim.SGD(parameters, rate, momentum=0.9)


def _scheduler(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, n_steps: int
) -> lr_scheduler.LRScheduler:
    match config.schedule:
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        case "one_cycle":
            # One step more than is taken: the scheduler refuses to be asked beyond its end.
            return lr_scheduler.OneCycleLR(optimizer, config.learning_rate, n_steps + 1)

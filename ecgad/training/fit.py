"""Training of an autoencoder, one epoch at a time, by one process or by several ranks."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgad.config.training import TrainingConfig
from ecgad.errors import DivergedError
from ecgad.models import Autoencoder
from ecgad.runtime import processes
from ecgad.training.feeding import Held, Normals
from ecgad.training.optimizers import Optimizer
from ecgad.training.synced_batch_norm import synced

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mae": functional.l1_loss,
    "mse": functional.mse_loss,
}


@dataclass
class TrainingState:
    """Where a training stands after an epoch: all that going on from there needs."""

    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
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
        """Return whether all epochs are done, or `patience` of them lowered no validation loss."""
        patience = config.patience
        impatient = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= config.epochs or impatient


class Objective(nn.Module):
    """What is minimised: the mean loss over a batch, summed over the members."""

    def __init__(self, model: Autoencoder, loss: str, mixed: bool) -> None:
        super().__init__()
        self.model = model
        self.loss_of = LOSSES[loss]
        self.mixed = mixed

    def forward(self, inputs: Tensor, beats: Tensor, n: int) -> Tensor:
        """Return the part that `beats` have in the loss of a batch of `n`.

        inputs: what the network reads, the beats or noisy ones. inputs, beats: (n_beats, n_leads,
        n_samples).
        """
        with torch.autocast(beats.device.type, torch.bfloat16, enabled=self.mixed):
            made = [member(inputs) for member in self.model.members]
        # Members share the batch; the gradient of each is that of its own loss.
        losses = [self.loss_of(member.float(), beats, reduction="sum") for member in made]
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        return loss / (n * self.model.n_leads * self.model.n_samples)


def fit(
    model: Autoencoder,
    train: Normals | Tensor,
    validation: Normals | Tensor,
    config: TrainingConfig,
    seed: int,
    state: TrainingState | None = None,
) -> Iterator[TrainingState]:
    """Train `model` to reconstruct beats, and yield the state after each epoch.

    `train` and `validation` are normal beats, float32, (n_beats, n_leads, n_samples), on the
    model's device or fed to it. With a `state` of an earlier run, training goes on from there to
    the very numbers of an uninterrupted one: what is drawn in an epoch depends on the seed and the
    epoch alone. Ranks get the losses of one process, but for rounding. Raises DivergedError at the
    first epoch whose loss is not finite.
    """
    state = state or TrainingState()
    train = Held(train) if isinstance(train, Tensor) else train
    validation = Held(validation) if isinstance(validation, Tensor) else validation
    device = next(model.parameters()).device
    mixed = mixes(config, model)
    if mixed:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    n_kept = max(1, round((1 - config.trimmed) * train.n))
    # The first epoch sees all beats: an untrained network tells none of them apart.
    n_batches = [math.ceil(n / config.batch_size) for n in (train.n, n_kept)]
    if processes.SIZE > 1:
        model = synced(model)
    n_steps = n_batches[0] + (config.epochs - 1) * n_batches[1]
    if state.epoch:
        model.load_state_dict(state.weights)
    optimizer = Optimizer(model.parameters(), config, n_steps)
    if state.epoch:
        optimizer.load_state_dict(state.optimizer)
    objective: nn.Module = Objective(model, config.loss, mixed)
    if processes.SIZE > 1:
        # Statistics of batch normalisation are the same on all ranks without being sent round.
        objective = nn.parallel.DistributedDataParallel(objective, forward_sync_buffers=False)

    while not state.finished(config):
        started = time.perf_counter()
        epoch = state.epoch + 1
        learning_rate, _ = optimizer.rates
        generator, noise_generator = _generators(seed, epoch, device)

        kept = None
        if config.trimmed and epoch > 1:
            kept = best_reconstructed(model, train, config.loss, n_kept)
        model.train()
        total = torch.zeros((), dtype=torch.float64, device=device)
        for batch in train.batches(config.batch_size, generator, kept):
            inputs = batch.beats
            if config.input_noise:
                # Drawn for the whole batch, so that it does not depend on the ranks.
                noise = torch.empty((batch.n, *inputs.shape[1:]), device=device)
                noise.normal_(generator=noise_generator)
                own = noise if batch.own is None else noise[batch.own]
                inputs = batch.beats + config.input_noise * own
            loss = objective(inputs, batch.beats, batch.n)
            # Ranks average their gradients, and this is to be the sum.
            (loss * processes.SIZE if processes.SIZE > 1 else loss).backward()
            if config.gradient_clip is not None:
                for member in model.members:
                    nn.utils.clip_grad_norm_(member.parameters(), config.gradient_clip)
            optimizer.step()
            total += loss.detach() * (batch.n / len(model.members))

        train_loss = processes.all_reduce_sum(float(total)) / (train.n if kept is None else n_kept)
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
            optimizer=optimizer.state_dict(),
            best_epoch=epoch if better else state.best_epoch,
            best_weights=weights if better else state.best_weights,
            history=[*state.history, row],
        )
        yield state


def mixes(config: TrainingConfig, model: Autoencoder) -> bool:
    """Return whether the network is computed in bfloat16; weights, loss and validation never are.

    `auto` does so where docs/performance.md shows that it pays: for the CNN, on processors that
    multiply matrices of bfloat16.
    """
    if config.precision != "auto":
        return config.precision == "bfloat16"
    on_cpu = next(model.parameters()).device.type == "cpu"
    able = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return on_cpu and able and all(member.mixed_precision_pays for member in model.members)


@torch.no_grad()
def best_reconstructed(model: Autoencoder, beats: Normals, loss: str, n: int) -> Tensor:
    """Return the indices, ascending, of the `n` of the beats with the lowest loss.

    Training on these alone, chosen anew before each epoch, is trimming as in Shen & Sanghavi 2019.
    """
    model.eval()
    members = model.members
    by_beat = [np.empty(0, np.float32)]
    for chunk in beats.chunks():
        of_chunk = [LOSSES[loss](member(chunk), chunk, reduction="none") for member in members]
        by_beat.append(torch.stack(of_chunk).mean(dim=(0, 2, 3)).cpu().numpy())
    losses = torch.from_numpy(processes.all_gather(np.concatenate(by_beat)))
    return losses.topk(n, largest=False).indices.sort().values


@torch.no_grad()
def mean_loss(model: Autoencoder, beats: Normals | Tensor, loss: str) -> float:
    """Return the mean loss of the model in evaluation mode over beats.

    Of an ensemble, the mean of its members' losses.
    """
    model.eval()
    beats = Held(beats) if isinstance(beats, Tensor) else beats
    total = torch.zeros((), dtype=torch.float64, device=next(model.parameters()).device)
    for chunk in beats.chunks():
        for member in model.members:
            total += LOSSES[loss](member(chunk), chunk).double() * len(chunk)
    return processes.all_reduce_sum(float(total)) / (beats.n * len(model.members))


def _generators(
    seed: int, epoch: int, device: torch.device
) -> tuple[torch.Generator, torch.Generator]:
    order_seed, noise_seed = np.random.SeedSequence([seed, epoch]).generate_state(2)
    order = torch.Generator().manual_seed(int(order_seed))
    return order, torch.Generator(device).manual_seed(int(noise_seed))

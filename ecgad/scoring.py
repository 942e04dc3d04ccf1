"""Anomaly scores from reconstruction errors: one number a beat, higher = more anomalous."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ecgad.models import Autoencoder

# Fixed, since the last digits of a score may depend on it.
BATCH = 1024

# From errors, the absolute differences (n_beats, n_leads, n_samples), and the number of them that
# count in each beat, (n_beats,), to scores (n_beats,). The others are 0.
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mae": lambda errors, counts: errors.sum(dim=(1, 2)) / counts,
    "mse": lambda errors, counts: errors.square().sum(dim=(1, 2)) / counts,
    "max": lambda errors, _: errors.amax(dim=(1, 2)),
}


@torch.no_grad()
def score_beats(
    model: Autoencoder, beats: np.ndarray, score: str, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Scores, float64 (n_beats,), of scaled beats, float32 (n_beats, n_leads, n_samples).

    score: a name in SCORES. lengths: int, (n_beats,): errors beyond them, in the padding, do not
    count; None: nothing is padded.
    """
    model.eval()
    scores = []
    for start, batch in _batches(model, beats):
        errors = (model(batch) - batch).abs()
        if lengths is None:
            counts = torch.full((len(batch),), errors[0].numel(), device=batch.device)
        else:
            of_batch = torch.from_numpy(lengths[start : start + BATCH].astype(np.int64))
            of_batch = of_batch.to(batch.device)
            places = torch.arange(batch.shape[2], device=batch.device)
            errors = errors * (places < of_batch[:, None])[:, None]
            counts = of_batch * batch.shape[1]
        scores.append(SCORES[score](errors, counts).double().cpu())
    return torch.cat(scores).numpy()


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
    """Beats, some at a time, with the place of the first of them."""
    device = next(model.parameters()).device
    for start in range(0, len(beats), BATCH):
        yield start, torch.from_numpy(np.array(beats[start : start + BATCH])).to(device)

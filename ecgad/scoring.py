"""Anomaly scores from reconstruction errors: one number a beat, higher = more anomalous."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ecgad.models import Autoencoder

# Fixed, since the last digits of a score may depend on it.
BATCH = 1024

# From errors, the absolute differences (n_beats, n_leads, n_samples), to scores (n_beats,).
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "mae": lambda errors: errors.mean(dim=(1, 2)),
    "mse": lambda errors: errors.square().mean(dim=(1, 2)),
    "max": lambda errors: errors.amax(dim=(1, 2)),
}


@torch.no_grad()
def score_beats(model: Autoencoder, beats: np.ndarray, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores, float64 (n_beats,), and codes, float32 (n_beats, code_size), of scaled beats.

    beats: float32, (n_beats, n_leads, n_samples). score: a name in SCORES.
    """
    model.eval()
    scores, codes = [], []
    for batch in _batches(model, beats):
        code = model.encode(batch)
        scores.append(SCORES[score]((model.decode(code) - batch).abs()).double().cpu())
        codes.append(code.cpu())
    return torch.cat(scores).numpy(), torch.cat(codes).numpy()


@torch.no_grad()
def reconstruct(model: Autoencoder, beats: np.ndarray) -> np.ndarray:
    """Reconstructions of scaled beats (n_beats, n_leads, n_samples), in scaled units."""
    model.eval()
    return torch.cat([model(batch).cpu() for batch in _batches(model, beats)]).numpy()


def _batches(model: Autoencoder, beats: np.ndarray) -> Iterator[Tensor]:
    device = next(model.parameters()).device
    for start in range(0, len(beats), BATCH):
        yield torch.from_numpy(np.array(beats[start : start + BATCH])).to(device)

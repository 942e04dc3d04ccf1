"""What a trained network makes of beats: codes, reconstructions, and the features of scores."""

from collections.abc import Callable, Iterator, Sequence, Set

import numpy as np
import torch
from torch import Tensor

from ecgad.models import Autoencoder
from ecgad.processing.evidence import RHYTHM
from ecgad.processing.rr_intervals import RR_FEATURES
from ecgad.runtime.reading import read_ahead, read_rows

# Read at a time, in batches of the model's size.
BATCHES_READ = 2

# One number a beat, from absolute errors (n_beats, n_leads, n_samples), which are 0 in the padding,
# and from how many samples each beat has without padding: (n_beats,), or one number for all.
ERRORS: dict[str, Callable[[Tensor, Tensor | int], Tensor]] = {
    "mae": lambda errors, counts: errors.sum(dim=(1, 2)) / counts,
    "mse": lambda errors, counts: errors.square().sum(dim=(1, 2)) / counts,
}

# What scores are made of: reconstruction errors by name, float64 (n_beats,); `codes`, float32
# (n_beats, code_size); `timing`, float32 (n_beats, n_rr_features), and `before`, those of them that
# are of the interval before the beat; `beats` themselves, float32 (n_beats, n_leads * n_samples),
# padding and RR features included; evidence, `rhythm` and `template`, float32 (n_beats, n).
Features = dict[str, np.ndarray]


def before(timing: Sequence[str]) -> list[int]:
    """Return which of the RR features are of the interval before the beat."""
    return [index for index, name in enumerate(timing) if RR_FEATURES[name].before]


@torch.inference_mode()
def compute_features(
    member: Autoencoder,
    beats: np.ndarray,
    lengths: np.ndarray | None,
    timing: Sequence[str],
    needed: Set[str],
) -> Features:
    """Compute those features of scaled beats (n_beats, n_leads, n_samples) that are needed.

    member: one network. lengths: int, (n_beats,): errors beyond them, in the padding, do not count;
    None: nothing is padded. timing: names of the last leads that the network sees, which are RR
    features. Leads beyond are evidence.
    """
    member.eval()
    features: Features = {}
    for start, batch, evidence in _batches(member, beats):

        def keep(name: str, values: Tensor, start: int = start) -> None:
            # Into one array: small ones, kept among the large of each batch, would split memory up.
            if name not in features:
                shape = (len(beats), *values.shape[1:])
                features[name] = np.empty(shape, values.cpu().numpy().dtype)
            features[name][start : start + len(values)] = values.cpu()

        if evidence.shape[1] and needed & {"rhythm", "template"}:
            keep("rhythm", evidence[:, : len(RHYTHM)])
            keep("template", evidence[:, len(RHYTHM) :])
        if "beats" in needed:
            keep("beats", batch.flatten(1))
        codes = member.encode(batch)
        if "codes" in needed:
            keep("codes", codes)
        if needed & {"timing", "before"}:
            # In float64, where equal numbers have themselves as their mean.
            intervals = batch[:, batch.shape[1] - len(timing) :].double().mean(dim=2).float()
            keep("timing", intervals)
            keep("before", intervals[:, before(timing)])
        if not needed & ERRORS.keys():
            continue
        errors = member.decode(codes).sub_(batch).abs_()
        counts: Tensor | int = batch.shape[1] * batch.shape[2]
        if lengths is not None:
            of_batch = torch.from_numpy(lengths[start : start + len(batch)].astype(np.int64))
            of_batch = of_batch.to(batch.device)
            samples = torch.arange(batch.shape[2], device=batch.device)
            errors = errors * (samples < of_batch[:, None])[:, None]
            counts = of_batch * batch.shape[1]
        # A set has another order in each process.
        for name in sorted(needed & ERRORS.keys()):
            keep(name, ERRORS[name](errors, counts).double())
    return features


@torch.no_grad()
def encode(model: Autoencoder, beats: np.ndarray) -> np.ndarray:
    """Return codes, float32 (n_beats, code_size), of scaled beats (n_beats, n_leads, n_samples)."""
    model.eval()
    codes = [model.encode(batch).cpu() for _, batch, _ in _batches(model, beats)]
    return torch.cat(codes).numpy()


@torch.no_grad()
def reconstruct(model: Autoencoder, beats: np.ndarray) -> np.ndarray:
    """Return reconstructions of scaled beats (n_beats, n_leads, n_samples), in scaled units; of the
    leads that the model sees.
    """
    model.eval()
    return torch.cat([model(batch).cpu() for _, batch, _ in _batches(model, beats)]).numpy()


@torch.inference_mode()
def error_shares(
    model: Autoencoder,
    beats: np.ndarray,
    lengths: np.ndarray | None,
    n_timing: int,
    bounds: tuple[int, int],
) -> np.ndarray:
    """Return which shares of the errors lie in the three parts of a beat, float32 (n_beats, 3).

    Of scaled beats (n_beats, n_leads, n_samples), and of the mean absolute error of the members;
    all 0 where there is no error. lengths: as for `compute_features`. n_timing: how many of the
    last leads that the model sees are RR features, whose errors do not count. bounds: where the
    second and the third part begin.
    """
    model.eval()
    shares = np.empty((len(beats), 3), np.float32)
    for start, batch, _ in _batches(model.members[0], beats):
        errors = sum((member(batch) - batch).abs() for member in model.members)
        assert isinstance(errors, Tensor)
        errors = errors[:, : batch.shape[1] - n_timing].sum(dim=1)
        if lengths is not None:
            of_batch = torch.from_numpy(lengths[start : start + len(batch)].astype(np.int64))
            samples = torch.arange(batch.shape[2], device=batch.device)
            errors = errors * (samples < of_batch.to(batch.device)[:, None])
        shares[start : start + len(batch)] = shares_of(errors, bounds).cpu()
    return shares


def shares_of(errors: Tensor, bounds: tuple[int, int]) -> Tensor:
    """Return the shares of three parts, float32 (n_beats, 3), of errors (n_beats, n_samples)."""
    first, last = bounds
    parts = (errors[:, :first], errors[:, first:last], errors[:, last:])
    sums = torch.stack([part.sum(dim=1) for part in parts], dim=1)
    return sums / sums.sum(dim=1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)


def _batches(model: Autoencoder, beats: np.ndarray) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Give beats, some at a time; a thread reads ahead.

    That is the index of the first of them, the leads that the model sees, and the evidence that
    is in the others, (n, n_evidence).
    """
    device, size = next(model.parameters()).device, model.scored_at_once
    starts = range(0, max(1, len(beats)), size * BATCHES_READ)
    chunks = read_ahead(lambda at: read_rows(beats, slice(at, at + starts.step)), starts)
    for start, chunk in zip(starts, chunks, strict=True):
        # An empty share of beats is one empty batch.
        for first in range(0, max(1, len(chunk)), size):
            batch = torch.from_numpy(chunk[first : first + size]).to(device)
            yield start + first, batch[:, : model.n_leads], batch[:, model.n_leads :, 0]

"""Networks beside the recommended one, for new_patients.py: what each makes of held-out beats.

All are dense and small, and trained on the same normal beats. A function takes scaled beats
(n_beats, 2, n_samples), which are a beat and what sets it apart from its template, their records,
and the rows to train on; it returns one that scores rows, as logarithms.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

EPOCHS, BATCH, RATE, CODE = 6, 256, 1e-3, 12
REFERENCE, NEIGHBOURS = 1000, 5
# Which part of the samples is hidden from a network that is to fill it in.
MASKED = 0.25

Scores = Callable[[np.ndarray], np.ndarray]
Network = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Scores]


def _dense(n_in: int, n_out: int, widths: tuple[int, ...] = (128, 64)) -> nn.Sequential:
    modules: list[nn.Module] = []
    for width in widths:
        modules += [nn.Linear(n_in, width), nn.GELU()]
        n_in = width
    return nn.Sequential(*modules, nn.Linear(n_in, n_out))


def _train(model: nn.Module, n: int, seed: int, loss_of: Callable[[Tensor], Tensor]) -> None:
    """Train by AdamW and one cycle. loss_of: from the indices of a batch to its loss."""
    n_steps = EPOCHS * -(-n // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, n_steps + 1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for rows in torch.randperm(n, generator=generator).split(BATCH):
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    model.eval()


def _distances(encode: Callable[[Tensor], Tensor], beats: Tensor, train: np.ndarray) -> Scores:
    """Score by the distance of codes to the nearest ones of some training beats."""
    chosen = np.random.default_rng(0).choice(train, REFERENCE, replace=False)
    with torch.no_grad():
        reference = encode(beats[chosen])

    @torch.no_grad()
    def score(rows: np.ndarray) -> np.ndarray:
        found = []
        for part in torch.from_numpy(rows).split(4096):
            apart = torch.cdist(encode(beats[part]), reference)
            found.append(apart.topk(NEIGHBOURS + 1, largest=False).values[:, 1:].mean(dim=1))
        return torch.cat(found).clamp(min=1e-12).log().double().numpy()

    return score


def masked(waveforms: np.ndarray, _records: np.ndarray, train: np.ndarray, seed: int) -> Scores:
    """Fill in a hidden quarter of the beat; score by distance of codes."""
    beats = torch.from_numpy(waveforms).flatten(1)
    encoder, decoder, corrupt = _masked(waveforms, train, seed)
    del decoder, corrupt
    return _distances(encoder, beats, train)


def masked_error(
    waveforms: np.ndarray, _records: np.ndarray, train: np.ndarray, seed: int
) -> Scores:
    """Fill in one part of the beat after the other; score by how wrong that is."""
    encoder, decoder, _ = _masked(waveforms, train, seed)
    beats = torch.from_numpy(waveforms)
    n_samples = beats.shape[2]
    width = n_samples // 5

    @torch.no_grad()
    def score(rows: np.ndarray) -> np.ndarray:
        whole = beats[rows]
        total = torch.zeros(len(rows))
        for start in range(0, n_samples, width):
            seen = whole.clone()
            seen[:, :, max(0, start - 2) : start + width + 2] = 0
            made = decoder(encoder(seen.flatten(1))).view_as(whole)
            total += (made - whole).abs()[:, :, start : start + width].sum(dim=(1, 2))
        return total.clamp(min=1e-12).log().double().numpy()

    return score


def _masked(
    waveforms: np.ndarray, train: np.ndarray, seed: int
) -> tuple[nn.Sequential, nn.Sequential, Callable[[Tensor], Tensor]]:
    torch.manual_seed(seed)
    known = torch.from_numpy(waveforms[train])
    n_samples, size = known.shape[2], known[0].numel()
    encoder, decoder = _dense(size, CODE), _dense(CODE, size, (64, 128))
    length = round(MASKED * n_samples)

    def corrupt(batch: Tensor) -> Tensor:
        starts = torch.randint(n_samples - length + 1, (len(batch), 1))
        at = torch.arange(n_samples)
        hidden = (at >= starts) & (at < starts + length)
        return batch.masked_fill(hidden[:, None], 0.0)

    def loss_of(rows: Tensor) -> Tensor:
        batch = known[rows]
        return functional.mse_loss(decoder(encoder(corrupt(batch).flatten(1))), batch.flatten(1))

    _train(nn.ModuleList([encoder, decoder]), len(known), seed, loss_of)
    return encoder, decoder, corrupt


def predicted(waveforms: np.ndarray, records: np.ndarray, train: np.ndarray, seed: int) -> Scores:
    """Predict a beat, with how uncertain each sample is, from the beats around it and the template.

    Scored by the error in units of that uncertainty (Laplace's distribution).
    """
    torch.manual_seed(seed)
    beat, apart = torch.from_numpy(waveforms[:, 0]), torch.from_numpy(waveforms[:, 1])
    template = beat - apart
    starts = np.r_[True, records[1:] != records[:-1]]
    previous, following = beat.roll(1, 0), beat.roll(-1, 0)
    previous[starts] = beat[starts]
    following[np.r_[starts[1:], True]] = beat[np.r_[starts[1:], True]]
    around = torch.cat([previous, following, template], dim=1)
    model = _dense(around.shape[1], 2 * beat.shape[1], (128, 128))
    seen, target = around[train], apart[train]

    def errors(made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
        middle, log_width = made.chunk(2, dim=1)
        return (true - middle).abs() * (-log_width).exp(), log_width

    def loss_of(rows: Tensor) -> Tensor:
        relative, log_width = errors(model(seen[rows]), target[rows])
        return (relative + log_width).mean()

    _train(model, len(seen), seed, loss_of)

    @torch.no_grad()
    def score(rows: np.ndarray) -> np.ndarray:
        relative, _ = errors(model(around[rows]), apart[rows])
        return relative.mean(dim=1).clamp(min=1e-12).log().double().numpy()

    return score


def contrastive(
    waveforms: np.ndarray, _records: np.ndarray, train: np.ndarray, seed: int
) -> Scores:
    """Tell beats from what was made of them: parts of other beats, shifted, scaled or smeared.

    Scored by how surely a beat is one of the latter, which are made so that no anomaly is needed
    (as CutPaste, Li et al. 2021, does with pictures).
    """
    torch.manual_seed(seed)
    beats = torch.from_numpy(waveforms)
    known = beats[train]
    model = _dense(known[0].numel(), 1)

    def loss_of(rows: Tensor) -> Tensor:
        real = known[rows]
        template = real[:, 0] - real[:, 1]
        other = _spoiled(real[:, 0])
        made = torch.stack([other, other - template], dim=1)
        sure = model(torch.cat([real, made]).flatten(1))[:, 0]
        labels = torch.cat([torch.zeros(len(rows)), torch.ones(len(rows))])
        return functional.binary_cross_entropy_with_logits(sure, labels)

    _train(model, len(known), seed, loss_of)

    @torch.no_grad()
    def score(rows: np.ndarray) -> np.ndarray:
        # A tenth of it is of the size of the logarithm of a distance.
        return functional.softplus(model(beats[rows].flatten(1))[:, 0]).mul(0.15).double().numpy()

    return score


def _spoiled(beats: Tensor) -> Tensor:
    """Return beats (n, n_samples) each spoiled in one of four ways, whole or in a part."""
    n, n_samples = beats.shape
    at, middle = torch.arange(n_samples), torch.randint(n_samples, (n, 1))
    part = ((at - middle).abs() < torch.randint(5, n_samples // 2, (n, 1))).float()
    kind = torch.randint(4, (n, 1))
    share = torch.rand(n, 1) * 0.9 + 0.1
    pasted = beats[torch.randperm(n)]
    shifts = torch.randint(3, 15, (n, 1)) * (2 * torch.randint(2, (n, 1)) - 1)
    shifted = beats.gather(1, (at - shifts) % n_samples)
    scaled = beats * (torch.rand(n, 1) * 2 - 0.7)
    smeared = functional.avg_pool1d(
        functional.pad(beats[:, None], (5, 5), mode="replicate"), 11, 1
    )[:, 0]
    other = torch.where(kind == 0, pasted, torch.where(kind == 1, shifted, scaled))
    other = torch.where(kind == 3, smeared, other)
    part = torch.where(kind == 0, torch.maximum(part, torch.randint(2, (n, 1)).float()), part)
    share = torch.where((kind == 0) | (kind == 3), share, torch.ones_like(share))
    return beats + share * part * (other - beats)


NETWORKS: dict[str, Network] = {
    "masked reconstruction, code distance": masked,
    "masked reconstruction, error": masked_error,
    "predicted from the beats around it": predicted,
    "contrastive": contrastive,
}

"""Networks that were tried and are not in the package; docs/results.md says what they give.

Each maps beats (n_beats, n_leads, n_samples) to codes (n_beats, code_size) and back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgad.models import Autoencoder
from ecgad.models.dense import DenseAutoencoder


class Penalised(DenseAutoencoder):
    """A dense network whose code adds to the loss: `penalty`, of the last pass in training mode."""

    penalty: Tensor


class Variational(Penalised):
    """A Gaussian code (Kingma & Welling 2014), whose mean is the code when beats are scored."""

    BETA = 0.01

    def __init__(
        self, n_leads: int, n_samples: int, code_size: int, layers: Sequence[int] = (64,), **_: Any
    ) -> None:
        super().__init__(n_leads, n_samples, layers, code_size)
        assert isinstance(self.encoder, nn.Sequential)
        self.encoder = self.encoder[:-2]
        self.gaussian = nn.Linear(layers[-1], 2 * code_size)

    def encode(self, beats: Tensor) -> Tensor:
        mean, log_variance = self.gaussian(self.encoder(beats)).chunk(2, dim=1)
        if not self.training:
            return mean
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        self.penalty = self.BETA * divergence.mean()
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


class VectorQuantised(Penalised):
    """A code of parts, each the nearest entry of a codebook (van den Oord et al. 2017).

    Scores look at the code before it is quantised, the decoder at what it becomes.
    """

    PARTS, ENTRIES, COMMITMENT = 4, 128, 0.25

    def __init__(
        self, n_leads: int, n_samples: int, code_size: int, layers: Sequence[int] = (64,), **_: Any
    ) -> None:
        super().__init__(n_leads, n_samples, layers, code_size)
        self.books = nn.Parameter(torch.randn(self.PARTS, self.ENTRIES, code_size // self.PARTS))

    def decode(self, codes: Tensor) -> Tensor:
        parts = codes.unflatten(1, (self.PARTS, -1)).transpose(0, 1)
        nearest = torch.cdist(parts, self.books).argmin(dim=2)
        entries = self.books.gather(1, nearest[:, :, None].expand_as(parts))
        commitment = functional.mse_loss(parts, entries.detach())
        self.penalty = functional.mse_loss(entries, parts.detach()) + self.COMMITMENT * commitment
        passed = parts + (entries - parts).detach()
        return self.decoder(passed.transpose(0, 1).flatten(1))


class _Residual(nn.Module):
    def __init__(self, filters: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(filters, filters, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm1d(filters),
            nn.GELU(),
            nn.Conv1d(filters, filters, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class DilatedResidual(Autoencoder):
    """Residual blocks of dilated convolutions (as in Bai et al. 2018) around a dense code."""

    FILTERS, DILATIONS = 16, (1, 2, 4, 8)

    def __init__(self, n_leads: int, n_samples: int, code_size: int, **_: Any) -> None:
        super().__init__(n_leads, n_samples)
        wide = self.FILTERS * n_samples
        self.encoder = nn.Sequential(
            nn.Conv1d(n_leads, self.FILTERS, 1),
            *(_Residual(self.FILTERS, dilation) for dilation in self.DILATIONS),
            nn.Flatten(),
            nn.Linear(wide, code_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_size, wide),
            nn.Unflatten(1, (self.FILTERS, n_samples)),
            *(_Residual(self.FILTERS, dilation) for dilation in reversed(self.DILATIONS)),
            nn.Conv1d(self.FILTERS, n_leads, 1),
        )


class _Attention(nn.Module):
    def __init__(self, n_patches: int, width: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(n_patches, width))
        self.layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=2 * width, dropout=0.0, batch_first=True
        )

    def forward(self, patches: Tensor) -> Tensor:
        return self.layer(patches + self.positions)


class PatchAttention(Autoencoder):
    """Attention over patches of the beat (Vaswani et al. 2017; patches as in Nie et al. 2023)."""

    PATCH, WIDTH = 12, 32

    def __init__(self, n_leads: int, n_samples: int, code_size: int, **_: Any) -> None:
        super().__init__(n_leads, n_samples)
        n_patches = -(-n_samples // self.PATCH)
        self.missing = n_patches * self.PATCH - n_samples
        self.to_patches = nn.Linear(n_leads * self.PATCH, self.WIDTH)
        self.encoder = nn.Sequential(
            _Attention(n_patches, self.WIDTH),
            nn.Flatten(),
            nn.Linear(n_patches * self.WIDTH, code_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_size, n_patches * self.WIDTH),
            nn.Unflatten(1, (n_patches, self.WIDTH)),
            _Attention(n_patches, self.WIDTH),
            nn.Linear(self.WIDTH, n_leads * self.PATCH),
        )

    def encode(self, beats: Tensor) -> Tensor:
        padded = functional.pad(beats, (0, self.missing))
        patches = padded.unflatten(2, (-1, self.PATCH)).transpose(1, 2).flatten(2)
        return self.encoder(self.to_patches(patches))

    def decode(self, codes: Tensor) -> Tensor:
        patches = self.decoder(codes).unflatten(2, (self.n_leads, self.PATCH))
        return patches.transpose(1, 2).flatten(2)[:, :, : self.n_samples]


NETWORKS: dict[str, Callable[..., Autoencoder]] = {
    "variational": Variational,
    "vector_quantised": VectorQuantised,
    "dilated_residual": DilatedResidual,
    "patch_attention": PatchAttention,
}

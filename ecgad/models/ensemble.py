"""Several autoencoders of one kind, trained side by side and scored by their mean."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ecgad.models.autoencoder import Autoencoder


class Ensemble(Autoencoder):
    """Members that differ in their initial weights alone.

    Its code is that of all members side by side, (n_beats, n_members * code_size), and its
    reconstruction their mean. Members are called one by one: stacked weights under
    `torch.func.vmap` took 0.7 to 1.3 times as long a step for 3 to 5 dense members, and cannot hold
    an LSTM.
    """

    def __init__(self, members: Sequence[Autoencoder]) -> None:
        super().__init__(members[0].n_leads, members[0].n_samples)
        self.networks = nn.ModuleList(members)

    @property
    def members(self) -> list[Autoencoder]:
        return [network for network in self.networks if isinstance(network, Autoencoder)]

    def encode(self, beats: Tensor) -> Tensor:
        """Return the codes of all members, (n_beats, n_members * code_size)."""
        return torch.cat([member.encode(beats) for member in self.members], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the mean of what the members make of their own codes."""
        parts = codes.chunk(len(self.networks), dim=1)
        made = [member.decode(part) for member, part in zip(self.members, parts, strict=True)]
        return torch.stack(made).mean(dim=0)

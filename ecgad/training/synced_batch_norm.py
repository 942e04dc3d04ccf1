"""Batch normalisation over the whole of a batch that several ranks share."""

from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Module = TypeVar("Module", bound=nn.Module)


class _Sum(torch.autograd.Function):
    """The sum of the ranks' tensors; the loss is a sum over ranks too, and so is the gradient."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        distributed.all_reduce(tensor)
        return tensor

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(None, gradient)


def _summed(tensor: Tensor) -> Tensor:
    return _Sum.apply(tensor)  # type: ignore[no-untyped-call]


class SyncedBatchNorm(nn.BatchNorm2d):
    """As `torch.nn.SyncBatchNorm`, which has no form for processors."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps, (n, n_channels, height, width); n may differ between the ranks."""
        if not self.training:
            return super().forward(maps)
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        n = torch.tensor([maps.numel() / maps.shape[1]], device=maps.device)
        sums = _summed(torch.cat([maps.float().sum((0, 2, 3)), n]))
        mean, n = sums[:-1] / sums[-1], sums[-1].detach()
        apart = maps - mean[:, None, None]
        variance = _summed(apart.square().float().sum((0, 2, 3))) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return apart * scale[:, None, None] + self.bias[:, None, None]


def synced(module: Module) -> Module:
    """Make the batch normalisations of a module run over all ranks."""
    for name, child in module.named_children():
        synced(child)
        if isinstance(child, nn.BatchNorm2d):
            of_ranks = SyncedBatchNorm(child.num_features).to(child.weight.device)
            of_ranks.load_state_dict(child.state_dict())
            setattr(module, name, of_ranks)
    return module

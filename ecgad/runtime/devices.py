"""Where networks run, and how to make what they compute repeatable."""

import os

import torch

from ecgad.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device of that name; `auto` takes a GPU where there is one.

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

"""Several processes that work on one thing, as `torchrun` starts them; by default there is one.

A rank is one of these processes. Each holds a share of the beats; rank 0 alone writes and speaks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from ecgad.errors import ConfigError, RankError, UserError

T = TypeVar("T")

# Set by torchrun.
RANK = int(os.environ.get("RANK", "0"))
SIZE = int(os.environ.get("WORLD_SIZE", "1"))
LOCAL_RANK = int(os.environ.get("LOCAL_RANK", "0"))
# How often torchrun has started all processes again, after one of them was lost.
ATTEMPT = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def joined(device: str) -> Iterator[None]:
    """The ranks are in touch within this context; with one process there is nothing to do.

    device: as given on the command line. Raises RankError where another rank was lost.
    """
    if SIZE == 1:
        yield
        return
    import torch
    import torch.distributed as dist
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda and torch.cuda.device_count() <= LOCAL_RANK:
        raise ConfigError(
            f"torchrun started more processes here than there are GPUs "
            f"({torch.cuda.device_count()}); give --nproc-per-node their number, or --device cpu"
        )
    if cuda:
        torch.cuda.set_device(LOCAL_RANK)
    # torchrun's store outlives a restart: without a prefix, ranks would look for lost ones.
    store, _, _ = next(rendezvous("env://"))
    store = PrefixStore(f"attempt {ATTEMPT}", store)
    backend = "nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=RANK, world_size=SIZE)
    try:
        yield
        # A rank that leaves early would look lost to the others.
        dist.barrier()
    except RuntimeError as error:
        # Backends have no type of their own for it.
        if "onnection" not in str(error):
            raise
        raise RankError(
            "another process was lost; torchrun goes on from the last checkpoint where it is given "
            "--max-restarts",
            1,
        ) from None
    finally:
        dist.destroy_process_group()


@contextmanager
def together() -> Iterator[None]:
    """What fails here on one rank stops all of them, and rank 0 says why.

    Raises RankError for a UserError or an OSError on any rank.
    """
    if SIZE == 1:
        yield
        return
    import torch.distributed as dist

    failure: tuple[str, int] | None = None
    try:
        yield
    except UserError as error:
        failure = str(error), error.exit_code
    except OSError as error:
        failure = str(error), 1
    failures = [failure] * SIZE
    dist.all_gather_object(failures, failure)
    for rank, found in enumerate(failures):
        if found is not None:
            message, code = found
            raise RankError(message if rank == 0 else f"process {rank} of {SIZE}: {message}", code)


def told(value: T) -> T:
    """The value that rank 0 has, on all ranks."""
    if SIZE == 1:
        return value
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def share(n: int, unit: int = 1) -> tuple[int, int]:
    """Where this rank's share of `n` things begins and ends; whole units but for the last one."""
    units = -(-n // unit)
    return min(n, units * RANK // SIZE * unit), min(n, units * (RANK + 1) // SIZE * unit)


def gathered(part: np.ndarray) -> np.ndarray:
    """The parts of all ranks, one after the other, on each of them."""
    if SIZE == 1:
        return part
    import torch.distributed as dist

    parts = [part] * SIZE
    dist.all_gather_object(parts, part)
    return np.concatenate(parts)


def total(value: float) -> float:
    """The sum of the ranks' values, on each of them."""
    return value if SIZE == 1 else float(gathered(np.array([value])).sum())

"""Several processes that work on one thing, as `torchrun` starts them; by default there is one.

A rank is one of these processes. Each holds a share of the beats; rank 0 alone writes and speaks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import numpy as np

from ecgad.errors import ConfigError, RankError, UserError

T = TypeVar("T")


def _number(variable: str, default: int) -> int:
    """Return a number that a launcher has set; -1 where it is none."""
    text = os.environ.get(variable, str(default))
    return int(text) if text.isascii() and text.isdecimal() else -1


# Set by torchrun.
RANK = _number("RANK", 0)
SIZE = _number("WORLD_SIZE", 1)
LOCAL_RANK = _number("LOCAL_RANK", 0)
# For which ranks wait for each other: one may read, or write, what others are waiting for. A rank
# that is lost is noticed at once.
PATIENCE = timedelta(days=7)
# Whether this one speaks for all.
FIRST = not 0 < RANK < SIZE
# How often torchrun has started all processes again, after one of them was lost.
ATTEMPT = _number("TORCHELASTIC_RESTART_COUNT", 0)


def check() -> None:
    """Raise ConfigError where a launcher has set no numbers of processes that can be."""
    if not 0 <= RANK < SIZE:
        raise ConfigError(
            f"RANK is {os.environ.get('RANK', 'not set')} and WORLD_SIZE is "
            f"{os.environ.get('WORLD_SIZE', 'not set')}; a launcher sets RANK from 0 on, and "
            f"WORLD_SIZE to the number of processes: unset them, or mend them"
        )


@contextmanager
def process_group(device: str | None) -> Iterator[None]:
    """Keep the ranks in touch within this context; with one process there is nothing to do.

    device: as given on the command line; None: nothing is computed on one. Raises ConfigError where
    a launcher has not said how the ranks find each other, and RankError where another was lost.
    """
    check()
    if SIZE == 1:
        yield
        return
    if lacking := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise ConfigError(
            f"RANK and WORLD_SIZE are set, but {' and '.join(lacking)} are not; start several "
            f"processes by torchrun, or unset these"
        )
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
    dist.init_process_group(backend, store=store, rank=RANK, world_size=SIZE, timeout=PATIENCE)
    try:
        yield
        # A rank that leaves early would look lost to the others.
        dist.barrier()
    except RuntimeError as error:
        # Backends have no type of their own for it.
        if "onnection" not in str(error):
            raise
        raise RankError(
            "another process was lost; torchrun starts all of them again where it is given "
            "--max-restarts, and a training goes on from its last checkpoint",
            1,
        ) from None
    finally:
        dist.destroy_process_group()


@contextmanager
def fail_together() -> Iterator[None]:
    """Stop all ranks where one fails within this context; rank 0 says why.

    Raises RankError for a UserError or an OSError on any rank.
    """
    if SIZE == 1:
        yield
        return
    failure: tuple[str, int] | None = None
    try:
        yield
    except UserError as error:
        failure = str(error), error.exit_code
    except OSError as error:
        failure = str(error), 1
    for rank, found in enumerate(gather(failure)):
        if found is not None:
            message, code = found
            raise RankError(message if rank == 0 else f"process {rank} of {SIZE}: {message}", code)


def broadcast(value: T) -> T:
    """Return the value that rank 0 has, on all ranks."""
    if SIZE == 1:
        return value
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def shard(n: int, unit: int = 1) -> tuple[int, int]:
    """Return where this rank's share of `n` things begins and ends.

    Shares are whole multiples of `unit`; the last one may end earlier.
    """
    units = -(-n // unit)
    return min(n, units * RANK // SIZE * unit), min(n, units * (RANK + 1) // SIZE * unit)


def gather(value: T) -> list[T]:
    """Return the values of all ranks, in their order, on each of them."""
    values = [value] * SIZE
    if SIZE > 1:
        import torch.distributed as dist

        dist.all_gather_object(values, value)
    return values


def all_gather(part: np.ndarray) -> np.ndarray:
    """Return the parts of all ranks, one after the other, on each of them."""
    return part if SIZE == 1 else np.concatenate(gather(part))


def all_reduce_sum(value: float) -> float:
    """Return the sum of the ranks' values, on each of them."""
    return value if SIZE == 1 else float(all_gather(np.array([value])).sum())

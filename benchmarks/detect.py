"""`ecgad detect` beside what a user may measure it by, in whole processes and in turn.

    python benchmarks/detect.py FOLDER [--rounds 5] [--days]

FOLDER holds MIT-BIH. A record of half an hour is set against `import torch`, all 48 records against
reading them with wfdb alone. With --days, 24 and 72 hours of two leads at 250 Hz, joined of these
records, are judged as well; that needs 1 GB of disk. Wall and CPU seconds are medians, of a process
and its children; memory is the largest that one of them had.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
import wfdb
from scipy.signal import resample_poly

READ = """
import sys, wfdb
from pathlib import Path
for header in sorted(Path(sys.argv[1]).glob("*.hea")):
    wfdb.rdrecord(str(header.with_suffix("")))
"""
RECORD = "208"
RATE, OF_MITDB = 250, 360  # Hz


class Cost(NamedTuple):
    """What a process and its children took: s, s, MB."""

    wall: float
    cpu: float
    memory: float


def main(
    folder: Path,
    rounds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
    days: Annotated[bool, typer.Option("--days", help="24 and 72 hours as well.")] = False,
) -> None:
    """Print the ratios that docs/detect.md has."""
    python = sys.executable
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "out")

        def detect(*recordings: Path) -> list[str]:
            words = [python, "-m", "ecgad", "detect", *map(str, recordings), "-o", str(out)]
            return [*words, "--overwrite", "--quiet"]

        compare(
            "half an hour", detect(folder / RECORD), "import torch",
            [python, "-c", "import torch"], rounds,
        )  # fmt: skip
        compare(
            "48 records", detect(folder), "wfdb's reading of them",
            [python, "-c", READ, str(folder)], rounds,
        )  # fmt: skip
        if days:
            # By a process of its own: what a process starts counts its memory as theirs.
            with ProcessPoolExecutor(1) as pool:
                day = pool.submit(join, folder, Path(scratch)).result()
            three = repeated(day, 3)
            costs = {name: measured(detect(path)) for name, path in (("24", day), ("72", three))}
            for name, cost in costs.items():
                page = (out / f"hours{name}.html").stat().st_size / 1e6
                print(f"{name} hours, two leads, {RATE} Hz: {said(cost)}; page of {page:.1f} MB")
            print(
                f"memory of 72 hours to that of 24: {costs['72'].memory / costs['24'].memory:.2f}"
            )


def compare(
    what: str, command: Sequence[str], other: str, reference: Sequence[str], rounds: int
) -> None:
    """Run two commands in turn, and print what they took and the ratios of the medians."""
    costs = [(measured(command), measured(reference)) for _ in range(rounds)]
    ours, theirs = (
        Cost(*(statistics.median(values) for values in zip(*of, strict=True)))
        for of in zip(*costs, strict=True)
    )
    print(f"{what}: {said(ours)}; {other}: {said(theirs)}")
    print(f"  ratio: wall {ours.wall / theirs.wall:.2f}, CPU {ours.cpu / theirs.cpu:.2f}")


def said(cost: Cost) -> str:
    """Put a cost in words."""
    return f"{cost.wall:.2f} s ({cost.cpu:.2f} s of CPU, {cost.memory:.0f} MB)"


def measured(command: Sequence[str]) -> Cost:
    """Run a command, and return what it took."""
    started = time.perf_counter()
    process = os.posix_spawn(
        command[0], list(command), os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )  # fmt: skip
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise typer.Exit(1)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def join(folder: Path, scratch: Path) -> Path:
    """Join all records at RATE into one; return it."""
    parts = []
    for header in sorted(folder.glob("*.hea")):
        leads = wfdb.rdrecord(str(header.with_suffix(""))).p_signal
        parts.append(resample_poly(leads, RATE, OF_MITDB, axis=0).astype(np.float32))
    wfdb.wrsamp(
        "hours24", fs=RATE, units=["mV", "mV"], sig_name=["MLII", "V1"],
        p_signal=np.concatenate(parts).astype(float), fmt=["16", "16"], write_dir=str(scratch),
    )  # fmt: skip
    return scratch / "hours24"


def repeated(record: Path, times: int) -> Path:
    """Write a record that is another one several times over; return it."""
    longer = record.with_name(f"hours{24 * times}")
    content = record.with_suffix(".dat").read_bytes()
    with longer.with_suffix(".dat").open("wb") as file:
        for _ in range(times):
            file.write(content)
    first, *others = record.with_suffix(".hea").read_text(encoding="ascii").splitlines()
    _, n_leads, rate, n_samples, *_ = first.split()
    lines = [f"{longer.name} {n_leads} {rate} {int(n_samples) * times}"]
    for line in others:
        words = line.replace(record.name, longer.name).split()
        # Without the checksum, which is of one time.
        lines.append(" ".join([*words[:5], words[5], "0", "0", words[8]]))
    longer.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    return longer


if __name__ == "__main__":
    typer.run(main)

"""Preprocessing of records against reading them with wfdb alone, and memory as records multiply.

    python benchmarks/recordings.py FOLDER [--rounds 5] [--times 100]

FOLDER holds MIT-BIH (`.hea .dat .atr`). Times are of whole processes, in turn. Memory is the peak
of a process and its workers together (on Linux). A hundred times the records need 12 GB of disk
while they are read.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

REPOSITORY = Path(__file__).parent.parent
READ = """
import sys, wfdb
from pathlib import Path
for header in sorted(Path(sys.argv[1]).rglob("*.hea")):
    wfdb.rdrecord(str(header.with_suffix("")))
    wfdb.rdann(str(header.with_suffix("")), "atr")
"""
SETTINGS = (
    "data.source=wfdb",
    "data.wfdb.leads=[[MLII, V5]]",
    "data.split.allow_patient_overlap=true",
)


def main(
    folder: Path,
    rounds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
    times: Annotated[int, typer.Option(help="Copies of all records for the peak memory.")] = 100,
) -> None:
    """Time preprocessing against wfdb, and compare peak memory."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        read, cut = [], []
        for number in range(rounds):
            read.append(measure([sys.executable, "-c", READ, str(folder)])[0])
            cut.append(measure(preprocess(folder, scratch / str(number)))[0])
            print(f"wfdb {read[-1]:.2f} s, preprocess_data.py {cut[-1]:.2f} s")
        ratios = sorted(mine / theirs for mine, theirs in zip(cut, read, strict=True))
        print(
            f"preprocess_data.py takes {statistics.median(ratios):.2f} times as long as wfdb alone "
            f"(median of {rounds}; {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
        for copy in range(times):
            (scratch / "many" / f"copy{copy}").mkdir(parents=True)
            for file in folder.absolute().iterdir():
                (scratch / "many" / f"copy{copy}" / file.name).symlink_to(file)
        _, once = measure(preprocess(folder, scratch / "once"))
        seconds, many = measure(preprocess(scratch / "many", scratch / "out"))
        print(
            f"peak memory: {once / 1e6:.0f} MB; of {times} times the records {many / 1e6:.0f} MB, "
            f"{many / once:.2f} times as much ({seconds:.0f} s)"
        )


def preprocess(folder: Path, out: Path) -> list[str]:
    """Return the command that cuts all records of a folder."""
    settings = [*SETTINGS, f"data.raw_dir={folder}", f"data.processed_dir={out}"]
    options = [option for setting in settings for option in ("--set", setting)]
    return [sys.executable, str(REPOSITORY / "preprocess_data.py"), "--quiet", *options]


def measure(command: list[str]) -> tuple[float, int]:
    """Return the seconds that a command takes, and its peak memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, peak


def memory(pid: int) -> int:
    """Return the resident bytes of a process and its children; 0 once it has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0
    return resident + sum(memory(int(child)) for child in children)


if __name__ == "__main__":
    typer.run(main)

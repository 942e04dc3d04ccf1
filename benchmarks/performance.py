"""Speed and memory beside Keras and PyOD on this machine: docs/performance.md.

    python benchmarks/performance.py --data FOLDER [--runs 5] [--out FOLDER] [--most 10000000]

FOLDER holds ECG5000 and ecg.csv. What is compared is run in turn, each time in a process of its
own. The same command can be given again after a break: results are kept in --out with the commands
and configs that they were made by. Changes of the code do not count: after one, give another
folder. --most: beats of the largest synthetic data (6 GB for 10 million). torch.compile needs a C++
compiler.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import performance_page
from measured import CONFIGS, load, save, settings_of
from performance_page import STAGES
from sweep import sweep

REPOSITORY = Path(__file__).parent.parent
SPEED_TASKS = REPOSITORY / "benchmarks" / "speed_tasks.py"
MANY, FEWER = 1_000_000, 100_000  # beats scored; by the LSTM and the CNN, fewer
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)
BUDGET_MB = 64
SEEDS = (0, 1, 2)  # of the quality of the CNN
# Where the splits of the configs that are timed lie, in the folder of the results.
DENSE, LSTM = "data/processed/ecg_csv_dense", "data/processed/ecg5000_lstm"


@dataclass(frozen=True)
class Task:
    """What is measured: `measure(out, *command)`, where `out` is the folder of the results.

    config: the one whose settings the result depends on. once: measured once, since it takes
    minutes.
    """

    measure: Callable[..., Any]
    command: tuple[str, ...]
    config: str | None = None
    once: bool = False


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("performance"))
    parser.add_argument("--most", type=int, default=GROWTH[-1])
    arguments = parser.parse_args()
    out, data = arguments.out.absolute(), arguments.data.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for config in ("ecg_csv_dense", "ecg5000_lstm"):
        process(out, *stage(STAGES[0], config, data))
    for n in (MANY, FEWER):
        # Not made here: a process is charged with the memory of the one that starts it.
        process(out, str(SPEED_TASKS), "noise", beats_file(n), str(n))
    tasks = {**repeated_tasks(data), **growth_tasks(arguments.most), **single_tasks(data)}
    for run in range(1, arguments.runs + 1):
        # After a break, what has been run more often already waits for the rest.
        runs = {
            name: measure(out, name, task, 1 if task.once else run)[:run]
            for name, task in tasks.items()
        }
        performance_page.write(runs, REPOSITORY / "docs")


def measure(out: Path, name: str, task: Task, runs: int) -> list[Any]:
    """Run a task until it has been run so often, and return what each run gave."""
    file = out / "results" / f"{name}.json"
    settings = None if task.config is None else settings_of(task.config)
    made_by = {"command": list(task.command), "config": settings}
    found: list[Any] = load(file, made_by) or []
    while len(found) < runs:
        wait_for_quiet()
        found.append(task.measure(out, *task.command))
        save(file, made_by, found)
        print(name, len(found), found[-1], file=sys.stderr, flush=True)
    return found


def repeated_tasks(data: Path) -> dict[str, Task]:
    """Return what is measured in each run, without the growth."""
    tasks = {"import torch": Task(whole, ("-c", "import torch"))}
    for name in STAGES:
        tasks[f"{name} --help"] = Task(whole, (str(REPOSITORY / name), "--help"))
    for maker in ("ecgad", "keras", "pyod"):
        tasks[f"{maker} fit"] = Task(seconds, (f"{maker}_fit", DENSE), "ecg_csv_dense")
    table = str(data / "ecg.csv")
    tasks["keras whole"] = Task(whole, (str(SPEED_TASKS), "keras_whole", table))
    for name in STAGES:
        tasks[name] = Task(whole, stage(name, "ecg_csv_dense", data), "ecg_csv_dense")
    tasks["lstm quality"] = Task(seconds, ("ecgad_lstm_quality", LSTM), "ecg5000_lstm")
    for kind, batch in (("one_sample", "8"), ("cnn", "64"), ("cnn", "512")):
        for precision in ("float32",) if kind == "one_sample" else ("float32", "bfloat16"):
            name = f"ecgad step {kind} {batch} {precision}"
            tasks[name] = Task(seconds, ("ecgad_step", kind, batch, precision))
        tasks[f"keras step {kind} {batch}"] = Task(seconds, ("keras_step", kind, batch))
    for kind, n in (("dense", MANY), ("lstm", FEWER), ("cnn", FEWER)):
        for maker in ("ecgad", "bare"):
            name = f"{maker} score {kind}"
            tasks[name] = Task(seconds, (f"{maker}_score", kind, beats_file(n)))
    for maker in ("keras", "pyod"):
        tasks[f"{maker} score"] = Task(seconds, (f"{maker}_score", beats_file(MANY)))
    tasks["ecgad metrics"] = Task(seconds, ("ecgad_metrics", str(MANY)))
    tasks["sklearn resample"] = Task(seconds, ("sklearn_resample", str(MANY)))
    return tasks


def growth_tasks(most: int) -> dict[str, Task]:
    """Return the stages on more and more synthetic beats: one epoch of training, no baselines."""
    tasks = {}
    for n in (n for n in GROWTH if n <= most):
        settings = (
            f"data.synthetic.beats={n}",
            f"data.processed_dir=growth_{n}",
            "training.epochs=1",
            "training.batch_size=512",
            f"training.memory_budget_mb={BUDGET_MB}",
            "evaluation.baselines=[]",
        )
        options = [word for setting in settings for word in ("--set", setting)]
        for name in STAGES:
            run_dir = ("--run-dir", f"run_{n}", "--overwrite")
            command = (str(REPOSITORY / name), *options, *run_dir)
            tasks[f"growth {n} {name}"] = Task(process, command, "demo", once=n == GROWTH[-1])
    return tasks


def single_tasks(data: Path) -> dict[str, Task]:
    """Return what takes minutes: the quality of the CNN, and the compiler."""
    tasks = {}
    for precision in ("float32", "bfloat16"):
        name = f"quality {precision}"
        tasks[name] = Task(auroc, (str(data), precision), "ecg5000_cnn", once=True)
    for names in performance_page.COMPILED:
        command = (str(SPEED_TASKS), "compiled_step", *names)
        tasks[f"compiled {' '.join(names)}"] = Task(process, command, once=True)
    return tasks


def stage(name: str, config: str, data: Path) -> tuple[str, ...]:
    """Return the command of a stage, which replaces what it has made before."""
    options = ("-c", str(CONFIGS / f"{config}.yaml"), "--set", f"data.raw_dir={data}")
    return (str(REPOSITORY / name), *options, "--overwrite")


def beats_file(n: int) -> str:
    """Name the file of so many beats of noise, in the folder of the results."""
    return f"beats_{n}.npy"


def process(out: Path, *command: str) -> dict[str, Any]:
    """Return seconds and peak memory (MB) of a process, and the JSON that it printed, if any."""
    started = time.perf_counter()
    with (out / "stdout").open("w") as printed, (out / "stderr").open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, *command],
            cwd=out,
            stdout=printed,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if child.returncode:
        raise SystemExit((out / "stderr").read_text())
    last = (out / "stdout").read_text().strip().rpartition("\n")[2]
    found = json.loads(last) if last.startswith("{") else {}
    return {"seconds": seconds, "memory": usage.ru_maxrss / 1024, "printed": found}


def whole(out: Path, *command: str) -> float:
    """Return the seconds of a whole process."""
    return float(process(out, *command)["seconds"])


def seconds(out: Path, *task: str) -> float:
    """Return the seconds that a task of `speed_tasks.py` says of itself."""
    return float(process(out, str(SPEED_TASKS), *task)["printed"]["seconds"])


def auroc(out: Path, data: str, precision: str) -> list[float]:
    """Return the test AUROC of the CNN on ECG5000, over three seeds, trained in this precision."""
    options = ("--set", f"data.raw_dir={data}", "--set", f"training.precision={precision}")
    runs = sweep("ecg5000_cnn", SEEDS, options, out / f"quality_{precision}")
    if len(runs) < len(SEEDS):
        raise SystemExit("a run failed, so that there is no mean over the seeds")
    return [run["test"]["auroc"] for run in runs]


def wait_for_quiet() -> None:
    """Wait, for five minutes at most, while something else uses a tenth of the processors.

    Linux alone says so; elsewhere nothing is waited for.
    """
    path = Path("/proc/stat")

    def ticks() -> tuple[int, int]:
        counts = [int(word) for word in path.read_text().split()[1:9]]
        return counts[3] + counts[4], sum(counts)

    for _ in range(300 if path.exists() else 0):
        idle, everything = ticks()
        time.sleep(1)
        idle_now, everything_now = ticks()
        if idle_now - idle >= 0.9 * (everything_now - everything):
            return


if __name__ == "__main__":
    main()

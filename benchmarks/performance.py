"""Speed and memory beside Keras and PyOD on this machine: docs/performance.md.

    python benchmarks/performance.py --data FOLDER [--runs 5] [--out FOLDER] [--most 10000000]

FOLDER holds ECG5000 and ecg.csv. What is compared is run in turn, each time in a process of its
own. Results are kept in --out, so that the command can be given again after a break; after a change
of the code, give another folder. --most: beats of the largest synthetic data (6 GB for 10 million).
torch.compile needs a C++ compiler.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import performance_page

REPOSITORY = Path(__file__).parent.parent
TASKS = REPOSITORY / "benchmarks" / "speed_tasks.py"
STAGES = ("preprocess_data.py", "train_model.py", "evaluate_model.py", "visualize_results.py")
MANY, FEWER = 1_000_000, 100_000  # beats scored; by the LSTM and the CNN, fewer
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)
BUDGET_MB = 64


def process(*command: str | Path, cwd: Path) -> dict[str, Any]:
    """Seconds and peak memory (MB) of a process, and the JSON that it printed, if any."""
    started = time.perf_counter()
    with (cwd / "stdout").open("w") as out, (cwd / "stderr").open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=cwd,
            stdout=out,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if child.returncode:
        raise SystemExit((cwd / "stderr").read_text())
    last = (cwd / "stdout").read_text().strip().rpartition("\n")[2]
    printed = json.loads(last) if last.startswith("{") else {}
    return {"process": seconds, "memory": usage.ru_maxrss / 1024, "printed": printed}


def wait_for_quiet() -> None:
    """Wait, for five minutes at most, while something else uses a tenth of the processors; Linux
    alone knows.
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


class Results:
    """Figures by name, a list of runs each, kept in a file."""

    def __init__(self, out: Path) -> None:
        self.path = out / "results.json"
        self.by_name: dict[str, list[Any]] = {}
        if self.path.exists():
            self.by_name = json.loads(self.path.read_text())

    def measure(self, runs: int, tasks: dict[str, Callable[[], Any]]) -> None:
        """Run those tasks that have fewer runs."""
        for name, task in tasks.items():
            if len(self.by_name.setdefault(name, [])) < runs:
                wait_for_quiet()
                self.by_name[name].append(task())
                self.path.write_text(json.dumps(self.by_name))
                print(name, runs, self.by_name[name][-1], file=sys.stderr, flush=True)


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("performance"))
    parser.add_argument("--most", type=int, default=GROWTH[-1])
    arguments = parser.parse_args()
    out, runs, data = arguments.out.absolute(), arguments.runs, arguments.data.absolute()
    out.mkdir(parents=True, exist_ok=True)
    results = Results(out)

    def script(name: str, config: str, *options: str) -> dict[str, Any]:
        path = REPOSITORY / "configs" / f"{config}.yaml"
        folder = f"data.raw_dir={data}"
        return process(
            REPOSITORY / name, "-c", path, "--set", folder, "--overwrite", *options, cwd=out
        )

    def seconds(task: str, *options: str | Path) -> Callable[[], float]:
        def run() -> float:
            printed = process(TASKS, task, *options, cwd=out)["printed"]
            return float(printed["seconds"])

        return run

    def whole(*command: str | Path) -> Callable[[], float]:
        return lambda: float(process(*command, cwd=out)["process"])

    dense, lstm = out / "data" / "processed" / "ecg_csv_dense", out / "lstm"
    script(STAGES[0], "ecg_csv_dense")
    script(STAGES[0], "ecg5000_lstm", "--set", f"data.processed_dir={lstm}")
    tasks: dict[str, Callable[[], Any]] = {"import torch": whole("-c", "import torch")}
    for name in STAGES:
        tasks[f"{name} --help"] = whole(REPOSITORY / name, "--help")
    for maker in ("ecgad", "keras", "pyod"):
        tasks[f"{maker} fit"] = seconds(f"{maker}_fit", dense)
    tasks["keras whole"] = whole(TASKS, "keras_whole", data / "ecg.csv")
    for name in STAGES:
        tasks[name] = partial(stage_seconds, script, name)
    tasks["lstm quality"] = seconds("ecgad_lstm_quality", lstm)
    for kind, batch in (("one_sample", "8"), ("cnn", "64"), ("cnn", "512")):
        for precision in ("float32",) if kind == "one_sample" else ("float32", "bfloat16"):
            name = f"ecgad step {kind} {batch} {precision}"
            tasks[name] = seconds("ecgad_step", kind, batch, precision)
        tasks[f"keras step {kind} {batch}"] = seconds("keras_step", kind, batch, "float32")
    for kind, n in (("dense", MANY), ("lstm", FEWER), ("cnn", FEWER)):
        for task in ("ecgad", "bare"):
            tasks[f"{task} score {kind}"] = seconds(f"{task}_score", kind, beats_file(out, n))
    tasks["keras score"] = seconds("keras_score", beats_file(out, MANY))
    tasks["pyod score"] = seconds("pyod_score", beats_file(out, MANY))
    tasks["ecgad metrics"] = seconds("ecgad_metrics", str(MANY))
    tasks["sklearn resample"] = seconds("sklearn_resample", str(MANY))
    for n in (n for n in GROWTH if n <= arguments.most):
        for name in STAGES[:3]:
            tasks[f"growth {n} {name}"] = partial(grown, out, n, name)
    # The largest data, the CNN's quality and the compiler take minutes: once.
    once = {name: tasks.pop(name) for name in list(tasks) if str(GROWTH[-1]) in name}
    for precision in ("float32", "bfloat16"):
        once[f"quality {precision}"] = partial(auroc, script, precision)
    for kind, batch, precision in performance_page.COMPILED:
        name = f"compiled {kind} {batch} {precision}"
        once[name] = partial(process, TASKS, "compiled_step", kind, batch, precision, cwd=out)
    for run in range(1, runs + 1):
        results.measure(run, tasks)
        results.measure(1, once)
        # After a break, what has been run more often already waits for the rest.
        complete = {name: values[:run] for name, values in results.by_name.items()}
        performance_page.write(complete, REPOSITORY / "docs")


def stage_seconds(script: Callable[..., dict[str, Any]], name: str) -> float:
    """Of a stage of the published dense recipe, the whole process."""
    return float(script(name, "ecg_csv_dense")["process"])


def beats_file(out: Path, n: int) -> Path:
    """So many beats of noise."""
    path = out / f"beats_{n}.npy"
    if not path.exists():
        # Not made here: a process is charged with the memory of the one that starts it.
        process(TASKS, "noise", path, str(n), cwd=out)
    return path


def auroc(script: Callable[..., dict[str, Any]], precision: str) -> list[float]:
    """Test AUROC of the CNN on ECG5000, over three seeds, trained in this precision."""
    found = []
    for seed in ("0", "1", "2"):
        options = ("--seed", seed, "--set", f"training.precision={precision}", "--json")
        for name in STAGES[:3]:
            printed = script(name, "ecg5000_cnn", *options)["printed"]
        found.append(printed["test"]["auroc"])
    return found


def grown(out: Path, n: int, name: str) -> dict[str, Any]:
    """A stage on synthetic beats, training for one epoch; without what grows otherwise."""
    folder = out / f"growth_{n}"
    settings = (
        f"data.synthetic.beats={n}",
        f"data.processed_dir={folder}",
        "training.epochs=1",
        "training.batch_size=512",
        f"training.memory_budget_mb={BUDGET_MB}",
        "evaluation.baselines=[]",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    run_dir = ("--run-dir", out / f"run_{n}", "--overwrite")
    done = process(REPOSITORY / name, *options, *run_dir, cwd=out)
    return {"seconds": done["process"], "memory": done["memory"]}


if __name__ == "__main__":
    main()

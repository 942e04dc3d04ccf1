"""The page of `performance.py`, from its results."""

import os
import platform
import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Runs = dict[str, list[Any]]
STAGES = ("preprocess_data.py", "train_model.py", "evaluate_model.py", "visualize_results.py")
PUBLISHED_EPOCHS, LSTM_BATCH = 100, 8
COMPILED = (
    ("dense", "512", "float32"),
    ("cnn", "64", "float32"),
    ("cnn", "512", "float32"),
    ("cnn", "64", "bfloat16"),
    ("cnn", "512", "bfloat16"),
)


def write(runs: Runs, folder: Path) -> None:
    """Write `performance.md` and its picture into a folder, of what has been measured.

    runs: by name, what each run gave.
    """
    parts = [
        HEAD.format(
            runs=len(runs["import torch"]),
            cores=os.cpu_count(),
            processor=_processor(),
            versions=_versions(),
        )
    ]
    parts += ["## Start-up", STARTUP, _table(_startup(runs))]
    parts += ["## Training", TRAINING, _table(_training(runs))]
    parts += [_precision(runs), _compiled(runs)]
    parts += ["## Scoring", SCORING, _table(_scoring(runs))]
    parts += ["## Growth", GROWTH, growth_table(runs), "![time and memory](growth.png)"]
    (folder / "performance.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    _growth_picture(runs, folder / "growth.png")


HEAD = """# Speed and memory

Made by `make bench`, in an environment of its own (`benchmarks/requirements.txt`), on {cores} cores
of {processor}; {versions}.

Every figure is a ratio to something run beside it, in turn, each time in a process of its own:
medians, with the smallest and largest of the ratios run by run. Runs so far: {runs}. Seconds are
those of one machine, which others use as well: each process waited until they were quiet, for five
minutes at most. The largest data, the quality and the compiler were measured once."""
STARTUP = """Whole processes beside `python -c "import torch"`; the goal was at most 0.6."""
TRAINING = """The published dense recipe on `ecg.csv` (nadam, 100 epochs of batches of 512), `fit`
alone and whole processes; Keras is TensorFlow's. PyOD has neither nadam nor absolute errors nor a
validation: its fit is Adam on squared errors, and scores the training beats at its end. The Keras
process loads the table, trains, scores and chooses a threshold; ours beside it are `train_model.py`
and all four stages, with their baselines, bootstrap and figures. The LSTM is timed from the start
of the training until the published shares of the validation beats are right (97.26% of normal and
96.88% of anomalous ones); the published recipe takes 100 epochs, of which some steps were timed. A
step is the median of nine short epochs."""
SCORING = """From a memory-mapped file to scores, beside a loop of the same network and its mean
absolute errors over a tensor in memory, in the same batches; a million beats of 140 samples for
the dense network, a hundred thousand for the slower ones. Keras's `predict` makes no errors of its
reconstructions."""
GROWTH = """Synthetic beats of 140 samples; whole processes, training for one epoch with a
`training.memory_budget_mb` of 64 (from a million beats on they are streamed), evaluation without
baselines, drawing with all figures. A further beat is one more than in the column before: what a
process takes to start is not in it. Memory is that of the largest process of a stage; drawing has
one for each core. Reference beats and bootstrap stop growing at ten thousand beats."""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor()


def _versions() -> str:
    from importlib.metadata import version

    names = ("torch", "tensorflow_cpu", "keras", "pyod", "numpy")
    return f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in names)


def _row(what: str, ours: list[float], theirs: list[float], goal: str, unit: float = 1.0) -> str:
    """Show how many times as fast ours is."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return (
        f"| {what} | {_seconds(ours, unit)} | {_seconds(theirs, unit)} | "
        f"**{statistics.median(ratios):.3g}** ({min(ratios):.3g} to {max(ratios):.3g}) | {goal} |"
    )


def _seconds(values: list[float], unit: float = 1.0) -> str:
    return f"{statistics.median(values) * unit:.3g}"


def _table(rows: list[str]) -> str:
    head = "| what | ecgad | beside it | ratio (least to most) | goal |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def _startup(runs: Runs) -> list[str]:
    torch = runs["import torch"]
    rows = []
    for name in STAGES:
        ratios = [ours / theirs for ours, theirs in zip(runs[name + " --help"], torch, strict=True)]
        rows.append(
            f"| `{name} --help`, s | {_seconds(runs[name + ' --help'])} | {_seconds(torch)} | "
            f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) | "
            f"≤ 0.6 |"
        )
    return rows


def _training(runs: Runs) -> list[str]:
    whole = [sum(seconds) for seconds in zip(*(runs[name] for name in STAGES), strict=True)]
    keras = runs["keras whole"]
    rows = [
        _row("dense, fit beside Keras, s", runs["ecgad fit"], runs["keras fit"], "≥ 6"),
        _row("dense, fit beside PyOD, s", runs["ecgad fit"], runs["pyod fit"], "≥ 6"),
        _row("`train_model.py` beside the Keras process, s", runs[STAGES[1]], keras, "≥ 2.5"),
        _row("all four stages beside the Keras process, s", whole, keras, "≥ 1"),
    ]
    # Normal training beats of ECG5000, of which the published recipe takes a step for every eight.
    steps = PUBLISHED_EPOCHS * -(-1751 // LSTM_BATCH)
    recipe = [seconds * steps for seconds in runs["keras step one_sample 8"]]
    rows.append(_row("LSTM to the published quality, s", runs["lstm quality"], recipe, "≥ 50"))
    one_sample = "LSTM, one sample a step, batch 8, ms a step"
    ours, theirs = runs["ecgad step one_sample 8 float32"], runs["keras step one_sample 8"]
    rows.append(_row(one_sample, ours, theirs, "≥ 1.5", 1e3))
    for batch in ("64", "512"):
        for precision in ("float32", "bfloat16"):
            what = f"CNN, {precision}, batch {batch}, ms a step"
            ours, theirs = (
                runs[f"ecgad step cnn {batch} {precision}"],
                runs[f"keras step cnn {batch}"],
            )
            rows.append(_row(what, ours, theirs, "≥ 2", 1e3))
    return rows


def _precision(runs: Runs) -> str:
    gains = []
    for batch in ("64", "512"):
        names = [f"ecgad step cnn {batch} {precision}" for precision in ("float32", "bfloat16")]
        full, half = (statistics.median(runs[name]) for name in names)
        gains.append(f"{full / half:.2f} times as fast in batches of {batch}")
    full, half = (runs[f"quality {precision}"][0] for precision in ("float32", "bfloat16"))
    return (
        f"`training.precision: bfloat16`, with channels-last maps, makes a step of the CNN "
        f"{' and '.join(gains)} on a processor that multiplies matrices of bfloat16 (AMX); there "
        f"`auto` chooses it for the CNN, and nowhere else, so that the same machine always makes "
        f"the same choice. Test AUROC of `ecg5000_cnn` over three seeds: "
        f"{statistics.mean(full):.4f} in float32, {statistics.mean(half):.4f} in bfloat16."
    )


def _compiled(runs: Runs) -> str:
    steps = [(names, runs[f"compiled {' '.join(names)}"][0]["printed"]) for names in COMPILED]
    gains = [
        f"{step['eager'] / step['seconds']:.2f} ({kind}, {batch}, {precision})"
        for (kind, batch, precision), step in steps
    ]
    firsts = [step["first"] for _, step in steps]
    return (
        f"`torch.compile` is not used: it takes {min(firsts):.0f} to {max(firsts):.0f} s before "
        f"the first step, for steps (forward and backward, measured once) that are "
        f"{', '.join(gains)} times as fast, and for a batch of another size, such as the last one, "
        f"it compiles again."
    )


def _scoring(runs: Runs) -> list[str]:
    rows = [
        _row(
            f"{kind}, beside a bare loop, s",
            runs[f"ecgad score {kind}"],
            runs[f"bare score {kind}"],
            "≥ 0.7",
        )
        for kind in ("dense", "lstm", "cnn")
    ]
    for name, title in (("keras", "Keras's `predict`"), ("pyod", "PyOD's `decision_function`")):
        what = f"dense, beside {title}, s"
        rows.append(_row(what, runs["ecgad score dense"], runs[f"{name} score"], "≥ 5"))
    resamples = [seconds * 1000 for seconds in runs["sklearn resample"]]
    what = "metrics and 1000 resamples of a million beats, beside scikit-learn's on each, s"
    rows.append(_row(what, runs["ecgad metrics"], resamples, "some seconds"))
    return rows


def _grown(runs: Runs) -> dict[str, dict[int, list[dict[str, float]]]]:
    found: dict[str, dict[int, list[dict[str, float]]]] = {name: {} for name in STAGES}
    for name, values in runs.items():
        if name.startswith("growth "):
            _, n, script = name.split()
            found[script][int(n)] = values
    return {script: dict(sorted(sizes.items())) for script, sizes in found.items()}


def growth_table(runs: Runs) -> str:
    """Show seconds and memory of each stage by the number of beats."""
    sizes = sorted(next(iter(_grown(runs).values())))
    lines = ["| stage | " + " | ".join(f"{n:,} beats" for n in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for script, by_size in _grown(runs).items():
        cells, before = [], (0, 0.0)
        for n in sizes:
            seconds = statistics.median(run["seconds"] for run in by_size[n])
            memory = statistics.median(run["memory"] for run in by_size[n])
            cell = f"{seconds:.3g} s, {memory:.0f} MB"
            if before[0]:
                each = (seconds - before[1]) / (n - before[0])
                cell += f", {each * 1e6:.2g} µs a further beat"
            cells.append(cell)
            before = n, seconds
        lines.append(f"| `{script}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _growth_picture(runs: Runs, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for script, by_size in _grown(runs).items():
        sizes = list(by_size)
        medians = {
            what: [statistics.median(run[what] for run in by_size[n]) for n in sizes]
            for what in ("seconds", "memory")
        }
        left.plot(sizes, medians["seconds"], marker="o", label=script)
        right.plot(sizes, medians["memory"], marker="o", label=script)
    left.set(xscale="log", yscale="log", xlabel="beats", ylabel="seconds of the process")
    right.set(xscale="log", xlabel="beats", ylabel="peak memory of a process (MB)", ylim=(0, None))
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)

"""Rerun the whole results table, and write docs/results.md.

python benchmarks/quality.py --data FOLDER [--out FOLDER] [--only NAME]... [--jobs N]

FOLDER has `ecg5000` with the files of ECG5000 and ecg.csv, and `mitdb` with the MIT-BIH records. A
run that is done, with the same config and options, is not done again, so that the command can be
given again after a break; every result says what it was made by. Changes of the code do not count:
after one that moves results, give another folder. Processed beats are removed once
the rows that share them are done, since those of MIT-BIH take some hundred megabytes.
"""

import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from cross_validation import Trial, cross_validate
from quality_table import (
    CONTAMINATED,
    CROSS_VALIDATED,
    PUBLISHED,
    TABLE,
    TRIALS,
    Row,
    all_rows,
    promise_rows,
)

REPOSITORY = Path(__file__).parent.parent
# Of a run that failed, how much of what it said is shown.
TAIL = 600


def main(
    data: Annotated[Path, typer.Option(help="holds ecg5000/ and mitdb/")],
    out: Annotated[Path, typer.Option(help="gets a folder for each run")] = Path("runs/quality"),
    only: Annotated[list[str] | None, typer.Option(help="names of rows to run")] = None,
    jobs: Annotated[int, typer.Option(help="runs at a time")] = 1,
) -> None:
    """Run what is missing, and write docs/results.md from what there is."""
    rows = all_rows()
    wanted = [row for row in rows if not only or row.name in only]
    work: dict[tuple[str, int], list[Row]] = {}
    for row in wanted:
        for seed in range(row.seeds):
            work.setdefault((training_key(row), seed), []).append(row)
    with ThreadPoolExecutor(jobs) as pool:
        jobs_done = pool.map(
            lambda job: run(job[1], job[0][1], data.absolute(), out.absolute()), work.items()
        )
        list(jobs_done)
    trials = [trial for of_data in CROSS_VALIDATED.values() for trial in of_data]
    for trial in trials:
        if not only or trial.name in only:
            try_out(trial, data, out)
    found = {row.name: results(row, out) for row in rows}
    tried = {trial.name: tried_out(trial, out) for trial in trials}
    page = REPOSITORY / "docs" / "results.md"
    page.write_text(render(found, tried), encoding="utf-8")
    print(f"wrote {page}")


def training_key(row: Row) -> str:
    """Names the training of a row: rows that differ in the evaluation alone share it."""
    options = {k: v for k, v in row.options.items() if not k.startswith("evaluation.")}
    training = {k: v for k, v in settings_of(row.config).items() if k != "evaluation"}
    return hashlib.sha256(json.dumps([training, options]).encode()).hexdigest()[:12]


def settings_of(config: str) -> dict[str, Any]:
    """The config as it stands in its file."""
    path = REPOSITORY / "configs" / f"{config}.yaml"
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return settings


def run(rows: list[Row], seed: int, data: Path, out: Path) -> None:
    """Preprocess and train once, and evaluate for each row whose result is not there already."""
    place = out / f"{rows[0].config}-{training_key(rows[0])}-seed{seed}"
    for row in rows:
        result = out / "results" / f"{row.name}-seed{seed}.json"
        made_by = made_by_row(row, seed)
        if load(result, made_by) is not None:
            continue
        options = [*command_of(row, seed), "--run-dir", str(place / "run"), "--quiet", "--json"]
        options += ["--set", f"data.raw_dir={data / raw_folder(row.config)}"]
        options += ["--set", f"data.processed_dir={place / 'data'}"]
        print(row.name, seed, flush=True)
        for script, more in (
            ("preprocess_data.py", []),
            ("train_model.py", ["--resume"]),
            ("evaluate_model.py", ["--overwrite"]),
        ):
            done = subprocess.run(
                [sys.executable, str(REPOSITORY / script), *options, *more],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"{row.name}, {seed}: {script} failed: {done.stderr[-TAIL:]}", flush=True)
                break
        else:
            save(result, made_by, json.loads(done.stdout))
    shutil.rmtree(place / "data", ignore_errors=True)


def raw_folder(config: str) -> str:
    """Where the data of a config lie."""
    return "mitdb" if config.startswith("mitdb") else "ecg5000"


def try_out(trial: Trial, data: Path, out: Path) -> None:
    """Cross-validate on training and validation beats, unless the result is there already."""
    if not tried_out(trial, out):
        print(trial.name, flush=True)
        measured = cross_validate(trial, data / raw_folder(trial.config))
        save(out / "results" / f"{trial.name}.json", made_by_trial(trial), measured)


def tried_out(trial: Trial, out: Path) -> list[dict[str, float]]:
    """What cross-validation measured, seed by seed; nothing where it is not done."""
    return load(out / "results" / f"{trial.name}.json", made_by_trial(trial)) or []


def made_by_trial(trial: Trial) -> dict[str, Any]:
    """What a cross-validation depends on."""
    return {"trial": asdict(trial), "config": settings_of(trial.config)}


def made_by_row(row: Row, seed: int) -> dict[str, Any]:
    """What a run depends on."""
    return {"command": command_of(row, seed), "config": settings_of(row.config)}


def save(result: Path, made_by: dict[str, Any], measured: Any) -> None:
    """Write a result, with what it was made by."""
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps({"made_by": made_by, "measured": measured}))


def load(result: Path, made_by: dict[str, Any]) -> Any:
    """The result in that file; None where there is none, or one made by something else."""
    if not result.exists():
        return None
    content = json.loads(result.read_text())
    return content["measured"] if content["made_by"] == made_by else None


def command_of(row: Row, seed: int) -> list[str]:
    """The options of a run that say what it computes."""
    options = ["--config", f"configs/{row.config}.yaml", "--seed", str(seed)]
    for key, value in row.options.items():
        options += ["--set", f"{key}={value}"]
    return [*options, "--set", "evaluation.bootstrap=0"]


def results(row: Row, out: Path) -> list[dict[str, Any]]:
    """`metrics.json` of the seeds that are done."""
    found = [
        load(out / "results" / f"{row.name}-seed{seed}.json", made_by_row(row, seed))
        for seed in range(row.seeds)
    ]
    return [metrics for metrics in found if metrics is not None]


Found = dict[str, list[dict[str, Any]]]
Tried = dict[str, list[dict[str, float]]]


def render(found: Found, tried: Tried) -> str:
    """The page."""
    parts = [HEAD]
    for dataset, rows in TABLE.items():
        if not any(found[row.name] for row in rows):
            continue
        parts.append(f"## {dataset}\n")
        if dataset in PUBLISHED:
            parts.append(f"Published: {PUBLISHED[dataset]}.\n")
        lines = [COLUMNS, "|---" * len(COLUMNS.split(" | ")) + "|"]
        for row in rows:
            if found[row.name]:
                lines.append(line_of(row, found[row.name]))
                lines += baseline_lines(found[row.name])
        parts.append("\n".join(lines) + "\n")
        parts += ahead_of(rows[0], found)
        parts += classes_of(rows[0], found)
    parts.append("## False alarms promised and observed\n\n" + promises(found))
    parts.append("## Training on beats that are not clean\n\n" + contamination(found))
    parts.append("## Other settings, on test beats\n\n" + trials(found))
    parts.append("## What was tried on training and validation beats\n\n" + cross_validated(tried))
    return "\n".join(parts)


COLUMNS = "| | AUROC | average precision | accuracy | balanced accuracy | seeds |"
MEASURES = ("auroc", "average_precision", "accuracy", "balanced_accuracy")


def spread(values: list[float], sign: str = "") -> str:
    """Mean and standard deviation over seeds. sign: `+` where a difference has one always."""
    if any(value is None for value in values):
        return "-"
    if len(values) == 1:
        return f"{values[0]:{sign}.4f}"
    return f"{statistics.mean(values):{sign}.4f} ± {statistics.stdev(values):.4f}"


def line_of(row: Row, metrics: list[dict[str, Any]]) -> str:
    """A row of the table."""
    cells = [spread([m["test"][name] for m in metrics]) for name in MEASURES]
    return f"| {row.what} (`{row.config}`) | {' | '.join(cells)} | {len(metrics)} |"


def baseline_lines(metrics: list[dict[str, Any]]) -> list[str]:
    """The baselines of a row, on the same beats."""
    lines = []
    for name in metrics[0]["baselines"]:
        entries = [m["baselines"][name] for m in metrics]
        cells = [spread([entry[measure] for entry in entries]) for measure in MEASURES]
        part = ""
        if entries[0]["n_fitted"] < entries[0]["n_normals"]:
            part = f", fitted on {entries[0]['n_fitted']:,} of {entries[0]['n_normals']:,}"
        title = name.replace("_", " ") + part
        lines.append(f"| {title} | {' | '.join(cells)} | {len(entries)} |")
    return lines


def ahead_of(row: Row, found: Found) -> list[str]:
    """By how much the recommended config is ahead of the best baseline, on the same beats."""
    metrics = found[row.name]
    if not metrics or not metrics[0]["baselines"]:
        return []
    words = []
    for measure, title in (("auroc", "AUROC"), ("average_precision", "average precision")):
        of_baselines = {
            name: [m["baselines"][name][measure] for m in metrics]
            for name in metrics[0]["baselines"]
        }
        best = max(of_baselines, key=lambda name: statistics.mean(of_baselines[name]))
        ahead = [
            m["test"][measure] - value for m, value in zip(metrics, of_baselines[best], strict=True)
        ]
        n_ahead = sum(difference > 0 for difference in ahead)
        words.append(
            f"{title} {spread(ahead, '+')} over {best.replace('_', ' ')}, ahead for {n_ahead} of "
            f"{len(ahead)} seeds"
        )
    return [f"Recommended less the best baseline, seed by seed: {'; '.join(words)}.\n"]


def classes_of(row: Row, found: Found) -> list[str]:
    """How many anomalies of each class the recommended config finds at its threshold."""
    metrics = found[row.name]
    if not metrics or len(metrics[0]["test"]["recall_by_class"]) < 2:
        return []
    classes = sorted(metrics[0]["test"]["recall_by_class"])
    words = ", ".join(
        f"{symbol} {spread([m['test']['recall_by_class'].get(symbol, 0.0) for m in metrics])}"
        for symbol in classes
    )
    specificity = spread([m["test"]["specificity"] for m in metrics])
    text = f"Sensitivity of the first row by class: {words}, at specificity {specificity}."
    if "mean_over_records" in metrics[0]["test"]:
        of_records = spread([m["test"]["mean_over_records"]["auroc"] for m in metrics])
        text += f" AUROC, mean over records: {of_records}."
    return [text + "\n"]


def promises(found: Found) -> str:
    """Conformal thresholds: false alarms of each seed beside the promise."""
    lines = ["| | promised | observed, seed by seed | mean | inside binomial 95% | allowed 95% |"]
    lines.append("|---|---|---|---|---|---|")
    for dataset, rows in promise_rows().items():
        for row in rows:
            alarms = [m["test"]["false_alarms"] for m in found[row.name]]
            if not alarms:
                continue
            observed = [a["observed"] for a in alarms]
            each = ", ".join(f"{value:.2%}" for value in observed)

            def inside(key: str, alarms: list[dict[str, Any]] = alarms) -> str:
                n = sum(a[key][0] <= a["observed"] <= a[key][1] for a in alarms)
                return f"{n} of {len(alarms)}"

            lines.append(
                f"| {dataset} | {alarms[0]['promised']:.0%} | {each} | "
                f"{statistics.mean(observed):.2%} | {inside('binomial_95')} | "
                f"{inside('allowed_95')} |"
            )
    return "\n".join(lines) + "\n\n" + PROMISE_NOTE


def contamination(found: Found) -> str:
    """What hidden anomalies cost, with and without trimming."""
    clean = [m["test"]["auroc"] for m in found["ecg_csv"]]
    lines = ["| ecg.csv | AUROC | average precision | AUROC lost |", "|---|---|---|---|"]
    for row in CONTAMINATED:
        metrics = found[row.name]
        if metrics and clean:
            auroc = [m["test"]["auroc"] for m in metrics]
            lost = statistics.mean(clean) - statistics.mean(auroc)
            precision = spread([m["test"]["average_precision"] for m in metrics])
            lines.append(f"| {row.what} | {spread(auroc)} | {precision} | {lost:.4f} |")
    return "\n".join(lines) + "\n\n"


def trials(found: Found) -> str:
    """Other settings beside the recommended ones."""
    lines = ["| | | AUROC | average precision | seeds |", "|---|---|---|---|---|"]
    for dataset, rows in TRIALS.items():
        for row in [TABLE[dataset][0], *rows]:
            metrics = found[row.name]
            if metrics:
                cells = [spread([m["test"][name] for m in metrics]) for name in MEASURES[:2]]
                lines.append(f"| {dataset} | {row.what} | {' | '.join(cells)} | {len(metrics)} |")
    return "\n".join(lines) + "\n"


def cross_validated(tried: Tried) -> str:
    """What settings were chosen by, and what did not help."""
    lines = [CROSS_VALIDATION_NOTE]
    names = ("auroc", "average_precision", "auroc_records", "sensitivity_v")
    for dataset, of_data in CROSS_VALIDATED.items():
        there = [trial for trial in of_data if tried[trial.name]]
        if not there:
            continue
        columns = [name for name in names if name in tried[there[0].name][0]]
        lines.append(f"| {dataset} | {' | '.join(CROSS_VALIDATION_COLUMNS[c] for c in columns)} |")
        lines.append("|---" * (len(columns) + 1) + "|")
        for trial in there:
            cells = [spread([seed[c] for seed in tried[trial.name]]) for c in columns]
            lines.append(f"| {trial.what} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


CROSS_VALIDATION_COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "auroc_records": "AUROC, mean over records",
    "sensitivity_v": "sensitivity to V at 95% specificity",
}
CROSS_VALIDATION_NOTE = """Five folds, of whole records where beats are of records; one network; no
test beat is scored. The rows differ from the first of their table in what they name alone.
"""

HEAD = """# Results

Written by `python benchmarks/quality.py --data FOLDER`; do not edit by hand. Test beats, mean ±
standard deviation over seeds, which draw the split (where it is drawn), the initial weights and the
order of batches. Anomalous beats are the positive class. Baselines see the very beats that the
config above them sees, and get a threshold in the same way.
"""

PROMISE_NOTE = """The promise is about the mean over all draws of validation beats. A single draw of
them moves the rate observed on a test split as much again as the draw of that does: the binomial
interval leaves that out, the beta-binomial one (allowed) does not.

"""

if __name__ == "__main__":
    typer.run(main)

"""Rerun the whole results table, and write docs/results.md.

python benchmarks/quality.py --data FOLDER [--out FOLDER] [--only NAME]... [--jobs N]

FOLDER has `ecg5000` with the files of ECG5000 and ecg.csv, and `mitdb` with the MIT-BIH records.
The same command can be given again after a break: results are kept in --out with the config and the
options that they were made by, and are not made again. Changes of the code do not count: after one
that moves results, give another folder. Rows that differ in `evaluation.*` alone share a training.
Once they are done, their processed beats are removed: a seed of MIT-BIH takes some hundred
megabytes.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from cross_validation import Trial, cross_validate
from measured import load, save, settings_of
from quality_page import render
from quality_table import CROSS_VALIDATED, Row, all_rows
from sweep import sweep

PAGE = Path(__file__).parent.parent / "docs" / "results.md"


def main(
    data: Annotated[Path, typer.Option(help="holds ecg5000/ and mitdb/")],
    out: Annotated[Path, typer.Option(help="gets a folder for each training")] = Path(
        "runs/quality"
    ),
    only: Annotated[list[str] | None, typer.Option(help="names of rows to run")] = None,
    jobs: Annotated[int, typer.Option(help="seeds at a time, each on its share of the cores")] = 1,
) -> None:
    """Run what is missing, and write docs/results.md from what there is."""
    rows = all_rows()
    trials = [trial for of_data in CROSS_VALIDATED.values() for trial in of_data]
    sharing: dict[str, list[Row]] = {}
    for row in rows:
        if not only or row.name in only:
            sharing.setdefault(training_key(row), []).append(row)
    for of_training in sharing.values():
        run(of_training, data.absolute(), out.absolute(), jobs)
    for trial in trials:
        if not only or trial.name in only:
            run_trial(trial, data, out)
    found = {row.name: results(row, out) for row in rows}
    tried = {trial.name: trial_results(trial, out) for trial in trials}
    PAGE.write_text(render(found, tried), encoding="utf-8")
    print(f"wrote {PAGE}")


def training_key(row: Row) -> str:
    """Name the training of a row: rows that differ in the evaluation alone share it."""
    options = {k: v for k, v in row.options.items() if not k.startswith("evaluation.")}
    training = {k: v for k, v in settings_of(row.config).items() if k != "evaluation"}
    return hashlib.sha256(json.dumps([training, options]).encode()).hexdigest()[:12]


def run(rows: list[Row], data: Path, out: Path, jobs: int = 1) -> None:
    """Run what is missing of rows that share a training, once for each of their seeds."""
    folder = out / f"{rows[0].config}-{training_key(rows[0])}"
    for row in rows:
        missing = [
            seed
            for seed in range(row.seeds)
            if load(result_file(row, seed, out), made_by(row, seed)) is None
        ]
        if not missing:
            continue
        print(row.name, *missing, flush=True)
        options = [*options_of(row), "--set", f"data.raw_dir={data / raw_folder(row.config)}"]
        for metrics in sweep(row.config, missing, options, folder, jobs):
            seed = metrics["seed"]
            save(result_file(row, seed, out), made_by(row, seed), metrics)
    for processed in folder.glob("*/data"):
        shutil.rmtree(processed)


def results(row: Row, out: Path) -> list[dict[str, Any]]:
    """Return the metrics of the seeds that are done."""
    found = [load(result_file(row, seed, out), made_by(row, seed)) for seed in range(row.seeds)]
    return [metrics for metrics in found if metrics is not None]


def result_file(row: Row, seed: int, out: Path) -> Path:
    """Say where the metrics of a row and seed are kept."""
    return out / "results" / f"{row.name}-seed{seed}.json"


def made_by(row: Row, seed: int) -> dict[str, Any]:
    """Return what the metrics of a row and seed depend on."""
    command = ["--config", f"configs/{row.config}.yaml", "--seed", str(seed), *options_of(row)]
    return {"command": command, "config": settings_of(row.config)}


def options_of(row: Row) -> list[str]:
    """Return the options of the stages that say what a row computes."""
    settings = [f"{key}={value}" for key, value in row.options.items()]
    settings.append("evaluation.bootstrap=0")
    return [word for setting in settings for word in ("--set", setting)]


def raw_folder(config: str) -> str:
    """Say in which folder the data of a config lie."""
    return "mitdb" if config.startswith("mitdb") else "ecg5000"


def run_trial(trial: Trial, data: Path, out: Path) -> None:
    """Cross-validate on training and validation beats, unless the result is there already."""
    if not trial_results(trial, out):
        print(trial.name, flush=True)
        measured = cross_validate(trial, data / raw_folder(trial.config))
        save(out / "results" / f"{trial.name}.json", trial_made_by(trial), measured)


def trial_results(trial: Trial, out: Path) -> list[dict[str, float]]:
    """Return what cross-validation measured, seed by seed; nothing where it is not done."""
    return load(out / "results" / f"{trial.name}.json", trial_made_by(trial)) or []


def trial_made_by(trial: Trial) -> dict[str, Any]:
    """Return what a cross-validation depends on."""
    return {"trial": asdict(trial), "config": settings_of(trial.config)}


if __name__ == "__main__":
    typer.run(main)

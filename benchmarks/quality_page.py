"""The page of `quality.py`, docs/results.md, from its results."""

import statistics
from typing import Any

from quality_table import (
    CONTAMINATED,
    CROSS_VALIDATED,
    PUBLISHED,
    TABLE,
    TRIALS,
    Row,
    promise_rows,
)
from sweep import spread

Found = dict[str, list[dict[str, Any]]]
Tried = dict[str, list[dict[str, float]]]


def render(found: Found, tried: Tried) -> str:
    """Return the page, with the tables of what is done.

    found: metrics of the seeds of each row. tried: of each trial, what cross-validation measured.
    """
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


def line_of(row: Row, metrics: list[dict[str, Any]]) -> str:
    """Show the results of a row."""
    cells = [spread([m["test"][name] for m in metrics]) for name in MEASURES]
    return f"| {row.what} (`{row.config}`) | {' | '.join(cells)} | {len(metrics)} |"


def baseline_lines(metrics: list[dict[str, Any]]) -> list[str]:
    """Show the baselines of a row, on the same beats."""
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
    """Say by how much the recommended config is ahead of the best baseline, on the same beats."""
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
    """Say how many anomalies of each class the recommended config finds at its threshold."""
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
    """Show the false alarms of each seed at conformal thresholds, beside the promise."""
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
    """Show what hidden anomalies cost, with and without trimming."""
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
    """Show other settings beside the recommended ones."""
    lines = ["| | | AUROC | average precision | seeds |", "|---|---|---|---|---|"]
    for dataset, rows in TRIALS.items():
        for row in [TABLE[dataset][0], *rows]:
            metrics = found[row.name]
            if metrics:
                cells = [spread([m["test"][name] for m in metrics]) for name in MEASURES[:2]]
                lines.append(f"| {dataset} | {row.what} | {' | '.join(cells)} | {len(metrics)} |")
    return "\n".join(lines) + "\n"


def cross_validated(tried: Tried) -> str:
    """Show what settings were chosen by, and what did not help."""
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

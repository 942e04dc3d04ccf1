"""The stages' results as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from ecgad.evaluation.baselines import TITLES, subsampling_words
from ecgad.evaluation.metrics import HEADLINE, RECORD_MEASURES
from ecgad.scoring.thresholds import few_words, provenance


def preprocess_tables(summary: dict[str, Any]) -> list[str | Table]:
    """Show what `preprocess_data.py` found: classes, splits, how well the scaling covers them."""
    splits = summary["splits"]
    names = summary["class_names"]
    table = _table("class", *splits, "all", title="Beats")
    symbols = {symbol for split in splits.values() for symbol in split["n_by_class"]}
    for symbol in sorted(symbols):
        counts = [split["n_by_class"].get(symbol, 0) for split in splits.values()]
        share = sum(counts) / summary["n_beats"]
        label = f"{symbol}  {names[symbol]}" if symbol in names else symbol
        if summary["labelled"] and not names:
            # Of a user's own table, only its owner knows what a class means.
            anomalous = symbol in summary["classes_called_anomalous"]
            label += "  (anomalous)" if anomalous else "  (normal)"
        table.add_row(label, *map(str, counts), f"{sum(counts)} ({share:.1%})")
    totals = [split["n_beats"] for split in splits.values()]
    table.add_section()
    table.add_row("all", *map(str, totals), str(summary["n_beats"]))
    if summary["labelled"]:
        normals = [split["n_normal"] for split in splits.values()]
        table.add_row("of them normal", *map(str, normals), str(sum(normals)))
    shares = [f"{split['out_of_range']:.3%}" for split in splits.values()]
    fitted = "training normals" if summary["labelled"] else "training beats"
    table.add_row(f"samples beyond {fitted}", *shares, "")
    left_out = [f"{n} x {reason}" for reason, n in summary["left_out"].items() if n]
    notes = [f"left out: {', '.join(left_out)}"] if left_out else []
    if "class_map" in summary:
        notes.append(class_words(summary))
    return [
        f"{summary['n_beats']} beats of {summary['n_leads']} x {summary['n_samples']} samples "
        f"from {summary['source']}, seed {summary['seed']}",
        table,
        *notes,
        f"splits: {summary['processed_dir']}",
    ]


def class_words(known: Mapping[str, Any]) -> str:
    """Say how annotated beats became classes, and which of them are normal."""
    return (
        f"classes by the map {known['class_map']}; normal: {', '.join(known['normal_classes'])}; "
        f"anomalous: {', '.join(known['anomalous_classes'])}; others are left out"
    )


def patient_words(patients: list[str]) -> str:
    """Say whose beats are both in training and test, which flatters the results."""
    if not patients:
        return "no patient is both in training and test"
    named = ", ".join(patients) if len(patients) < 10 else f"{len(patients)} patients"
    return f"both in training and test, which flatters the results: {named}"


def train_tables(summary: dict[str, Any]) -> list[str | Table]:
    """Show how the training of `train_model.py` went."""
    table = _table(f"{summary['model']} autoencoder", "", title="Training")
    members = f" ({summary['members']} members)" if summary["members"] > 1 else ""
    table.add_row("weights", f"{summary['n_weights']}{members}")
    kind = "normal" if summary["labelled"] else "unlabelled"
    table.add_row(f"{kind} beats, training", f"{summary['n_train']}")
    table.add_row(f"{kind} beats, validation", f"{summary['n_validation']}")
    stopped = " (stopped early)" if summary["stopped_early"] else ""
    table.add_row("epochs", f"{summary['epochs']}{stopped}")
    table.add_row("best epoch", f"{summary['best_epoch']}")
    table.add_row(f"validation loss there ({summary['loss']})", f"{summary['best_loss']:.5f}")
    table.add_row("seconds", f"{summary['seconds']:.1f}")
    return [table, f"model: {summary['run_dir']}"]


def visualize_tables(summary: dict[str, Any]) -> list[str | Table]:
    """Say what `visualize_results.py` drew, and where."""
    return [f"{len(summary['figures'])} figures", f"report: {summary['report']}"]


def evaluate_tables(metrics: dict[str, Any]) -> list[str | Table]:
    """Show what `evaluate_model.py` measured."""
    threshold = metrics["threshold"]
    parts: list[str | Table] = [
        f"{metrics['name']}, seed {metrics['seed']}: score {metrics['score']}, threshold "
        f"{threshold['value']:.6g} by {provenance(threshold)}"
    ]
    if few := few_words(threshold):
        parts.append(few)
    if "class_map" in metrics:
        parts.append(class_words(metrics))
    if metrics["patients_in_training_and_test"] is not None:
        parts.append(patient_words(metrics["patients_in_training_and_test"]))
    splits = {name: metrics[name] for name in ("validation", "test")}
    if splits["test"]["auroc"] is None:
        parts.append(unlabelled_words(metrics))
        header, *rows = most_anomalous(metrics)
        table = _table(*header, title="Most anomalous beats")
        for row in rows:
            table.add_row(*row)
        return [*parts, table]

    intervals = ""
    if "interval_95" in splits["test"]:
        intervals = f", with 95% intervals by bootstrap over {splits['test']['interval_over']}"
    table = _table("", *splits, title="Metrics" + intervals)
    for name, title in HEADLINE.items():
        table.add_row(title, *(_with_interval(split, name) for split in splits.values()))
    if "mean_over_records" in splits["test"]:
        table.add_section()
        for name, title in RECORD_MEASURES.items():
            table.add_row(f"{title}, mean over records", *(_mean(s, name) for s in splits.values()))
    report = _table("test beats", "precision", "recall", "F1", "beats", title="Classes")
    for name in ("normal", "anomalous", "macro avg", "weighted avg"):
        row = splits["test"]["classification_report"][name]
        values = [f"{row[column]:.4f}" for column in ("precision", "recall", "f1-score")]
        report.add_row(name, *values, f"{row['support']:.0f}")
    recalls = _table("class of anomaly", *splits, title="Recall by class (beats)")
    symbols = {symbol for split in splits.values() for symbol in split["recall_by_class"]}
    for symbol in sorted(symbols):
        cells = [
            f"{split['recall_by_class'][symbol]:.4f} ({split['n_by_class'][symbol]})"
            if symbol in split["recall_by_class"]
            else "-"
            for split in splits.values()
        ]
        label = metrics["class_names"].get(symbol, "")
        recalls.add_row(f"{symbol}  {label}".strip(), *cells)
    return [*parts, table, report, recalls, *_beside(metrics)]


def unlabelled_words(metrics: Mapping[str, Any]) -> str:
    """Say how many of unlabelled beats are called anomalous, and where all of them stand."""
    return (
        f"{metrics['n_flagged']} of {metrics['n_beats']} unlabelled beats are called anomalous; "
        f"scores.csv has all of them, the most anomalous first"
    )


def most_anomalous(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return the beats of the highest scores as cells, with a header."""
    rows = metrics["most_anomalous"]
    cells = [
        [f"{value:.5g}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    return [list(rows[0]), *cells]


COMPARED = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def _beside(metrics: dict[str, Any]) -> list[str | Table]:
    """Show what was promised of false alarms, and the baselines."""
    parts: list[str | Table] = []
    if "false_alarms" in metrics["test"]:
        parts.append(false_alarm_words(metrics["test"]["false_alarms"]))
    if metrics["baselines"]:
        table = _table("test beats", *COMPARED.values(), "seconds", title="Beside simple methods")
        for name, cells in comparison(metrics):
            table.add_row(name, *cells)
        parts.append(table)
        if words := subsampling_words(metrics["baselines"]):
            parts.append(words)
    return parts


def comparison(metrics: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return titles of autoencoder and baselines, each with its cells: COMPARED, then seconds."""
    seconds = sum(metrics["seconds"].values())
    rows = [(f"{metrics['model']} autoencoder", {**metrics["test"], "seconds": seconds})]
    rows += [(TITLES[name], entry) for name, entry in metrics["baselines"].items()]
    return [
        (
            title,
            [
                *("-" if entry[name] is None else f"{entry[name]:.4f}" for name in COMPARED),
                f"{entry['seconds']:.1f}",
            ],
        )
        for title, entry in rows
    ]


def false_alarm_words(alarms: Mapping[str, Any]) -> str:
    """Say which rate the threshold promised, and which one was observed."""
    if found := alarms.get("patients"):
        return (
            f"false alarms among normal test beats: promised at most {alarms['promised']:.1%} of "
            f"them in {found['promised']:.0%} of new patients; kept in {found['kept']:.0%} of "
            f"{found['n_records']} records, median {found['median']:.1%}, mean "
            f"{found['mean']:.1%}, more than twice as many in {found['above_twice']:.0%}"
        )
    words = (
        f"false alarms among normal test beats: promised {alarms['promised']:.3%}, observed "
        f"{alarms['observed']:.3%}; 95% of samples with the promised rate lie between "
        f"{alarms['binomial_95'][0]:.3%} and {alarms['binomial_95'][1]:.3%}"
    )
    if alarms["allowed_95"]:
        low, high = alarms["allowed_95"]
        words += f", with the chance in choosing the threshold {low:.3%} and {high:.3%}"
    return words


def _mean(split: dict[str, Any], name: str) -> str:
    means = split["mean_over_records"]
    return "-" if means[name] is None else f"{means[name]:.4f} ({means['n_' + name]} records)"


def _with_interval(split: dict[str, Any], name: str) -> str:
    low_high = split.get("interval_95", {}).get(name)
    interval = f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
    return f"{split[name]:.4f}{interval}"


def _table(first: str, *columns: str, title: str) -> Table:
    table = Table(first, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right")
    return table

"""The results and pictures of a run as one HTML page that needs nothing else."""

import base64
import struct
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ecgad.evaluation.baselines import TITLES, subsampling_words
from ecgad.evaluation.metrics import HEADLINE, RECORD_MEASURES
from ecgad.pages.page import page, table
from ecgad.report.mistakes import Mistakes, lost_words
from ecgad.report.picture import FALSE_ALARMS, GROUPS, MISSES, Picture
from ecgad.report.tables import (
    COMPARED,
    class_words,
    comparison,
    false_alarm_words,
    most_anomalous,
    patient_words,
    unlabelled_words,
)
from ecgad.scoring.thresholds import few_words, provenance

# Of `metrics.json`, what stands before all else.
FIRST = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "recall": "sensitivity",
    "specificity": "specificity",
}
# From so many rows on, a table is scrolled and not the page.
TALL = 20
# Of a PNG, where its width and height are: two big-endian integers.
SIZE_OF_PNG = slice(16, 24)


def render(
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    pictures: Sequence[tuple[Picture, bytes]],
    mistakes: Mistakes | None,
) -> str:
    """Return the page.

    metrics: `metrics.json`. training: the summary of the training. pictures: with the PNG of each.
    mistakes: those that the last pictures are of, of a run over records.
    """
    sections = {
        **_tables(metrics, training),
        **_groups(metrics, pictures, mistakes),
    }
    named = {_id(heading): (heading, content) for heading, content in sections.items()}
    links = "\n".join(
        f'<li><a href="#{name}">{escape(heading)}</a></li>' for name, (heading, _) in named.items()
    )
    parts = "\n".join(
        f'<section id="{name}">\n<h2>{escape(heading)}</h2>\n{content}</section>'
        for name, (heading, content) in named.items()
    )
    title = f"ecgad: {metrics['name']}"
    body = f"""<h1>{escape(title)}</h1>
{_result(metrics)}{_paragraph(_made(metrics, training), "muted")}<div class="run">
<nav aria-label="Contents"><h2>Contents</h2>
<ul>
{links}
</ul></nav>
<div>
{parts}
</div>
</div>"""
    return "".join(page(title, body, ["run.css"], ["run.js"]))


def _id(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _paragraph(words: str, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f"<p{of_kind}>{escape(words)}</p>\n" if words else ""


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}. "


def _result(metrics: Mapping[str, Any]) -> str:
    """Say what came out, in a sentence and in the figures that matter."""
    test = metrics["test"]
    if test["auroc"] is None:
        return _paragraph(_sentence(unlabelled_words(metrics)), "result")
    words = (
        f"{test['recall']:.1%} of {test['n_anomalous']:,} anomalous test beats are found, and "
        f"{1 - test['specificity']:.1%} of {test['n_normal']:,} normal ones are called anomalous. "
    )
    simple: Mapping[str, Any] = {}
    if metrics["baselines"]:
        best, simple = max(metrics["baselines"].items(), key=lambda entry: entry[1]["auroc"])
        simply = TITLES[best]
        words += (
            f"AUROC is {test['auroc']:.4f}; the best simple method ({simply}) has "
            f"{simple['auroc']:.4f}."
        )
    cards = []
    for name, title in FIRST.items():
        notes = [title, *_interval(test, name)]
        if simple.get(name) is not None:
            notes.append(f"{simply}: {simple[name]:.4f}")
        cards.append(_card(f"{test[name]:.4f}", notes))
    notes = ["false alarms among normal beats"]
    if "false_alarms" in test:
        notes.append(f"promised: {test['false_alarms']['promised']:.3%}")
    notes.append(f"validation: {1 - metrics['validation']['specificity']:.3%}")
    cards.append(_card(f"{1 - test['specificity']:.3%}", notes))
    return f'{_paragraph(words, "result")}<ul class="figures">\n{"".join(cards)}</ul>\n'


def _card(value: str, notes: Sequence[str]) -> str:
    words = "".join(f"<span>{escape(note)}</span>" for note in notes)
    return f"<li><strong>{value}</strong>{words}</li>\n"


def _interval(split: Mapping[str, Any], name: str) -> list[str]:
    """Return the interval of a metric as words, where it has one."""
    low_high = split.get("interval_95", {}).get(name)
    return [f"95%: {low_high[0]:.4f} to {low_high[1]:.4f}"] if low_high else []


def _made(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    threshold = metrics["threshold"]
    return (
        f"A {metrics['model']} autoencoder of {training['n_weights']:,} weights, trained for "
        f"{training['epochs']} epochs on {training['n_train']:,} "
        f"{'normal' if training['labelled'] else 'unlabelled'} beats of source "
        f"{metrics['source']} (seed {metrics['seed']}). A beat is called anomalous where its "
        f"score ({metrics['score']}) is greater than {threshold['value']:.4g}, chosen by "
        f"{provenance(threshold)}."
    )


def _tables(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, str]:
    """Return the sections of tables, by their headings."""
    found = {"Measures": _measures(metrics) + _notes(metrics, training)}
    if "most_anomalous" in metrics:
        header, *rows = most_anomalous(metrics)
        found["Most anomalous beats"] = table(header, rows)
    if metrics["baselines"]:
        found["Beside simple methods"] = _baselines(metrics)
    if metrics["test"]["recall_by_class"]:
        found["Recall by class"] = _classes(metrics)
    if "by_record" in metrics["test"]:
        found["Results by record"] = _records(metrics["test"]["by_record"])
    return found


def _measures(metrics: Mapping[str, Any]) -> str:
    splits = {name: metrics[name] for name in ("validation", "test")}
    rows = [["beats", *(f"{split['n_beats']:,}" for split in splits.values())]]
    rows += [["called anomalous", *(f"{split['n_flagged']:,}" for split in splits.values())]]
    if splits["test"]["auroc"] is not None:
        for name, title in HEADLINE.items():
            rows.append([title, *(_value(split, name) for split in splits.values())])
        if "mean_over_records" in splits["test"]:
            for name, title in RECORD_MEASURES.items():
                means = [split["mean_over_records"][name] for split in splits.values()]
                rows.append([f"{title}, mean over records", *map(_decimals, means)])
    return table(["measure", *splits], rows)


def _value(split: Mapping[str, Any], name: str) -> str:
    interval = split.get("interval_95", {}).get(name)
    words = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
    return f"{split[name]:.4f}{words}"


def _decimals(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _notes(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    test = metrics["test"]
    notes = ""
    if "interval_95" in test:
        notes += f"Intervals: 95%, by bootstrap over {test['interval_over']}. "
    if few := few_words(metrics["threshold"]):
        notes += _sentence(few)
    if "false_alarms" in test:
        notes += _sentence(false_alarm_words(test["false_alarms"]))
    if "class_map" in metrics:
        notes += _sentence(class_words(metrics))
    if metrics["patients_in_training_and_test"] is not None:
        notes += _sentence(patient_words(metrics["patients_in_training_and_test"]))
    if metrics["padded"]:
        notes += "Beats are padded with zeros to one length; the padding does not count in scores. "
    return _paragraph(
        f"{notes}Best epoch {training['best_epoch']} of {training['epochs']}; "
        f"{training['seconds']:.1f} s of training on {training['device']}.",
        "note",
    )


def _baselines(metrics: Mapping[str, Any]) -> str:
    rows = [[name, *cells] for name, cells in comparison(metrics)]
    words = subsampling_words(metrics["baselines"])
    notes = (
        "The same beats, scored by methods that are quick to fit, each with a threshold chosen as "
        "that of the autoencoder. Seconds are of fitting and scoring. "
    )
    return table(["test beats", *COMPARED.values(), "seconds"], rows) + _paragraph(
        notes + (_sentence(words) if words else ""), "note"
    )


def _classes(metrics: Mapping[str, Any]) -> str:
    splits = [metrics["test"], metrics["validation"]]
    rows = []
    for symbol in sorted({symbol for split in splits for symbol in split["recall_by_class"]}):
        name = metrics["class_names"].get(symbol)
        row = [f"{symbol}: {name}" if name else symbol]
        for split in splits:
            n = split["n_by_class"].get(symbol, 0)
            row += [f"{n:,}", _decimals(split["recall_by_class"].get(symbol))]
        rows.append(row)
    head = ["class of anomaly", "test beats", "recall, test", "validation beats"]
    return _filtered([*head, "recall, validation"], rows, "classes")


def _records(by_record: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            name,
            f"{entry['n_normal']:,}",
            f"{entry['n_anomalous']:,}",
            *(_decimals(entry[measure]) for measure in RECORD_MEASURES),
        ]
        for name, entry in by_record.items()
    ]
    words = "Test beats; a record without beats of both classes has no AUROC."
    head = ["record", "normal", "anomalous", *RECORD_MEASURES.values()]
    return _paragraph(words, "note") + _filtered(head, rows, "records")


def _filtered(head: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> str:
    """Return a table that the page's script sorts and filters. what: its rows are called."""
    tall = " tall" if len(rows) > TALL else ""
    return f'<div class="filtered{tall}" data-rows="{what}">\n{table(head, rows)}</div>\n'


def _groups(
    metrics: Mapping[str, Any],
    pictures: Sequence[tuple[Picture, bytes]],
    mistakes: Mistakes | None,
) -> dict[str, str]:
    """Return the sections of pictures, by their headings."""
    found = {}
    for group in GROUPS:
        words = _mistake_words(metrics, group, mistakes)
        figures = "\n".join(_figure(*drawn) for drawn in pictures if drawn[0].group == group)
        if words or figures:
            found[group] = words + figures
    return found


def _mistake_words(metrics: Mapping[str, Any], group: str, mistakes: Mistakes | None) -> str:
    if mistakes is None or group not in mistakes.counts:
        return ""
    n, n_records = mistakes.counts[group]
    total = metrics["test"]["n_anomalous" if group == MISSES else "n_normal"]
    label, verdict, end = (
        ("anomalous", "normal", "lowest") if group == MISSES else ("normal", "anomalous", "highest")
    )
    if not n:
        return _paragraph(f"No {label} test beat was called {verdict}.")
    words = (
        f"{n:,} of {total:,} {label} test beats were called {verdict}, in {n_records:,} "
        f"{'record' if n_records == 1 else 'records'}."
    )
    if any(of.group == group and of.strip is not None for of in mistakes.worst):
        words += (
            f" Here are those with the {end} scores, the records taking turns: ten seconds around "
            f"each, filtered as for its beats. Above each test beat stands its class, other beats "
            f"have no letter; shaded beats were called anomalous."
        )
    if lost := lost_words(mistakes, group):
        words += f" {_sentence(lost)}"
    return _paragraph(words)


def _figure(picture: Picture, png: bytes) -> str:
    width, height = struct.unpack(">II", png[SIZE_OF_PNG])
    data = base64.b64encode(png).decode("ascii")
    wide = ' class="wide"' if picture.group in (MISSES, FALSE_ALARMS) else ""
    return (
        f'<figure id="{picture.name}"{wide}>\n<h3>{escape(picture.title)}</h3>\n'
        f'<div class="mat"><img alt="{escape(picture.alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}"></div>\n'
        f"<figcaption>{escape(picture.caption)}</figcaption>\n</figure>"
    )

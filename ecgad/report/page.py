"""The results and figures of a run as one HTML page that needs nothing else."""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from ecgad.evaluation.baselines import subsampling_words
from ecgad.evaluation.metrics import HEADLINE, RECORD_MEASURES
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

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ margin-bottom: 0; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .25rem .9rem; border-bottom: 1px solid #ddd; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
.interval {{ color: #767676; }}
figure {{ margin: 2rem 0; }}
figure img {{ max-width: 100%; height: auto; display: block; }}
figcaption {{ color: #444; max-width: 45rem; }}
footer {{ color: #767676; border-top: 1px solid #ddd; margin-top: 3rem; padding-top: 1rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{lead}</p>
{tables}
{figures}
<footer>For research and education only; not a medical device.</footer>
</body>
</html>
"""


def render(
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    figures: Mapping[str, tuple[str, bytes]],
) -> str:
    """Return the page.

    metrics: `metrics.json`. training: the summary of the training. figures: caption and PNG of
    each, by its name, in the order of the page.
    """
    threshold = metrics["threshold"]
    lead = (
        f"A {metrics['model']} autoencoder of {training['n_weights']:,} weights, trained for "
        f"{training['epochs']} epochs on {training['n_train']:,} "
        f"{'normal' if training['labelled'] else 'unlabelled'} beats of source "
        f"{metrics['source']} (seed {metrics['seed']}). A beat is called anomalous where its "
        f"score ({metrics['score']}) is greater than "
        f"{threshold['value']:.4g}, chosen by {provenance(threshold)}."
    )
    return PAGE.format(
        title=escape(f"ecgad: {metrics['name']}"),
        lead=escape(lead),
        tables=_headline(metrics)
        + _ranking(metrics)
        + _settings(metrics, training)
        + _baselines(metrics),
        figures="\n".join(_figure(name, *figure) for name, figure in figures.items()),
    )


def _headline(metrics: Mapping[str, Any]) -> str:
    splits = {name: metrics[name] for name in ("validation", "test")}
    rows = [["", *splits]]
    rows += [["beats", *(f"{split['n_beats']:,}" for split in splits.values())]]
    rows += [["called anomalous", *(f"{split['n_flagged']:,}" for split in splits.values())]]
    if splits["test"]["auroc"] is not None:
        for name, title in HEADLINE.items():
            rows.append([title, *(_value(split, name) for split in splits.values())])
        if "mean_over_records" in splits["test"]:
            for name, title in RECORD_MEASURES.items():
                means = [split["mean_over_records"][name] for split in splits.values()]
                cells = ["-" if mean is None else f"{mean:.4f}" for mean in means]
                rows.append([f"{title}, mean over records", *cells])
    return _table(rows)


def _ranking(metrics: Mapping[str, Any]) -> str:
    """Name the most anomalous of unlabelled beats."""
    if "most_anomalous" not in metrics:
        return ""
    rows = [[escape(cell) for cell in row] for row in most_anomalous(metrics)]
    words = escape(_sentence(unlabelled_words(metrics)))
    return f"<h2>Most anomalous beats</h2>\n<p>{words}</p>\n{_table(rows)}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}. "


def _value(split: Mapping[str, Any], name: str) -> str:
    low_high = split.get("interval_95", {}).get(name)
    if not low_high:
        return f"{split[name]:.4f}"
    interval = f"{low_high[0]:.4f} to {low_high[1]:.4f}"
    return f'{split[name]:.4f} <span class="interval">({interval})</span>'


def _settings(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> str:
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
    return (
        f"<p>{escape(notes)}Best epoch {training['best_epoch']} of "
        f"{training['epochs']}; {training['seconds']:.1f} s of training on "
        f"{escape(training['device'])}.</p>"
    )


def _baselines(metrics: Mapping[str, Any]) -> str:
    if not metrics["baselines"]:
        return ""
    rows = [["test beats", *COMPARED.values(), "seconds"]]
    rows += [[name, *cells] for name, cells in comparison(metrics)]
    words = subsampling_words(metrics["baselines"])
    notes = (
        "The same beats, scored by methods that are quick to fit, each with a "
        "threshold chosen as that of the autoencoder. Seconds are of fitting and scoring."
    )
    return (
        f"<h2>Beside simple methods</h2>\n{_table(rows)}"
        f"<p>{escape(notes)} {escape(_sentence(words) if words else '')}</p>"
    )


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    cells = "".join(f"<th>{cell}</th>" for cell in head)
    lines = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body
    )
    return f"<table>\n<tr>{cells}</tr>\n{lines}\n</table>\n"


def _figure(name: str, caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    title = name.replace("reconstructions_", "reconstructions: ").replace("_", " ")
    heading = title[0].upper() + title[1:].replace("false alarm", "false alarms,")
    return (
        f"<figure>\n<h2>{escape(heading.replace('Roc', 'ROC'))}</h2>\n"
        f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )

"""A detector on whole recordings: from annotated R peaks, and from those that it finds itself.

    python benchmarks/own_peaks.py FOLDER [--config recordings] [--without RECORD]...
        [--detector FILE|RUN_DIR]...

FOLDER holds WFDB records with annotated beats, such as MIT-BIH. A found beat has the class of the
annotated one within 150 ms, one to one, as in ANSI/AAMI EC57; found beats without one have no
class, and annotated ones that were not found have no score: both are counted. Classes are those of
`ml_literature`, S, V and F against N. Of several detectors, such as those of several seeds, it
gives mean and standard deviation: of figures over all beats, of sensitivities at the threshold and
at a specificity of 95%, and of figures by record: the mean AUROC, and false alarms among normal
beats.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from measured import CONFIGS

from ecgad.detection.archive import own_detector
from ecgad.detection.detector import Detector
from ecgad.detection.whole import Wanted, detect
from ecgad.evaluation.matching import match_beats
from ecgad.evaluation.metrics import confusion, ranking_metrics, threshold_metrics
from ecgad.recordings.beat_classes import CLASS_MAPS
from ecgad.recordings.find import find_recordings
from ecgad.recordings.wfdb_reader import WfdbReader
from ecgad.runtime.workers import in_order

TOLERANCE = 0.15  # s
CLASSES = ("N", "S", "V", "F")
SHOWN = ("auroc", "average_precision", "recall", "specificity")


def main(
    folder: Path,
    config: Annotated[
        str | None, typer.Option(help="Its test records alone, such as those of recordings (DS2).")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Names of records to leave out, such as 232.")
    ] = None,
    detector: Annotated[
        list[Path] | None, typer.Option(help="Files or run dirs.  [default: the one of ecgad]")
    ] = None,
) -> None:
    """Print figures of the detectors, on beats that are annotated and that are found."""
    records = None
    if config is not None:
        settings = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text(encoding="utf-8"))
        test = settings["data"]["split"]["records"]["test"]
        records = {str(name).rpartition("/")[2] for name in test}
    found = [
        of
        for of in find_recordings([folder], False)
        if (not records or of.name.rpartition("/")[2] in records)
        and of.name.rpartition("/")[2] not in (without or [])
    ]
    paths = detector or [own_detector()]
    print(f"{len(found)} records, {len(paths)} detectors")
    for annotated in (True, False):
        calls = [(path, of, annotated) for path in paths for of in found]
        judged = list(in_order(judge, calls))
        by_detector = [judged[i : i + len(found)] for i in range(0, len(judged), len(found))]
        report("annotated peaks" if annotated else "found peaks", by_detector)


def judge(path: Path, found: object, annotated: bool) -> tuple[np.ndarray, ...]:
    """Return scores, verdicts and classes of the beats of a record, and its counts: of annotated
    beats of these classes, of those without a score, and of found beats that are none.
    """
    reader = WfdbReader(found)  # type: ignore[arg-type]
    known = reader.annotations("atr")
    of_symbol = CLASS_MAPS["ml_literature"]
    classes = np.array([of_symbol[symbol] for symbol in known.symbols.tolist()])
    findings = detect(Detector.load(path), reader, Wanted(annotator="atr" if annotated else None))
    beats = findings.beats
    pairs = match_beats(known.samples, beats.samples, TOLERANCE * reader.sampling_rate)
    pairs = pairs[np.isin(classes[pairs[:, 0]], CLASSES)]
    pairs = pairs[beats.verdicts[pairs[:, 1]] >= 0]
    n_annotated = int(np.isin(classes, CLASSES).sum())
    counts = np.array([n_annotated, n_annotated - len(pairs), len(beats) - len(known.samples)])
    return beats.scores[pairs[:, 1]], beats.verdicts[pairs[:, 1]], classes[pairs[:, 0]], counts


def report(title: str, by_detector: list[list[tuple[np.ndarray, ...]]]) -> None:
    """Print the figures of all detectors together."""
    found: list[list[dict[str, float]]] = [[], [], [], []]
    for records in by_detector:
        scores, verdicts, classes = (
            np.concatenate([record[index] for record in records]) for index in range(3)
        )
        labels = (classes != "N").astype(np.int8)
        metrics = ranking_metrics(scores, labels)
        metrics |= threshold_metrics(*confusion(labels, verdicts))
        specific = np.quantile(scores[labels == 0], 0.95)
        found[0].append({name: metrics[name] for name in SHOWN})
        found[1].append({name: verdicts[classes == name].mean() for name in CLASSES[1:]})
        found[2].append(
            {
                f"{name} at 95% specificity": (scores[classes == name] > specific).mean()
                for name in CLASSES[1:]
            }
        )
        found[3].append(by_record(records))
    n_annotated, without, _ = np.sum([record[3] for record in by_detector[0]], axis=0)
    print(f"{title}: {n_annotated} annotated beats, {without} of them without a score")
    for of_detectors in found:
        values = [list(of.values()) for of in of_detectors]
        figures = zip(of_detectors[0], np.mean(values, axis=0), np.std(values, axis=0), strict=True)
        print(
            "  " + ", ".join(f"{name} {mean:.4f} ± {spread:.4f}" for name, mean, spread in figures)
        )


def by_record(records: list[tuple[np.ndarray, ...]]) -> dict[str, float]:
    """Return figures over records: of those with normal and anomalous beats the mean AUROC."""
    aurocs, alarms = [], []
    for scores, verdicts, classes, _ in records:
        labels = (classes != "N").astype(np.int8)
        if 0 < labels.sum() < len(labels):
            aurocs.append(ranking_metrics(scores, labels)["auroc"])
        if not labels.all():
            alarms.append(verdicts[labels == 0].mean())
    return {
        "AUROC by record, mean": float(np.mean(aurocs)),
        "false alarms by record, median": float(np.median(alarms)),
        "mean": float(np.mean(alarms)),
        "records above 5%": float((np.array(alarms) > 0.05).mean()),
        "records above 10%": float((np.array(alarms) > 0.1).mean()),
    }


if __name__ == "__main__":
    typer.run(main)

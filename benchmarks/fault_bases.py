"""What the cases start from: small experiments of every source, done as far as each stage."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb
import yaml
from fault_runs import Outcome, start_forked

from ecgad.data.sources.synthetic import synthesise

STAGES = ("preprocess_data.py", "train_model.py", "evaluate_model.py", "visualize_results.py")
PREPROCESS, TRAIN, EVALUATE, VISUALIZE = STAGES
# Where a folder stands: nothing done, or a stage done; `unfinished` is a training after an epoch.
STATES = ("raw", "preprocessed", "unfinished", "trained", "evaluated", "drawn")
CONFIG, RUN, DATA, RAW = "exp.yaml", "run", "data", "raw"
OPTIONS = ("-c", CONFIG, "--run-dir", RUN, "--json")
RATE, SECONDS = 100.0, 30.0

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "data": {"processed_dir": DATA, "raw_dir": RAW, "scaling": {"method": "standard"}},
    "model": {"dense": {"layers": [8], "code_size": 2}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
    "evaluation": {
        "score": {"mae": 1.0, "code_distance": 1.0},
        "baselines": ["pca", "knn"],
        "bootstrap": 20,
    },
    "figures": {"dpi": 30},
}
# By the name of the base: its section `data`.
SOURCES: dict[str, dict[str, Any]] = {
    "synthetic": {"synthetic": {"beats": 60, "samples": 16, "anomalous_fraction": 0.3}},
    "csv": {"csv": {"file": "beats.csv", "label_column": "class", "normal_label": 1}},
    "unlabelled": {"source": "csv", "csv": {"file": "beats.csv", "header": False}},
    "npy": {"source": "csv", "csv": {"file": "beats.npy", "label_column": 0, "normal_label": 1}},
    "parquet": {
        "source": "csv",
        "csv": {"file": "beats.parquet", "label_column": "class", "normal_label": 1},
    },
    "test file": {
        "source": "csv",
        "csv": {
            "file": "beats.csv",
            "test_file": "test.csv",
            "label_column": "class",
            "normal_label": 1,
        },
        "split": {"method": "source"},
    },
    "ecg5000 ts": {"source": "ecg5000"},
    "ecg5000 txt": {"source": "ecg5000"},
    "ecg_csv": {},
    "heartbeat_csv": {"heartbeat_csv": {"database": "ptbdb"}},
    "wfdb": {
        "wfdb": {"window": {"before": 100, "after": 200}},
        "split": {"allow_patient_overlap": True},
    },
    "ptbdb": {"split": {"allow_patient_overlap": True}},
}
# Those of which all stages are done; of the others, all but the drawing.
WHOLE = ("synthetic", "wfdb")


@dataclass(frozen=True)
class Bases:
    """Folders, by base and state, below one folder."""

    folder: Path

    def of(self, base: str, state: str) -> Path:
        """Return the folder of a base where it stands at `state`."""
        return self.folder / base.replace(" ", "_") / state


def make_bases(folder: Path, names: tuple[str, ...] = tuple(SOURCES), drawn: bool = True) -> Bases:
    """Make the bases. drawn: with the figures, which take some seconds."""
    bases = Bases(folder)
    for name in names:
        raw = bases.of(name, "raw")
        (raw / RAW).mkdir(parents=True)
        data = {"source": name, **SETTINGS["data"], **SOURCES[name]}
        (raw / CONFIG).write_text(yaml.safe_dump({**SETTINGS, "data": data}, sort_keys=False))
        # By a child: libraries that have worked here may have threads, and forking with them fails.
        written = start_forked("", (), raw, work=partial(_write_raw, name)).wait()
        _must_end_well(written, name, "writing its files")
        before = "raw"
        stages = (("preprocessed", PREPROCESS), ("trained", TRAIN), ("evaluated", EVALUATE))
        for state, script in (
            *stages,
            *([("drawn", VISUALIZE)] if drawn and name in WHOLE else []),
        ):
            here = _next(bases, name, before, state)
            _must_end_well(start_forked(script, OPTIONS, here).wait(), name, script)
            before = state
        here = _next(bases, name, "preprocessed", "unfinished")
        start_forked(TRAIN, OPTIONS, here, stop_after_an_epoch).wait()
    return bases


def _next(bases: Bases, name: str, before: str, state: str) -> Path:
    return Path(shutil.copytree(bases.of(name, before), bases.of(name, state)))


def _must_end_well(outcome: Outcome, name: str, script: str) -> None:
    if outcome.code != 0:
        sys.exit(f"{name}: {script} ends with {outcome.code}: {outcome.stderr}")


def stop_after_an_epoch() -> None:
    """Have the training of this process interrupted after its first epoch."""
    from ecgad.training import fit as module

    whole = module.fit

    def fit(*arguments: Any) -> Any:
        yield next(iter(whole(*arguments)))
        raise KeyboardInterrupt

    module.fit = fit  # type: ignore[assignment]


def _write_raw(name: str) -> int:
    """Write the raw files of a base into the folder for them, and return 0."""
    folder = Path(RAW)
    if name in ("wfdb", "ptbdb"):
        _write_records(name, folder)
    elif name.startswith("ecg") or name == "heartbeat_csv":
        _write_published(name, folder)
    elif name != "synthetic":
        _write_own_table(name, folder)
    return 0


def _beats(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Make beats (60, n_samples) and their classes, (60,): 1 normal, 2 and 3 anomalous."""
    beats = synthesise(60, 0.3, n_samples)
    assert beats.labels is not None
    classes = np.where(beats.labels == 0, 1, 2 + np.arange(60) % 2)
    return np.round(beats.waveforms[:, 0].astype(float), 4), classes


def _write_own_table(name: str, folder: Path) -> None:
    values, classes = _beats(16)
    names, table = ["class", *(f"t{i}" for i in range(16))], np.c_[classes, values]
    match name:
        case "csv":
            _table(folder / "beats.csv", table, ",", names)
        case "unlabelled":
            _table(folder / "beats.csv", values, ",")
        case "npy":
            np.save(folder / "beats.npy", table)
        case "parquet":
            frame = pd.DataFrame(table, columns=names)
            frame.astype({"class": int}).to_parquet(folder / "beats.parquet")
        case "test file":
            _table(folder / "beats.csv", table[:40], ",", names)
            _table(folder / "test.csv", table[40:], ",", names)


def _write_published(name: str, folder: Path) -> None:
    """Write files of the form of published ones."""
    values, classes = _beats({"ecg_csv": 140, "heartbeat_csv": 187}.get(name, 16))
    match name:
        case "ecg_csv":
            _table(folder / "ecg.csv", np.c_[values, classes == 1], ",")
        case "heartbeat_csv":
            scaled = (values - values.min()) / np.ptp(values)
            for word, label in (("normal", 0), ("abnormal", 1)):
                rows = scaled[(classes > 1) == label]
                _table(folder / f"ptbdb_{word}.csv", np.c_[rows, np.full(len(rows), label)], ",")
        case _:
            for part, of in (("TRAIN", slice(0, 40)), ("TEST", slice(40, 60))):
                if name.endswith("ts"):
                    _ts(folder / f"ECG5000_{part}.ts", values[of], classes[of])
                else:
                    _table(folder / f"ECG5000_{part}.txt", np.c_[classes, values][of], "  ")


def _write_records(name: str, folder: Path) -> None:
    if name == "wfdb":
        _record(folder, "100", 0, "212", ["69 M 1085 1629 x1", "Aldomet, Inderal"])
        _record(folder, "101", 1, "16", ["75 F 1011 654 x1"])
    else:
        for n, reason in enumerate(["Healthy control", "Myocardial infarction"] * 2):
            patient = folder / f"patient00{n + 1}"
            patient.mkdir()
            _record(patient, f"s000{n}", n, "16", [f"Reason for admission: {reason}"])
            (patient / f"s000{n}.atr").unlink()
    _checksums(folder)


def _table(path: Path, rows: np.ndarray, delimiter: str, names: Sequence[str] = ()) -> None:
    lines = [delimiter.join(f"{value:g}" for value in row) for row in rows]
    head = [delimiter.join(names)] if names else []
    path.write_text("\n".join([*head, *lines]) + "\n")


def _ts(path: Path, rows: np.ndarray, classes: np.ndarray) -> None:
    head = (
        "# ECG, cut short\n@problemName ECG5000\n@timeStamps false\n@missing false\n"
        f"@univariate true\n@equalLength true\n@seriesLength {rows.shape[1]}\n"
        "@classLabel true 1 2 3 4 5\n@data\n"
    )
    lines = [
        ",".join(f"{value:g}" for value in row) + f":{label}"
        for row, label in zip(rows, classes, strict=True)
    ]
    path.write_text(head + "\n".join(lines) + "\n")


def _record(folder: Path, name: str, seed: int, form: str, comments: list[str]) -> None:
    """Write half a minute of two leads, with every fifth beat early and wide."""
    rng = np.random.default_rng(seed)
    n = int(RATE * SECONDS)
    peaks = np.arange(60, n - 60, 80)
    ventricular = np.arange(len(peaks)) % 5 == 3
    peaks[ventricular] -= 20
    ecg = 0.02 * rng.standard_normal(n)
    for peak, wide in zip(peaks, ventricular, strict=True):
        width = 6.0 if wide else 1.5
        ecg += (1.0 + 0.1 * rng.random()) * np.exp(-0.5 * ((np.arange(n) - peak) / width) ** 2)
    leads = ["ii", "v5"] if form == "16" and (folder.name.startswith("patient")) else ["MLII", "V5"]
    wfdb.wrsamp(
        name,
        fs=RATE,
        units=["mV", "mV"],
        sig_name=leads,
        p_signal=np.stack([ecg, 0.6 * ecg + 0.01 * rng.standard_normal(n)], axis=1),
        fmt=[form, form],
        adc_gain=[200.0, 200.0],
        baseline=[0, 0],
        comments=comments,
        write_dir=str(folder),
    )
    symbols = np.where(ventricular, "V", "N")
    symbols[7::10] = "A"
    wfdb.wrann(name, "atr", peaks, symbols.tolist(), fs=RATE, write_dir=str(folder))


def _checksums(folder: Path) -> None:
    from ecgad.artifacts.files import sha256

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(path)} {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))

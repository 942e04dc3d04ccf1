"""Single timed tasks of `performance.py`: ecgad's, and the same by Keras and PyOD.

    python benchmarks/speed_tasks.py TASK [ARGUMENT]...

Prints one JSON object, with `seconds` of what is timed. Imports and the making of the data are not
timed, unless a task says so.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

BATCH, EPOCHS = 512, 100  # of the published dense recipe
SAMPLES = 140
# Of the published LSTM, in shares of the beats that are right.
NORMAL_RIGHT, ANOMALOUS_RIGHT = 0.9726, 0.9688
PUBLISHED_DENSE = {"layers": [32, 16], "code_size": 8, "activation": "relu", "output": "sigmoid"}
MODELS: dict[str, dict[str, Any]] = {"dense": PUBLISHED_DENSE, "cnn": {}, "lstm": {}}
ONE_SAMPLE_LSTM = {"hidden_size": 64, "layers": 2, "code_size": 64, "patch_size": 1}


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def normals(processed: str) -> tuple[np.ndarray, np.ndarray]:
    """Return normal beats, (n, 140), of the training and the validation split."""
    folder = Path(processed)
    parts = []
    for split in ("train", "validation"):
        beats, labels = (np.load(folder / f"{what}_{split}.npy") for what in ("beats", "labels"))
        parts.append(beats[labels == 0].reshape(-1, SAMPLES))
    return parts[0], parts[1]


# Training, dense: the published recipe.


def ecgad_fit(processed: str) -> dict[str, Any]:
    import torch

    from ecgad.config.training import TrainingConfig
    from ecgad.models import build_model
    from ecgad.training.fit import fit

    train, validation = (torch.from_numpy(part[:, None]) for part in normals(processed))
    torch.manual_seed(0)
    model = build_model("dense", 1, SAMPLES, PUBLISHED_DENSE)
    config = TrainingConfig(
        epochs=EPOCHS, batch_size=BATCH, optimizer="nadam", schedule="constant", loss="mae"
    )
    states: list[Any] = []
    seconds = timed(lambda: states.extend(fit(model, train, validation, config, 0)))
    return {"seconds": seconds, "loss": states[-1].history[-1]["validation_loss"]}


def keras_dense() -> Any:
    """Return the compiled network of the published recipe."""
    from keras import Sequential, layers

    widths = (32, 16, 8, 16, 32)
    inner = [layers.Dense(width, activation="relu") for width in widths]
    model = Sequential([*inner, layers.Dense(SAMPLES, activation="sigmoid")])
    model.compile(optimizer="nadam", loss="mae")
    return model


def keras_fit(processed: str) -> dict[str, Any]:
    train, validation = normals(processed)
    model = keras_dense()
    options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0}
    found: list[Any] = []
    seconds = timed(
        lambda: found.append(
            model.fit(train, train, validation_data=(validation, validation), **options)
        )
    )
    return {"seconds": seconds, "loss": found[0].history["val_loss"][-1]}


def pyod_fit(processed: str) -> dict[str, Any]:
    """Fit by Adam on squared errors: PyOD has neither nadam nor absolute ones; no validation."""
    train, _ = normals(processed)
    model = pyod_dense(EPOCHS)
    return {"seconds": timed(lambda: model.fit(train))}


def pyod_dense(epochs: int) -> Any:
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(
        epoch_num=epochs,
        batch_size=BATCH,
        hidden_neuron_list=[32, 16, 8],
        preprocessing=False,
        batch_norm=False,
        dropout_rate=0,
        verbose=0,
    )


def keras_whole(table: str) -> dict[str, Any]:
    """Load ecg.csv, train, score and choose a threshold; the caller times the whole process."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    values = pd.read_csv(table, header=None).to_numpy(np.float32)
    beats, normal = values[:, :-1], values[:, -1] == 1
    train, test, train_normal, test_normal = train_test_split(beats, normal, test_size=0.2)
    low, high = train[train_normal].min(), train[train_normal].max()
    train, test = (train - low) / (high - low), (test - low) / (high - low)
    model = keras_dense()
    known, unknown = train[train_normal], test[test_normal]
    model.fit(
        known,
        known,
        epochs=EPOCHS,
        batch_size=BATCH,
        validation_data=(unknown, unknown),
        verbose=0,
    )
    errors = np.abs(model.predict(known, verbose=0) - known).mean(axis=1)
    threshold = errors.mean() + errors.std()
    flagged = np.abs(model.predict(test, verbose=0) - test).mean(axis=1) > threshold
    return {"seconds": None, "accuracy": float((flagged != test_normal).mean())}


# Training, LSTM and CNN.


def ecgad_lstm_quality(processed: str) -> dict[str, Any]:
    """Time the training until the published shares of the validation split are right."""
    import torch

    from ecgad.artifacts.processed import load_split
    from ecgad.experiment import load_experiment
    from ecgad.models import build_model
    from ecgad.runtime.devices import prepare
    from ecgad.scoring.scorer import Scorer
    from ecgad.scoring.thresholds import best_threshold
    from ecgad.training.fit import fit

    experiment = load_experiment(Path(__file__).parent.parent / "configs" / "ecg5000_lstm.yaml")
    train, validation = (load_split(Path(processed), split) for split in ("train", "validation"))
    labels = np.asarray(validation.labels)
    prepare(torch.device("cpu"), experiment.seed)
    model = build_model("lstm", 1, SAMPLES, experiment.model.parameters)
    beats = [torch.from_numpy(part.waveforms[part.normals]) for part in (train, validation)]
    started = time.perf_counter()
    for state in fit(model, beats[0], beats[1], experiment.training, experiment.seed):
        scores = Scorer(model, {"mae": 1}, None).scores(validation.waveforms)
        flagged = scores > best_threshold(scores, labels, "youden")
        right = (~flagged[labels == 0]).mean(), flagged[labels == 1].mean()
        if right[0] >= NORMAL_RIGHT and right[1] >= ANOMALOUS_RIGHT:
            seconds = time.perf_counter() - started
            return {"seconds": seconds, "epochs": state.epoch, "right": list(map(float, right))}
    raise SystemExit(f"the published shares were not reached: {right}")


def ecgad_step(kind: str, batch: str, precision: str) -> dict[str, Any]:
    """Time a step of training, by the median of some short epochs, without the first.

    kind: `one_sample` is the LSTM of the published recipe.
    """
    import torch

    from ecgad.config.training import TrainingConfig
    from ecgad.models import build_model
    from ecgad.training.fit import fit

    parameters = ONE_SAMPLE_LSTM if kind == "one_sample" else MODELS[kind]
    steps = STEPS[kind]
    beats = torch.rand(int(batch) * steps, 1, SAMPLES)
    model = build_model("lstm" if kind == "one_sample" else kind, 1, SAMPLES, parameters)
    config = TrainingConfig.model_validate(
        {
            "epochs": STEP_EPOCHS + 1,
            "batch_size": int(batch),
            "precision": precision,
            "optimizer": "adam",
        }
    )
    history = list(fit(model, beats, beats[:1], config, 0))[-1].history
    return {"seconds": median(row["seconds"] for row in history[1:]) / steps}


def keras_step(kind: str, batch: str) -> dict[str, Any]:
    """Time a step of the same layers; the first epoch, which compiles, is not counted."""
    model = keras_cnn() if kind == "cnn" else keras_lstm()
    model.compile(optimizer="adam", loss="mae")
    steps = STEPS[kind]
    beats = np.random.default_rng(0).random((int(batch) * steps, SAMPLES, 1), np.float32)

    def epoch() -> None:
        model.fit(beats, beats, batch_size=int(batch), epochs=1, verbose=0)

    epoch()
    return {"seconds": median(timed(epoch) for _ in range(STEP_EPOCHS)) / steps}


def compiled_step(kind: str, batch: str, precision: str) -> dict[str, Any]:
    """Time steps, forward and backward, by `torch.compile` and without; `first`: its first one.

    It needs a C++ compiler.
    """
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what an earlier run has compiled
    import torch

    from ecgad.models import build_model

    mixed = precision == "bfloat16"
    model = build_model(kind, 1, SAMPLES, MODELS[kind]).train()
    if mixed:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    beats = torch.rand(int(batch), 1, SAMPLES)

    def step(network: Any) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            made = network(beats)
        (made.float() - beats).abs().mean().backward()
        model.zero_grad()

    def steps(network: Any) -> None:
        for _ in range(30):
            step(network)

    compiled = torch.compile(model)
    first = timed(lambda: step(compiled))
    step(model)
    seconds = [timed(partial(steps, network)) / 30 for network in (compiled, model)]
    return {"first": first, "seconds": seconds[0], "eager": seconds[1]}


# Of an epoch; and how many of these.
STEPS = {"cnn": 12, "lstm": 12, "one_sample": 8}
STEP_EPOCHS = 9


def keras_cnn() -> Any:
    """Return the layers of `ecgad.models.cnn` with its defaults."""
    from keras import Model, layers

    beats = maps = layers.Input((SAMPLES, 1))
    for _ in range(3):
        maps = layers.Conv1D(32, 7, padding="same")(maps)
        maps = layers.MaxPool1D(2)(layers.ReLU()(layers.BatchNormalization()(maps)))
    maps = layers.Dense(8)(layers.Flatten()(maps))
    maps = layers.Reshape((17, 32))(layers.Dense(17 * 32, activation="relu")(maps))
    for _ in range(3):
        maps = layers.Conv1DTranspose(32, 7, strides=2, padding="same")(maps)
        maps = layers.ReLU()(layers.BatchNormalization()(maps))
    maps = layers.Flatten()(layers.Conv1D(1, 7, padding="same")(maps))
    return Model(beats, layers.Reshape((SAMPLES, 1))(layers.Dense(SAMPLES)(maps)))


def keras_lstm() -> Any:
    """Return the layers of the published LSTM, as in configs/ecg5000_lstm_published.yaml."""
    from keras import Model, layers

    beats = layers.Input((SAMPLES, 1))
    states = layers.LSTM(64)(layers.LSTM(64, return_sequences=True)(beats))
    codes = layers.RepeatVector(SAMPLES)(layers.Dense(64)(states))
    return Model(beats, layers.Dense(1)(layers.LSTM(64, return_sequences=True)(codes)))


# Scoring of beats in a file, (n, 1, 140).


def noise(file: str, n: str) -> dict[str, Any]:
    """Make the file."""
    np.save(file, np.random.default_rng(0).random((int(n), 1, SAMPLES), np.float32))
    return {}


def ecgad_score(kind: str, file: str) -> dict[str, Any]:
    from ecgad.models import build_model
    from ecgad.scoring.scorer import Scorer

    scorer = Scorer(build_model(kind, 1, SAMPLES, MODELS[kind]), {"mae": 1}, None)
    beats = np.load(file, mmap_mode="r")
    scorer.scores(beats[:5000])
    return {"seconds": timed(lambda: scorer.scores(beats))}


def bare_score(kind: str, file: str) -> dict[str, Any]:
    """Time the network and the mean absolute errors, batch by batch, of a tensor in memory."""
    import torch

    from ecgad.models import build_model

    model = build_model(kind, 1, SAMPLES, MODELS[kind]).eval()
    beats = torch.from_numpy(np.load(file))

    def score(beats: Any) -> None:
        for batch in beats.split(model.scored_at_once):
            (model(batch) - batch).abs().mean(dim=(1, 2))

    with torch.inference_mode():
        score(beats[:5000])
        return {"seconds": timed(lambda: score(beats))}


def keras_score(file: str) -> dict[str, Any]:
    """Time `predict` alone, in batches of the size that ecgad takes, without the errors."""
    model = keras_dense()
    beats = np.load(file)[:, 0]
    model.predict(beats[:5000], verbose=0, batch_size=2048)
    return {"seconds": timed(lambda: model.predict(beats, verbose=0, batch_size=2048))}


def pyod_score(file: str) -> dict[str, Any]:
    """Time `decision_function`, after a fit of one epoch on few beats."""
    beats = np.load(file)[:, 0]
    model = pyod_dense(1)
    model.fit(beats[:5000])
    return {"seconds": timed(lambda: model.decision_function(beats))}


# Metrics.


def simulated(n: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(int(n)) < 0.2).astype(np.int8)
    return rng.normal(size=int(n)) + 2.5 * labels, labels


def ecgad_metrics(n: str) -> dict[str, Any]:
    """Time all metrics of a split, with intervals from 1000 resamples."""
    from sklearn import metrics as _warm

    from ecgad.data.beats import Beats
    from ecgad.evaluation.results import evaluate_scores
    from ecgad.scoring.thresholds import Threshold

    scores, labels = simulated(n)
    beats = Beats(scores, np.where(labels, "V", "N"), labels, np.arange(len(labels)))
    threshold = Threshold(2.0, "fixed", {}, None, None, 0)
    seconds = timed(lambda: evaluate_scores(scores, beats, threshold, 1000, 0))
    return {"seconds": seconds, "from": _warm.__name__}


def sklearn_resample(n: str) -> dict[str, Any]:
    """Time AUROC and average precision of one resample by scikit-learn."""
    from sklearn import metrics

    scores, labels = simulated(n)
    drawn = np.random.default_rng(1).integers(0, len(scores), len(scores))

    def resample() -> None:
        metrics.roc_auc_score(labels[drawn], scores[drawn])
        metrics.average_precision_score(labels[drawn], scores[drawn])

    return {"seconds": timed(resample)}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    task.__name__: task
    for task in (
        ecgad_fit,
        keras_fit,
        pyod_fit,
        keras_whole,
        ecgad_lstm_quality,
        ecgad_step,
        keras_step,
        compiled_step,
        noise,
        ecgad_score,
        bare_score,
        keras_score,
        pyod_score,
        ecgad_metrics,
        sklearn_resample,
    )
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))

"""The configuration: what is accepted, what is refused, and with which words."""

from pathlib import Path

import pytest

from ecgad.errors import ConfigError
from ecgad.experiment import load_experiment

from .conftest import REPOSITORY


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert load_experiment(path).name == path.stem


def test_no_arguments_mean_the_demo() -> None:
    assert load_experiment().name == "demo"
    assert str(load_experiment().processed_dir) == "data/processed/demo"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["training.epoch:", "unknown key", "training.epochs"]),
        ("epochs=3", ["epochs: unknown key", "training.epochs"]),
        ("training.epochs=2.5", ["training.epochs", "integer", "2.5"]),
        ("training.epochs=two", ["training.epochs", "integer", "'two'"]),
        ("training.epochs=0", ["training.epochs", "greater than 0", "0"]),
        ("training.learning_rate=-0.1", ["training.learning_rate", "greater than 0", "-0.1"]),
        ("training.learning_rate=.nan", ["training.learning_rate", "finite"]),
        ("model.kind=denes", ["model.kind", "'denes'", "did you mean dense?"]),
        ("model.cnn.kernel_size=4", ["model.cnn", "odd", "4"]),
        ("model=dense", ["model", "section", "'dense'"]),
        ("data.split.fractions=[0.5,0.2,0.2]", ["data.split", "add up to 1", "0.9"]),
        ("data.source=csv", ["data.csv.file"]),
        ("data.split.method=source", ["data.split.method", "synthetic"]),
        ("evaluation.threshold.method=fixed", ["evaluation.threshold.value"]),
        ("training.epochs", ["training.epochs", "SECTION.KEY=VALUE"]),
        ("training.epochs.more=1", ["training.epochs", "section"]),
        ("training.epochs=[1", ["training.epochs", "not valid YAML"]),
        ("training.epochs=9999999999", ["training.epochs", "1000000"]),
        ("data.raw_dir=2024-13-01", ["data.raw_dir", "month"]),
        ("seed=-1", ["seed", "-1"]),
    ],
)
def test_bad_values_are_refused_by_name(override: str, words: list[str]) -> None:
    # Where a test needs a number in the way, the demo has it.
    with pytest.raises(ConfigError) as error:
        load_experiment(None, ["training.epochs=60", override])
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training: {epochs: 3, epochs: 4}", ["line 1", "epochs", "twice"]),
        ("training:\n  epochs: 3\n bad", ["line", "not valid YAML"]),
        ("- 1\n- 2", ["mapping"]),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_experiment(path)
    for word in ["bad.yaml", *words]:
        assert word in str(error.value)


def test_missing_file_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean .*demo\.yaml"):
        load_experiment(REPOSITORY / "configs" / "dmeo.yaml")


def test_overrides_are_yaml_and_come_before_validation(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("training:\n")
    experiment = load_experiment(
        path,
        ["training.learning_rate=1e-3", "training.patience=null", "model.dense.layers=[9, 8]"],
        seed=7,
    )
    assert experiment.training.learning_rate == 0.001
    assert experiment.training.patience is None
    assert experiment.model.dense.layers == [9, 8]
    assert experiment.seed == 7


def test_settings_leave_out_places_and_what_was_not_chosen() -> None:
    here = load_experiment(None, ["data.processed_dir=here", "model.cnn.filters=3"])
    there = load_experiment(None, ["data.processed_dir=there", "model.lstm.layers=2"])
    assert here.data_settings == there.data_settings
    assert here.training_settings == there.training_settings
    other = load_experiment(None, ["data.synthetic.noise=0.1", "model.dense.code_size=3"])
    assert other.data_settings != here.data_settings
    assert other.training_settings != here.training_settings

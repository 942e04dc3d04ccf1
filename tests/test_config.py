"""The configuration: what is accepted, what is refused, and with which words."""

from pathlib import Path

import pytest
import yaml

from ecgad.errors import ConfigError
from ecgad.experiment import Experiment, load_experiment

from .conftest import REPOSITORY


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert load_experiment(path).name == path.stem


def test_no_arguments_mean_the_demo() -> None:
    assert load_experiment().name == "demo"
    assert str(load_experiment().processed_dir) == "data/processed/demo"


def test_the_defaults_are_those_that_are_documented() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = yaml.safe_load(page.rpartition("```yaml\n")[2].partition("```")[0])
    found = Experiment(name="x").model_dump(mode="json", exclude={"name"})
    assert found == documented
    # Key by key, in the order in which they are shown.
    assert yaml.safe_dump(found, sort_keys=False) == yaml.safe_dump(documented, sort_keys=False)


# Ten values, and ten times that, and so on: an alias stands for what it names.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


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
        ("data.csv.normal_label=.inf", ["data.csv.normal_label", "finite"]),
        ("data.split.method=source", ["data.split.method", "synthetic"]),
        ("evaluation.threshold.method=fixed", ["evaluation.threshold.value"]),
        ("training.epochs", ["training.epochs", "SECTION.KEY=VALUE"]),
        ("training.epochs.more=1", ["training.epochs", "section"]),
        ("training.epochs=[1", ["training.epochs", "not valid YAML"]),
        ("training.epochs=9999999999", ["training.epochs", "1000000"]),
        ("data.raw_dir=2024-13-01", ["data.raw_dir", "month"]),
        ("seed=-1", ["seed", "-1"]),
        ("seed=0x" + "f" * 9000, ["seed", "a number of many digits"]),
        ("seed=" + ":".join(["1"] * 3000), ["seed", "a number of many digits"]),
        ("training.learning_rate=" + ":".join(["1"] * 3000) + ".5", ["too large"]),
        ("name=" + "[" * 5000, ["name", "nested too deeply"]),
        ('name="a\\0b"', ["name", "pattern"]),
        ('name="\\ud800"', ["name", "unicode"]),
        ("name=" + "x" * 200, ["name", "at most 100", "xx...xx"]),
        ("evaluation.score={mae: 1.0e+308, mse: 1.0e+308}", ["evaluation.score", "1000000"]),
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
        (BOMB + "name: *a9", ["more than 100,000 values"]),
        (BOMB + "data: {source: *a9}", ["more than 100,000 values"]),
        (BOMB + "evaluation: {baselines: *a9}", ["more than 100,000 values"]),
        ("name: &a [*a]", ["more than 100,000 values"]),
        ("\n".join(f"k{i}: 1" for i in range(60_000)), ["kB"]),
        ("x" * 300_000, ["kB"]),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_experiment(path)
    for word in ["bad.yaml", *words]:
        assert word in str(error.value)
    assert len(str(error.value)) < 500


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


def test_aliases_and_merges_are_the_common_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "model: {dense: &network {code_size: 3}, lstm: {<<: *network, layers: 2}}\n"
        "training: {<<: [{epochs: 5, members: 2}, {epochs: 7}], members: 3}\n"
    )
    experiment = load_experiment(path, ["model.dense.code_size=4"])
    # A mapping's own keys come before merged ones, of which the first do.
    assert (experiment.training.epochs, experiment.training.members) == (5, 3)
    # An override changes the section that it names, and no other one by an alias.
    assert (experiment.model.dense.code_size, experiment.model.lstm.code_size) == (4, 3)


def test_many_mistakes_are_counted_and_a_few_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("\n".join(f"k{i}: 1" for i in range(5000)))
    with pytest.raises(ConfigError, match=r"k0: unknown key.*; and 4997 more") as error:
        load_experiment(path)
    assert len(str(error.value)) < 500

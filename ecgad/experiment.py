"""One experiment as one YAML file: every setting with its type, range, default and meaning.

The file states only what differs from the defaults below. An unknown key, a wrong type or a value
out of range is refused with the key's full path.
"""

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from ecgad.errors import ConfigError

DEFAULT_CONFIG = Path(__file__).parents[2] / "configs" / "demo.yaml"

# Beyond what any machine can hold; a typo should not reach the allocator.
PositiveInt = Annotated[int, Field(gt=0, le=1_000_000)]
Width = Annotated[int, Field(gt=0, le=65_536)]
Folder = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
# In Hz; a filter below it is numerically unstable.
Frequency = Annotated[float, Field(ge=0.01, le=50_000)]
Share = Annotated[float, Field(ge=0, le=1)]
# Records are often numbered: 101 in YAML is the record "101".
RecordName = Annotated[
    str,
    BeforeValidator(lambda name: str(name) if type(name) is int else name),
    # Below data.raw_dir, and in one way only.
    Field(pattern=r"^[^/\\.\x00][^/\\\x00]*(/[^/\\.\x00][^/\\\x00]*)*$"),
]
LeadName = Annotated[str, Field(min_length=1)]
# The classes of ANSI/AAMI EC57, see `ecgad.recordings.beat_classes`.
BeatClass = Literal["N", "S", "V", "F", "Q"]
RecordNames = Annotated[list[RecordName], Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SyntheticConfig(Section):
    """The embedded source: see `ecgad.data.sources.synthetic`."""

    beats: int = Field(4000, ge=10, le=1_000_000_000, description="how many beats")
    anomalous_fraction: Fraction = Field(0.2, description="how many of them are anomalous")
    samples: int = Field(140, ge=16, le=100_000, description="samples a beat")
    sampling_rate: float = Field(160.0, ge=50, le=2000, description="in Hz")
    heart_rate: float = Field(65.0, ge=30, le=150, description="mean, in beats a minute")
    noise: float = Field(0.02, ge=0, le=1, description="standard deviation, in mV")


class CsvConfig(Section):
    """A user's own table, one beat a row, every other column a sample."""

    file: Folder | None = Field(None, description="the table's path, relative to data.raw_dir")
    header: bool = Field(True, description="whether its first line names the columns")
    label_column: str | int | None = Field(
        None, description="name, or number from 0 without a header; null: no labels"
    )
    normal_label: str | int | float | None = Field(None, description="the label of normal beats")


class FilterConfig(Section):
    """What is done to a recording's leads before beats are cut; zero phase, so that none moves."""

    band: tuple[Frequency, Frequency] | None = Field(
        (0.5, 40.0), description="edges of the Butterworth band-pass in Hz; null: off", strict=False
    )
    notch: Frequency | None = Field(None, description="mains frequency in Hz; null: off")

    @model_validator(mode="after")
    def _edges(self) -> Self:
        if self.band is not None and self.band[0] >= self.band[1]:
            raise ValueError(f"band: {self.band[0]:g} Hz is not below {self.band[1]:g} Hz")
        return self


class WindowConfig(Section):
    """How much of a recording around an R peak is the beat."""

    unit: Literal["samples", "ms"] = Field("ms", description="samples: after resampling")
    before: float = Field(250.0, ge=0, le=1e5)
    after: float = Field(450.0, gt=0, le=1e5)


class CuttingConfig(Section):
    """How recordings become beats."""

    records: RecordNames | None = Field(
        None, description="names relative to data.raw_dir, without suffix; null: all"
    )
    leads: list[LeadName | Annotated[list[LeadName], Field(min_length=1)]] | None = Field(
        None,
        min_length=1,
        description="a name each, or several in order of preference; null: the first of a record",
    )
    filter: FilterConfig = FilterConfig()
    sampling_rate: float | None = Field(
        None, ge=20, le=10_000, description="of the beats, in Hz; null: that of the records"
    )
    form: Literal["window", "heartbeat"] = Field(
        "window",
        description="heartbeat: from the R peak over 1.2 median RR intervals, scaled to [0, 1] and "
        "padded to 187 samples at 125 Hz (Kachuee et al. 2018), whatever the window",
    )
    window: WindowConfig = WindowConfig()
    normalisation: Literal["none", "beat", "record"] = Field(
        "record",
        description="beat: to [0, 1] by its own range; record: by the median range of its beats",
    )
    template: Literal["none", "added", "difference"] = Field(
        "none",
        description="as further leads, added: the running median beat of the record, which tells "
        "whose beat it is; difference: what sets the beat apart from it",
    )
    timing: list[
        Literal[
            "rr_previous_ratio",
            "rr_next_ratio",
            "rr_previous",
            "log_rr_previous_ratio",
            "log_rr_next_ratio",
            "log_rr_previous",
        ]
    ] = Field(
        [],
        description="RR intervals as further input: previous and next over their running median, "
        "previous in seconds; and logarithms of these",
    )
    timing_weight: PositiveFloat = Field(
        1.0, description="factor on them, which counts where data.scaling.per is all"
    )

    @model_validator(mode="after")
    def _form(self) -> Self:
        if self.records is not None and len(set(self.records)) < len(self.records):
            raise ValueError("records: a record is named twice")
        if len(set(self.timing)) < len(self.timing):
            raise ValueError("timing: a feature is named twice")
        if self.form == "heartbeat" and self.template != "none":
            raise ValueError("form heartbeat has beats of many lengths and no template; leave it")
        if self.form == "heartbeat" and self.sampling_rate not in (None, 125):
            raise ValueError("form heartbeat has a sampling_rate of 125 Hz; leave it out")
        return self


class WfdbConfig(CuttingConfig):
    """A folder of WFDB records with annotated beats, as PhysioNet publishes them."""

    database: Literal["mitdb"] | None = Field(
        None, description="fetched from PhysioNet where data.raw_dir lacks it; null: never"
    )
    annotator: str = Field(
        "atr", pattern=r"^[A-Za-z0-9_-]+$", description="suffix of the annotation files"
    )
    class_map: Literal["aami", "ml_literature"] = "aami"
    normal: list[BeatClass] = Field(["N"], min_length=1)
    anomalous: list[BeatClass] = Field(
        ["S", "V", "F"], description="classes neither here nor normal are left out"
    )

    @model_validator(mode="after")
    def _classes(self) -> Self:
        if both := set(self.normal) & set(self.anomalous):
            raise ValueError(f"{', '.join(sorted(both))} is both normal and anomalous")
        return self


class PtbdbConfig(CuttingConfig):
    """Raw records of the PTB Diagnostic ECG Database; the header says the diagnosis."""

    leads: list[LeadName | Annotated[list[LeadName], Field(min_length=1)]] | None = ["ii"]
    filter: FilterConfig = FilterConfig(band=None)
    form: Literal["window", "heartbeat"] = "heartbeat"
    anomalous: list[str] | None = Field(
        None, description="reasons for admission; null: all but healthy control"
    )


class HeartbeatCsvConfig(Section):
    """The heartbeat tables that Kaggle has, of Kachuee et al. 2018."""

    database: Literal["mitbih", "ptbdb"] = "mitbih"


class RecordLists(Section):
    train: RecordNames
    validation: RecordNames
    test: RecordNames

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [*self.train, *self.validation, *self.test]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"record {', '.join(twice)} is listed twice")
        return self


class SplitConfig(Section):
    """How beats are dealt to training, validation and test."""

    method: Literal["random", "source", "patients", "records"] = Field(
        "random",
        description="random: beat by beat, stratified by class. source: keep the test set that the "
        "source names, and carve the validation beats from its training set in the ratio of the "
        "first two fractions. patients: whole patients at random. records: as listed",
    )
    fractions: tuple[Fraction, Fraction, Fraction] = Field(
        (0.6, 0.2, 0.2), description="training, validation, test", strict=False
    )
    anomalous_fractions: tuple[Share, Share, Share] | None = Field(
        None, description="of anomalous beats; null: the same", strict=False
    )
    hidden_anomalies: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="the share of the training beats labelled normal that are anomalous in truth: "
        "to measure what unclean data cost",
    )
    records: RecordLists | None = Field(None, description="of method records")
    allow_patient_overlap: bool = Field(
        False, description="whether beats of one patient may be on two sides"
    )

    @model_validator(mode="after")
    def _sum(self) -> Self:
        for fractions in (self.fractions, self.anomalous_fractions or self.fractions):
            if not math.isclose(sum(fractions), 1):
                raise ValueError(f"the fractions must add up to 1, not {sum(fractions):g}")
        if self.anomalous_fractions is not None:
            if self.method in ("patients", "records"):
                raise ValueError(f"anomalous_fractions mean nothing with method {self.method}")
            if self.method == "source" and sum(self.anomalous_fractions[:2]) == 0:
                raise ValueError(
                    "anomalous_fractions: with method source, only the first two count"
                )
        if (self.method == "records") != (self.records is not None):
            raise ValueError("method records and the key records belong together")
        return self


class ScalingConfig(Section):
    """How beats are scaled; fitted on the normal beats of the training split, never clipped."""

    method: Literal["minmax", "standard"] = "minmax"
    per: Literal["position", "lead", "all"] = Field(
        "lead",
        description="own numbers for each sample position or each lead, or one pair for all leads, "
        "which keeps them in proportion",
    )


class DataConfig(Section):
    source: Literal["synthetic", "ecg5000", "ecg_csv", "csv", "wfdb", "ptbdb", "heartbeat_csv"] = (
        "synthetic"
    )
    raw_dir: Folder | None = Field(
        None,
        description="holds the source's files under their published names; data/raw/<source>, or "
        "of PhysioNet data/raw/<database>",
    )
    processed_dir: Folder | None = Field(
        None, description="where the splits are written; data/processed/<name>"
    )
    synthetic: SyntheticConfig = SyntheticConfig()
    csv: CsvConfig = CsvConfig()
    wfdb: WfdbConfig = WfdbConfig()
    ptbdb: PtbdbConfig = PtbdbConfig()
    heartbeat_csv: HeartbeatCsvConfig = HeartbeatCsvConfig()
    split: SplitConfig = SplitConfig()
    scaling: ScalingConfig = ScalingConfig()

    @property
    def classes(self) -> dict[str, Any]:
        """What the results say about classes of annotated records; nothing of other sources."""
        if self.source != "wfdb":
            return {}
        return {
            "class_map": self.wfdb.class_map,
            "normal_classes": self.wfdb.normal,
            "anomalous_classes": self.wfdb.anomalous,
        }

    @classmethod
    def sources(cls) -> set[str]:
        """The sections of sources."""
        return {"synthetic", "csv", "wfdb", "ptbdb", "heartbeat_csv"}

    @model_validator(mode="after")
    def _csv(self) -> Self:
        if self.source == "csv":
            if self.csv.file is None:
                raise ValueError("source csv needs data.csv.file")
            if (self.csv.label_column is None) != (self.csv.normal_label is None):
                raise ValueError(
                    "give both data.csv.label_column and data.csv.normal_label, or neither"
                )
            if not self.csv.header and isinstance(self.csv.label_column, str):
                raise ValueError("without a header, data.csv.label_column is a number from 0")
        return self

    @model_validator(mode="after")
    def _split(self) -> Self:
        method = self.split.method
        own_test = self.source == "ecg5000" or (
            self.source == "heartbeat_csv" and self.heartbeat_csv.database == "mitbih"
        )
        if method == "source" and not own_test:
            raise ValueError(
                f"data.split.method: source {self.source} has no test set of its own; use random"
            )
        if method in ("patients", "records") and self.source not in ("wfdb", "ptbdb"):
            raise ValueError(
                f"data.split.method: source {self.source} knows no {method}; use random"
            )
        if method == "records" and getattr(self, self.source).records is not None:
            raise ValueError(
                f"data.{self.source}.records: those of data.split.records are read; leave it out"
            )
        return self


class DenseConfig(Section):
    layers: list[Width] = Field([64, 32], description="widths before the code")
    code_size: Width = 8
    activation: Literal["relu", "gelu", "elu", "tanh"] = "gelu"
    output: Literal["sigmoid", "linear"] = "linear"


class CnnConfig(Section):
    filters: Width = 32
    kernel_size: int = Field(7, ge=3, le=1001, description="odd, in samples")
    depth: int = Field(3, ge=1, le=10, description="how many times the beat is halved")
    code_size: Width | None = Field(8, description="null: the last feature map is the code")
    decoder: Literal["transposed", "upsampling"] = "transposed"
    output: Literal["sigmoid", "linear"] = "linear"

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {self.kernel_size}")
        return self


class LstmConfig(Section):
    hidden_size: Width = 64
    layers: int = Field(1, ge=1, le=8, description="of the encoder; the decoder has one")
    code_size: Width = 8
    patch_size: Width = Field(10, description="samples read a step; 1 is the classic form")


class ModelConfig(Section):
    kind: Literal["dense", "cnn", "lstm"] = "dense"
    dense: DenseConfig = DenseConfig()
    cnn: CnnConfig = CnnConfig()
    lstm: LstmConfig = LstmConfig()

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of the chosen model."""
        return getattr(self, self.kind).model_dump()


# What `training.contamination` trims besides: the worst reconstructed beats are not all anomalous,
# and a few anomalous ones that are left suffice for the network to learn their kind.
TRIM_MARGIN = 0.06


class TrainingConfig(Section):
    epochs: PositiveInt = 100
    batch_size: PositiveInt = 64
    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adamw"
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="the peak of the schedule")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "one_cycle", description="one_cycle moves the momentum as well (Smith & Topin 2018)"
    )
    loss: Literal["mae", "mse", "huber"] = "mae"
    patience: PositiveInt | None = Field(
        None, description="epochs without a lower validation loss before training stops; null: off"
    )
    gradient_clip: PositiveFloat | None = Field(None, description="largest norm; null: off")
    input_noise: float = Field(
        0.0, ge=0, le=10, description="standard deviation of noise on the input, in scaled units"
    )
    members: int = Field(
        1, ge=1, le=100, description="networks trained side by side; scores are their mean"
    )
    contamination: float = Field(
        0.0,
        ge=0,
        le=0.3,
        description="which share of the normal training beats may be anomalous; so many and "
        f"{TRIM_MARGIN:.0%} more, the worst reconstructed, are not learned from",
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="of the network in training; weights and losses are float32 always. auto: "
        "bfloat16 where docs/performance.md shows that it pays",
    )
    memory_budget_mb: PositiveInt = Field(
        1024,
        description="normal beats of training and validation that take more are streamed from "
        "their files, in shuffled blocks",
    )
    coreset: PositiveInt | None = Field(
        None,
        description="training normals kept in the checkpoint for scores that compare with them; "
        "null: up to 10,000",
    )

    @property
    def trimmed(self) -> float:
        """Which share of the normal training beats is not learned from."""
        return self.contamination + TRIM_MARGIN if self.contamination else 0.0


# `ecgad.scoring.scorer.COMPONENTS`, which is not imported here since it needs torch.
Component = Literal[
    "mae", "mse", "max", "code_distance", "code_mahalanobis", "timing", "prematurity"
]
Baseline = Literal["pca", "knn", "one_class_svm", "isolation_forest"]


class ThresholdConfig(Section):
    method: Literal[
        "fixed",
        "quantile",
        "mean_std",
        "conformal",
        "pot",
        "best_accuracy",
        "best_f1",
        "youden",
    ] = Field(
        "quantile",
        description="conformal and pot (peaks over threshold) promise "
        "evaluation.max_false_alarm_rate",
    )
    value: float | None = Field(None, allow_inf_nan=False, description="of fixed")
    quantile: Fraction = Field(0.98, description="of the scores of validation normals")
    n_std: float = Field(2.0, ge=0, le=100, description="mean_std: deviations above the mean")

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        if self.method == "fixed" and self.value is None:
            raise ValueError("method fixed needs evaluation.threshold.value")
        return self


class EvaluationConfig(Section):
    score: Component | Annotated[dict[Component, PositiveFloat], Field(min_length=1)] = Field(
        "mae",
        description="mae, mse, max: the mean absolute, mean squared or maximum error of a beat. "
        "code_distance, code_mahalanobis: how far its code lies from those of training normals. "
        "timing: the same of its RR intervals. prematurity: how early it comes. Several with "
        "weights, such as {mae: 1, prematurity: 2}, are brought to one scale and averaged",
    )
    neighbours: int = Field(
        5, ge=1, le=1000, description="training normals that a distance is the mean of"
    )
    max_false_alarm_rate: Fraction | None = Field(
        None,
        description="the share of normal beats that may be called anomalous; the threshold is "
        "conformal then, whatever threshold.method says, unless that is pot",
    )
    threshold: ThresholdConfig = ThresholdConfig()
    adaptation_minutes: PositiveFloat | None = Field(
        None,
        description="so much from the start of a record counts as normal for its later beats, "
        "but for what scores highest there, unlabelled as it is; null: off",
    )
    running_beats: int | None = Field(
        None,
        ge=10,
        le=100_000,
        description="scores relative to the running median of so many beats of their record, so "
        "that the threshold follows the record; null: off",
    )
    baselines: list[Baseline] = Field(
        ["pca", "knn", "one_class_svm", "isolation_forest"],
        description="fitted on the same training normals and reported beside the autoencoder",
    )
    bootstrap: int = Field(1000, ge=0, le=100_000, description="resamples a 95% interval; 0: off")

    @property
    def components(self) -> dict[str, float]:
        """The components of the score, with their weights."""
        if isinstance(self.score, str):
            return {self.score: 1.0}
        return dict(self.score.items())

    @property
    def score_name(self) -> str:
        """The score in words, such as `mae + 2 timing`."""
        return " + ".join(
            name if weight == 1 else f"{weight:g} {name}"
            for name, weight in self.components.items()
        )

    @model_validator(mode="before")
    @classmethod
    def _promise(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("max_false_alarm_rate") is not None:
            threshold = settings.get("threshold") or {}
            if isinstance(threshold, dict) and threshold.get("method") != "pot":
                return {**settings, "threshold": {**threshold, "method": "conformal"}}
        return settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("baselines: one is named twice")
        promising = self.threshold.method in ("conformal", "pot")
        if promising and self.max_false_alarm_rate is None:
            raise ValueError(
                f"threshold.method {self.threshold.method} needs evaluation.max_false_alarm_rate"
            )
        return self


class FiguresConfig(Section):
    dpi: int = Field(110, ge=30, le=600)
    examples: int = Field(4, ge=1, le=12, description="beats shown of each kind")


class Experiment(Section):
    """A whole experiment, with every default and path filled in."""

    name: str = Field(
        min_length=1, pattern=r"^[^./\\][^/\\]*$", description="the config file's, mostly"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of split, weights and order of batches")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    figures: FiguresConfig = FiguresConfig()

    @property
    def processed_dir(self) -> Path:
        return Path(self.data.processed_dir or f"data/processed/{self.name}")

    @property
    def raw_dir(self) -> Path:
        database = self.data.wfdb.database if self.data.source == "wfdb" else None
        return Path(self.data.raw_dir or f"data/raw/{database or self.data.source}")

    # What a stage's output depends on, beside its input files. Where things lie does not matter,
    # nor do the settings of sources and models that were not chosen.

    @property
    def data_settings(self) -> dict[str, Any]:
        settings = self.data.model_dump(
            mode="json", exclude={"raw_dir", "processed_dir", *DataConfig.sources()}
        )
        if chosen := getattr(self.data, self.data.source, None):
            settings[self.data.source] = chosen.model_dump(mode="json")
        return {"seed": self.seed, "data": settings}

    @property
    def training_settings(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "model": {"kind": self.model.kind, self.model.kind: self.model.parameters},
            "training": self.training.model_dump(mode="json"),
        }

    @property
    def evaluation_settings(self) -> dict[str, Any]:
        return {"evaluation": self.evaluation.model_dump(mode="json")}

    @property
    def figures_settings(self) -> dict[str, Any]:
        return {"figures": self.figures.model_dump(mode="json")}


def load_experiment(
    path: Path | None = None, overrides: Sequence[str] = (), seed: int | None = None
) -> Experiment:
    """The experiment of a YAML file (default: the embedded demo), with `KEY=VALUE` overrides.

    Raises ConfigError, in one line, for whatever is wrong with the file or an override.
    """
    path = path or DEFAULT_CONFIG
    settings: dict[str, Any] = {"name": path.stem, **_read(path)}
    for override in overrides:
        _override(settings, override)
    if seed is not None:
        settings["seed"] = seed
    try:
        return Experiment.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_explain, error.errors()))) from None


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is given twice", node.value[number][0].start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, where: str) -> Any:
    """YAML text as plain Python values. Raises ConfigError, naming `where` and the line."""
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, TypeError, ValueError, KeyError, AttributeError) as error:
        # A date in month 13, a tag on something else: the constructors raise as they will.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {reason}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], 1)
        hint = f"; did you mean {path.with_name(near[0] + '.yaml')}?" if near else ""
        raise ConfigError(f"no such config file: {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config file {path}: {error}") from None
    settings = parse_yaml(text, str(path))
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, such as 'training:'")
    # A section whose every key is commented out reads as null.
    return {key: value for key, value in settings.items() if value is not None}


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write SECTION.KEY=VALUE")
    *sections, last = key.split(".")
    place = settings
    for section in sections:
        below = place.get(section)
        # A section that the file leaves empty reads as null.
        place[section] = {} if below is None else below
        if not isinstance(place[section], dict):
            raise ConfigError(f"--set {override}: {section} is not a section")
        place = place[section]
    place[last] = parse_yaml(text, f"--set {override}")


def _explain(error: ErrorDetails) -> str:
    # Pydantic marks the branches of a union in the location ('str', 'int'): they are no keys.
    key = ".".join(str(part) for part in error["loc"])
    for end in range(len(error["loc"]), 0, -1):
        candidate = ".".join(str(part) for part in error["loc"][:end])
        if candidate in _KEYS:
            key = candidate
            break
    if error["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in error["loc"])
        return f"{key}: unknown key{_nearest_key(key)}"
    got = "" if error["type"] == "missing" else f", got {error['input']!r}"
    if error["type"] == "value_error":
        return f"{key}: {error['msg'].removeprefix('Value error, ')}" if key else error["msg"]
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"{key}: expected a section with keys of its own{got}"
    message = error["msg"][0].lower() + error["msg"][1:]
    near = ""
    if error["type"] == "literal_error":
        names = re.findall(r"'(\w+)'", error["msg"])
        close = difflib.get_close_matches(str(error["input"]), names, 1)
        near = f"; did you mean {close[0]}?" if close else ""
    return f"{key}: {message}{got}{near}"


def _nearest_key(key: str) -> str:
    section, _, last = key.rpartition(".")
    # A typo beside its own kind first; then a key that stands in the wrong section.
    siblings = {k.rpartition(".")[2]: k for k in _KEYS if k.rpartition(".")[0] == section}
    for names, cutoff in ((siblings, 0.5), ({k.rpartition(".")[2]: k for k in _KEYS}, 0.75)):
        if close := difflib.get_close_matches(last, names, 1, cutoff):
            return f"; did you mean {names[close[0]]}?"
    return f"; {section or 'the top level'} has {', '.join(siblings)}" if siblings else ""


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


_KEYS = list(_keys(Experiment))

"""One experiment as one YAML file: all settings together, and what each stage depends on.

The file states only what differs from the defaults, which stand in `ecgad.config` and, of a source
of beats, in that source's own file. An unknown key, a wrong type or a value out of range is refused
with the key's full path.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from ecgad.config.data import ScalingConfig, SplitConfig
from ecgad.config.evaluation import EvaluationConfig
from ecgad.config.figures import FiguresConfig
from ecgad.config.loading import override, read_settings, validated
from ecgad.config.model import ModelConfig
from ecgad.config.section import Folder, Section
from ecgad.config.training import TrainingConfig
from ecgad.data.sources import SOURCES, Source

# In an installed package the configs lie in it, in a checkout beside it.
_INSTALLED, _CHECKOUT = (Path(__file__).parents[up] / "configs" for up in (0, 1))
CONFIGS = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
DEFAULT_CONFIG = CONFIGS / "demo.yaml"


def _known(name: str) -> str:
    if name not in SOURCES:
        names = ", ".join(map(repr, SOURCES))
        raise PydanticCustomError(
            "literal_error", "input should be one of {names}", {"names": names}
        )
    return name


class DataConfig(Section):
    source: Annotated[str, AfterValidator(_known)] = "synthetic"
    raw_dir: Folder | None = Field(
        None,
        description="holds the source's files under their published names; data/raw/<source>, or "
        "of PhysioNet data/raw/<database>",
    )
    processed_dir: Folder | None = Field(
        None, description="where the splits are written; data/processed/<name>"
    )
    split: SplitConfig = SplitConfig()
    scaling: ScalingConfig = ScalingConfig()

    @property
    def of_source(self) -> Section:
        """The section of the chosen source; empty where that has no settings."""
        return getattr(self, self.source, Section())

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        source, settings, method = SOURCES[self.source], self.of_source, self.split.method
        source.check(settings, method)
        if method == "source" and not source.has_test_set(settings):
            raise ValueError(
                f"data.split.method: source {self.source} has no test set of its own; use random"
            )
        if method in ("patients", "records") and not source.of_records:
            raise ValueError(
                f"data.split.method: source {self.source} knows no {method}; use random"
            )
        if method == "records" and getattr(settings, "records", None) is not None:
            raise ValueError(
                f"data.{self.source}.records: those of data.split.records are read; leave it out"
            )
        return self


_SECTIONS: dict[str, Any] = {
    name: (source.settings_class, source.settings_class())
    for name, source in SOURCES.items()
    if source.settings_class is not Section
}
# With a section for each source that has settings.
if TYPE_CHECKING:
    _Data = DataConfig
else:
    _Data = create_model("DataConfig", __base__=DataConfig, **_SECTIONS)


class Experiment(Section):
    """A whole experiment, with every default and path filled in."""

    name: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$",
        description="the config file's, mostly",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of split, weights and order of batches")
    data: _Data = _Data()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    figures: FiguresConfig = FiguresConfig()

    @property
    def processed_dir(self) -> Path:
        return Path(self.data.processed_dir or f"data/processed/{self.name}")

    @property
    def raw_dir(self) -> Path:
        folder = SOURCES[self.data.source].folder_name(self.data.of_source)
        return Path(self.data.raw_dir or f"data/raw/{folder}")

    @property
    def source(self) -> Source:
        """Where the beats come from, not yet looked for."""
        lists = self.data.split.records
        names = None if lists is None else [*lists.train, *lists.validation, *lists.test]
        make = SOURCES[self.data.source]
        return make(self.data.of_source, self.raw_dir, self.seed, names)

    @property
    def classes(self) -> dict[str, Any]:
        """What the results say about classes of annotated records; nothing of other sources."""
        return SOURCES[self.data.source].classes(self.data.of_source)

    # What a stage's output depends on, beside its input files. Where things lie does not matter,
    # nor do the settings of sources and models that were not chosen.

    @property
    def data_settings(self) -> dict[str, Any]:
        settings = self.data.model_dump(
            mode="json", exclude={"raw_dir", "processed_dir", *_SECTIONS}
        )
        if self.data.source in _SECTIONS:
            settings[self.data.source] = self.data.of_source.model_dump(mode="json")
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
    """Load the experiment of a YAML file (default: configs/demo.yaml), with `KEY=VALUE` overrides.

    Raises ConfigError, in one line, for whatever is wrong with the file or an override.
    """
    path = path or DEFAULT_CONFIG
    settings: dict[str, Any] = {"name": path.stem, **read_settings(path)}
    for change in overrides:
        override(settings, change)
    if seed is not None:
        settings["seed"] = seed
    return validated(Experiment, settings)

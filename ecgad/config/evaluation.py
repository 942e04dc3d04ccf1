"""Settings of score, threshold and what the results are compared with."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from ecgad.config.section import Fraction, PositiveFloat, Section

# Of `ecgad.scoring.components`, which stands above.
Component = Literal[
    "mae",
    "mse",
    "code_distance",
    "code_mahalanobis",
    "beat_distance",
    "timing",
    "prematurity",
    "rhythm",
    "template",
]
# Beyond it, another component has no say.
Weight = Annotated[float, Field(ge=1e-6, le=1e6)]
Baseline = Literal["pca", "knn", "one_class_svm", "isolation_forest", "rr_interval"]


class ThresholdConfig(Section):
    method: Literal[
        "fixed",
        "quantile",
        "mean_std",
        "conformal",
        "pot",
        "patients",
        "best_accuracy",
        "best_f1",
        "youden",
    ] = Field(
        "quantile",
        description="conformal and pot (peaks over threshold) promise "
        "evaluation.max_false_alarm_rate for further normal beats, patients for those of a new "
        "patient",
    )
    value: float | None = Field(None, allow_inf_nan=False, description="of fixed")
    quantile: Fraction = Field(0.98, description="of the scores of validation normals")
    patients: Fraction = Field(
        0.75, description="method patients: the share of new patients that the promise is for"
    )
    n_std: float = Field(2.0, ge=0, le=100, description="mean_std: deviations above the mean")

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        if self.method == "fixed" and self.value is None:
            raise ValueError("method fixed needs evaluation.threshold.value")
        return self


class EvaluationConfig(Section):
    score: Component | Annotated[dict[Component, Weight], Field(min_length=1)] = Field(
        "mae",
        description="mae, mse: the mean absolute or mean squared error of a beat. "
        "code_distance, code_mahalanobis: how far its code lies from those of training normals. "
        "beat_distance, timing: the same of the beat itself, and of its RR intervals. prematurity: "
        "how early it comes. rhythm, template: how early for its patient, and how far from the "
        "template, where evidence is set. Several with weights, such as {mae: 1, prematurity: 2}, "
        "are brought to one scale and averaged",
    )
    neighbours: int = Field(
        5, ge=1, le=1000, description="training normals that a distance is the mean of"
    )
    max_false_alarm_rate: Fraction | None = Field(
        None,
        description="the share of normal beats that may be called anomalous; the threshold is "
        "conformal then, whatever threshold.method says, unless that is pot or patients",
    )
    threshold: ThresholdConfig = ThresholdConfig()
    adaptation_minutes: PositiveFloat | None = Field(
        None,
        description="so much from the start of a record counts as normal for its later beats, "
        "but for what scores highest there, unlabelled as it is; null: off",
    )
    record_level: float = Field(
        0.0,
        ge=0,
        le=1,
        description="scores relative to how high they usually are in their record, as beats come: "
        "0 not at all, 1 wholly",
    )
    baselines: list[Baseline] = Field(
        ["pca", "knn", "one_class_svm", "isolation_forest", "rr_interval"],
        description="fitted on the same training normals and reported beside the autoencoder; "
        "rr_interval looks at no waveform, and is left out where beats have no RR intervals",
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

    @field_validator("score")
    @classmethod
    def _in_one_order(cls, score: Any) -> Any:
        # In whichever order they are named, they make one score.
        if isinstance(score, dict):
            return {name: score[name] for name in get_args(Component) if name in score}
        return score

    @model_validator(mode="before")
    @classmethod
    def _known_before(cls, settings: Any) -> Any:
        # A run of an earlier version has it in its config.yaml, off.
        if isinstance(settings, dict) and settings.get("running_beats", 0) is None:
            return {name: of for name, of in settings.items() if name != "running_beats"}
        return settings

    @model_validator(mode="before")
    @classmethod
    def _promised_rate_is_conformal(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("max_false_alarm_rate") is not None:
            threshold = settings.get("threshold") or {}
            if isinstance(threshold, dict) and threshold.get("method") not in ("pot", "patients"):
                return {**settings, "threshold": {**threshold, "method": "conformal"}}
        return settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("baselines: one is named twice")
        if self.adaptation_minutes is not None and self.threshold.method == "mean_std":
            raise ValueError(
                "threshold.method mean_std is chosen on training beats, which nothing adapts to; "
                "with evaluation.adaptation_minutes take quantile or another method"
            )
        promising = self.threshold.method in ("conformal", "pot", "patients")
        if promising and self.max_false_alarm_rate is None:
            raise ValueError(
                f"threshold.method {self.threshold.method} needs evaluation.max_false_alarm_rate"
            )
        return self

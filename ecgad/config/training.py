"""Settings of the training."""

from typing import Literal

from pydantic import Field

from ecgad.config.section import PositiveFloat, PositiveInt, Section

# More is left out than `training.contamination` says: the worst reconstructed beats are not all
# anomalous, and a few anomalous ones that stay are enough for the network to learn their kind.
TRIM_MARGIN = 0.06


class TrainingConfig(Section):
    epochs: PositiveInt = 100
    batch_size: PositiveInt = 64
    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adamw"
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="the peak of the schedule")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "one_cycle", description="one_cycle moves the momentum as well (Smith & Topin 2018)"
    )
    loss: Literal["mae", "mse"] = "mae"
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

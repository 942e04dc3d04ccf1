"""Settings of the autoencoder: of each kind, the keyword arguments of its class."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ecgad.config.section import Section, Width


class DenseConfig(Section):
    layers: list[Width] = Field([64, 32], description="widths before the code")
    code_size: Width = 8
    activation: Literal["relu", "gelu", "tanh"] = "gelu"
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

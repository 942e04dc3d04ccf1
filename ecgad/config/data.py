"""Settings of what is done to beats before training: splits and scaling."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from ecgad.config.section import Fraction, RecordNames, Section, Share


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
    """How beats are assigned to training, validation and test."""

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
        False, description="whether beats of one patient may be in two splits"
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

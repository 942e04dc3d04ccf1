"""A section of the config, and the types that its settings share."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Beyond what any machine can hold; a typo should not reach the allocator.
PositiveInt = Annotated[int, Field(gt=0, le=1_000_000)]
Width = Annotated[int, Field(gt=0, le=65_536)]
Folder = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]
PositiveFloat = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
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
RecordNames = Annotated[list[RecordName], Field(min_length=1)]


class Section(BaseModel):
    """Settings that belong together; an unknown key is refused, and none changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

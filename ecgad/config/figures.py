"""Settings of the pictures."""

from pydantic import Field

from ecgad.config.section import Section


class FiguresConfig(Section):
    dpi: int = Field(110, ge=30, le=600)
    examples: int = Field(
        4, ge=1, le=12, description="beats of each kind, and strips, that are shown"
    )

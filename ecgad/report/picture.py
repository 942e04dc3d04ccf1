"""What the report says of a picture, beside the picture itself."""

import io
from dataclasses import dataclass

from matplotlib.figure import Figure

# The groups of the report, in its order; each is a heading.
GROUPS = (
    DATA := "Data",
    TRAINING := "Training",
    EXAMPLES := "Examples",
    SCORES := "Scores and curves",
    RECORDS := "Records",
    MISSES := "Worst misses",
    FALSE_ALARMS := "Worst false alarms",
)


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    name: of its file, without suffix. group: of GROUPS. caption: how it is to be read. alt: what is
    to be seen, for those who do not see it.
    """

    name: str
    group: str
    title: str
    caption: str
    alt: str


def render(picture: Picture, figure: Figure, dpi: int) -> tuple[Picture, bytes]:
    """Return a picture with its PNG. It takes the time, and may be done elsewhere."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    return picture, content.getvalue()

"""Options that scripts and commands spell alike."""

import re
from typing import Annotated

import typer

from ecgad.errors import ConfigError

Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on one line.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results and errors, nothing else.")]


def check_annotator(suffix: str, option: str) -> None:
    """Raise ConfigError where this is no suffix of annotation files."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", suffix):
        raise ConfigError(f"{option} {suffix}: a suffix of letters such as atr is needed")


def seconds(text: str, option: str) -> float:
    """Return a time in seconds. Raises ConfigError."""
    match = re.fullmatch(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9}(?:\.\d{1,9})?)", text.strip())
    if match is None:
        raise ConfigError(f"{option} {text}: a time is given as S, M:S or H:M:S, such as 5:00")
    hours, minutes, rest = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(rest)

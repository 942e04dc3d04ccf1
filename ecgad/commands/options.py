"""Options that scripts and commands spell alike."""

from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on one line.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results and errors, nothing else.")]

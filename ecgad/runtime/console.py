"""How ecgad speaks while it works: lines and progress on stderr, never results."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import rich.console

T = TypeVar("T")
Show = Callable[[int, str], None]

# Text is printed as it is: a class may be called [b] or :smile:.
PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False, "emoji": False}


class Console:
    """Tells the user what goes on, unless it is to be quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @property
    def _stderr(self) -> "rich.console.Console":
        # Importing rich takes a tenth of a second.
        from rich.console import Console as RichConsole

        return RichConsole(stderr=True, quiet=self.quiet, **PLAIN)

    def say(self, message: str) -> None:
        """Tell the user something that is no result."""
        if not self.quiet:
            self._stderr.print(message)

    def counted(self, parts: Iterable[T], total: int, unit: str) -> Iterator[T]:
        """Pass the parts on, and show how many of them have come."""
        with self.progress(0, total, unit) as show:
            for number, part in enumerate(parts, 1):
                yield part
                show(number, "")

    @contextmanager
    def progress(self, done: int, total: int, unit: str) -> Iterator[Show]:
        """Show how many of `total` units are done, by a function that also takes some words.

        A bar on a terminal; elsewhere about ten lines in all.
        """
        from rich import progress

        stderr = self._stderr
        with progress.Progress(
            progress.TextColumn(unit),
            progress.MofNCompleteColumn(),
            progress.BarColumn(),
            progress.TextColumn("{task.description}"),
            progress.TimeRemainingColumn(),
            console=stderr,
            disable=self.quiet or not stderr.is_terminal,
        ) as bar:
            task = bar.add_task("", completed=done, total=total)

            def show(number: int, words: str) -> None:
                bar.update(task, completed=number, description=words)
                if bar.disable and number % -(-total // 10) == 0:
                    self.say(f"{unit} {number} of {total}{words and ': '}{words}")

            yield show

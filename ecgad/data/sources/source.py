"""What a source of beats is: each is a class in a file of its own, and an entry of `SOURCES`."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ecgad.config.section import Section
from ecgad.data.beats import Part
from ecgad.runtime.console import Console

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Record:
    """What is known of a record before its signal is read.

    group: what the patients are stratified by, such as the diagnosis.
    """

    name: str
    patient: str
    group: str = ""


class Source(ABC, Generic[S]):
    """Beats from somewhere, as an experiment asks for them: first found, then read.

    name: what `data.source` and its section are called. settings_class: that section; without one,
    the source has no settings. of_records: whether its beats are of records and patients.

    Once it has been found, files: by the names under which a manifest lists them. published:
    SHA-256 of files as the source publishes them, by the same names. records: none where the source
    is a table of beats. left_out: what is not among the beats, by reason; it grows as they are
    read.
    """

    name: ClassVar[str]
    settings_class: ClassVar[type[Section]] = Section
    of_records: ClassVar[bool] = False

    def __init__(
        self, settings: S, folder: Path, seed: int = 0, names: Sequence[str] | None = None
    ) -> None:
        """Keep what is asked for.

        folder: where the files are, or are downloaded to. names: of the only records to read.
        """
        self.settings = settings
        self.folder = folder
        self.seed = seed
        self.names = names
        self.files: dict[str, Path] = {}
        self.published: dict[str, str] = {}
        self.records: list[Record] = []
        self.left_out: Counter[str] = Counter()

    @abstractmethod
    def find(self, console: Console | None = None) -> None:
        """Find the source's files; download public ones that are missing.

        console: where a download shows how far it is. Raises FileError where a file is missing.
        """

    @abstractmethod
    def read(self, jobs: int | None = None) -> Generator[Part]:
        """Read the beats of what was found, in parts.

        jobs: processes that read records or make synthetic beats; None: one for each core. Raises
        FileError where a file is malformed.
        """

    @contextmanager
    def reading(self, jobs: int | None, console: Console) -> Iterator[Iterator[Part]]:
        """Read within this context, show how far it is, and count what is left out."""
        with closing(self.read(jobs)) as parts:
            shown = console.counted(parts, len(self.records), "record") if self.records else parts
            yield self.counted(shown)

    def counted(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Pass the parts on, and count what is left out."""
        for part in parts:
            self.left_out.update(part.left_out)
            yield part

    def changed(self, sha256: Mapping[str, str]) -> str:
        """Say which files differ from the published ones; empty where none does.

        sha256: of all files, by name.
        """
        changed = [
            name for name, digest in sha256.items() if self.published.get(name, digest) != digest
        ]
        if not changed:
            return ""
        named = ", ".join(changed[:3]) + (", ..." if len(changed) > 3 else "")
        return (
            f"note: {len(changed)} of {len(sha256)} files have another checksum than the published "
            f"ones ({named}); reading them"
        )

    @classmethod
    def check(cls, settings: S, split_method: str) -> None:
        """Raise ValueError where the source cannot be chosen with these settings."""

    @classmethod
    def has_test_set(cls, settings: S) -> bool:
        """Return whether the source is published with a test set of its own."""
        return False

    @classmethod
    def folder_name(cls, settings: S) -> str:
        """Return the name of its folder in `data/raw`, unless `data.raw_dir` says where."""
        return cls.name

    @classmethod
    def licence(cls, settings: S) -> str:
        """Return the notice that what is made from the data is to carry."""
        return "The licence of the training data is not known to ecgad; ask whoever published them."

    @classmethod
    def classes(cls, settings: S) -> dict[str, Any]:
        """Return what results say about how annotations became classes."""
        return {}

    def _found(self, *files: Path) -> None:
        self.files = {file.name: file for file in files}

"""Databases of PhysioNet (Goldberger et al. 2000), fetched file by file and verified."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from threading import Event
from typing import TYPE_CHECKING

from ecgad.data.download.remote import why
from ecgad.errors import FileError

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Database:
    """A database of PhysioNet: where it is published, and which of its files ecgad reads.

    url: of the folder that holds the files, with a slash at its end.
    pattern: regular expression that the names of these files match whole; the files of a record
    differ in their suffix, which is one of SUFFIXES.
    """

    name: str
    url: str
    pattern: str


MITDB = Database("mitdb", "https://physionet.org/files/mitdb/1.0.0/", r"\d{3}\.(hea|dat|atr)")
PTBDB = Database(
    "ptbdb", "https://physionet.org/files/ptbdb/1.0.0/", r"patient\d{3}/s\w+\.(hea|dat|xyz)"
)
DATABASES = {database.name: database for database in (MITDB, PTBDB)}

SUFFIXES = (".hea", ".dat", ".atr", ".xyz")
CHECKSUMS = "SHA256SUMS.txt"
PARALLEL = 4
# Seconds before each further try of a download that broke off.
PAUSES = (1.0, 2.0, 4.0)
# Seconds without a byte after which a connection counts as broken.
TIMEOUT = 30.0
# Bytes; a chunk during which a connection breaks is lost.
CHUNK = 8192


def fetch_database(
    database: Database,
    folder: Path,
    records: Sequence[str] | None = None,
    console: "Console | None" = None,
) -> None:
    """Make `folder` hold the wanted files of `database`, or of its named `records` alone.

    A record is named as in the database's list of records: 100, or patient001/s0010_re. On a
    terminal `console` shows a progress bar.

    Each file is verified against the database's SHA256SUMS.txt, which is fetched first and kept,
    before it gets its name; a file that has its name is neither fetched nor verified again.
    Partial files are hidden, .NAME.partial, and a later call goes on with them. Nothing is
    fetched, nor SHA256SUMS.txt looked at, where

    - every named record is there with a file for each suffix that the pattern allows;
    - no records are named, SHA256SUMS.txt is absent and any .hea file lies in the folder or below:
      someone put there by hand what is wanted.

    A download that breaks off is tried again after each of PAUSES, an address that the server
    refuses is not. The first file that cannot be had ends the call; those that are done stay.

    Raises FileError, with the way to do it by hand, where a file cannot be fetched, is not the
    published one even when fetched anew, or cannot be written, and with the nearest names where
    the database has no such record.
    """
    lacking = [database.name]
    if records is not None:
        lacking = _lacking(database, folder, records)
    elif not (folder / CHECKSUMS).exists() and next(folder.rglob("*.hea"), None):
        lacking = []
    if not lacking:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, console):
            sha256 = _published(database, folder, lacking)
            if records is not None:
                sha256 = {name: sha256[name] for name in _of_records(database, sha256, records)}
            _fetch_missing(database, folder, sha256, console)
    except OSError as error:
        raise FileError(
            f"{database.name} cannot be put into {folder}/: "
            f"{error.filename or 'a file'}: {error.strerror or error}"
        ) from None


def published_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that the database in a folder is published with, where it says so."""
    path = folder / CHECKSUMS
    return _checksums(path) if path.exists() else {}


def _checksums(path: Path) -> dict[str, str]:
    lines = re.findall(
        r"^([0-9a-f]{64}) [ *]?(\S+)\s*$", path.read_text("utf-8", errors="replace"), re.MULTILINE
    )
    return {name: digest for digest, name in lines}


def _lacking(database: Database, folder: Path, records: Sequence[str]) -> list[str]:
    """Names of files of the records that are not in the folder, as far as the pattern tells."""
    lacking = []
    for record in records:
        names = [f"{record}{suffix}" for suffix in SUFFIXES]
        names = [name for name in names if re.fullmatch(database.pattern, name)]
        # A name of another form is one in a folder arranged by hand, or unknown.
        names = names or [f"{record}.hea"]
        lacking += [name for name in names if not (folder / name).is_file()]
    return lacking


def _of_records(database: Database, names: Iterable[str], records: Sequence[str]) -> list[str]:
    """Those of the names that belong to the records. Raises FileError for an unknown record."""
    known: dict[str, list[str]] = {}
    for name in names:
        known.setdefault(str(PurePosixPath(name).with_suffix("")), []).append(name)
    for record in records:
        if record not in known:
            nearest = ", ".join(difflib.get_close_matches(record, known, cutoff=0.4))
            raise FileError(
                f"{database.name} has no record {record}; "
                + (f"the nearest are {nearest}" if nearest else f"see {database.url}RECORDS")
            )
    return [name for record in dict.fromkeys(records) for name in known[record]]


@contextmanager
def _alone(folder: Path, console: "Console | None") -> Iterator[None]:
    """Let one process at a time fetch into the folder, where the system can tell.

    A second one could still write to a partial file that the first has verified and renamed.
    """
    try:
        import fcntl
    except ImportError:  # on Windows, which does not rename a file that is open elsewhere
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if console:
                    console.print(f"waiting for another process that fetches into {folder}/")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _published(database: Database, folder: Path, lacking: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each wanted file of the database by name; `lacking` is for the error."""
    import requests

    path, url = folder / CHECKSUMS, database.url + CHECKSUMS
    text = path
    if not path.exists():
        # Nothing verifies this file, so that it is never continued.
        text = _partial(path)
        text.unlink(missing_ok=True)
        try:
            _download(url, text, Event())
        except requests.RequestException as error:
            what = ", ".join(lacking[:3])
            if len(lacking) > 3:
                what += f" and {len(lacking) - 3} more"
            raise _not_fetched(database, folder, what, url, error) from None
    published = {
        name: digest
        for name, digest in _checksums(text).items()
        if re.fullmatch(database.pattern, name)
    }
    if not published:
        source, remedy = (path, "delete it") if text == path else (url, _by_hand(database, folder))
        raise FileError(f"{source} holds no checksums of {database.name}'s files; {remedy}")
    if text != path:
        text.replace(path)
    return published


def _fetch_missing(
    database: Database, folder: Path, sha256: dict[str, str], console: "Console | None"
) -> None:
    """Fetch those of the files, given with their SHA-256, that are not in the folder."""
    import requests
    from rich import progress

    missing = [name for name in sha256 if not (folder / name).is_file()]
    stop = Event()

    def get(name: str) -> int:
        """Fetch one file and return its size in bytes."""
        try:
            return _fetch_file(database.url + name, folder / name, sha256[name], stop)
        except requests.RequestException as error:
            raise _not_fetched(database, folder, name, database.url + name, error) from None

    with (
        progress.Progress(
            progress.TextColumn(database.name),
            progress.MofNCompleteColumn(),
            progress.TextColumn("files"),
            progress.BarColumn(),
            progress.TextColumn("{task.description}"),
            progress.TimeRemainingColumn(),
            console=console,
            disable=console is None or not console.is_terminal,
        ) as bar,
        # Its threads are daemons: Ctrl-C need not wait for a server that says nothing.
        ThreadPool(PARALLEL) as pool,
    ):
        task = bar.add_task("", completed=len(sha256) - len(missing), total=len(sha256))
        n_bytes = 0
        try:
            for size in pool.imap_unordered(get, missing):
                n_bytes += size
                bar.update(task, advance=1, description=f"{n_bytes / 1e6:.1f} MB")
        except Exception:
            # A later call may continue the partial files: nobody else must still write to them.
            stop.set()
            pool.close()
            pool.join()
            raise
        finally:
            stop.set()


def _fetch_file(url: str, path: Path, sha256: str, stop: Event) -> int:
    """Fetch one file, verify it, give it its name, and return its size in bytes.

    Raises FileError where its content is wrong, and what `_download` raises.
    """
    import pooch

    partial = _partial(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):  # a partial file may be of another origin, so that one more try is fair
        _download(url, partial, stop)
        if pooch.file_hash(str(partial)) == sha256:
            partial.replace(path)
            return path.stat().st_size
        partial.unlink()
    raise FileError(
        f"{path.name} from {url} is not the published file (its checksum differs); "
        f"download it by hand and put it into {path.parent}/"
    )


def _download(url: str, partial: Path, stop: Event) -> None:
    """Fetch what `partial` lacks of a file, with some more tries where that fails for a time.

    Raises requests.RequestException where it fails for good.
    """
    import requests

    for pause in (*PAUSES, None):
        try:
            return _try_download(url, partial, stop)
        except requests.RequestException as error:
            response = error.response
            refused = (
                response is not None
                and 400 <= response.status_code < 500
                and response.status_code != requests.codes.too_many_requests
            )
            if refused or pause is None:
                raise
            stop.wait(pause)


def _try_download(url: str, partial: Path, stop: Event) -> None:
    """Fetch what `partial` lacks of a file, or the whole where the server knows no ranges."""
    import requests

    if stop.is_set():
        raise FileError("stopped")  # the user hears of what stopped it
    start = partial.stat().st_size if partial.exists() else 0
    # A compressed answer could not be continued.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if start and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is lacking; whether it is right is for the checksum to say
        response.raise_for_status()
        continued = response.status_code == requests.codes.partial_content
        with partial.open("ab" if continued else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                if stop.is_set():
                    raise FileError("stopped")
                file.write(chunk)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _not_fetched(
    database: Database, folder: Path, what: str, url: str, error: Exception
) -> FileError:
    return FileError(
        f"{what} not found in {folder}/ and {url} cannot be fetched ({why(error)}); "
        f"{_by_hand(database, folder)}"
    )


def _by_hand(database: Database, folder: Path) -> str:
    return f"do it by hand: wget -r -N -c -np {database.url} and put the files into {folder}/"

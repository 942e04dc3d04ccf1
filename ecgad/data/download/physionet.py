"""Databases of PhysioNet (Goldberger et al. 2000), fetched file by file and verified."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from threading import Event

from ecgad.data.download import http
from ecgad.errors import FileError
from ecgad.runtime.console import Console


@dataclass(frozen=True)
class Database:
    """A database of PhysioNet: where it is published, and which of its files ecgad reads.

    url: of the folder that holds the files, with a slash at its end.
    pattern: regular expression that the names of these files match whole; the files of a record
    differ in their suffix, which is one of SUFFIXES. licence: the notice that what is made from it
    is to carry.
    """

    name: str
    url: str
    pattern: str
    licence: str = ""


# Under the Open Data Commons Attribution License.
ATTRIBUTION = (
    "of PhysioNet, ODC-BY 1.0 (https://opendatacommons.org/licenses/by/1-0/); cite {}, and "
    "Goldberger et al. 2000, PhysioBank, PhysioToolkit and PhysioNet, Circulation 101(23)."
)
MITDB = Database(
    name="mitdb",
    url="https://physionet.org/files/mitdb/1.0.0/",
    pattern=r"[12]\d{2}\.(hea|dat|atr)",
    licence="Made from the MIT-BIH Arrhythmia Database "
    + ATTRIBUTION.format(
        "Moody & Mark 2001, The impact of the MIT-BIH Arrhythmia Database, IEEE Eng. Med. Biol. "
        "20(3)"
    ),
)
SVDB = Database(
    name="svdb",
    url="https://physionet.org/files/svdb/1.0.0/",
    pattern=r"8\d{2}\.(hea|dat|atr)",
    licence="Made from the MIT-BIH Supraventricular Arrhythmia Database "
    + ATTRIBUTION.format(
        "Greenwald 1990, Improved detection and classification of arrhythmias in noise-corrupted "
        "electrocardiograms using contextual information, Harvard-MIT Division of Health Sciences "
        "and Technology"
    ),
)
PTBDB = Database(
    name="ptbdb",
    url="https://physionet.org/files/ptbdb/1.0.0/",
    pattern=r"patient\d{3}/s\w+\.(hea|dat|xyz)",
    licence="Made from the PTB Diagnostic ECG Database "
    + ATTRIBUTION.format(
        "Bousseljot et al. 1995, Nutzung der EKG-Signaldatenbank CARDIODAT der PTB über das "
        "Internet, Biomed. Tech. 40(s1)"
    ),
)
# What ECG5000 and ecg.csv were cut from; not read here.
BIDMC_LICENCE = "Made from the BIDMC Congestive Heart Failure Database " + ATTRIBUTION.format(
    "Baim et al. 1986, J. Am. Coll. Cardiol. 7(3), and Chen et al. 2015, A general framework for "
    "never-ending learning from time series streams, Data Min. Knowl. Disc. 29"
)
DATABASES = {database.name: database for database in (MITDB, SVDB, PTBDB)}

SUFFIXES = (".hea", ".dat", ".atr", ".xyz")
CHECKSUMS = "SHA256SUMS.txt"
PARALLEL = 4


def fetch_database(
    database: Database,
    folder: Path,
    records: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Make `folder` hold the wanted files of `database`, or of its named `records` alone.

    A record is named as in the database's list of records: 100, or patient001/s0010_re. `console`
    shows how many files are there; None: silent.

    Each file is verified against the database's SHA256SUMS.txt, which is fetched first and kept,
    before it gets its name; a file that has its name is neither fetched nor verified again.
    Partial files are hidden, .NAME.partial, and a later call goes on with them. Nothing is
    fetched, nor SHA256SUMS.txt looked at, where

    - every named record is there with a file for each suffix that the pattern allows;
    - no records are named, SHA256SUMS.txt is absent and any .hea file lies in the folder or below:
      someone put there by hand what is wanted.

    The first file that cannot be had ends the call; those that are done stay. Into a folder with
    records of another database nothing is fetched.

    Raises FileError where the folder holds other records than the database's; with the way to do it
    by hand, where a file cannot be fetched, is not the published one even when fetched anew, or
    cannot be written; and with the nearest names where the database has no such record.
    """
    lacking = [database.name]
    if records is not None:
        lacking = _lacking(database, folder, records)
    elif not (folder / CHECKSUMS).exists() and next(folder.rglob("*.hea"), None):
        lacking = []
    if not lacking:
        return
    _check_not_foreign(database, folder)
    console = console or Console(quiet=True)
    with http.alone_in(folder, database.name, console):
        sha256 = _published(database, folder, lacking)
        if records is not None:
            sha256 = {name: sha256[name] for name in _of_records(database, sha256, records)}
        _fetch_missing(database, folder, sha256, console)


def folders_of(databases: str | None, folder: Path) -> dict[str, Path]:
    """Return where each database lies: in the folder, or of several, joined by +, in one each."""
    names = databases.split("+") if databases else []
    return {name: folder / name if len(names) > 1 else folder for name in names}


def fetch_databases(
    databases: str | None,
    folder: Path,
    records: Sequence[str] | None,
    console: Console | None = None,
) -> None:
    """Do as `fetch_database`, for each of several, whose records are named such as mitdb/100.

    Raises FileError as it does, and where a record is of none of them.
    """
    folders = folders_of(databases, folder)
    for record in records or []:
        above = record.split("/")[0]
        if len(folders) == 1 and above in DATABASES and above not in folders:
            raise FileError(f"record {record} is of another database than {databases}")
        if len(folders) > 1 and above not in folders:
            raise FileError(
                f"record {record} is of none of {' and '.join(folders)}: with data.wfdb."
                f"database: {databases}, records are named such as {next(iter(folders))}/100"
            )
    for name, own in folders.items():
        of_own = records
        if own != folder and records is not None:
            of_own = [of.removeprefix(f"{name}/") for of in records if of.startswith(f"{name}/")]
        if of_own is None or of_own:
            fetch_database(DATABASES[name], own, of_own, console)


def published_checksums(databases: str | None, folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that databases are published with, where they say so."""
    found: dict[str, str] = {}
    for own in folders_of(databases, folder).values() or [folder]:
        path = own / CHECKSUMS
        prefix = "" if own == folder else f"{own.name}/"
        if path.is_file():
            found |= {f"{prefix}{name}": digest for name, digest in _checksums(path).items()}
    return found


def _checksums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by name, as a list in the form of sha256sum states them."""
    lines = re.findall(
        r"^([0-9a-f]{64}) [ *]?(\S+)\s*$", path.read_text("utf-8", errors="replace"), re.MULTILINE
    )
    return {name: digest for digest, name in lines}


def _check_not_foreign(database: Database, folder: Path) -> None:
    """Raise FileError where a folder holds records, and none of the database."""
    there = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.hea"))
    if there and not any(re.fullmatch(database.pattern, f"{name}.hea") for name in there):
        raise FileError(
            f"{folder}/ holds {len(there)} records of something else, such as {there[0]}, and none "
            f"of {database.name}; set another data.raw_dir, or, to read these, "
            f"data.wfdb.database: null and their names"
        )


def _lacking(database: Database, folder: Path, records: Sequence[str]) -> list[str]:
    """Return the names of the records' files that are missing, as far as the pattern tells."""
    lacking = []
    for record in records:
        names = [f"{record}{suffix}" for suffix in SUFFIXES]
        names = [name for name in names if re.fullmatch(database.pattern, name)]
        # A name of another form is one in a folder arranged by hand, or unknown.
        names = names or [f"{record}.hea"]
        lacking += [name for name in names if not (folder / name).is_file()]
    return lacking


def _of_records(database: Database, names: Iterable[str], records: Sequence[str]) -> list[str]:
    """Return the names that belong to the records. Raises FileError for an unknown record."""
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


def _published(database: Database, folder: Path, lacking: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each wanted file of the database by name, fetching it if missing.

    lacking: the files to name where it cannot be fetched. Raises FileError.
    """
    path, url = folder / CHECKSUMS, database.url + CHECKSUMS
    text = path
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no file; move it away")
    if not path.exists():
        # Nothing verifies this file, so that it is never continued.
        text = http.partial_of(path)
        text.unlink(missing_ok=True)
        try:
            http.download(url, text)
        except http.DownloadError as error:
            what = ", ".join(lacking[:3])
            if len(lacking) > 3:
                what += f" and {len(lacking) - 3} more"
            raise _not_fetched(database, folder, what, error) from None
    published = {
        name: digest
        for name, digest in _checksums(text).items()
        if re.fullmatch(database.pattern, name)
    }
    if not published:
        if text != path:
            text.unlink()
        source, remedy = (path, "delete it") if text == path else (url, _by_hand(database, folder))
        raise FileError(f"{source} holds no checksums of {database.name}'s files; {remedy}")
    if text != path:
        text.replace(path)
    return published


def _fetch_missing(
    database: Database, folder: Path, sha256: dict[str, str], console: Console
) -> None:
    """Fetch those of the files, given with their SHA-256, that are not in the folder."""
    missing = [name for name in sha256 if not (folder / name).is_file()]
    done = len(sha256) - len(missing)
    stop = Event()

    def get(name: str) -> int:
        """Fetch one file and return its size in bytes."""
        path = folder / name
        try:
            http.fetch_file(database.url + name, path, sha256[name], stop)
        except http.DownloadError as error:
            raise _not_fetched(database, folder, name, error) from None
        except http.ContentError as error:
            raise FileError(
                f"{error}; download it by hand and put it into {path.parent}/"
            ) from None
        return path.stat().st_size

    with (
        console.progress(done, len(sha256), f"files of {database.name}") as show,
        # Its threads are daemons: Ctrl-C need not wait for a server that says nothing.
        ThreadPool(PARALLEL) as pool,
    ):
        n_bytes = 0
        try:
            for number, size in enumerate(pool.imap_unordered(get, missing), done + 1):
                n_bytes += size
                show(number, f"{n_bytes / 1e6:.1f} MB")
        except Exception:
            # A later call may continue the partial files: nobody else must still write to them.
            stop.set()
            pool.close()
            pool.join()
            raise
        finally:
            stop.set()


def _not_fetched(
    database: Database, folder: Path, what: str, error: http.DownloadError
) -> FileError:
    return FileError(f"{what} not found in {folder}/ and {error}; {_by_hand(database, folder)}")


def _by_hand(database: Database, folder: Path) -> str:
    return f"do it by hand: wget -r -N -c -np {database.url} and put the files into {folder}/"

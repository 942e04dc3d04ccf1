"""One file by HTTP: continued where it broke off, verified, and only then given its name.

A partial file is hidden, .NAME.partial, and stays for a later call to go on with, unless what came
was wrong.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, BufferedWriter, BytesIO
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from ecgad.errors import FileError
from ecgad.runtime import locks
from ecgad.runtime.console import Console

if TYPE_CHECKING:
    import requests

# Seconds before each further try of a download that broke off.
PAUSES = (1.0, 2.0, 4.0)
# Seconds without a byte after which a connection counts as broken.
TIMEOUT = 30.0
# Bytes that are asked for at a time; what has come of them is written.
CHUNK = 65_536
# Bytes; no published file is nearly as large, and an endless answer would fill the disk.
LARGEST = 500_000_000
# A connection that brings fewer bytes a second, over so many seconds, counts as broken.
SLOWEST, PATIENCE = 1000, 60.0


class DownloadError(Exception):
    """A file could not be fetched; the message names the address and says why."""


class ContentError(Exception):
    """What was fetched is not what was published; the message names file and address."""


def fetch_file(url: str, path: Path, sha256: str, stop: Event | None = None) -> None:
    """Fetch one file, verify it, and give it its name.

    Raises DownloadError, and ContentError where its content is wrong even when fetched anew.
    """
    partial = partial_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)

    def accept() -> None:
        with partial.open("rb") as file:
            verify(file, sha256, f"{path.name} from {url}")
        partial.replace(path)

    fetch_accepted(url, partial, accept, stop)


def fetch_accepted(
    url: str, partial: Path, accept: Callable[[], None], stop: Event | None = None
) -> None:
    """Download what `partial` lacks and have it accepted, if need be after one download anew.

    accept: raises ContentError where `partial` is not what was published.

    Raises DownloadError, and ContentError where it is not accepted even when fetched anew.
    """
    for last in (False, True):
        download(url, partial, stop)
        try:
            return accept()
        except ContentError:
            # It may be of another time or origin, so that one more try is fair.
            partial.unlink(missing_ok=True)
            if last:
                raise


def download(url: str, partial: Path, stop: Event | None = None) -> None:
    """Download what `partial` lacks of a file, with some more tries where that fails for a time.

    A download that breaks off, or nearly stands still, is tried again after each of PAUSES; an
    address that the server refuses is not. stop: when set, ends the download.

    Raises DownloadError where it fails for good.
    """
    import requests

    stop = stop or Event()
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
                raise DownloadError(f"{url} cannot be fetched ({why(error)})") from None
            stop.wait(pause)


def _try_download(url: str, partial: Path, stop: Event) -> None:
    """Download what `partial` lacks of a file, or the whole where the server knows no ranges."""
    import requests

    stopped = DownloadError(f"{url} cannot be fetched (stopped)")
    if stop.is_set():
        raise stopped
    start = partial.stat().st_size if partial.exists() else 0
    # A compressed answer could not be continued.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if start and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is lacking; whether it is right is for the checksum to say
        response.raise_for_status()
        continued = response.status_code == requests.codes.partial_content
        with partial.open("ab" if continued else "wb") as file:
            _copy(response, file, stopped, stop)
        if partial.stat().st_size > LARGEST:
            partial.unlink()
            raise DownloadError(f"{url} cannot be fetched (it has more than {LARGEST:,} bytes)")


def _copy(
    response: "requests.Response", file: BufferedWriter, stopped: DownloadError, stop: Event
) -> None:
    """Write what comes to the file, until it is too large.

    Raises what requests raises where the connection breaks, and `stopped` where `stop` is set.
    """
    import requests
    from urllib3 import exceptions

    since, n_since = time.monotonic(), 0
    try:
        # As it comes: a server that sends a byte now and then would keep a whole chunk waiting.
        while chunk := response.raw.read1(CHUNK):
            if stop.is_set():
                raise stopped
            file.write(chunk)
            file.flush()
            n_since += len(chunk)
            seconds = time.monotonic() - since
            if file.tell() > LARGEST:
                return
            if seconds > PATIENCE:
                if n_since < SLOWEST * seconds:
                    raise requests.ConnectionError
                since, n_since = time.monotonic(), 0
    except exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None
    except exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from None


def verify(file: BufferedReader | BytesIO, sha256: str, what: str) -> None:
    """Compare the checksum of a file's content. Raises ContentError where it differs."""
    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise ContentError(f"{what} is not the published file (its checksum differs)")


def why(error: Exception) -> str:
    """Return in a few words why a file could not be had."""
    import requests

    match error:
        case requests.HTTPError(response=requests.Response() as response):
            return f"{response.status_code} {response.reason}"
        case requests.ConnectionError():
            return "no connection"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke"
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def partial_of(path: Path) -> Path:
    """Return where a file lies until it is whole and verified."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def alone_in(folder: Path, what: str, console: Console) -> Iterator[None]:
    """Let one process at a time put `what` into the folder, which is made if it is missing.

    A second one could still write to a partial file that the first has verified and renamed.

    Raises FileError where the folder or a file in it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another process that fetches into {folder}/"
        with locks.in_turn(folder, lambda: console.say(waiting)):
            yield
    except OSError as error:
        raise FileError(
            f"{what} cannot be put into {folder}/: "
            f"{error.filename or 'a file'}: {error.strerror or error}"
        ) from None

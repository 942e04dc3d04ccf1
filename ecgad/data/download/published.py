"""Public data sets of one file or one zip, fetched once and verified."""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from ecgad.data.download import http
from ecgad.errors import FileError
from ecgad.runtime.console import Console


@dataclass(frozen=True)
class Remote:
    """Where files are published: one URL, either the file itself or a zip that holds them.

    sha256: of each file as it lies in the folder afterwards (a zip may be repacked at any time).
    """

    url: str
    sha256: dict[str, str]


def fetch(remote: Remote, folder: Path, console: Console | None = None) -> None:
    """Make `folder` hold the files of `remote`, each whole and verified, or none.

    Nothing is fetched where all are there. A download that broke off is continued by a later call.
    `console` says what is fetched; None: silent.

    Raises FileError, with the way to get them by hand, where that fails.
    """
    console = console or Console(quiet=True)
    names = ", ".join(remote.sha256)
    by_hand = f"download it by hand and put {names} into {folder}/"
    with http.alone_in(folder, names, console):
        if all((folder / name).exists() for name in remote.sha256):
            return  # another process, which was waited for, has fetched them
        console.say(f"fetching {remote.url}")
        try:
            if remote.url.endswith(".zip"):
                _fetch_members(remote, folder)
            else:
                ((name, sha256),) = remote.sha256.items()
                http.fetch_file(remote.url, folder / name, sha256)
        except http.DownloadError as error:
            raise FileError(f"{names} not found in {folder}/ and {error}; {by_hand}") from None
        except http.ContentError as error:
            raise FileError(f"{error}; {by_hand}") from None


def _fetch_members(remote: Remote, folder: Path) -> None:
    """Fetch a zip, and unpack the wanted members once all of them are verified.

    Raises DownloadError, and ContentError where the zip fetched anew is not the right one either.
    """
    partial = http.partial_of(folder / remote.url.rpartition("/")[2])

    def unpack() -> None:
        try:
            with zipfile.ZipFile(partial) as archive:
                # Nothing else that the archive may hold is written.
                if any(archive.getinfo(name).file_size > http.LARGEST for name in remote.sha256):
                    raise ValueError("a file in it is too large")
                members = {name: archive.read(name) for name in remote.sha256}
        except Exception as error:  # of many kinds, where the zip is broken
            raise http.ContentError(
                f"{', '.join(remote.sha256)} not found in {folder}/ and {remote.url} cannot be "
                f"fetched ({http.why(error)})"
            ) from None
        for name, content in members.items():
            http.verify(BytesIO(content), remote.sha256[name], f"{name} from {remote.url}")
        for name, content in members.items():
            http.partial_of(folder / name).write_bytes(content)
        for name in members:
            http.partial_of(folder / name).replace(folder / name)
        partial.unlink()

    http.fetch_accepted(remote.url, partial, unpack)

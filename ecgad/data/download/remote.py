"""Public data sets, fetched once and verified."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ecgad.errors import FileError


@dataclass(frozen=True)
class Remote:
    """Where files are published: one URL, either the file itself or a zip that holds them.

    sha256: of each file as it lies in the folder afterwards (a zip may be repacked at any time).
    """

    url: str
    sha256: dict[str, str]


def fetch(remote: Remote, folder: Path) -> None:
    """Download the files of `remote` into `folder`, each whole and verified, or none.

    Raises FileError with the way to get them by hand where that fails.
    """
    import pooch

    names = ", ".join(remote.sha256)
    by_hand = f"download it by hand and put {names} into {folder}/"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{names} cannot be put into {folder}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        zipped = remote.url.endswith(".zip")
        try:
            pooch.retrieve(
                remote.url,
                known_hash=None,
                path=temporary,
                fname="archive.zip" if zipped else next(iter(remote.sha256)),
                processor=pooch.Unzip(list(remote.sha256), extract_dir=".") if zipped else None,
            )
        except Exception as error:  # pooch passes on whatever requests, urllib3 and zipfile raise
            raise FileError(
                f"{names} not found in {folder}/ and cannot be fetched from {remote.url} "
                f"({why(error)}); {by_hand}"
            ) from None
        for name, expected in remote.sha256.items():
            if pooch.file_hash(str(Path(temporary, name))) != expected:
                raise FileError(
                    f"{name} from {remote.url} is not the published file (its checksum differs); "
                    f"{by_hand}"
                )
        for name in remote.sha256:
            Path(temporary, name).replace(folder / name)


def why(error: Exception) -> str:
    """In a few words, why a download failed."""
    import requests

    match error:
        case requests.HTTPError(response=requests.Response() as response):
            return f"{response.status_code} {response.reason}"
        case requests.ConnectionError():
            return "no connection"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke"
    return (str(error) or type(error).__name__).splitlines()[0][:200]

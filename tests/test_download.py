"""Downloads, from a small HTTP server on loopback."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ecgad.data import tables, ucr
from ecgad.data.download import Remote, fetch
from ecgad.errors import FileError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}", folder
        served.shutdown()
        thread.join()


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def row(label: str) -> str:
    return ",".join(["0.5"] * 140) + label


def test_a_file_is_fetched_once_and_verified(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    content = row(",1.0") + "\n" + row(",0.0") + "\n"
    (served / "ecg.csv").write_text(content)
    remote = Remote(f"{address}/ecg.csv", {"ecg.csv": digest(content)})
    monkeypatch.setattr(tables, "ECG_CSV", remote)
    path = tables.ecg_csv_file(tmp_path / "raw")
    assert path.read_text() == content
    assert [p.name for p in path.parent.iterdir()] == ["ecg.csv"]
    (served / "ecg.csv").unlink()
    assert tables.ecg_csv_file(tmp_path / "raw") == path


def test_an_archive_is_unpacked_and_its_members_verified(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    members = {
        f"ECG5000_{part}{suffix}": f"{part}{suffix}"
        for part in ("TRAIN", "TEST")
        for suffix in (".ts", ".txt")
    }
    with zipfile.ZipFile(served / "ECG5000.zip", "w") as archive:
        for name, content in {**members, "README.md": "more than is asked for"}.items():
            archive.writestr(name, content)
    sums = {name: digest(content) for name, content in members.items()}
    monkeypatch.setattr(ucr, "REMOTE", Remote(f"{address}/ECG5000.zip", sums))
    files = ucr.ecg5000_files(tmp_path / "raw")
    assert [file.name for file in files] == ["ECG5000_TRAIN.ts", "ECG5000_TEST.ts"]
    assert {p.name: p.read_text() for p in (tmp_path / "raw").iterdir()} == members


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("changed.csv", ["checksum"]),
        ("absent.csv", ["cannot be fetched", "404"]),
        ("broken.zip", ["cannot be fetched"]),
    ],
)
def test_what_fails_says_how_to_do_it_by_hand(
    server: tuple[str, Path], tmp_path: Path, name: str, words: list[str]
) -> None:
    address, served = server
    for file in ("changed.csv", "broken.zip"):
        (served / file).write_text("not what it should be")
    raw = tmp_path / "raw"
    with pytest.raises(FileError) as error:
        fetch(Remote(f"{address}/{name}", {"wanted.csv": digest("wanted")}), raw)
    for word in [*words, f"{address}/{name}", f"put wanted.csv into {raw}/"]:
        assert word in str(error.value)
    assert list(raw.iterdir()) == []


def test_without_a_network_the_error_names_file_place_and_address(tmp_path: Path) -> None:
    # Nothing listens on the discard port of loopback.
    remote = Remote("http://127.0.0.1:9/ecg.csv", {"ecg.csv": ""})
    with pytest.raises(FileError) as error:
        fetch(remote, tmp_path)
    for word in ("ecg.csv not found", "http://127.0.0.1:9/ecg.csv", f"into {tmp_path}/"):
        assert word in str(error.value)

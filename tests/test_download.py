"""Downloads, from a small HTTP server on loopback."""

import hashlib
import io
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ecgad.data import tables
from ecgad.data.download import physionet
from ecgad.data.download.physionet import MITDB, PTBDB, Database, fetch_database
from ecgad.data.download.remote import Remote, fetch
from ecgad.data.sources import ecg5000 as ucr
from ecgad.errors import FileError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """The address of a server on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        # It looks this often, in seconds, whether it shall end.
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(partial(Quiet, directory=str(folder))) as address:
        yield address, folder


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


@dataclass
class PhysioNet:
    """A small database on loopback, whose server can be told to fail."""

    database: Database
    files: dict[str, bytes]
    # Of each answer to a name, in turn: the status that it fails with, or the bytes after which it
    # is cut. Answers beyond these are whole.
    failures: dict[str, list[int]] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    # Whether it sends parts of files.
    ranges: bool = True
    # If given, a connection stays open after a cut until this is set.
    stalled: threading.Event | None = None
    # Name and Range of each request.
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, asked = request.path.lstrip("/"), request.headers["Range"]
        self.requests.append((name, asked))
        if name not in self.files:
            request.send_error(404)
            return
        if self.failures.get(name):
            request.send_error(self.failures[name].pop(0))
            return
        sent, status = self.files[name], 200
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(sent):
                request.send_error(416)
                return
            sent, status = sent[start:], 206
        request.send_response(status)
        request.send_header("Content-Length", str(len(sent)))
        request.end_headers()
        cut = self.cuts[name].pop(0) if self.cuts.get(name) else None
        request.wfile.write(sent[:cut])
        if cut is not None and self.stalled:
            self.stalled.wait(20)

    def requested(self) -> list[str]:
        return sorted(name for name, _ in self.requests)


@pytest.fixture
def physio(monkeypatch: pytest.MonkeyPatch) -> Iterator[PhysioNet]:
    monkeypatch.setattr(physionet, "PAUSES", (0.01, 0.01, 0.01))
    rng = random.Random(0)  # noqa: S311
    files = {
        f"patient00{patient}/s000{patient}_re{suffix}": rng.randbytes(size)
        for patient in (1, 2, 3)
        for suffix, size in ((".hea", 300), (".dat", 300_000), (".xyz", 1_000))
    }
    listed = {**files, "RECORDS": b"", "patient001/notes.txt": b"", "../../outside.hea": b""}
    # As PhysioNet writes its lists, and in turn as sha256sum does for binary files.
    lines = [
        f"{hashlib.sha256(data).hexdigest()} {'*' * (n % 2)}{name}\n"
        for n, (name, data) in enumerate(listed.items())
    ]
    served = PhysioNet(PTBDB, {**files, "SHA256SUMS.txt": "".join(lines).encode()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        served.database = Database("ptbdb", f"{address}/", PTBDB.pattern)
        yield served


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database whose server does not answer."""
    monkeypatch.setattr(physionet, "PAUSES", (0.01,))
    return Database("mitdb", "http://127.0.0.1:9/", MITDB.pattern)


def content(folder: Path) -> dict[str, bytes]:
    """What lies in the folder and below."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


DAT = "patient002/s0002_re.dat"
PARTIAL = "patient002/.s0002_re.dat.partial"


def test_a_database_is_fetched_once(physio: PhysioNet, tmp_path: Path) -> None:
    for _ in range(2):
        fetch_database(physio.database, tmp_path)
        assert content(tmp_path) == physio.files
        assert physio.requested() == sorted(physio.files)
    physio.requests.clear()
    (tmp_path / DAT).unlink()
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert physio.requests == [(DAT, None)]


def test_named_records_are_fetched_alone(physio: PhysioNet, tmp_path: Path) -> None:
    records = ["patient003/s0003_re", "patient001/s0001_re", "patient003/s0003_re"]
    fetch_database(physio.database, tmp_path, records)
    wanted = sorted(name for name in physio.files if "patient002" not in name)
    assert sorted(content(tmp_path)) == physio.requested() == wanted
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert physio.requested() == sorted(physio.files)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_file_is_continued(physio: PhysioNet, tmp_path: Path, ranges: bool) -> None:
    physio.ranges = ranges
    physio.cuts[DAT] = [81_920, 40_960]  # whole chunks
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    second = 122_880 if ranges else 40_960  # without ranges it came from its start again
    asked = [asked for name, asked in physio.requests if name == DAT]
    assert asked == [None, "bytes=81920-", f"bytes={second}-"]


def test_a_later_call_continues_what_broke_off(physio: PhysioNet, tmp_path: Path) -> None:
    physio.cuts[DAT] = [81_920, 8192, 0, 0]
    with pytest.raises(FileError) as error:
        fetch_database(physio.database, tmp_path)
    for word in (
        f"{DAT} not found in {tmp_path}/",
        f"{physio.database.url}{DAT} cannot be fetched (the connection broke)",
        f"put the files into {tmp_path}/",
    ):
        assert word in str(error.value)
    there = content(tmp_path)
    assert there.pop(PARTIAL) == physio.files[DAT][:90_112]
    whole = {name for name in there if not name.endswith(".partial")}
    assert DAT not in whole
    physio.requests.clear()
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert (DAT, "bytes=90112-") in physio.requests
    assert not whole & set(physio.requested())


def test_a_partial_file_that_is_whole_or_wrong(physio: PhysioNet, tmp_path: Path) -> None:
    (tmp_path / PARTIAL).parent.mkdir()
    (tmp_path / PARTIAL).write_bytes(b"not how the file starts")
    whole = "patient002/s0002_re.xyz"
    (tmp_path / "patient002/.s0002_re.xyz.partial").write_bytes(physio.files[whole])
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert [asked for name, asked in physio.requests if name == whole] == ["bytes=1000-"]
    assert [asked for name, asked in physio.requests if name == DAT] == ["bytes=23-", None]


def test_wrong_content_is_named_and_not_kept(physio: PhysioNet, tmp_path: Path) -> None:
    right, physio.files[DAT] = physio.files[DAT], b"something else"
    with pytest.raises(FileError, match="checksum") as error:
        fetch_database(physio.database, tmp_path)
    for word in (physio.database.url + DAT, f"by hand and put it into {tmp_path}/patient002/"):
        assert word in str(error.value)
    assert physio.requests.count((DAT, None)) == 2
    physio.files[DAT] = right
    there = content(tmp_path)
    assert DAT not in there
    assert all(physio.files[n] == data for n, data in there.items() if not n.endswith(".partial"))
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files


def test_what_fails_for_a_time_is_tried_again(physio: PhysioNet, tmp_path: Path) -> None:
    physio.failures = {"SHA256SUMS.txt": [429], DAT: [503, 503]}
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert len(physio.requests) == len(physio.files) + 3


def test_a_failure_ends_the_other_downloads_too(physio: PhysioNet, tmp_path: Path) -> None:
    del physio.files[DAT]
    physio.cuts["patient001/s0001_re.dat"] = [1000]
    physio.stalled = threading.Event()
    threading.Timer(0.3, physio.stalled.set).start()
    with pytest.raises(FileError, match="404"):
        fetch_database(physio.database, tmp_path)
    assert physio.stalled.is_set()  # it was waited for, so that nothing is written from here on


def test_what_is_absent_is_not_tried_again(physio: PhysioNet, tmp_path: Path) -> None:
    del physio.files[DAT]
    with pytest.raises(FileError, match=rf"{DAT} cannot be fetched \(404 Not Found\)"):
        fetch_database(physio.database, tmp_path)
    assert physio.requested().count(DAT) == 1


def test_ctrl_c_ends_at_once(physio: PhysioNet, tmp_path: Path) -> None:
    physio.stalled = threading.Event()
    physio.cuts[DAT] = [131_072]
    program = (
        "import sys; from pathlib import Path\n"
        "from ecgad.data.download.physionet import *\n"
        f"fetch_database({physio.database!r}, Path(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True
    ) as process:
        expected = {PARTIAL, *physio.files} - {DAT}
        for _ in range(1000):
            if (
                all((tmp_path / name).exists() for name in expected)
                and (tmp_path / PARTIAL).stat().st_size == 131_072
            ):
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    physio.stalled.set()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    there = content(tmp_path)
    assert there.pop(PARTIAL) == physio.files[DAT][:131_072]
    assert there == {name: data for name, data in physio.files.items() if name != DAT}
    physio.requests.clear()
    fetch_database(physio.database, tmp_path)
    assert content(tmp_path) == physio.files
    assert physio.requests == [(DAT, "bytes=131072-")]


def test_what_was_put_there_by_hand_needs_no_server(nowhere: Database, tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "mitdb"
    folder.mkdir(parents=True)
    names = [f"100.{suffix}" for suffix in ("hea", "dat", "atr")]
    for name in names:
        (folder / name).touch()
    fetch_database(nowhere, folder, ["100"])
    fetch_database(nowhere, folder)
    fetch_database(nowhere, tmp_path / "raw")  # they may lie below
    assert sorted(content(folder)) == sorted(names)


@pytest.mark.parametrize(
    ("records", "words"),
    [(None, "mitdb not found"), (["100", "101"], "100.atr, 101.hea, 101.dat and 1 more not found")],
)
def test_without_a_connection_one_line_says_what_to_do(
    nowhere: Database, tmp_path: Path, records: list[str] | None, words: str
) -> None:
    if records:
        for name in ("100.hea", "100.dat"):
            (tmp_path / name).touch()
    with pytest.raises(FileError) as error:
        fetch_database(nowhere, tmp_path, records)
    for word in (words, "no connection", f"wget -r -N -c -np {nowhere.url}", f"into {tmp_path}/"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mistyped_record_is_answered_with_the_nearest(physio: PhysioNet, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no record s0001_re; .* patient001/s0001_re"):
        fetch_database(physio.database, tmp_path, ["patient002/s0002_re", "s0001_re"])
    assert list(content(tmp_path)) == ["SHA256SUMS.txt"]


def test_a_list_without_the_databases_files(physio: PhysioNet, tmp_path: Path) -> None:
    login = b"<html>Please log in to this network</html>"
    physio.files["SHA256SUMS.txt"] = login
    with pytest.raises(FileError, match=f"{physio.database.url}SHA256SUMS.txt holds no checksums"):
        fetch_database(physio.database, tmp_path)
    assert not (tmp_path / "SHA256SUMS.txt").exists()
    (tmp_path / "SHA256SUMS.txt").write_bytes(login)
    with pytest.raises(FileError, match=f"{tmp_path}/SHA256SUMS.txt holds .*; delete it"):
        fetch_database(physio.database, tmp_path)


def test_a_folder_that_cannot_be_written(physio: PhysioNet, tmp_path: Path) -> None:
    (tmp_path / "patient002").write_text("a file where a folder should be")
    with pytest.raises(FileError, match=r"ptbdb cannot be put into .*patient002: "):
        fetch_database(physio.database, tmp_path)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_alone(
    physio: PhysioNet, tmp_path: Path, terminal: bool
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=100)
    fetch_database(physio.database, tmp_path, console=console)
    assert ("9/9" in shown.getvalue()) == terminal
    assert ("0.9 MB" in shown.getvalue()) == terminal
    assert terminal or not shown.getvalue()


def test_one_process_at_a_time_fetches(physio: PhysioNet, tmp_path: Path) -> None:
    said = io.StringIO()
    second = threading.Thread(
        target=fetch_database,
        args=(physio.database, tmp_path),
        kwargs={"console": Console(file=said)},
    )
    with physionet._alone(tmp_path, None):
        second.start()
        for _ in range(1000):
            if "waiting for another process" in said.getvalue():
                break
            time.sleep(0.01)
        assert physio.requests == []
    second.join()
    assert content(tmp_path) == physio.files

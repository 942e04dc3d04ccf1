"""Downloads, from a small HTTP server on loopback."""

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ecgad.config.section import Section
from ecgad.data.download import http
from ecgad.data.download.physionet import (
    CHECKSUMS,
    MITDB,
    PTBDB,
    Database,
    fetch_database,
    fetch_databases,
    folders_of,
    published_checksums,
)
from ecgad.data.download.published import Remote, fetch
from ecgad.errors import FileError
from ecgad.runtime.console import Console

NOWHERE = "http://127.0.0.1:9/"  # nothing listens on the discard port of loopback
MITDB_NOWHERE = Database("mitdb", NOWHERE, MITDB.pattern)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSES", (0.01, 0.01, 0.01))


@dataclass
class Server:
    """A small server on loopback, which can be told to fail."""

    url: str = ""  # with a slash at its end
    files: dict[str, bytes] = field(default_factory=dict)
    # Of each answer to a name, in turn: the status that it fails with, or the bytes after which it
    # is cut. Answers beyond these are whole.
    failures: dict[str, list[int]] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    # If given, how many seconds it takes for each byte.
    slow: float = 0.0
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
        if self.slow:
            for byte in sent:
                time.sleep(self.slow)
                try:
                    request.wfile.write(bytes([byte]))
                except OSError:
                    return
        request.wfile.write(sent[:cut])
        if cut is not None and self.stalled:
            self.stalled.wait(20)

    def requested(self) -> list[str]:
        return sorted(name for name, _ in self.requests)


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        # It looks this often, in seconds, whether it shall end.
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{listening.server_port}/"
        yield served
        listening.shutdown()
        thread.join()


@pytest.fixture
def database(server: Server) -> Database:
    """A small database, the only files of the server."""
    rng = random.Random(0)
    server.files = {
        f"patient00{patient}/s000{patient}_re{suffix}": rng.randbytes(size)
        for patient in (1, 2, 3)
        for suffix, size in ((".hea", 300), (".dat", 300_000), (".xyz", 1_000))
    }
    listed = {**server.files, "RECORDS": b"", "patient001/notes.txt": b"", "../../outside.hea": b""}
    # As PhysioNet writes its lists, and in turn as sha256sum does for binary files.
    lines = [
        f"{digest(data)} {'*' * (n % 2)}{name}\n" for n, (name, data) in enumerate(listed.items())
    ]
    server.files["SHA256SUMS.txt"] = "".join(lines).encode()
    return Database("ptbdb", server.url, PTBDB.pattern)


class Hearing(Console):
    """A console that keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip that holds these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    """What lies in the folder and below."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@contextmanager
def another_fetching(call: Callable[[Console], None], folder: Path) -> Iterator[None]:
    """Hold the folder as another process would, until `call` waits for it and the block is done."""
    console = Hearing()
    second = threading.Thread(target=call, args=(console,))
    with http.alone_in(folder, "what", Console()):
        second.start()
        for _ in range(1000):
            if console.said == [f"waiting for another process that fetches into {folder}/"]:
                break
            time.sleep(0.01)
        yield
    second.join()


MEMBERS = {name: random.Random(name).randbytes(40_000) for name in ("one.csv", "two.csv")}
SUMS = {name: digest(data) for name, data in MEMBERS.items()}


def test_ecg_csv_is_fetched_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecgad.data.sources import ecg_csv

    server.files["ecg.csv"] = b"0.5,1.0\n"
    remote = Remote(f"{server.url}ecg.csv", {"ecg.csv": digest(b"0.5,1.0\n")})
    monkeypatch.setattr(ecg_csv, "REMOTE", remote)
    raw = tmp_path / "raw"
    for _ in range(2):
        source = ecg_csv.EcgCsv(Section(), raw)
        source.find()
        assert source.files == {"ecg.csv": raw / "ecg.csv"}
        assert content(raw) == server.files
        assert server.requests == [("ecg.csv", None)]


def test_ecg5000_is_unpacked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecgad.data.sources import ecg5000

    members = {
        f"ECG5000_{part}{suffix}": f"{part}{suffix}".encode()
        for part in ("TRAIN", "TEST")
        for suffix in (".ts", ".txt")
    }
    server.files["ECG5000.zip"] = zipped(members)
    sums = {name: digest(data) for name, data in members.items()}
    monkeypatch.setattr(ecg5000, "REMOTE", Remote(f"{server.url}ECG5000.zip", sums))
    for _ in range(2):
        source = ecg5000.Ecg5000(Section(), tmp_path)
        source.find()
        assert list(source.files) == ["ECG5000_TRAIN.ts", "ECG5000_TEST.ts"]
        assert content(tmp_path) == members
        assert server.requests == [("ECG5000.zip", None)]


def test_of_an_archive_only_what_is_wanted_is_written(server: Server, tmp_path: Path) -> None:
    more = {"README.md": b"more than is asked for", "../outside.csv": b""}
    server.files["data.zip"] = zipped({**more, **MEMBERS})
    console = Hearing()
    fetch(Remote(f"{server.url}data.zip", SUMS), tmp_path / "raw", console)
    assert console.said == [f"fetching {server.url}data.zip"]
    assert content(tmp_path) == {f"raw/{name}": data for name, data in MEMBERS.items()}


@pytest.mark.parametrize("file", ["one.csv", "data.zip"])
def test_a_later_call_continues_a_file_or_a_zip(server: Server, tmp_path: Path, file: str) -> None:
    server.files = {"one.csv": MEMBERS["one.csv"], "data.zip": zipped(MEMBERS)}
    server.cuts[file] = [16_384, 8192, 0, 0]
    wanted = ["one.csv"] if file == "one.csv" else list(MEMBERS)
    remote = Remote(f"{server.url}{file}", {name: SUMS[name] for name in wanted})
    with pytest.raises(FileError, match=r"cannot be fetched \(the connection broke\)"):
        fetch(remote, tmp_path)
    assert content(tmp_path) == {f".{file}.partial": server.files[file][:24_576]}
    server.requests.clear()
    fetch(remote, tmp_path)
    assert content(tmp_path) == {name: MEMBERS[name] for name in wanted}
    assert server.requests == [(file, "bytes=24576-")]


@pytest.mark.parametrize("size", [1000, 60_000, 100_000])
def test_a_zip_that_was_repacked_is_fetched_anew(server: Server, tmp_path: Path, size: int) -> None:
    server.files["data.zip"] = zipped(MEMBERS)
    old = zipped({"README.md": bytes(30_000), **MEMBERS})
    (tmp_path / ".data.zip.partial").write_bytes(old[:size])
    fetch(Remote(f"{server.url}data.zip", SUMS), tmp_path)
    assert content(tmp_path) == MEMBERS
    assert server.requests == [("data.zip", f"bytes={size}-"), ("data.zip", None)]


@pytest.mark.parametrize(
    ("name", "words", "tries"),
    [
        ("changed.csv", ["one.csv from", "checksum"], 2),
        ("absent.csv", ["one.csv not found", "cannot be fetched (404 Not Found)"], 1),
        ("broken.zip", ["one.csv not found", "cannot be fetched (File is not a zip file)"], 2),
        ("changed.zip", ["one.csv from", "checksum"], 2),
        ("lacking.zip", ["one.csv not found", "cannot be fetched", "no item named 'one.csv'"], 2),
    ],
)
def test_what_fails_says_how_to_do_it_by_hand(
    server: Server, tmp_path: Path, name: str, words: list[str], tries: int
) -> None:
    server.files = {
        "changed.csv": b"not what it should be",
        "broken.zip": b"not what it should be",
        "changed.zip": zipped({"two.csv": MEMBERS["two.csv"], "one.csv": b"something else"}),
        "lacking.zip": zipped({"two.csv": MEMBERS["two.csv"]}),
    }
    wanted = ["two.csv", "one.csv"] if name == "changed.zip" else ["one.csv"]
    remote = Remote(f"{server.url}{name}", {name: SUMS[name] for name in wanted})
    with pytest.raises(FileError) as error:
        fetch(remote, tmp_path)
    for word in [*words, remote.url, f"by hand and put {', '.join(wanted)} into {tmp_path}/"]:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert content(tmp_path) == {}
    assert server.requests == [(name, None)] * tries


def test_without_a_network_the_error_names_file_place_and_address(tmp_path: Path) -> None:
    with pytest.raises(FileError) as error:
        fetch(Remote(f"{NOWHERE}ecg.csv", {"ecg.csv": ""}), tmp_path)
    for word in ("ecg.csv not found", f"{NOWHERE}ecg.csv", "no connection", f"into {tmp_path}/"):
        assert word in str(error.value)


def test_a_folder_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "raw").touch()
    with pytest.raises(FileError, match=r"ecg\.csv cannot be put into .*raw/: .*raw: "):
        fetch(Remote(f"{server.url}ecg.csv", {"ecg.csv": ""}), tmp_path / "raw")


def test_what_another_process_has_fetched_is_not_fetched_again(
    server: Server, tmp_path: Path
) -> None:
    server.files["one.csv"] = MEMBERS["one.csv"]
    remote = Remote(f"{server.url}one.csv", {"one.csv": SUMS["one.csv"]})
    with another_fetching(lambda console: fetch(remote, tmp_path, console), tmp_path):
        (tmp_path / "one.csv").write_bytes(MEMBERS["one.csv"])
    assert server.requests == []


DAT = "patient002/s0002_re.dat"
PARTIAL = "patient002/.s0002_re.dat.partial"


def test_a_database_is_fetched_once(server: Server, database: Database, tmp_path: Path) -> None:
    for _ in range(2):
        fetch_database(database, tmp_path)
        assert content(tmp_path) == server.files
        assert server.requested() == sorted(server.files)
    server.requests.clear()
    (tmp_path / DAT).unlink()
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert server.requests == [(DAT, None)]


def test_named_records_are_fetched_alone(
    server: Server, database: Database, tmp_path: Path
) -> None:
    records = ["patient003/s0003_re", "patient001/s0001_re", "patient003/s0003_re"]
    fetch_database(database, tmp_path, records)
    wanted = sorted(name for name in server.files if "patient002" not in name)
    assert sorted(content(tmp_path)) == server.requested() == wanted
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert server.requested() == sorted(server.files)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_file_is_continued(
    server: Server, database: Database, tmp_path: Path, ranges: bool
) -> None:
    server.ranges = ranges
    server.cuts[DAT] = [81_920, 40_960]  # whole chunks
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    second = 122_880 if ranges else 40_960  # without ranges it came from its start again
    asked = [asked for name, asked in server.requests if name == DAT]
    assert asked == [None, "bytes=81920-", f"bytes={second}-"]


def test_a_later_call_continues_what_broke_off(
    server: Server, database: Database, tmp_path: Path
) -> None:
    server.cuts[DAT] = [81_920, 8192, 0, 0]
    with pytest.raises(FileError) as error:
        fetch_database(database, tmp_path)
    for word in (
        f"{DAT} not found in {tmp_path}/",
        f"{database.url}{DAT} cannot be fetched (the connection broke)",
        f"put the files into {tmp_path}/",
    ):
        assert word in str(error.value)
    there = content(tmp_path)
    assert there.pop(PARTIAL) == server.files[DAT][:90_112]
    whole = {name for name in there if not name.endswith(".partial")}
    assert DAT not in whole
    server.requests.clear()
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert (DAT, "bytes=90112-") in server.requests
    assert not whole & set(server.requested())


def test_a_partial_file_that_is_whole_or_wrong(
    server: Server, database: Database, tmp_path: Path
) -> None:
    (tmp_path / PARTIAL).parent.mkdir()
    (tmp_path / PARTIAL).write_bytes(b"not how the file starts")
    whole = "patient002/s0002_re.xyz"
    (tmp_path / "patient002/.s0002_re.xyz.partial").write_bytes(server.files[whole])
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert [asked for name, asked in server.requests if name == whole] == ["bytes=1000-"]
    assert [asked for name, asked in server.requests if name == DAT] == ["bytes=23-", None]


def test_wrong_content_is_named_and_not_kept(
    server: Server, database: Database, tmp_path: Path
) -> None:
    right, server.files[DAT] = server.files[DAT], b"something else"
    with pytest.raises(FileError, match="checksum") as error:
        fetch_database(database, tmp_path)
    for word in (database.url + DAT, f"by hand and put it into {tmp_path}/patient002/"):
        assert word in str(error.value)
    assert server.requests.count((DAT, None)) == 2
    server.files[DAT] = right
    there = content(tmp_path)
    assert DAT not in there
    assert all(server.files[n] == data for n, data in there.items() if not n.endswith(".partial"))
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files


def test_what_fails_for_a_time_is_tried_again(
    server: Server, database: Database, tmp_path: Path
) -> None:
    server.failures = {"SHA256SUMS.txt": [429], DAT: [503, 503]}
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert len(server.requests) == len(server.files) + 3


def test_a_failure_ends_the_other_downloads_too(
    server: Server, database: Database, tmp_path: Path
) -> None:
    del server.files[DAT]
    server.cuts["patient001/s0001_re.dat"] = [1000]
    server.stalled = threading.Event()
    threading.Timer(0.3, server.stalled.set).start()
    with pytest.raises(FileError, match="404"):
        fetch_database(database, tmp_path)
    # What another thread was at has ended: nothing is written from here on.
    there = content(tmp_path)
    server.stalled.set()
    time.sleep(0.1)
    assert content(tmp_path) == there


def test_what_is_absent_is_not_tried_again(
    server: Server, database: Database, tmp_path: Path
) -> None:
    del server.files[DAT]
    with pytest.raises(FileError, match=rf"{DAT} cannot be fetched \(404 Not Found\)"):
        fetch_database(database, tmp_path)
    assert server.requested().count(DAT) == 1


def test_an_endless_answer_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST", 100_000)
    server.files["ecg.csv"] = bytes(400_000)
    with pytest.raises(FileError, match=r"more than 100,000 bytes.*by hand"):
        fetch(Remote(f"{server.url}ecg.csv", {"ecg.csv": ""}), tmp_path)
    assert content(tmp_path) == {}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ecg.csv", bytes(400_000))
    server.files["data.zip"] = bomb.getvalue()
    with pytest.raises(FileError, match=r"too large.*by hand"):
        fetch(Remote(f"{server.url}data.zip", {"ecg.csv": ""}), tmp_path)
    assert content(tmp_path) == {}


def test_a_server_that_hardly_sends_counts_as_broken(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, goes on, and in the end one line says so."""
    monkeypatch.setattr(http, "PATIENCE", 0.15)
    server.slow = 0.05
    server.files["ecg.csv"] = bytes(20_000)
    with pytest.raises(FileError, match=r"no connection.*by hand"):
        fetch(Remote(f"{server.url}ecg.csv", {"ecg.csv": ""}), tmp_path)
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert len(starts) == len(http.PAUSES)
    assert starts == sorted(set(starts))
    # What came stays for a later call, to which the server is kinder.
    server.slow = 0.0
    fetch(Remote(f"{server.url}ecg.csv", {"ecg.csv": digest(bytes(20_000))}), tmp_path)
    assert content(tmp_path) == {"ecg.csv": bytes(20_000)}


def test_ctrl_c_ends_at_once(server: Server, database: Database, tmp_path: Path) -> None:
    server.stalled = threading.Event()
    server.cuts[DAT] = [131_072]
    program = (
        "import sys; from pathlib import Path\n"
        "from ecgad.data.download.physionet import *\n"
        f"fetch_database({database!r}, Path(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True
    ) as process:
        expected = {PARTIAL, *server.files} - {DAT}
        for _ in range(1000):
            if (
                all((tmp_path / name).exists() for name in expected)
                and (tmp_path / PARTIAL).stat().st_size == 131_072
            ):
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    server.stalled.set()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    there = content(tmp_path)
    assert there.pop(PARTIAL) == server.files[DAT][:131_072]
    assert there == {name: data for name, data in server.files.items() if name != DAT}
    server.requests.clear()
    fetch_database(database, tmp_path)
    assert content(tmp_path) == server.files
    assert server.requests == [(DAT, "bytes=131072-")]


def test_what_was_put_there_by_hand_needs_no_server(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "mitdb"
    folder.mkdir(parents=True)
    names = [f"100.{suffix}" for suffix in ("hea", "dat", "atr")]
    for name in names:
        (folder / name).touch()
    fetch_database(MITDB_NOWHERE, folder, ["100"])
    fetch_database(MITDB_NOWHERE, folder)
    fetch_database(MITDB_NOWHERE, tmp_path / "raw")  # they may lie below
    assert sorted(content(folder)) == sorted(names)


def test_several_databases_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each the records that are named; nothing is fetched where all are there."""
    assert folders_of(None, tmp_path) == {}
    assert folders_of("svdb", tmp_path) == {"svdb": tmp_path}
    both = {"mitdb": tmp_path / "mitdb", "svdb": tmp_path / "svdb"}
    assert folders_of("mitdb+svdb", tmp_path) == both
    monkeypatch.setattr("ecgad.data.download.http.download", pytest.fail)
    names = {"mitdb": "100", "svdb": "800"}
    for name, folder in both.items():
        folder.mkdir()
        for suffix in ("hea", "dat", "atr"):
            (folder / f"{names[name]}.{suffix}").touch()
    records = ["mitdb/100", "svdb/800"]
    for of in (records, None, records[:1], []):
        fetch_databases("mitdb+svdb", tmp_path, of)
    fetch_databases("svdb", both["svdb"], ["800"])
    fetch_databases(None, tmp_path, ["patient1/a"])
    calls: list[tuple[str, Path, list[str] | None]] = []
    monkeypatch.setattr(
        "ecgad.data.download.physionet.fetch_database",
        lambda database, folder, of, _: calls.append((database.name, folder, of)),
    )
    fetch_databases("mitdb+svdb", tmp_path, ["svdb/801", "svdb/802"])
    fetch_databases("mitdb+svdb", tmp_path, None)
    assert calls == [
        ("svdb", both["svdb"], ["801", "802"]),
        ("mitdb", both["mitdb"], None),
        ("svdb", both["svdb"], None),
    ]


def test_a_record_of_no_database_is_one_line(tmp_path: Path) -> None:
    for record in ("800", "nsrdb/16265"):
        with pytest.raises(FileError, match=f"^record {record} is of none of mitdb and svdb") as e:
            fetch_databases("mitdb+svdb", tmp_path, ["mitdb/100", record])
        assert "named such as mitdb/100" in str(e.value) and "\n" not in str(e.value)


def test_checksums_of_several_databases_are_told_apart_by_folder(tmp_path: Path) -> None:
    for name, number in (("mitdb", "100"), ("svdb", "800")):
        (tmp_path / name).mkdir()
        (tmp_path / name / CHECKSUMS).write_text(f"{number[0] * 64} {number}.hea\n")
    both = published_checksums("mitdb+svdb", tmp_path)
    assert both == {"mitdb/100.hea": "1" * 64, "svdb/800.hea": "8" * 64}
    assert published_checksums("svdb", tmp_path / "svdb") == {"800.hea": "8" * 64}
    # Whoever has put files there without saying what they are.
    assert published_checksums(None, tmp_path / "mitdb") == {"100.hea": "1" * 64}
    assert published_checksums("mitdb+svdb", tmp_path / "svdb") == {}


@pytest.mark.parametrize(
    ("records", "words"),
    [(None, "mitdb not found"), (["100", "101"], "100.atr, 101.hea, 101.dat and 1 more not found")],
)
def test_without_a_connection_one_line_says_what_to_do(
    tmp_path: Path, records: list[str] | None, words: str
) -> None:
    if records:
        for name in ("100.hea", "100.dat"):
            (tmp_path / name).touch()
    with pytest.raises(FileError) as error:
        fetch_database(MITDB_NOWHERE, tmp_path, records)
    for word in (words, "no connection", f"wget -r -N -c -np {NOWHERE}", f"into {tmp_path}/"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mistyped_record_is_answered_with_the_nearest(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no record s0001_re; .* patient001/s0001_re"):
        fetch_database(database, tmp_path, ["patient002/s0002_re", "s0001_re"])
    assert list(content(tmp_path)) == ["SHA256SUMS.txt"]


def test_a_list_without_the_databases_files(
    server: Server, database: Database, tmp_path: Path
) -> None:
    login = b"<html>Please log in to this network</html>"
    server.files["SHA256SUMS.txt"] = login
    with pytest.raises(FileError, match=f"{database.url}SHA256SUMS.txt holds no checksums"):
        fetch_database(database, tmp_path)
    assert not (tmp_path / "SHA256SUMS.txt").exists()
    (tmp_path / "SHA256SUMS.txt").write_bytes(login)
    with pytest.raises(FileError, match=f"{tmp_path}/SHA256SUMS.txt holds .*; delete it"):
        fetch_database(database, tmp_path)


def test_a_list_of_checksums_that_is_a_pipe(database: Database, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "SHA256SUMS.txt")
    with pytest.raises(FileError, match=r"SHA256SUMS\.txt is no file"):
        fetch_database(database, tmp_path)


def test_a_folder_that_cannot_be_written(database: Database, tmp_path: Path) -> None:
    (tmp_path / "patient002").write_text("a file where a folder should be")
    with pytest.raises(FileError, match=r"ptbdb cannot be put into .*patient002: "):
        fetch_database(database, tmp_path)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
) -> None:
    fetch_database(database, tmp_path, ["patient001/s0001_re"])
    assert capsys.readouterr().err == ""  # no console was given
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    fetch_database(database, tmp_path, console=Console())
    shown = capsys.readouterr().err
    if terminal:
        assert "9/9" in shown
        assert "0.6 MB" in shown
    else:
        lines = shown.splitlines()
        assert [line[:23] for line in lines] == [f"files of ptbdb {n} of 9: " for n in range(4, 10)]
        assert lines[-1].endswith("0.6 MB")


def test_one_process_at_a_time_fetches(server: Server, database: Database, tmp_path: Path) -> None:
    with another_fetching(
        lambda console: fetch_database(database, tmp_path, console=console), tmp_path
    ):
        assert server.requests == []
    assert content(tmp_path) == server.files

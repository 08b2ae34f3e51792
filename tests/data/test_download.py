"""Files from mirrors: the right bytes or none, whatever the mirrors do. The real files, served by this computer."""
from __future__ import annotations

import errno
import gzip
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.data.mirror import running

from chainrule import data
from chainrule.data import DownloadError
from chainrule.data.catalog import CATALOG
from chainrule.data.download import Listener, fetch, fetch_file, mirrors

pytestmark = pytest.mark.data

MNIST = CATALOG["mnist"]
LABELS, IMAGES = MNIST.files[3], MNIST.files[2]          # of the test part: 4.5 kB and 1.6 MB to fetch


@pytest.fixture(scope="module")
def mirror(data_dir):
    with running(data_dir) as mirror:
        yield mirror


@pytest.fixture
def through(mirror, monkeypatch):
    """Say which mirrors there are."""
    mirror.asked.clear()
    for name in ("CHAINRULE_DATA", "CHAINRULE_TIMEOUT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *kinds: monkeypatch.setenv("CHAINRULE_MIRRORS", mirror.address(*kinds))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class Notes(Listener):
    """Writes down what it is told."""

    def __init__(self):
        self.begun, self.progress, self.failures, self.ended = [], [], [], []

    def begin(self, file, url):
        self.begun.append(url)

    def advance(self, received, total):
        self.progress.append((received, total))

    def failed(self, url, why):
        self.failures.append(why)

    def end(self, file, path):
        self.ended.append(path)


# ---------------------------------------------------------------------- what works
@pytest.mark.parametrize("kind", ["good", "plain", "encoded", "moved"])
@pytest.mark.parametrize("file", [LABELS, IMAGES], ids=["labels", "images"])
def test_the_file_is_the_published_one_however_it_is_served(tmp_path, through, kind, file):
    through(kind)
    path = fetch_file(MNIST, file, tmp_path / "new" / "mnist", timeout=20)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert path.stat().st_size == file.size
    assert names(tmp_path) == ["new", "new/mnist", f"new/mnist/{file.name}"]


def test_a_listener_hears_it_all(tmp_path, through, mirror):
    through("missing", "good")
    notes = Notes()
    path = fetch_file(MNIST, IMAGES, tmp_path, listener=notes)
    assert notes.begun == [f"{base}/mnist/{IMAGES.name}.gz" for base in mirror.address("missing", "good").split()]
    assert notes.failures == ["404 Not Found"]
    assert notes.ended == [path]
    assert {total for _, total in notes.progress} == {IMAGES.packed}
    received = [received for received, _ in notes.progress]
    assert received == sorted(received)
    assert received[-1] == IMAGES.packed
    assert len(received) > 10


def test_only_what_is_missing_is_fetched(tmp_path, through, mirror):
    through("good")
    folder = fetch(MNIST, tmp_path)
    assert folder == tmp_path / "mnist"
    assert names(folder) == sorted(file.name for file in MNIST.files)
    mirror.asked.clear()
    (folder / LABELS.name).unlink()
    fetch(MNIST, tmp_path)
    assert mirror.asked == [f"/good/mnist/{LABELS.name}.gz"]


def test_force_fetches_all_and_leaves_files_that_lie_elsewhere(tmp_path, through, mirror, data_dir):
    through("good")
    mine = tmp_path / f"{LABELS.name}.gz"
    mine.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"is not the published file.*data fetch mnist --force"):
        fetch(MNIST, tmp_path)
    asked = len(mirror.asked)
    assert fetch(MNIST, tmp_path, force=True) == tmp_path / "mnist"
    assert len(mirror.asked) == asked + 4
    assert mine.read_bytes() == b"mine"
    train, test = data.mnist(tmp_path)
    assert (len(train), len(test)) == (60_000, 10_000)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_file_that_is_there_is_checked(tmp_path, through, ending, data_dir):
    through("missing")
    content = bytearray(gzip.decompress((data_dir / "mnist" / f"{LABELS.name}.gz").read_bytes()))
    pack = gzip.compress if ending else bytes
    for file in MNIST.files[:3]:
        (tmp_path / f"{file.name}.gz").symlink_to(data_dir / "mnist" / f"{file.name}.gz")
    there = tmp_path / f"{LABELS.name}{ending}"
    there.write_bytes(pack(bytes(content)))
    assert fetch(MNIST, tmp_path) == tmp_path
    content[-1] ^= 1
    for damaged in (pack(bytes(content)), pack(bytes(content))[:-20]):
        there.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not the published file"):
            fetch(MNIST, tmp_path)
        assert there.read_bytes() == damaged


def test_each_data_set_is_there_under_its_own_name(tmp_path, through):
    through("good")
    fashion = CATALOG["fashion-mnist"]
    path = fetch_file(fashion, fashion.files[3], tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == fashion.files[3].sha256 != LABELS.sha256


# ---------------------------------------------------------------------- data sets that rot (point 14)
def test_when_the_first_mirror_fails_the_next_one_serves(tmp_path, through, mirror):
    through("busy", "missing", "wrong", "page", "truncated", "good", "never-asked")
    path = fetch_file(MNIST, LABELS, tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == LABELS.sha256
    assert [each.split("/")[1] for each in mirror.asked] == ["busy", "missing", "wrong", "page", "truncated", "good"]


def test_there_are_two_public_mirrors_of_each_and_one_can_name_others(monkeypatch):
    monkeypatch.delenv("CHAINRULE_MIRRORS", raising=False)
    for source in CATALOG.values():
        hosts = {each.split("/")[2] for each in mirrors(source)}
        assert len(hosts) == (2 if source.files else 0)
    monkeypatch.setenv("CHAINRULE_MIRRORS", "  https://a.example/data/   http://b.example ")
    assert mirrors(MNIST) == ("https://a.example/data/mnist", "http://b.example/mnist")
    monkeypatch.setenv("CHAINRULE_MIRRORS", "/my/folder")
    with pytest.raises(ValueError, match="'/my/folder'; expected addresses that begin with http:// or https://"):
        mirrors(MNIST)


def test_the_digits_and_files_of_ones_own_need_no_network(data_dir):
    program = ("import socket\n"
               "def refuse(*_, **__): raise AssertionError('the network was used')\n"
               "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
               "from chainrule import data\n"
               f"for train, test in (data.digits(), data.mnist({str(data_dir)!r})):\n"
               "    print(len(train), len(test))\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(data.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("1437 360\n60000 10000\n", "")


# ---------------------------------------------------------------------- what goes wrong
FAULTS = {
    "missing": "404 Not Found",
    "busy": "503 Service Unavailable",
    "wrong": "wrong checksum: the SHA-256 of its 7,840,016 bytes begins with [0-9a-f]{12}, expected 0fa7898d5092",
    "damaged": "damaged: gzip says .*incorrect data check",
    "larger": "more than the 7,840,016 bytes of this file",
    "endless": "more than the 7,840,016 bytes of this file",
    "page": "sent a web page in the place of the file",
    "nothing": "sent nothing in the place of the file",
    "truncated": r"the connection was closed after \d{3},\d{3} of 1,648,877 bytes",
    "short": "truncated: it ended after 824,438 bytes, in the middle of the gzip data",
    "circle": "it redirects without end",
    "hang": r"no answer within 0\.4 s",
    "stall": r"nothing came for 0\.4 s, after \d{3},\d{3} of 1,648,877 bytes|too slow",
    "drip": r"too slow: less than 16 KiB in 0\.4 s, after \S+ of 1,648,877 bytes",
}


@pytest.mark.parametrize(("kind", "before"), [*((kind, b"what was there") for kind in FAULTS),
                                             *((kind, None) for kind in ("missing", "wrong", "truncated", "drip"))])
def test_a_mirror_that_misbehaves_is_described_and_leaves_nothing(tmp_path, through, kind, before):
    through(kind)
    folder = tmp_path / "mnist"
    if before is not None:
        folder.mkdir()
        (folder / IMAGES.name).write_bytes(before)
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        fetch_file(MNIST, IMAGES, folder, timeout=0.4 if kind in ("hang", "stall", "drip") else 20)
    message = str(caught.value)
    assert caught.match(FAULTS[kind])
    assert caught.match("^cannot download t10k-images-idx3-ubyte.gz of mnist: http://127.*With a network, try again; "
                        "without one, put the 4 files .* --data-dir DIR or in CHAINRULE_DATA.*CHAINRULE_MIRRORS")
    assert "\n" not in message
    assert time.monotonic() - start < 15                 # a drip of all bytes would take 9 hours
    if before is None:
        assert names(tmp_path) == []                     # no folder either
    else:
        assert names(folder) == [IMAGES.name]
        assert (folder / IMAGES.name).read_bytes() == before


def test_the_error_tells_what_each_mirror_did(tmp_path, through, mirror):
    through("missing", "page", "wrong")
    with pytest.raises(DownloadError) as caught:
        fetch_file(MNIST, LABELS, tmp_path)
    first, second, third = mirror.address("missing", "page", "wrong").split()
    assert f"{first}/mnist: 404 Not Found; {second}/mnist: sent a web page" in str(caught.value)
    assert f"{third}/mnist: wrong checksum: the SHA-256 of its 10,008 bytes" in str(caught.value)


def test_no_connection(tmp_path, monkeypatch, through):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("CHAINRULE_MIRRORS", f"http://127.0.0.1:{port} http://mirror.invalid http:///nothing")
    with pytest.raises(DownloadError, match="Connection refused; .*its name cannot be looked up .*No host supplied"):
        fetch_file(MNIST, LABELS, tmp_path, timeout=20)
    assert names(tmp_path) == []


def test_a_host_that_does_not_take_the_connection(tmp_path, monkeypatch, through):
    """A queue that is full: the system drops what else knocks."""
    with socket.socket() as full, socket.socket() as a, socket.socket() as b:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (a, b):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        time.sleep(0.05)
        monkeypatch.setenv("CHAINRULE_MIRRORS", f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(DownloadError, match=r"no (connection|answer) within 0\.3 s"):
            fetch_file(MNIST, LABELS, tmp_path, timeout=0.3)


def test_what_is_not_a_web_server(tmp_path, monkeypatch, through):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("CHAINRULE_MIRRORS", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(DownloadError, match="cannot download"):
            fetch_file(MNIST, LABELS, tmp_path, timeout=5)
        thread.join()
    assert names(tmp_path) == []


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_that_makes_no_sense(tmp_path, through, monkeypatch, seconds):
    through("good")
    monkeypatch.setenv("CHAINRULE_TIMEOUT", seconds)
    with pytest.raises(ValueError, match=f"CHAINRULE_TIMEOUT holds '{seconds}'; expected a number of seconds above 0"):
        fetch_file(MNIST, LABELS, tmp_path)


def test_the_timeout_of_the_environment(tmp_path, through, monkeypatch):
    through("hang")
    monkeypatch.setenv("CHAINRULE_TIMEOUT", "0.2")
    with pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
        fetch_file(MNIST, LABELS, tmp_path)


def test_a_disk_that_is_full_is_no_fault_of_the_mirror(tmp_path, through, mirror, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    through("good", "good")
    monkeypatch.setattr(os, "fsync", full)
    words = r"cannot write .*/t10k-labels-idx1-ubyte: No space left on device; it needs 0\.0 MB\. .*--data-dir DIR"
    with pytest.raises(DownloadError, match=words) as caught:
        fetch_file(MNIST, LABELS, tmp_path / "new")
    assert caught.value.errno == errno.ENOSPC
    assert len(mirror.asked) == 1
    assert names(tmp_path) == []


def test_a_file_in_the_way_of_the_folder(tmp_path, through, mirror):
    through("good")
    (tmp_path / "mnist").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cannot write .*mnist/t10k.*: (File exists|Not a directory)"):
        fetch_file(MNIST, LABELS, tmp_path / "mnist")
    assert mirror.asked == []
    assert (tmp_path / "mnist").read_text() == "in the way"


def test_what_a_killed_process_left_is_cleared_away_later(tmp_path, through):
    through("good")
    old, young, other = (tmp_path / name for name in (
        f".{LABELS.name}.abc.part", f".{LABELS.name}.def.part", f".{IMAGES.name}.abc.part"))
    for each in (old, young, other):
        each.write_bytes(b"half")
    for each in (old, other):
        os.utime(each, (time.time() - 4000,) * 2)
    fetch_file(MNIST, LABELS, tmp_path)
    assert names(tmp_path) == sorted([young.name, other.name, LABELS.name])

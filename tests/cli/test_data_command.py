"""``chainrule data`` as its users meet it: real processes, real files, and mirrors that fail in each way."""
from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.terminal import on_a_terminal, with_ctrl_c, without_colours
from tests.data.mirror import running

import chainrule as cr
from chainrule.cli import main
from chainrule.data.catalog import CATALOG

COMMAND = [sys.executable, "-m", "chainrule", "data"]
MNIST = CATALOG["mnist"]
NAMES = sorted(file.name for file in MNIST.files)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def one_line(text):
    assert text.startswith("chainrule: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text
    return text


def whole(folder, files=MNIST.files):
    for file in files:
        assert hashlib.sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256


@pytest.fixture(scope="module")
def mirror(data_dir):
    with running(data_dir) as mirror:
        yield mirror


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to be in, with the cache inside; commands started there find the package that is tested."""
    for name in list(os.environ):
        if name.startswith("CHAINRULE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(cr.__file__).parents[1]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          **options)


# ---------------------------------------------------------------------- list and where
def test_list(here, capsys, data_dir):
    assert main(["data", "list"]) == 0
    first, *rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert first == ["name", "images", "pixels", "license", "where"]
    assert rows == [
        ["digits", "1,437 + 360", "8×8", "CC BY 4.0", "in the package"],
        ["mnist", "60,000 + 10,000", "28×28", "CC BY-SA 3.0", "not here, 11.6 MB to fetch"],
        ["fashion-mnist", "60,000 + 10,000", "28×28", "MIT, © 2017 Zalando SE", "not here, 30.9 MB to fetch"]]
    assert main(["data", "list", "--data-dir", str(data_dir)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"  {data_dir / 'fashion-mnist'}")
    (here / "part").mkdir()
    for name in NAMES[:3]:
        (here / "part" / f"{name}.gz").touch()
    assert main(["data", "list", "--data-dir", "part"]) == 0
    assert "3 of 4 files in part\n" in capsys.readouterr().out


@pytest.mark.data
def test_list_for_machines(here, capsys, data_dir, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
    assert main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["data_sets"]}
    assert list(rows) == ["digits", "mnist", "fashion-mnist"]
    assert all(row["here"] for row in rows.values())
    assert rows["mnist"]["folder"] == str(data_dir / "mnist")
    assert rows["mnist"]["download_bytes"] == sum(path.stat().st_size for path in (data_dir / "mnist").iterdir())
    assert rows["fashion-mnist"]["classes"][9] == "Ankle boot"
    assert (rows["digits"]["image"], rows["digits"]["maximum"]) == ([8, 8], 16)
    assert Path(rows["digits"]["folder"], "digits.npz").is_file()


def test_where(here, capsys, monkeypatch):
    def where(*arguments):
        assert main(["data", "where", *arguments]) == 0
        return capsys.readouterr().out.rstrip("\n")

    assert where() == str(here / "cache" / "chainrule")
    assert where("mnist") == str(here / "cache" / "chainrule" / "mnist")
    assert Path(where("digits"), "digits.npz").is_file()
    assert json.loads(where("mnist", "--json")) == {"name": "mnist", "folder": where("mnist")}
    monkeypatch.setenv("CHAINRULE_DATA", "~/data")
    assert where("mnist") == str(Path("~/data/mnist").expanduser())
    assert where("--data-dir", "mine") == "mine"
    Path("mine").mkdir()
    Path("mine/t10k-labels.idx1-ubyte").touch()
    assert where("mnist", "--data-dir", "mine") == "mine"
    assert names(here) == ["mine", "mine/t10k-labels.idx1-ubyte"]        # asking makes nothing


def test_without_a_command_and_with_wrong_ones(here, capsys):
    assert main(["data"]) == 0
    assert "CHAINRULE_MIRRORS" in capsys.readouterr().out
    for arguments, words in ((["fetch"], "missing argument"), (["fetch", "mnst"], "'mnst'"),
                             (["fetch", "mnist", "--timeout", "0"], "--timeout"), (["get"], "no such command"),
                             (["list", "--verbose"], "no such option")):
        assert main(["data", *arguments]) == 2
        assert words in one_line(capsys.readouterr().err).lower()


@pytest.mark.parametrize("command", [[], ["list"], ["fetch"], ["where"]])
def test_the_help_fits_a_terminal(here, capsys, command):
    assert main(["data", *command, "--help"]) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


def test_what_is_in_the_package_needs_no_fetching(here, capsys, monkeypatch):
    monkeypatch.setenv("CHAINRULE_MIRRORS", "http://mirror.invalid")
    assert main(["data", "fetch", "digits"]) == 0
    assert capsys.readouterr().out == "digits comes with the package; there is nothing to fetch\n"


# ---------------------------------------------------------------------- fetch
@pytest.mark.data
class TestFetch:
    @pytest.fixture(autouse=True)
    def _mirrors(self, here, mirror, monkeypatch):
        mirror.half.clear()
        mirror.asked.clear()
        self.here, self.mirror = here, mirror
        self.cache = here / "cache" / "chainrule" / "mnist"
        self.use = lambda *kinds: monkeypatch.setenv("CHAINRULE_MIRRORS", mirror.address(*kinds))

    def test_into_the_cache_where_the_library_finds_it(self, capsys):
        self.use("missing", "good")
        done = run("fetch", "mnist")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        bad, good = (f"{base}/mnist/{MNIST.files[0].name}.gz"
                     for base in self.mirror.address("missing", "good").split())
        assert lines[:4] == [f"fetching {bad}", f"{bad}: 404 Not Found", f"fetching {good}",
                             f"wrote {self.cache / MNIST.files[0].name}, checksum right"]
        assert lines[-1] == f"mnist is in {self.cache}, every checksum is right"
        assert names(self.cache) == NAMES
        whole(self.cache)
        self.mirror.asked.clear()
        train, test = cr.data.mnist()
        assert (len(train), len(test)) == (60_000, 10_000)
        assert main(["data", "fetch", "mnist", "--quiet"]) == 0
        assert self.mirror.asked == []
        assert capsys.readouterr() == ("", "")

        damaged = self.cache / "t10k-images-idx3-ubyte"
        damaged.write_bytes(damaged.read_bytes()[:-1])
        with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte is truncated: it has 7,840,015 bytes, its header "
                                             r"promises 7,840,016\. .*chainrule data fetch mnist --force$"):
            cr.data.mnist()
        assert main(["data", "fetch", "mnist", "--force", "--json"]) == 0
        out, err = capsys.readouterr()
        assert (json.loads(out), err) == ({"name": "mnist", "folder": str(self.cache)}, "")
        whole(self.cache)

    def test_into_a_folder_of_ones_own(self, capsys):
        self.use("good")
        assert main(["data", "fetch", "fashion-mnist", "--data-dir", "mine", "--quiet"]) == 0
        assert names(".") == ["mine", "mine/fashion-mnist", *(f"mine/fashion-mnist/{name}" for name in NAMES)]
        whole(Path("mine/fashion-mnist"), CATALOG["fashion-mnist"].files)

    def test_two_at_once(self):
        self.use("good")
        both = [subprocess.Popen([*COMMAND, "fetch", "mnist"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for _ in range(2)]
        for process in both:
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, b"")
        assert names(self.cache) == NAMES
        whole(self.cache)

    @pytest.mark.parametrize(("kind", "words"), [
        ("missing", "404 Not Found"), ("other", "wrong checksum: the SHA-256 of its 10,008 "
                                                       "bytes begins with ff7bcfd416de, expected ba891046e650"),
        ("page", "sent a web page in the place of the file"),
        ("truncated", r"the connection was closed after [\d,]+ of 9,912,422 bytes"),
        ("hang", r"no answer within 0\.5 s"), ("drip", r"too slow: less than 16 KiB in 0\.5 s"),
    ])
    def test_a_mirror_that_fails(self, kind, words):
        self.use(kind)
        done = run("fetch", "mnist", "--quiet", *(["--timeout", "0.5"] if kind in ("hang", "drip") else []))
        assert (done.returncode, done.stdout) == (1, "")
        assert re.match(rf"chainrule: cannot download train-images-idx3-ubyte\.gz of mnist: \S+: {words}.*"
                        "--data-dir DIR", one_line(done.stderr))
        assert names(self.here) == []

    @pytest.mark.parametrize(("address", "words"), [
        ("http://127.0.0.1:{port}", "Connection refused"), ("http://mirror.invalid", "its name cannot be looked up"),
        ("ftp://mirror.invalid", "expected addresses that begin with http:// or https://")])
    def test_no_network(self, monkeypatch, address, words):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("CHAINRULE_MIRRORS", address.format(port=free.getsockname()[1]))
            done = run("fetch", "mnist", "--quiet")
        assert (done.returncode, done.stdout) == (1, "")
        assert words in one_line(done.stderr)
        assert names(self.here) == []

    @pytest.mark.parametrize(("disk", "words"), [
        ("size=1m", r"(No space left on device|File too large); it needs 47\.0 MB\."),
        ("ro", "(Read-only file system|Permission denied|No such file or directory);")])
    def test_a_disk_that_is_full_or_read_only(self, disk, words):
        """On a file system of its own; where none may be mounted, by limits that a process can give itself."""
        self.use("good")
        mounting = next((how for how in (["unshare", "-m"], ["unshare", "-rm"]) if _mounts(how, self.here)), None)
        command = [*COMMAND, "fetch", "mnist", "--quiet", "--data-dir"]
        folder, limit = self.here / "disk", None
        folder.mkdir()
        if mounting is not None:
            script = f'mount -t tmpfs -o {disk} tmpfs disk && "$@" disk; code=$?; find disk -mindepth 1; exit $code'
            command = [*mounting, "sh", "-c", script, "sh", *command]
        elif disk == "ro":
            folder.chmod(0o555)
            command.append(str(folder) if os.geteuid() else "/proc/chainrule")
        else:
            limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
            command.append(str(folder))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit)
        assert (done.returncode, done.stdout) == (1, "")              # and nothing is left on the disk
        assert re.match(rf"chainrule: cannot write \S+/train-images-idx3-ubyte: {words}.*Another folder can be "
                        "said with --data-dir DIR or in CHAINRULE_DATA$", one_line(done.stderr))
        assert names(folder) == []

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
    def test_a_process_that_is_killed_keeps_what_is_whole(self, end):
        self.use("stall@t10k-images")
        process = subprocess.Popen([*COMMAND, "fetch", "mnist", "--quiet"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   preexec_fn=with_ctrl_c)
        assert self.mirror.half.wait(60)
        for _ in range(200):
            left = [path for path in self.cache.glob(".t10k-images*") if path.stat().st_size]
            if left:
                break
            time.sleep(0.01)
        assert left, "half of the file is on its way"
        process.send_signal(end)
        out, err = process.communicate(timeout=60)
        kept = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
        whole(self.cache, MNIST.files[:2])
        if end == signal.SIGINT:
            assert (process.returncode, out) == (130, "")
            assert one_line(err) == ("chainrule: interrupted while mnist was fetched; files that were whole by then "
                                     "stay\n")
            assert names(self.cache) == kept
        else:
            assert names(self.cache) == [left[0].name, *kept]            # under a name that nobody reads
        self.use("good")
        self.mirror.asked.clear()
        if end == signal.SIGKILL:
            os.utime(left[0], (0, 0))
        assert main(["data", "fetch", "mnist", "--quiet"]) == 0
        assert len(self.mirror.asked) == 2
        assert names(self.cache) == NAMES
        whole(self.cache)

    def test_standard_output_that_cannot_be_written(self):
        self.use("good")
        with open("/dev/full", "w") as full:
            done = subprocess.run([*COMMAND, "fetch", "mnist"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  check=False)
        assert done.returncode == 1
        assert one_line(done.stderr) == "chainrule: cannot write to standard output: No space left on device\n"
        assert names(self.here) == []

    def test_files_that_may_not_be_read(self, data_dir, monkeypatch, capsys):
        """As root every file can be read, so the refusal is put where the system would give it."""
        def refuse(self, *_):
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
        assert main(["data", "fetch", "mnist", "--data-dir", str(data_dir)]) == 1
        assert one_line(capsys.readouterr().err) == (
            f"chainrule: cannot read {data_dir}/mnist/train-images-idx3-ubyte.gz: Permission denied\n")

    def test_on_a_terminal_there_is_a_bar_for_each_file(self):
        self.use("missing", "good")
        code, sent, out = on_a_terminal([*COMMAND, "fetch", "mnist"])
        assert (code, out) == (0, f"mnist is in {self.cache}, every checksum is right\n")
        shown = without_colours(sent)
        for file in MNIST.files:
            assert re.search(rf"{file.name} +━+ ", shown)
        assert "404 Not Found" in shown
        assert "9.9/9.9 MB" in shown
        assert sent.count("\x1b[?25l") == sent.count("\x1b[?25h") == 1       # the cursor was hidden, and came back


def _mounts(how, folder):
    """Whether a file system can be mounted, where nobody else sees it."""
    done = subprocess.run([*how, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
    return done.returncode == 0

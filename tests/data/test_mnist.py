"""MNIST and Fashion-MNIST: the published bytes, held once; and each way in which a folder can be wrong."""
from __future__ import annotations

import doctest
import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import data
from chainrule.data.catalog import CATALOG
from chainrule.data.mnist import load

#: MD5 of the compressed files, as their authors published them, in the order of the catalog.
MD5 = {
    "mnist": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
              "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
    "fashion-mnist": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                      "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
}
#: How often each label comes.
COUNTS = {
    "mnist": ([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
              [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    "fashion-mnist": ([6000] * 10, [1000] * 10),
}
TEN = np.arange(10, dtype=np.uint8)


def idx(array):
    """The bytes of a file."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No folder but the one a test names, no network, and a cache of its own."""
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_MIRRORS", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def function(name):
    return getattr(data, name.replace("-", "_"))


# ---------------------------------------------------------------------- the real files
@pytest.mark.data
@pytest.mark.parametrize("name", MD5)
class TestReal:
    def test_the_checksums_are_those_of_the_published_files(self, data_dir, name):
        for file, md5 in zip(CATALOG[name].files, MD5[name], strict=True):
            packed = (data_dir / name / f"{file.name}.gz").read_bytes()
            assert hashlib.md5(packed).hexdigest() == md5
            assert len(packed) == file.packed
            content = gzip.decompress(packed)
            assert len(content) == file.size
            assert hashlib.sha256(content).hexdigest() == file.sha256

    def test_every_byte_is_read_and_every_label(self, data_dir, name):
        parts = function(name)(data_dir)
        source = CATALOG[name]
        for part, counts, n in zip(parts, COUNTS[name], source.samples, strict=True):
            images, labels = part.arrays
            assert (images.shape, images.dtype) == ((n, 28, 28), np.uint8)
            assert (labels.shape, labels.dtype) == ((n,), np.int64)
            assert np.bincount(labels).tolist() == counts
            assert len(part) == n
        for array, file in zip((parts[0].arrays + parts[1].arrays), source.files, strict=True):
            assert hashlib.sha256(idx(array)).hexdigest() == file.sha256

    def test_a_byte_a_pixel_is_all_that_is_held(self, data_dir, name):
        tracemalloc.start()
        try:
            parts = function(name)(data_dir)
            held, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        size = 70_000 * 28 * 28 + 70_000 * 8             # labels have 8 bytes
        assert size <= held < size + 2e5
        assert most < size + 4e6
        x, _ = parts[0].batch(np.arange(100))
        assert (x.shape, x.dtype, x.max()) == ((100, 784), np.float32, 1)
        assert np.shares_memory(cr.as_tensor(x).numpy(), x)

    def test_the_examples_of_its_documentation(self, data_dir, name, monkeypatch):
        monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
        text = function(name).__doc__.replace("# doctest: +SKIP", "")
        test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
        assert len(test.examples) >= 3
        assert doctest.DocTestRunner().run(test).failed == 0


# ---------------------------------------------------------------------- folders
def put(folder, n=20, tests=10, *, dots=False, packed=False, seed=0):
    """Write a small data set, and return its images and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, made = np.random.default_rng(seed), []
    for split, count in (("train", n), ("t10k", tests)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.resize(TEN, count)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(array)
            name = f"{split}-{kind}-ubyte"
            path = folder / (name.replace("-idx", ".idx") if dots else name)
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                path.write_bytes(content)
        made.append((images, labels))
    return made


@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_found_under_each_of_their_names(tmp_path, below, dots, packed):
    made = put(tmp_path / below, dots=dots, packed=packed)
    for part, (images, labels) in zip(data.mnist(tmp_path), made, strict=True):
        np.testing.assert_array_equal(part.arrays[0], images)
        np.testing.assert_array_equal(part.arrays[1], labels)
        x, y = part[:3]
        np.testing.assert_array_equal(x, images[:3].reshape(3, 784).astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(y, labels[:3])


def test_the_subfolder_of_the_name_comes_first(tmp_path):
    put(tmp_path, seed=1)
    images = put(tmp_path / "fashion-mnist", seed=2)[0][0]
    np.testing.assert_array_equal(data.fashion_mnist(tmp_path)[0].arrays[0], images)


@pytest.mark.parametrize(("flatten", "shape"), [(True, (784,)), (False, (28, 28))])
@pytest.mark.parametrize(("scale", "dtype"), [(True, np.float32), (False, np.uint8)])
def test_the_options(tmp_path, flatten, shape, scale, dtype):
    made = put(tmp_path)
    for part, (images, _) in zip(data.mnist(tmp_path, flatten=flatten, scale=scale), made, strict=True):
        x, _ = part[:4]
        assert (x.shape, x.dtype) == ((4, *shape), dtype)
        np.testing.assert_array_equal(x * (255 if scale else 1), images[:4].reshape(4, *shape).astype(dtype))
        assert part.arrays[0].dtype == np.uint8


def test_the_environment_names_the_folder_and_an_argument_overrides_it(tmp_path, monkeypatch):
    put(tmp_path / "a" / "mnist", 30)
    put(tmp_path / "b" / "mnist", 40)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "a"))
    assert len(data.mnist()[0]) == 30
    assert len(data.mnist(tmp_path / "b")[0]) == 40
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(data.mnist("~/b")[0]) == 40
    monkeypatch.setenv("CHAINRULE_DATA", "")
    with pytest.raises(FileNotFoundError, match="cache"):
        data.mnist(download=False)


def test_the_cache_is_where_the_system_keeps_such_folders(tmp_path):
    put(tmp_path / "cache" / "chainrule" / "mnist", 50)
    assert len(data.mnist()[0]) == 50
    assert len(data.mnist(download=False)[0]) == 50


# ---------------------------------------------------------------------- what goes wrong
def test_files_of_ones_own_are_never_fetched_unless_that_is_said(tmp_path):
    put(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    before = sorted(tmp_path.iterdir())
    for download in (None, False):
        with pytest.raises(FileNotFoundError, match=r"there is no t10k-labels-idx1-ubyte of mnist in .*To fetch them: "
                                                    "chainrule data fetch mnist --data-dir "):
            data.mnist(tmp_path, download=download)
    with pytest.raises(data.DownloadError, match="cannot download t10k-labels-idx1-ubyte.gz"):
        data.mnist(tmp_path, download=True)
    assert sorted(tmp_path.iterdir()) == before


def test_the_cache_is_filled_unless_that_is_forbidden(tmp_path):
    words = r"none of the files of mnist in .*/chainrule/mnist; .*data fetch mnist$"
    with pytest.raises(FileNotFoundError, match=words):
        data.mnist(download=False)
    for download in (None, True):
        with pytest.raises(data.DownloadError, match="cannot download train-images-idx3-ubyte.gz"):
            data.mnist(download=download)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("root", "words"), [
    ("nowhere", "nowhere, does not exist; expected the one with the files of mnist"),
    ("file", "file, is a file, not a folder"),
    ("empty", "none of the files of mnist in .*empty/mnist or .*empty; expected train-images-idx3-ubyte and so on"),
])
def test_a_folder_without_the_files(tmp_path, root, words):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=words):
        data.mnist(tmp_path / root)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("train-images-idx3-ubyte", idx(np.zeros((19, 28, 28))), "has 19 images and .*train-labels-idx1-ubyte has 20 l"),
    ("t10k-images-idx3-ubyte", idx(np.zeros((10, 28, 27))), r"shape \(10, 28, 27\), expected \(n, 28, 28\)"),
    ("t10k-images-idx3-ubyte", idx(TEN), r"shape \(10,\), expected \(n, 28, 28\)"),
    ("t10k-labels-idx1-ubyte", idx(TEN + 1), "holds the label 10; expected labels from 0 to 9"),
    ("t10k-labels-idx1-ubyte", b"\0\0\x09\x01\0\0\0\x0a" + bytes(10), "of the type int8, expected uint8"),
    ("train-labels-idx1-ubyte", idx(np.zeros(20))[:-3], "is truncated: it has 25 bytes"),
    ("train-labels-idx1-ubyte", b"", "is empty"),
    ("train-labels-idx1-ubyte", b"<html>", "is a web page"),
])
def test_files_that_do_not_make_a_data_set_are_named(tmp_path, name, content, words):
    for folder in (tmp_path / "mine", tmp_path / "cache" / "chainrule"):
        put(folder / "mnist")
        (folder / "mnist" / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}.* {words}") as mine:
        data.mnist(tmp_path / "mine")
    with pytest.raises(ValueError, match=rf"{words}.*\. To fetch it again: chainrule data fetch mnist --force$"):
        data.mnist()
    assert "--force" not in str(mine.value)              # that would replace files of the user's


def test_empty_files(tmp_path):
    put(tmp_path, tests=0)
    with pytest.raises(ValueError, match="are empty: they have no image and no label"):
        data.mnist(tmp_path)


@pytest.mark.data
def test_the_other_data_set_of_the_same_names_is_recognised(data_dir):
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte.gz belongs to fashion-mnist, not to mnist"):
        data.mnist(data_dir / "fashion-mnist")
    with pytest.raises(ValueError, match="belongs to mnist, not to fashion-mnist"):
        data.fashion_mnist(data_dir / "mnist")


# ---------------------------------------------------------------------- the catalog
def test_the_catalog_tells_what_the_data_are(tmp_path):
    assert list(CATALOG) == ["digits", "mnist", "fashion-mnist"]
    for name, source in CATALOG.items():
        assert source.name == name
        assert len(source.classes) == 10
        assert source.license
        assert source.citation
    source = CATALOG["digits"]
    images = [part.arrays[0] for part in data.digits(flatten=False, scale=False)]
    assert tuple(map(len, images)) == source.samples
    assert (images[0].shape[1:], images[0].max()) == (source.shape, source.maximum)
    assert CATALOG["fashion-mnist"].classes[:2] == ("T-shirt/top", "Trouser")
    put(tmp_path)
    assert len(load(CATALOG["mnist"], Path(tmp_path))[1]) == 10

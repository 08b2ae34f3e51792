"""IDX files: what was written is read, and anything else is named."""
from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.data import read_idx
from chainrule.data.idx import IdxError

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
kinds = st.sampled_from(list(CODES))
arrays = kinds.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)))


def idx(array):
    """The bytes of an array, as the description of the format says."""
    code = next(code for kind, code in CODES.items() if np.dtype(kind) == array.dtype)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def gzipped(content, level=9):
    """The same bytes at any time of the day: they are in the names of tests."""
    return gzip.compress(content, level, mtime=0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "numbers"


def put(path, content):
    path.write_bytes(content)
    return path


LABELS = idx(np.array([5, 0, 4, 1], "u1"))


# ---------------------------------------------------------------------- what is right
@given(array=arrays, packed=st.booleans())
def test_what_was_written_is_read(path, array, packed):
    found = read_idx(put(path, gzipped(idx(array), 1) if packed else idx(array)))
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.dtype.isnative
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("packed", [False, True])
def test_tensors_share_its_memory(path, kind, packed):
    content = idx(np.arange(12).reshape(3, 4).astype(kind))
    found = read_idx(put(path, gzipped(content) if packed else content))
    assert np.shares_memory(cr.as_tensor(found).numpy(), found)


@pytest.mark.parametrize("name", ["labels", "labels.gz", "labels.zip"])
@pytest.mark.parametrize("content", [LABELS, gzipped(LABELS)])
def test_the_content_decides_and_not_the_name(tmp_path, name, content):
    np.testing.assert_array_equal(read_idx(put(tmp_path / name, content)), [5, 0, 4, 1])
    np.testing.assert_array_equal(read_idx(str(tmp_path / name)), [5, 0, 4, 1])


def test_more_than_is_read_at_a_time(path):
    array = np.random.default_rng(0).integers(0, 256, (3000, 31, 37), dtype=np.uint8)       # 3.4 MB
    for content in (idx(array), gzipped(idx(array), 1)):
        np.testing.assert_array_equal(read_idx(put(path, content)), array)


# ---------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize("packed", [False, True])
def test_each_truncation_is_found(path, packed):
    content = gzipped(LABELS) if packed else LABELS
    for end in range(2 if packed else 1, len(content)):              # one byte of gzip says nothing
        with pytest.raises(IdxError, match="is truncated: "):
            read_idx(put(path, content[:end]))
@given(array=arrays, packed=st.booleans(), end=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_never_read(path, array, packed, end):
    content = gzipped(idx(array), 1) if packed else idx(array)
    with pytest.raises(IdxError, match="truncated|empty|expected an IDX file"):
        read_idx(put(path, content[:int(end * len(content))]))
@given(array=arrays, packed=st.booleans(), data=st.data())
@example(np.zeros((0, 5), "u1"), False, None)
def test_whatever_is_damaged_gives_an_array_or_the_documented_error(path, array, packed, data):
    content = bytearray(gzipped(idx(array), 1) if packed else idx(array))
    if data is None:
        content[4:12] = b"\0\0\0\0\xff\xff\xff\xff"
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        content += data.draw(st.binary(max_size=5))
    with suppress(IdxError):
        assert not read_idx(put(path, bytes(content))).flags.writeable
@given(content=st.binary(max_size=200))
def test_any_bytes_give_an_array_or_the_documented_error(path, content):
    for start in (b"", b"\0\0", b"\0\0\x08", b"\x1f\x8b\x08\x00"):
        with suppress(IdxError):
            assert not read_idx(put(path, start + content)).flags.writeable


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty; expected an IDX file"),
    (b"<!DOCTYPE html>\n<html>", "is a web page; expected an IDX file, which begins with the bytes 00 00"),
    (b"PK\x03\x04 and so on", "is a ZIP archive; .*Unpack it"),
    (b"\x93NUMPY\x01\x00", "is a NumPy file"),
    (b"\x01\x02\x08\x01", "begins with the bytes 01 02 08 01"),
    (gzipped(b""), "is empty"),
    (gzipped(gzipped(LABELS)), "is a gzipped file; .*Unpack it"),
    (b"\0\0\x0a\x01\0\0\0\0", "unknown type 0a; IDX files have one of 08 09 0b 0c 0d 0e there"),
    (LABELS[:3], "ends in its header, after 3 bytes"),
    (LABELS[:6], "ends in its header, after 6 bytes"),
    (LABELS[:-1], "has 11 bytes, its header promises 12"),
    (LABELS + b"\0", "goes on after the 12 bytes that its header promises"),
    (gzipped(LABELS + b"\0"), "goes on after the 12 bytes that its header promises"),
    (gzipped(LABELS[:-1]), "has 11 bytes, its header promises 12"),
    (gzipped(LABELS)[:-1], "truncated: its .* bytes end in the middle of the gzip data"),
    (gzipped(LABELS)[:-8] + bytes(8), "damaged: gzip says CRC"),
    (b"\0\0\x08\x40" + b"\0\0\0\1" * 64 + b"x", "header that no array has: 64 axes"),
    (b"\0\0\x08\x03" + b"\xff" * 12, "header that no array has"),
])
def test_what_is_not_right_is_named(path, content, words):
    with pytest.raises(IdxError, match=words) as caught:
        read_idx(put(path, content))
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("content", [
    b"\0\0\x08\x02\x00\x10\x00\x00\x00\x10\x00\x00" + bytes(1000),                      # 1 TiB, 1 kB there
    gzipped(b"\0\0\x08\x02\x00\x10\x00\x00\x00\x10\x00\x00" + bytes(1000)),
    gzipped(b"\0\0\x08\x01\x3f\xff\xff\xff" + os.urandom(2**21), 1),              # 1 GiB, 2 MiB there
])
def test_no_memory_is_taken_for_what_is_not_there(path, content):
    put(path, content)
    tracemalloc.start()
    try:
        with pytest.raises(IdxError, match="truncated"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_another_shape_or_type_than_expected(path):
    put(path, idx(np.zeros((2, 3, 4), "u1")))
    assert read_idx(path, shape=(None, 3, 4), dtype=np.uint8).shape == (2, 3, 4)
    for shape, words in (((None,), r"\(2, 3, 4\), expected \(n,\)"), ((None, 28, 28), r"expected \(n, 28, 28\)"),
                         ((1, 3, 4), r"expected \(1, 3, 4\)")):
        with pytest.raises(IdxError, match=words):
            read_idx(path, shape=shape)
    with pytest.raises(IdxError, match="of the type uint8, expected float32"):
        read_idx(path, dtype=np.float32)
    put(path, idx(np.zeros(2, ">f4")))
    assert read_idx(path, dtype=np.float32).dtype == np.float32


def test_a_folder_and_a_file_that_is_not_there(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; expected an IDX file"):
        read_idx(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file .*nothing; expected an IDX file"):
        read_idx(tmp_path / "nothing")

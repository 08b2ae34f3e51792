"""Data of one's own: what is read, how it is understood, and what is said if it cannot be."""
from __future__ import annotations

import json
import os
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import Trainer, data, nn, optim
from chainrule.data import Pixels, Standardize, load, load_inputs

IRIS = """sepal length,sepal width,species
5.1,3.5,setosa
7.0,3.2,versicolor
4.9,3.0,setosa
6.4,3.1,versicolor
4.7,3.3,setosa
6.9,3.0,versicolor
"""


@pytest.fixture
def file(tmp_path):
    """Write a file, text or arrays, and give its path."""
    def written(content=None, name="data.csv", **arrays):
        path = tmp_path / name
        if content is None:
            np.savez(path, **arrays)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return path
    return written


def raw(found):
    """All samples as they are stored, whichever part they are in, sorted."""
    x = np.concatenate([part.arrays[0] for part in (found.train, found.test)])
    y = np.concatenate([part.arrays[1] for part in (found.train, found.test)])
    order = np.lexsort((*x.reshape(len(x), -1).T, y.reshape(len(y), -1)[:, 0]))
    return x[order], y[order]


# ------------------------------------------------------------------ tables
def test_a_table_with_names_and_classes_in_words(file):
    found = load(file(IRIS), share=0.4)
    assert (found.task, found.classes, found.target) == ("classification", ("setosa", "versicolor"), "species")
    assert (found.columns, found.shape, found.outputs) == (("sepal length", "sepal width"), (2,), 2)
    assert (len(found.train), len(found.test)) == (4, 2)
    assert sorted(found.test.arrays[1]) == [0, 1]                   # stratified
    x, y = raw(found)
    assert {tuple(row): int(label) for row, label in zip(x.tolist(), y, strict=True)} == {
        (5.1, 3.5): 0, (4.9, 3.0): 0, (4.7, 3.3): 0, (7.0, 3.2): 1, (6.4, 3.1): 1, (6.9, 3.0): 1}
    assert (y.dtype, x.dtype) == (np.int64, np.float64)


def test_it_is_standardised_with_the_training_part_alone(file):
    found = load(file(IRIS), share=0.4)
    train = found.train.arrays[0]
    inputs, _ = found.test[:]
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, (found.test.arrays[0] - train.mean(0)) / train.std(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.train[:][0].mean(0), 0, atol=1e-6)
    as_they_are = load(file(IRIS), share=0.4, standardize=False)
    np.testing.assert_array_equal(as_they_are.test[:][0], as_they_are.test.arrays[0].astype(np.float32))


def test_the_preparation_goes_through_json_to_new_inputs(file):
    """What a run saves, and what is made of it when something is to be predicted."""
    found = load(file(IRIS), share=0.4)
    saved = json.loads(json.dumps({"preparation": found.preparation, "columns": found.columns}))
    new = load_inputs(file("id,sepal width,sepal length\n1,3.0,5.0\n2,3.1,6.1\n", "new.csv"), saved["columns"])
    assert new.tolist() == [[5.0, 3.0], [6.1, 3.1]]                 # by name, wherever the columns are
    np.testing.assert_array_equal(data.preparation(saved["preparation"])(new), found.train.transform(new))


def test_the_same_seed_splits_the_same_way(file):
    path = file("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(100)))
    first, same, other = (load(path, seed=seed).test.arrays[0].tolist() for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize(("text", "name"), [
    ("5.1,0\n4.9,1\n4.7,0\n4.6,1\n", "commas.csv"),
    ("x;label\n5.1;0\n4.9;1\n4.7;0\n4.6;1\n", "semicolons.csv"),
    ("x\tlabel\n5.1\t0\n4.9\t1\n4.7\t0\n4.6\t1\n", "tabs.tsv"),
    ("x\tlabel\n5.1\t0\n4.9\t1\n4.7\t0\n4.6\t1\n", "tabs.csv"),
    ("\ufeffx,label\r\n5.1,0\r\n4.9,1\r\n\r\n4.7,0\r\n4.6,1", "of_a_spreadsheet.csv"),
    ('"x","label"\n"5.1", "0"\n 4.9 , 1\n+4.7,0\n46e-1,1\n', "quotes.csv"),
    (",x,label\n0,5.1,0\n1,4.9,1\n2,4.7,0\n3,4.6,1\n", "index.csv"),          # as pandas writes it
    ("0,1\n5.1,0\n4.9,1\n4.7,0\n4.6,1\n", "counted.csv"),                       # names that are numbers
    ("X,LABEL\n5.1,0\n4.9,1\n4.7,0\n4.6,1\n", "CAPITALS.CSV"),
])
def test_tables_as_they_are_met(file, text, name):
    found = load(file(text, name), share=0.5)
    assert len(found.train) + len(found.test) == 4
    x, y = raw(found)
    assert dict(zip(x[:, 0].tolist(), y.tolist(), strict=True)) == {5.1: 0, 4.9: 1, 4.7: 0, 4.6: 1}
    assert x.shape == (4, 1)


@pytest.mark.parametrize(("first", "samples", "words"), [
    ("5.1,3.5,a", 7, None), ("width,height,kind", 6, None), (",height,kind", 6, None),
    ("5.1,abc,a", None, "line 1, column '1': met the text 'abc'"),
    ("?,3.5,a", None, "line 1, column '0': the value is missing")])
def test_whether_the_first_line_holds_names(file, first, samples, words):
    """Not by the target, which is text anyway, nor by an odd cell: a sample must not be lost without a word."""
    path = file(first + "\n" + "1.5,2,a\n2.5,3,b\n" * 3)
    if words is None:
        assert len(raw(load(path))[0]) == samples
        return
    with pytest.raises(ValueError, match=words):
        load(path)


@pytest.mark.parametrize("target", ["label", 0, -3, "0"])
def test_the_target_by_name_or_number_and_columns_left_out(file, target):
    text = "label,name,pixel\n" + "3,Ada,10\n5,Bob,20\n" * 3
    found = load(file(text), target=target, drop=["name"])
    assert (found.classes, found.columns, found.target) == (("3", "5"), ("pixel",), "label")
    assert sorted(set(raw(found)[0][:, 0].tolist())) == [10, 20]


def test_whole_numbers_from_0_to_255_are_kept_as_bytes(file):
    """A table of pixels takes an eighth of the memory; it is standardised all the same."""
    text = "label,p0,p1\n" + "0,0,255\n1,7,254\n" * 4
    found = load(file(text), target="label")
    assert found.train.arrays[0].dtype == np.uint8
    assert isinstance(found.train.transform, Standardize)
    assert load(file(text.replace("254", "256")), target="label").train.arrays[0].dtype == np.float64


def test_numbers_to_be_predicted(file):
    rows = "".join(f"{i},{i / 2 + 0.25}\n" for i in range(10))
    found = load(file("x,price\n" + rows))
    assert (found.task, found.classes, found.outputs) == ("regression", None, 1)
    x, y = raw(found)
    assert (y.shape, y.dtype) == ((10, 1), np.float32)
    np.testing.assert_array_equal(y[:, 0], np.sort(x[:, 0]) / 2 + 0.25)


WHOLE = "x,y\n" + "1.5,1.0\n2.5,2.0\n3.5,4.0\n" * 4


def test_floats_that_are_whole_numbers_could_be_either_and_must_be_said(file):
    with pytest.raises(ValueError, match=r"'y' holds floats that are all whole.*such as 1\.0, 2\.0, 4\.0.*task="):
        load(file(WHOLE))
    as_classes, as_numbers = (load(file(WHOLE), task=task) for task in ("classification", "regression"))
    assert as_classes.classes == ("1", "2", "4")
    assert sorted(set(as_classes.train.arrays[1].tolist())) == [0, 1, 2]
    assert as_numbers.classes is None
    assert set(as_numbers.train.arrays[1][:, 0].tolist()) == {1, 2, 4}


def test_whole_numbers_are_classes_unless_it_is_said_or_they_are_too_many(file):
    ages = "x,age\n" + "".join(f"{i / 3},{i + 20}\n" for i in range(12))
    with pytest.raises(ValueError, match="'age' has 12 different values among 12 samples, too many for.*regression"):
        load(file(ages))
    assert load(file(ages), task="regression").train.arrays[1].dtype == np.float32
    prices = "x,price\n" + "".join(f"{i},{i}{'abc' if i == 7 else ''}.5\n" for i in range(12))
    with pytest.raises(ValueError, match=r"too many for classes.*'7abc\.5' should be a number"):
        load(file(prices))


@given(rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e-3, 1e-3), st.sampled_from("abc")), min_size=12,
                     max_size=30), delimiter=st.sampled_from(",;\t"), header=st.booleans())
def test_every_number_is_read_as_it_was_written(tmp_path_factory, rows, delimiter, header):
    rows = [*rows, *[(0.5, 0.25, c) for c in "aabbcc"]]
    path = tmp_path_factory.mktemp("table") / "t.csv"
    lines = [["u", "v", "w"]] * header + [[repr(a), repr(b), c] for a, b, c in rows]
    path.write_text("\n".join(delimiter.join(line) for line in lines), encoding="utf-8")
    found = load(path, share=0.3)
    x, y = raw(found)
    got = sorted((*row, found.classes[label]) for row, label in zip(x.tolist(), y, strict=True))
    assert got == sorted(rows)


@pytest.mark.parametrize(("text", "words"), [
    ("", "the file is empty"),
    ("\n\n", "the file is empty"),
    ("x,y\n", "names of columns, but no line of numbers"),
    ("x,y\n1,0\n2,1,3\n", "line 3 has 3 columns, the first line has 2"),
    ("x,y\n1,0\n\n,1\n3,0\n", "line 4, column 'x': the value is missing \\(''\\).*fill the gaps"),
    ("x,y\n1,0\nNA,1\n", "line 3, column 'x': the value is missing"),
    ("x,y\n1,0\ninf,1\n", "line 3, column 'x': met 'inf', expected a finite number"),
    ("x,city,y\n1,Paris,0\n2,Rome,1\n", "line 2, column 'city': met the text 'Paris'.*drop.*0 and 1 for each value"),
    ("x;y\n1,5;0\n2,5;1\n", "line 2, column 'x': met '1,5'; write numbers with a decimal point"),
    ("x,y\n1,0\n2,\n", "line 3 has no target, '' in column 'y'"),
    ("x,y\n" + "1,0\n" * 9, "the target column 'y' has one class only, '0'"),
    ("x,y\n" + "1,a\n" * 9, "one class only, 'a'"),
    ("y\n" + "0\n1\n" * 9, "no column is left for the inputs"),
    (b"x,y\n1,caf\xe9\n", "not text in UTF-8.*at byte 9"),
    (b"\x89PNG\r\n\x1a\n\0\0", "not text in UTF-8"),
    ('x,y\n1,"' + "0\n" * 70_000, "not a table in text: field larger"),
])
def test_a_bad_table_gives_one_line_that_says_where_and_what_to_do(file, text, words):
    path = file(text)
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "words"), [
    ({"target": "specie"}, "there is no column 'specie'; did you mean 'species'"),
    ({"target": "colour"}, "no column 'colour'. There are sepal length, sepal width, species"),
    ({"target": 3}, "no column 3; it has 3, counted from 0"),
    ({"drop": ["x"]}, "no column 'x'"),
    ({"drop": [0, 1]}, "no column is left"),
    ({"task": "regression"}, "'species' holds text \\('setosa'\\), which cannot be predicted as a number"),
    ({"task": "ranking"}, "a task is 'classification' or 'regression', got 'ranking'"),
    ({"header": False}, "line 1, column '0': met the text 'sepal length'"),
    ({"share": 1.5}, "share lies between 0 and 1"),
])
def test_options_that_do_not_fit_the_table(file, options, words):
    with pytest.raises(ValueError, match=words):
        load(file(IRIS), **options)


def test_names_that_are_there_twice_or_not_at_all(file):
    with pytest.raises(ValueError, match="2 columns have the name 'x'; give the number"):
        load(file("x,x,y\n1,2,0\n2,3,1\n"), drop=["x"])
    with pytest.raises(ValueError, match="no column can be 'y', as the first line holds no names"):
        load(file("1,2,0\n2,3,1\n"), target="y")


# ------------------------------------------------------------------ arrays
IMAGES = np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2)
LABELS = np.arange(20) % 2


def test_images_stay_bytes_and_are_scaled_when_used(file):
    found = load(file(name="a.npz", x_train=IMAGES[:12], y_train=LABELS[:12], x_test=IMAGES[12:], y_test=LABELS[12:]))
    assert (found.task, found.classes, found.shape, found.columns) == ("classification", ("0", "1"), (2, 2), None)
    np.testing.assert_array_equal(found.train.arrays[0], IMAGES[:12])
    np.testing.assert_array_equal(found.test.arrays[1], LABELS[12:])
    assert found.test.arrays[0].dtype == np.uint8
    assert isinstance(found.train.transform, Pixels)
    inputs, labels = found.test[:]
    np.testing.assert_array_equal(inputs, (IMAGES[12:].reshape(8, 4) / np.float32(255)).astype(np.float32))
    assert labels.dtype == np.int64
    assert load(file(name="b.npz", x=IMAGES, y=LABELS), flatten=False).train[:][0].shape == (16, 2, 2)


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("X", "y"), ("X_train", "y_train")])
def test_two_arrays_are_split(file, names):
    found = load(file(name="a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True))), share=0.3, seed=5)
    assert (len(found.train), len(found.test)) == (14, 6)
    np.testing.assert_array_equal(raw(found)[0], IMAGES[np.lexsort((*IMAGES.reshape(20, 4).T, LABELS))])


@pytest.mark.parametrize(("x", "together"), [
    (np.random.default_rng(0).normal(3, 7, (40, 3)), False),
    (np.random.default_rng(0).normal(3, 7, (40, 2, 2)).astype(np.float32), True),
    (np.random.default_rng(0).integers(-9, 9, 40), False),
], ids=["columns", "images of floats", "one number each"])
def test_other_numbers_are_standardised(file, x, together):
    found = load(file(name="a.npz", x=x, y=np.arange(40) % 2))
    assert found.train.arrays[0].dtype == x.dtype
    inputs, stored = found.train[:][0], found.train.arrays[0]
    assert inputs.shape == (32, x[0].size)
    axis = None if together else 0
    expected = (stored - stored.mean(axis, dtype=np.float64)) / stored.std(axis, dtype=np.float64)
    np.testing.assert_allclose(inputs, expected.reshape(32, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("y", "classes"), [
    (np.array(["cat", "dog"] * 10), ("cat", "dog")), (np.array([b"cat", b"dog"] * 10), ("cat", "dog")),
    (LABELS * 2 - 1, ("-1", "1")), (LABELS.astype(bool), ("False", "True")), (LABELS[:, None], ("0", "1")),
    (LABELS.astype(np.uint8) * 255, ("0", "255"))], ids=["text", "bytes", "signs", "truth", "a column", "uint8"])
def test_classes_of_any_kind_are_numbered_from_0(file, y, classes):
    found = load(file(name="a.npz", x_train=IMAGES, y_train=y, x_test=IMAGES[3:5], y_test=y[3:5]))
    assert found.classes == classes
    np.testing.assert_array_equal(found.train.arrays[1], LABELS)
    np.testing.assert_array_equal(found.test.arrays[1], LABELS[3:5])


def test_several_numbers_to_be_predicted(file):
    y = np.random.default_rng(0).normal(size=(20, 3))
    found = load(file(name="a.npz", x=IMAGES / 7, y=y))
    assert (found.task, found.outputs, found.train.arrays[1].shape) == ("regression", 3, (16, 3))


def bad(**changes):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:4], "y_test": LABELS[:4]} | changes
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(("arrays", "words"), [
    (bad(y_train=None), "expected the arrays x_train, y_train, x_test and y_test, or x and y; it has x_train, x_test"),
    (bad(x=IMAGES, y=LABELS), "expected the arrays"),
    ({"images": IMAGES}, "it has images"),
    ({}, "it has none"),
    ({"X": IMAGES, "x": IMAGES, "y": LABELS}, "two arrays 'x' that differ in capitals only"),
    (bad(y_train=LABELS[:5]), "x_train has 20 samples and y_train has 5"),
    (bad(y_test=LABELS), "x_test has 4 samples and y_test has 20"),
    (bad(x_test=IMAGES[:4, :1]), r"x_train has samples of uint8 \(2, 2\) and x_test of uint8 \(1, 2\)"),
    (bad(x_test=IMAGES[:4] / 255), r"x_test of float64"),
    (bad(x_test=IMAGES[:0], y_test=LABELS[:0]), r"x_test is empty, of shape \(0, 2, 2\)"),
    (bad(y_test=LABELS[:4] + 1), "y_test has the class '2' .sample 1, 2 such.*training data have not; they have 0, 1"),
    (bad(y_test=np.array(list("abab"))), "y_test holds <U1, the training data int64"),
    (bad(y_train=np.zeros(20, int)), "y_train has one class only, '0'"),
    (bad(y_train=LABELS * 1.0), "y_train holds floats that are all whole numbers"),
    (bad(y_train=np.eye(2, dtype=int)[LABELS]), r"y_train has the shape \(20, 2\).*one-hot: give y\.argmax\(1\)"),
    (bad(y_train=np.full((20, 2), 7)), "numbers to be predicted have to be floats"),
    (bad(y_train=np.zeros((20, 2, 2))), r"expected \(samples,\) or \(samples, outputs\)"),
    (bad(y_train=LABELS + 1j), "y_train has dtype complex128"),
    (bad(x_train=np.array(["a"] * 20)), "x_train has dtype <U1; expected numbers"),
    ({"x": np.where(IMAGES == 13, np.nan, IMAGES), "y": LABELS},
     r"x is not finite: 1 of 80 values, the first is nan in sample 3, index \(0, 1\)"),
    ({"x": IMAGES, "y": np.where(LABELS, np.inf, 0.5)}, "y is not finite: inf at sample 1"),
    ({"x": IMAGES, "y": np.linspace(0, 1e39, 20)}, "beyond the range of float32"),
    ({"x": np.float64(1), "y": LABELS}, "x is a single number"),
    ({"x": IMAGES, "y": np.float64(1)}, "y is a single value"),
    ({"x": IMAGES, "y": LABELS, "extra": np.array([{}], object)}, "extra holds Python objects.*run code"),
])
def test_bad_arrays_give_one_line(file, arrays, words):
    path = file(name="a.npz", **arrays)
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self):
        return os._exit, (3,)


def test_nothing_is_ever_unpickled(file):
    """Each would end this very process."""
    with pytest.raises(ValueError, match="y holds Python objects"):
        load(file(name="a.npz", x=IMAGES, y=np.array([Bomb()] * 20, object)))
    for name in ("a.npz", "a.npy"):
        with pytest.raises(ValueError, match="not a file as NumPy writes it"):
            load_inputs(file(pickle.dumps(Bomb()), name))
    path = file(b"", "b.npy")
    np.save(path, np.array([Bomb()], object))
    with pytest.raises(ValueError, match="Python objects"):
        load_inputs(path)


@pytest.mark.parametrize("cut", [0, 3, 30, 200, 600])
def test_a_truncated_file_is_named(file, cut):
    whole = file(name="a.npz", x=np.arange(400.0), y=LABELS).read_bytes()
    with pytest.raises(ValueError, match=r"cut\.npz: "):
        load(file(whole[:cut], "cut.npz"))


def test_a_damaged_array_is_named(file):
    bytes_of = bytearray(file(name="a.npz", x=np.arange(400.0), y=LABELS).read_bytes())
    bytes_of[1000] ^= 1
    with pytest.raises(ValueError, match="x cannot be read, the file is damaged"):
        load(file(bytes(bytes_of), "hit.npz"))


def test_files_of_other_kinds(file, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.npz, \.csv or \.tsv, got '\.xlsx'.*savez"):
        load(tmp_path / "book.xlsx")
    with pytest.raises(ValueError, match="got 'no ending'"):
        load(tmp_path / "data")
    with pytest.raises(ValueError, match="target and drop are columns of a table"):
        load(file(name="a.npz", x=IMAGES, y=LABELS), target="y")
    for name in ("none.csv", "none.npz"):
        with pytest.raises(FileNotFoundError, match=re.escape(name)):
            load(tmp_path / name)
    np.save(tmp_path / "one.npy", IMAGES)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(ValueError, match="one array without a name"):
        load(tmp_path / "one.npz")


# ------------------------------------------------------------------ inputs alone
def test_inputs_to_predict_from(file, tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.testing.assert_array_equal(load_inputs(tmp_path / "a.npy"), IMAGES)
    np.testing.assert_array_equal(load_inputs(file(name="a.npz", X=IMAGES, y=LABELS)), IMAGES)
    np.testing.assert_array_equal(load_inputs(file(name="b.npz", pictures=IMAGES)), IMAGES)
    np.testing.assert_array_equal(load_inputs(file("0.5,2\n3,4\n")), [[0.5, 2], [3, 4]])
    with pytest.raises(ValueError, match="expected the array x, or one array only; it has a, b"):
        load_inputs(file(name="c.npz", a=IMAGES, b=LABELS))
    with pytest.raises(ValueError, match="no column 'height'"):
        load_inputs(file("width,name\n1.5,a\n", "d.csv"), ["width", "height"])
    with pytest.raises(ValueError, match=r"ends in \.npy"):
        load_inputs(tmp_path / "a.png")


# ------------------------------------------------------------------ all together
def test_from_a_table_to_a_trained_network(file):
    """Two clouds in very different units: without standardising, nothing is learnt in so few steps."""
    rng = np.random.default_rng(0)
    kind = np.arange(200) % 2
    x = np.stack([rng.normal(1e6 + 4e3 * kind, 1e3), rng.normal(1e-3 - 4e-6 * kind, 1e-6)], 1)
    rows = "".join(f"{a!r},{b!r},{'yes' if k else 'no'}\n" for (a, b), k in zip(x.tolist(), kind, strict=True))
    found = load(file("a,b,answer\n" + rows))
    model = nn.Linear(2, found.outputs)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.1))
    trainer.fit(found.train, epochs=5, batch_size=16, callbacks=())
    assert trainer.evaluate(found.test)["accuracy"] == 1.0
    new = found.train.transform(np.array([[1e6, 1e-3], [1.004e6, 0.996e-3]]))
    assert [found.classes[i] for i in trainer.predict(new).argmax(1)] == ["no", "yes"]

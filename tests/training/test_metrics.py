"""Metrics: known answers, definitions written out sample by sample, and what holds for all of them."""
from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import Trainer, data, nn, optim
from chainrule.training import metrics
from chainrule.training.metrics import F1, MAE, R2, RMSE, Accuracy, Precision, Recall, TopKAccuracy, confusion_matrix

# One problem of three classes, small enough to count by hand.
#   true 0 0 0 0 1 1 1 2 2 2      predicted 0 0 0 1 1 1 2 0 2 2
TRUE = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
GUESSED = np.array([0, 0, 0, 1, 1, 1, 2, 0, 2, 2])
SCORES = np.eye(3)[GUESSED]
MATRIX = [[3, 1, 0], [0, 2, 1], [1, 0, 2]]


# ------------------------------------------------------------------ known answers
def test_the_confusion_matrix_by_hand():
    found = confusion_matrix(SCORES, TRUE)
    assert found.dtype == np.int64
    assert found.tolist() == MATRIX


@pytest.mark.parametrize(("metric", "expected"), [
    (Precision, [3 / 4, 2 / 3, 2 / 3]), (Recall, [3 / 4, 2 / 3, 2 / 3]), (F1, [3 / 4, 2 / 3, 2 / 3])])
def test_each_class_by_hand(metric, expected):
    np.testing.assert_allclose(metric(average=None)(SCORES, TRUE), expected, rtol=1e-15)


@pytest.mark.parametrize(("metric", "average", "expected"), [
    # two classes: hits 2 of 3 predicted and of 4 true ones
    (Precision, "binary", 2 / 3), (Recall, "binary", 1 / 2), (F1, "binary", 4 / 7),
    # class 0: hits 1 of 3 predicted and of 2 true ones
    (Precision, "macro", (1 / 3 + 2 / 3) / 2), (Recall, "macro", (1 / 2 + 1 / 2) / 2),
    (F1, "macro", (2 / 5 + 4 / 7) / 2),
    (Precision, "weighted", (2 / 3 + 4 * 2 / 3) / 6), (F1, "weighted", (2 * 2 / 5 + 4 * 4 / 7) / 6),
    (Precision, "micro", 1 / 2), (Recall, "micro", 1 / 2), (F1, "micro", 1 / 2)])
def test_averages_by_hand(metric, average, expected):
    true, guessed = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 1, 0, 0, 1, 1])
    if average == "weighted" and metric is Precision:
        expected = (2 * (1 / 3) + 4 * (2 / 3)) / 6
    assert metric(average=average)(np.eye(2)[guessed], true) == pytest.approx(expected, rel=1e-15)


def test_the_other_class_can_be_the_positive_one():
    true, guessed = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 1, 0, 0, 1, 1])
    assert Precision(average="binary", positive=0)(np.eye(2)[guessed], true) == pytest.approx(1 / 3)
    assert Recall(average="binary", positive=0)(np.eye(2)[guessed], true) == 1 / 2


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 4), (2, 2 / 4), (3, 3 / 4)])
def test_top_k_by_hand(k, expected):
    scores = np.array([[4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1]])
    assert TopKAccuracy(k)(scores, [0, 1, 2, 3]) == expected


def test_of_equal_scores_the_first_classes_come_first():
    flat = np.zeros((4, 4))
    assert [TopKAccuracy(k)(flat, [0, 1, 2, 3]) for k in (1, 2, 3)] == [1 / 4, 2 / 4, 3 / 4]
    assert Accuracy()(flat, [0, 1, 2, 3]) == 1 / 4


def test_errors_of_numbers_by_hand():
    x, t = np.array([[1.0], [2.0], [4.0], [1.0]]), np.array([[1.0], [4.0], [1.0], [2.0]])
    assert MAE()(x, t) == 6 / 4
    assert RMSE()(x, t) == pytest.approx(math.sqrt(14 / 4), rel=1e-15)
    assert R2()(x, t) == pytest.approx(1 - 14 / 6, rel=1e-15)       # the mean is 2, the squares 1 + 4 + 1 + 0


def test_r2_of_several_outputs_is_the_mean_of_theirs():
    x, t = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 4.0], [3.0, 8.0]])
    assert R2()(x, t) == pytest.approx((1 + (1 - 10 / 8)) / 2, rel=1e-15)


def test_r2_where_there_is_no_variance():
    assert R2()(np.full(3, 0.1), np.full(3, 0.1)) == 1
    assert R2()([0.1, 0.1, 0.2], np.full(3, 0.1)) == 0              # the mean of three 0.1 is not quite 0.1
    assert math.isnan(R2()([[1.0]], [[2.0]]))


# ------------------------------------------------------------------ 0/0
#: Class 1 is never predicted, class 2 never occurs, class 3 neither.
ODD_TRUE, ODD = np.array([0, 0, 1, 0]), np.eye(4)[[0, 0, 0, 2]]


@pytest.mark.parametrize(("metric", "each"), [
    (Precision, [2 / 3, "0/0", 0, "0/0"]), (Recall, [2 / 3, 0, "0/0", "0/0"]), (F1, [4 / 6, 0, 0, "0/0"])])
@pytest.mark.parametrize("zero", [0.0, 1.0, math.nan])
def test_zero_division(metric, each, zero):
    each = [zero if part == "0/0" else part for part in each]
    np.testing.assert_allclose(metric(average=None, zero_division=zero)(ODD, ODD_TRUE), each, rtol=1e-15)
    met = [part for part in each[:3] if not math.isnan(part)]       # class 3 is left out: nothing is known of it
    assert metric(zero_division=zero)(ODD, ODD_TRUE) == pytest.approx(sum(met) / len(met), rel=1e-15)
    weighted = [(part, n) for part, n in zip(each, [3, 1, 0, 0], strict=True) if not math.isnan(part)]
    assert metric(average="weighted", zero_division=zero)(ODD, ODD_TRUE) == pytest.approx(
        sum(part * n for part, n in weighted) / sum(n for _, n in weighted), rel=1e-15)


def test_without_a_sample_that_counts_a_figure_is_nan():
    nothing = np.full(4, -100)
    for metric in (Accuracy(), TopKAccuracy(2), *(kind(average=average) for kind in (Precision, Recall, F1)
                                                  for average in ("macro", "micro", "weighted"))):
        assert math.isnan(metric(ODD, nothing)), metric
    assert np.isnan(F1(average=None)(ODD, nothing)).all()
    assert confusion_matrix(ODD, nothing).tolist() == np.zeros((4, 4)).tolist()


# ------------------------------------------------------------------ what holds for all
labels = st.integers(2, 5).flatmap(lambda c: st.tuples(
    st.just(c), st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=40)))


def arrays(problem):
    classes, pairs = problem
    true, guessed = np.array(pairs).T
    return classes, true, guessed, np.eye(classes)[guessed]


@given(labels)
def test_definitions_counted_one_sample_at_a_time(problem):
    classes, true, guessed, scores = arrays(problem)
    pairs = Counter(zip(true.tolist(), guessed.tolist(), strict=True))
    assert confusion_matrix(scores, true).tolist() == [[pairs[i, j] for j in range(classes)] for i in range(classes)]
    f1 = []
    for c in range(classes):
        right = pairs[c, c]
        wrong = sum(n for (t, g), n in pairs.items() if (t == c) != (g == c))
        if right + wrong:
            f1.append(Fraction(2 * right, 2 * right + wrong))
    assert F1()(scores, true) == pytest.approx(float(sum(f1) / len(f1)), rel=1e-12)


@given(labels)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(problem):
    _, true, _, scores = arrays(problem)
    p, r, f = (metric(average=None)(scores, true) for metric in (Precision, Recall, F1))
    some = p + r > 0
    np.testing.assert_allclose(f[some], 2 * p[some] * r[some] / (p + r)[some], rtol=1e-12)
    np.testing.assert_array_equal(f[~some], 0)


@given(labels)
def test_taken_over_all_samples_the_three_are_the_accuracy(problem):
    _, true, guessed, scores = arrays(problem)
    right = (true == guessed).mean()
    assert Accuracy()(scores, true) == TopKAccuracy(1)(scores, true) == pytest.approx(right, rel=1e-15)
    for metric in (Precision, Recall, F1):
        assert metric(average="micro")(scores, true) == pytest.approx(right, rel=1e-15)
    assert Recall(average="weighted")(scores, true) == pytest.approx(right, rel=1e-12)


@given(labels)
def test_the_confusion_matrix_sums_to_what_it_counts(problem):
    classes, true, guessed, scores = arrays(problem)
    matrix = confusion_matrix(scores, true)
    np.testing.assert_array_equal(matrix.sum(1), np.bincount(true, minlength=classes))
    np.testing.assert_array_equal(matrix.sum(0), np.bincount(guessed, minlength=classes))
    assert np.trace(matrix) == (true == guessed).sum()


ALL = [Accuracy(), TopKAccuracy(1), *(kind(average=average) for kind in (Precision, Recall, F1)
                                      for average in ("macro", "micro", "weighted"))]


@given(labels, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter_and_figures_are_shares(problem, random):
    _, true, _, scores = arrays(problem)
    order = random.sample(range(len(true)), len(true))
    for metric in ALL:
        figure = metric(scores, true)
        assert 0 <= figure <= 1
        assert metric(scores[order], true[order]) == figure


@given(labels, st.data())
def test_samples_of_the_ignored_class_might_as_well_not_be_there(problem, drawn):
    classes, true, _, scores = arrays(problem)
    ignored = drawn.draw(st.sampled_from([-100, -1, 0, classes - 1, classes]))
    marked = true.copy()
    if ignored in (-100, -1, classes):
        marked[::3] = ignored
    left = marked != ignored
    for metric in (Accuracy(ignore_index=ignored), TopKAccuracy(1, ignore_index=ignored),
                   F1(ignore_index=ignored), Precision(average="weighted", ignore_index=ignored)):
        plain = type(metric)(**{**vars(metric), "ignore_index": -100})
        expected = plain(scores[left], marked[left]) if left.any() else np.nan
        np.testing.assert_array_equal(metric(scores, marked), expected)
    np.testing.assert_array_equal(confusion_matrix(scores, marked, ignore_index=ignored),
                                  confusion_matrix(scores[left], marked[left]))


@given(st.integers(2, 6), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_more_places_never_lower_the_top_k_accuracy(classes, n, seed):
    rng = np.random.default_rng(seed)
    scores, true = rng.integers(0, 3, (n, classes)), rng.integers(0, classes, n)
    found = [TopKAccuracy(k)(scores, true) for k in range(1, classes)]
    assert found == sorted(found)
    for k, share in enumerate(found, 1):                            # Python's sort is stable: ties by class
        right = [t in sorted(range(classes), key=lambda c, row=row: -row[c])[:k]
                 for row, t in zip(scores, true, strict=True)]
        assert share == sum(right) / n


numbers = st.lists(st.integers(-10_000, 10_000).map(lambda n: n / 8), min_size=2, max_size=30)


@given(numbers, numbers)
def test_errors_of_numbers_by_their_definitions(x, t):
    n = min(len(x), len(t))
    x, t = [Fraction(v) for v in x[:n]], [Fraction(v) for v in t[:n]]
    squares = sum((a - b) ** 2 for a, b in zip(x, t, strict=True))
    columns = np.array(x, float)[:, None], np.array(t, float)[:, None]
    assert MAE()(*columns) == pytest.approx(float(sum(abs(a - b) for a, b in zip(x, t, strict=True)) / n), rel=1e-12)
    assert RMSE()(*columns) == pytest.approx(math.sqrt(squares / n), rel=1e-12)
    assert RMSE()(*columns) >= MAE()(*columns) * (1 - 1e-12)
    spread = sum((b - sum(t) / n) ** 2 for b in t)
    expected = float(1 - squares / spread) if spread else float(squares == 0)
    assert R2()(*columns) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=30).filter(lambda t: len(set(t)) > 1))
def test_r2_of_the_mean_is_0_and_of_the_truth_1(t):
    t = np.array(t, float)
    assert R2()(np.full_like(t, t.mean()), t) == pytest.approx(0, abs=1e-12)
    assert R2()(t, t) == 1


# ------------------------------------------------------------------ forms of scores and targets
def test_positions_are_samples():
    """Scores (N, classes, positions), as of a sequence or an image, beside targets (N, positions)."""
    scores, true = SCORES.reshape(2, 5, 3).transpose(0, 2, 1), TRUE.reshape(2, 5)
    for metric in ALL:
        assert metric(scores, true) == metric(SCORES, TRUE)
    assert confusion_matrix(scores, true).tolist() == MATRIX
    assert TopKAccuracy(2)(scores, true) == TopKAccuracy(2)(SCORES, TRUE)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_a_single_score_for_each_sample(shape, dtype):
    logits = np.array([-2.0, 3.0, -1.0, -0.5, 0.1, 4.0])
    true = np.array([0, 0, 1, 1, 1, 1])
    two = np.stack([-logits, logits], 1)
    for kind in (Accuracy, Precision, Recall, F1):
        assert kind()(logits.reshape(shape), true.astype(dtype).reshape(shape)) == kind()(two, true)
    assert confusion_matrix(logits.reshape(shape), true.reshape(shape)).tolist() == [[1, 1], [2, 2]]
    probabilities = 1 / (1 + np.exp(-logits))
    assert Accuracy(threshold=0.5)(probabilities, true) == Accuracy()(logits, true) == 0.5
    assert Accuracy()(probabilities, true) == 4 / 6                 # each of them is above 0


def test_probabilities_as_targets_tensors_lists_and_a_single_sample():
    soft = np.eye(3)[TRUE] * 0.7 + 0.1
    assert F1()(SCORES, soft) == F1()(SCORES, TRUE)
    assert Accuracy()(cr.Tensor(SCORES), cr.Tensor(TRUE)) == Accuracy()(SCORES.tolist(), TRUE.tolist()) == 0.7
    assert Accuracy()([0.1, 0.9], 1) == 1.0
    assert Accuracy()(SCORES, TRUE.astype(np.uint64)) == F1(average="micro")(SCORES, TRUE.astype(np.uint8)) == 0.7


@pytest.mark.parametrize(("metric", "outputs", "targets", "error", "words"), [
    (Accuracy(), SCORES, TRUE[:5], ValueError, r"Accuracy: scores of shape \(10, 3\) and targets of shape \(5,\)"),
    (F1(), SCORES, TRUE * 1.0, TypeError, "F1: classes are whole numbers, got float64.*astype"),
    (Recall(), SCORES, TRUE + 1, ValueError, "Recall: met the class 3; with scores for 3 classes they are 0 to 2"),
    (TopKAccuracy(2), SCORES, TRUE - 1, ValueError, "met the class -1"),
    (Accuracy(), SCORES[:, :1], TRUE, ValueError, r"a single one for each sample.*reshape"),
    (Accuracy(), SCORES, SCORES.astype(int), ValueError, r"one-hot whole numbers give targets\.argmax\(1\)"),
    (Accuracy(), SCORES, np.ones((10, 3)), ValueError, "several labels for one sample"),
    (Accuracy(), SCORES[:, 0], np.full(10, 0.5), ValueError, r"beside a single score the target is 0 or 1, got 0\.5"),
    (Precision(average="binary"), SCORES, TRUE, ValueError, "'binary' is for two classes, met scores for 3"),
    (TopKAccuracy(3), SCORES, TRUE, ValueError, "right one of 3 classes is always among 3.*1 to 2"),
    (MAE(), np.zeros((4, 1)), np.zeros(4), ValueError, r"MAE: outputs of shape \(4, 1\) and targets of shape \(4,\)"),
    (RMSE(), np.zeros((0, 1)), np.zeros((0, 1)), ValueError, "at least one number"),
    (R2(), np.zeros(3), 1.0, ValueError, "same shape"),
])
def test_what_does_not_fit_is_refused(metric, outputs, targets, error, words):
    with pytest.raises(error, match=words):
        metric(outputs, targets)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: F1(average="mean"), "F1: average is 'macro'.*got 'mean'"),
    (lambda: Recall(zero_division=2), "zero_division.*got 2"),
    (lambda: Precision(average="binary", positive=2), "0 or 1 is the positive one, got 2"),
    (lambda: TopKAccuracy(0), "k is a whole number from 1 on, got 0"),
    (lambda: TopKAccuracy(1.5), "k is a whole number"),
])
def test_options_that_do_not_exist_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_table_of_a_confusion_matrix():
    assert metrics.confusion_table([[10, 2], [0, 7]], ["a", "long name"]) == (
        "true \\ predicted   a  long name\n"
        "a                 10          2\n"
        "long name          0          7")
    assert metrics.confusion_table(MATRIX).splitlines()[0].split()[-3:] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="1 names for 3 classes"):
        metrics.confusion_table(MATRIX, ["a"])
    with pytest.raises(ValueError, match=r"square matrix of counts, got the shape \(2, 3\)"):
        metrics.confusion_table(MATRIX[:2])


def test_a_metric_is_a_value_that_says_what_it_is():
    assert F1(average="micro") == F1(average="micro") != Precision(average="micro")
    assert repr(TopKAccuracy(3)) == "TopKAccuracy(k=3, ignore_index=-100)"
    assert repr(Recall(average=None)).startswith("Recall(average=None, ")
    with pytest.raises(AttributeError):
        F1().average = "micro"


# ------------------------------------------------------------------ in a trainer
def test_evaluation_takes_a_figure_of_all_outputs_together():
    """Of batches of one sample, F1 would be their accuracy, and R² nan."""
    model = nn.Linear(3, 3)
    model.load_state_dict({"weight": np.eye(3), "bias": np.zeros(3)})
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1),
                      metrics={"f1": F1(average="macro"), "top2": TopKAccuracy(2)})
    found = trainer.evaluate(data.ArrayDataset(SCORES.astype(np.float32), TRUE), batch_size=1)
    assert found["f1"] == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3, rel=1e-12)


@pytest.mark.parametrize("metric", [Accuracy(), TopKAccuracy(2), MAE(), Precision(), Recall(), F1(), RMSE(), R2()])
def test_additive_is_what_it_says(metric):
    """The mean over batches of 4, 4 and 2 samples, weighted by them, against the figure of all ten."""
    numeric = isinstance(metric, MAE | RMSE | R2)
    x, t = (SCORES[:, :1] * 3 + 1, TRUE[:, None] * 1.0) if numeric else (SCORES + np.eye(3)[TRUE - 1] / 2, TRUE)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    mean = sum(metric(x[part], t[part]) * len(x[part]) for part in parts) / 10
    assert (mean == pytest.approx(metric(x, t), rel=1e-12)) is metric.additive

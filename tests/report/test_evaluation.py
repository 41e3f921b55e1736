"""Every measure against hand-computed numbers, scikit-learn, and properties that always hold."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penmark.errors import DataError, ModelError
from penmark.report.evaluation import Evaluation, wilson_interval
from tests.report.conftest import make_evaluation, make_perfect

# Six images, three classes: the third and the last are wrong.
Y_TRUE = np.array([0, 0, 0, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.90, 0.05, 0.05],
        [0.50, 0.30, 0.20],
        [0.20, 0.70, 0.10],
        [0.10, 0.80, 0.10],
        [0.05, 0.05, 0.90],
        [0.95, 0.04, 0.01],
    ],
    dtype=np.float32,
)


@pytest.fixture
def by_hand() -> Evaluation:
    return Evaluation(Y_TRUE, PROBABILITIES, 0.7, ("a", "b", "c"), 0.25)


def test_accuracy_and_top2_by_hand(by_hand):
    assert by_hand.accuracy == pytest.approx(4 / 6)
    # The third image's class is second; the last one's is third.
    assert by_hand.top2_accuracy == pytest.approx(5 / 6)
    assert by_hand.errors == 2


def test_confusion_has_true_classes_in_rows(by_hand):
    assert by_hand.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_ece_by_hand(by_hand):
    # Confidences .9 .5 .7 .8 .9 .95 fall into bins of width 1/15: (.867, .933] holds both .9,
    # every other one is alone.
    gaps = 2 * abs(1.0 - 0.9) + abs(1 - 0.5) + abs(0 - 0.7) + abs(1 - 0.8) + abs(0 - 0.95)
    assert by_hand.ece == pytest.approx(gaps / 6, abs=1e-6)


def test_full_confidence_falls_into_the_last_bin_and_empty_bins_have_no_accuracy():
    sure = Evaluation(np.array([0]), np.array([[1.0, 0.0]]), 0.0, ("a", "b")).reliability
    assert [part.count for part in sure] == [0] * 14 + [1]
    assert sure[14].upper == 1.0 and sure[14].accuracy == 1.0
    assert math.isnan(sure[0].accuracy) and math.isnan(sure[0].confidence)


def test_per_class_by_hand(by_hand):
    a, b, c = by_hand.per_class
    assert a == {
        "class": "a",
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "images": 3,
    }
    assert (b["precision"], b["recall"], b["images"]) == (0.5, 1.0, 1)
    assert (c["precision"], c["recall"], c["images"]) == (1.0, 0.5, 2)


def test_class_without_images_or_predictions_is_zero():
    two_of_three = Evaluation(
        np.array([0, 1]), np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]]), 0.0, ("a", "b", "c")
    )
    assert two_of_three.per_class[2] == {
        "class": "c",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "images": 0,
    }


def test_most_confused_is_most_frequent_first():
    y_true = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([1, 1, 2, 0, 1, 2])
    evaluation = Evaluation(y_true, np.eye(3)[predicted], 0.0, ("a", "b", "c"))
    assert evaluation.most_confused() == [("a", "b", 2), ("a", "c", 1), ("b", "a", 1)]
    assert evaluation.most_confused(2) == [("a", "b", 2)]
    assert make_perfect().most_confused() == []


def test_top_losses_are_errors_only_worst_first(by_hand):
    assert by_hand.top_losses(9).tolist() == [5, 2]
    assert by_hand.top_losses(1).tolist() == [5]
    assert make_perfect().top_losses().size == 0


def test_top_losses_breaks_ties_by_confidence():
    probabilities = np.array([[0.0, 0.6, 0.4], [0.0, 1.0, 0.0]])
    evaluation = Evaluation(np.array([0, 0]), probabilities, 0.0, ("a", "b", "c"))
    assert evaluation.top_losses(2).tolist() == [1, 0]


def test_ties_go_to_the_lower_label_in_accuracy_and_top2():
    evaluation = Evaluation(np.array([0, 2]), np.full((2, 3), 1 / 3), 0.0, ("a", "b", "c"))
    assert evaluation.predicted.tolist() == [0, 0]
    assert evaluation.top2_accuracy == 0.5


def test_two_classes():
    binary = make_evaluation(50, ("rest", "4"))
    assert binary.top2_accuracy == 1.0
    assert binary.confusion.shape == (2, 2)
    assert [row["class"] for row in binary.per_class] == ["rest", "4"]


def test_to_json_keys_and_non_finite_numbers(by_hand):
    document = by_hand.to_json()
    assert set(document) == {
        "accuracy",
        "loss",
        "top2_accuracy",
        "ece",
        "per_class",
        "confusion",
        "images",
        "seconds",
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    broken = Evaluation(Y_TRUE, PROBABILITIES, math.nan, ("a", "b", "c"), math.inf).to_json()
    assert broken["loss"] is None and broken["seconds"] is None


def test_agrees_with_scikit_learn(evaluation):
    labels = list(range(evaluation.num_classes))
    expected = sklearn.metrics.confusion_matrix(
        evaluation.y_true, evaluation.predicted, labels=labels
    )
    np.testing.assert_array_equal(evaluation.confusion, expected)
    assert evaluation.top2_accuracy == pytest.approx(
        sklearn.metrics.top_k_accuracy_score(evaluation.y_true, evaluation.probabilities, k=2)
    )


@st.composite
def evaluations(draw):
    classes = draw(st.integers(2, 5))
    images = draw(st.integers(1, 30))
    y_true = draw(hnp.arrays(np.int64, images, elements=st.integers(0, classes - 1)))
    weights = draw(
        hnp.arrays(
            np.float32,
            (images, classes),
            elements=st.floats(0.0, 1.0, width=32, allow_subnormal=False),
        )
    )
    weights = weights.astype(np.float64) + 1e-3
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    names = tuple("abcde"[:classes])
    return Evaluation(y_true, probabilities, 0.0, names)


@settings(max_examples=60, deadline=None)
@given(evaluations())
def test_properties(evaluation):
    n = evaluation.images
    assert evaluation.confusion.sum() == n
    assert np.trace(evaluation.confusion) == n - evaluation.errors
    np.testing.assert_array_equal(
        evaluation.confusion.sum(axis=1),
        np.bincount(evaluation.y_true, minlength=evaluation.num_classes),
    )
    assert sum(row["images"] for row in evaluation.per_class) == n
    assert sum(count for _, _, count in evaluation.most_confused()) == evaluation.errors
    assert len(evaluation.top_losses(n)) == evaluation.errors
    assert 0.0 <= evaluation.ece <= 1.0
    assert evaluation.accuracy <= evaluation.top2_accuracy <= 1.0
    assert sum(part.count for part in evaluation.reliability) == n
    for part in evaluation.reliability:
        if part.count:
            # Sums of float32 confidences may end a rounding above an edge.
            assert part.lower - 1e-6 <= part.confidence <= part.upper + 1e-6


@pytest.mark.parametrize(
    ("y_true", "probabilities", "names", "error", "words"),
    [
        (np.array([], dtype=int), np.empty((0, 2)), ("a", "b"), DataError, "no test images"),
        (np.array([0, 2]), np.full((2, 2), 0.5), ("a", "b"), DataError, "label 1 is 2"),
        (np.array([0, -1]), np.full((2, 2), 0.5), ("a", "b"), DataError, "label 1 is -1"),
        (np.array([0.5]), np.full((1, 2), 0.5), ("a", "b"), DataError, "integers"),
        (np.array([0]), np.full((1, 1), 0.5), ("a",), DataError, "two classes"),
        (np.array([0]), np.full((1, 3), 0.3), ("a", "b"), ModelError, "(1, 2)"),
        (np.array([0]), np.full(1, 0.3), ("a", "b"), ModelError, "(1, 2)"),
        (np.array([0]), np.array([[0, 1]]), ("a", "b"), ModelError, "floating-point"),
        (np.array([0]), np.array([[np.nan, 1.0]]), ("a", "b"), ModelError, "not a number"),
        (np.array([0]), np.array([[-3.0, 5.0]]), ("a", "b"), ModelError, "softmax"),
    ],
)
def test_bad_input_is_one_clear_line(y_true, probabilities, names, error, words):
    with pytest.raises(error) as caught:
        Evaluation(y_true, probabilities, 0.0, names)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overshoot_of_reduced_precision_is_clipped():
    evaluation = Evaluation(np.array([0]), np.array([[1.004, 0.0]]), 0.0, ("a", "b"))
    assert evaluation.confidence.max() == 1.0


def test_wilson_interval():
    # Brown, Cai and DasGupta's point: at 10 of 10 it is not [1, 1].
    low, high = wilson_interval(10, 10)
    assert low == pytest.approx(0.7225, abs=1e-4) and high == 1.0
    low, high = wilson_interval(0, 4)
    assert low == 0.0 and 0 < high < 1
    with pytest.raises(DataError):
        wilson_interval(0, 0)


def test_import_is_cheap():
    program = (
        "import sys, penmark.report, penmark.report.figures; "
        "heavy = {'matplotlib', 'sklearn', 'jinja2', 'PIL', 'keras'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr

"""What the figures show: data, titles, limits; not only that they can be drawn."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from penmark.errors import DataError, InputError, ModelError
from penmark.report import figures
from penmark.report.evaluation import Evaluation
from penmark.report.figures.theme import DARK
from penmark.report.tint import confusion_tint
from tests.report.conftest import CLASS_NAMES, make_evaluation, make_images, make_perfect

HOSTILE = ("$5 \\frac{", "<b>bold</b>", "a\nb", "x" * 80)


def texts(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return buffer.getvalue()


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def lines(axes) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


class TestTrainingCurves:
    def test_draws_both_metrics_and_marks_the_best_epoch(self, history):
        figure = figures.training_curves(history)
        accuracy, loss = figure.axes
        assert accuracy.get_title(loc="left") == "Accuracy"
        assert loss.get_title(loc="left") == "Loss"
        assert lines(accuracy)["training"] == history["accuracy"]
        assert lines(accuracy)["validation"] == history["val_accuracy"]
        assert lines(loss)["validation"] == history["val_loss"]
        rings = [line for line in accuracy.get_lines() if line.get_marker() == "o"]
        assert [(list(ring.get_xdata()), list(ring.get_ydata())) for ring in rings] == [
            ([2], [0.75])
        ]
        assert "highest in validation: 75.0%, epoch 2" in texts(figure)
        assert "lowest in validation: 0.9, epoch 2" in texts(figure)
        low, high = loss.get_ylim()
        assert low == 0.0 and high > 1.6

    def test_without_validation_the_best_is_the_training_s(self, history):
        only_training = {key: history[key] for key in ("accuracy", "loss")}
        figure = figures.training_curves(only_training)
        assert "validation" not in lines(figure.axes[0])
        assert "highest in training: 90.0%, epoch 3" in texts(figure)

    def test_one_epoch_is_drawn_as_points(self):
        figure = figures.training_curves({"accuracy": [0.8], "val_accuracy": [0.7]})
        (axes,) = figure.axes
        assert {line.get_marker() for line in axes.get_lines()} == {"o"}
        assert {line.get_linestyle() for line in axes.get_lines()} == {"None"}
        assert axes.get_xlim() == (0.5, 1.5)

    def test_loss_over_decades_gets_a_log_scale(self):
        figure = figures.training_curves({"loss": [300.0, 5.0, 0.4]})
        assert figure.axes[0].get_yscale() == "log"

    def test_not_a_number_does_not_win(self):
        figure = figures.training_curves({"loss": [0.5, 0.4, float("nan")]})
        assert "lowest in training: 0.4, epoch 2" in texts(figure)
        figures.training_curves({"loss": [float("nan")] * 2})

    def test_history_without_metrics_is_refused(self):
        with pytest.raises(DataError, match="seconds"):
            figures.training_curves({"seconds": [1.0]})
        with pytest.raises(DataError, match="nothing"):
            figures.training_curves({})

    def test_compare_draws_validation_where_there_is_one(self, history):
        plain = {key: history[key] for key in ("accuracy", "loss")}
        figure = figures.compare_curves({"first $x$": history, "second": plain})
        accuracy = figure.axes[0]
        assert lines(accuracy) == {
            "first $x$": history["val_accuracy"],
            "second (training)": history["accuracy"],
        }
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert legend == ["first $x$", "second (training)"]
        with pytest.raises(DataError, match="no run"):
            figures.compare_curves({"a": {}})

    def test_compare_tells_many_runs_apart(self, history):
        figure = figures.compare_curves({f"run {i}": history for i in range(12)})
        looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
        assert len(looks) == 12


class TestScores:
    def test_confusion_matrix_shows_every_count_at_its_place(self, evaluation):
        figure = figures.confusion_matrix(evaluation)
        (axes,) = figure.axes
        shown = {
            (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
            for text in axes.texts
        }
        rows, columns = np.nonzero(evaluation.confusion)
        assert shown == {
            (row, column): evaluation.confusion[row, column]
            for row, column in zip(rows, columns, strict=True)
        }
        assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASS_NAMES)
        assert axes.get_ylabel() == "true class" and axes.get_xlabel() == "predicted class"

    def test_many_classes_hide_the_numbers(self):
        names = tuple(f"class {i}" for i in range(100))
        figure = figures.confusion_matrix(make_evaluation(300, names))
        (axes,) = figure.axes
        assert not axes.texts
        assert axes.images[0].get_array().shape[:2] == (100, 100)
        assert len(axes.get_yticklabels()) == 100

    def test_tint_keeps_rare_mistakes_visible(self):
        tint = confusion_tint(np.array([[990, 10], [5, 995]]))
        assert tint[0, 0] == pytest.approx(0.99)
        assert tint[0, 1] == 1.0 and 0.5 < tint[1, 0] < 1.0
        assert not confusion_tint(np.array([[3, 0], [0, 0]]))[1].any()

    def test_reliability_diagram_draws_the_bins(self, evaluation):
        figure = figures.reliability_diagram(evaluation)
        upper, lower = figure.axes
        filled = [part for part in evaluation.reliability if part.count]
        assert lines(upper)["model"] == pytest.approx([part.accuracy for part in filled])
        assert lines(upper)["as right as sure"] == [0, 1]
        assert [bar.get_height() for bar in lower.patches] == [
            part.count for part in evaluation.reliability
        ]
        assert upper.get_xlim() == (0.0, 1.0)

    def test_per_class_puts_the_hardest_on_top(self, evaluation):
        figure = figures.per_class(evaluation)
        (axes,) = figure.axes
        names = [label.get_text() for label in axes.get_yticklabels()]
        hardest = min(evaluation.per_class, key=lambda row: row["f1"])
        assert names[-1] == hardest["class"]
        precision, recall = axes.get_lines()
        assert precision.get_xdata()[-1] == pytest.approx(hardest["precision"])
        assert recall.get_xdata()[-1] == pytest.approx(hardest["recall"])
        low, high = axes.get_xlim()
        assert 0 <= low <= hardest["recall"] and high <= 1.0

    def test_most_confused_bars(self, evaluation):
        figure = figures.most_confused(evaluation, k=3)
        (axes,) = figure.axes
        expected = evaluation.most_confused()[:3]
        assert [bar.get_width() for bar in reversed(axes.patches)] == [n for _, _, n in expected]
        assert axes.get_yticklabels()[-1].get_text() == f"{expected[0][0]} → {expected[0][1]}"

    def test_class_counts(self):
        data = SimpleNamespace(
            y_train=np.array([0, 0, 2]),
            y_test=np.array([1]),
            num_classes=3,
            class_names=("a", "b", "c"),
        )
        train, test = figures.class_counts(data).axes
        assert [bar.get_width() for bar in train.patches] == [2, 0, 1]
        assert [bar.get_width() for bar in test.patches] == [0, 1, 0]
        data.y_test = np.array([], dtype=np.int64)
        assert len(figures.class_counts(data).axes) == 1


class TestPictures:
    @pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3)])
    def test_gallery_shows_what_the_titles_say(self, evaluation, shape):
        images = make_images(60, shape)
        figure = figures.gallery(images, evaluation, correct=False, k=4)
        wrong = np.flatnonzero(~evaluation.correct)[:4]
        assert titles(figure) == [
            f"Predicted {CLASS_NAMES[evaluation.predicted[i]]}, "
            f"class {CLASS_NAMES[evaluation.y_true[i]]}"
            for i in wrong
        ]
        for axes, index in zip(figure.axes, wrong, strict=True):
            shown = np.asarray(axes.images[0].get_array())
            np.testing.assert_array_equal(shown, images[index].reshape(shown.shape))
            assert axes.images[0].get_clim() == (0, 255)

    def test_gallery_is_three_by_three(self, evaluation):
        figure = figures.gallery(make_images(60), evaluation)
        lefts = {round(axes.get_position().x0, 3) for axes in figure.axes}
        assert len(figure.axes) == 9 and len(lefts) == 3

    def test_pictures_and_captions_stay_inside_the_figure(self):
        names = tuple(f"{i} {'long name ' * 5}" for i in range(4))
        figure = figures.gallery(make_images(60), make_evaluation(60, names))
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        for i, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[i + 1 :])

    def test_no_mistakes_is_said_in_words(self):
        perfect = make_perfect()
        images = make_images(perfect.images)
        for figure in (
            figures.gallery(images, perfect, correct=False),
            figures.top_losses(images, perfect),
            figures.most_confused(perfect),
        ):
            assert any("predicted correctly" in text for text in texts(figure))
            assert not any(axes.images for axes in figure.axes)

    def test_top_losses_starts_with_the_worst(self, evaluation):
        images = make_images(60)
        figure = figures.top_losses(images, evaluation, k=3)
        worst = evaluation.top_losses(1)[0]
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), images[worst])
        assert len(figure.axes) == 3
        assert f"Predicted {CLASS_NAMES[evaluation.predicted[worst]]} (" in titles(figure)[0]

    def test_image_grid_has_a_class_per_row(self):
        labels = np.array([1, 0, 1, 0, 0, 1])
        figure = figures.image_grid(make_images(6), labels, ("no", "yes"), rows=2, columns=3)
        assert titles(figure) == ["no"] * 3 + ["yes"] * 3

    def test_image_grid_falls_back_to_the_images_order(self):
        labels = np.array([1, 0, 1])
        figure = figures.image_grid(make_images(3), labels, ("no", "yes"), rows=2, columns=3)
        assert titles(figure) == ["yes", "no", "yes"]

    def test_ten_by_ten(self):
        labels = np.repeat(np.arange(10), 12)
        figure = figures.image_grid(make_images(120), labels, tuple("0123456789"))
        assert titles(figure) == [str(row) for row in range(10) for _ in range(10)]

    def test_images_that_do_not_fit_are_refused(self, evaluation):
        with pytest.raises(DataError, match="59 images but 60"):
            figures.gallery(make_images(59), evaluation)
        with pytest.raises(DataError, match="uint8"):
            figures.gallery(make_images(60).astype(np.float32), evaluation)
        with pytest.raises(DataError, match="channels"):
            figures.top_losses(make_images(60, (8, 6, 2)), evaluation)
        with pytest.raises(DataError, match="labels must run"):
            figures.image_grid(make_images(2), np.array([0, 5]), ("a", "b"))
        with pytest.raises(DataError, match="no images"):
            figures.image_grid(make_images(0), np.array([], dtype=int), ("a", "b"))


class TestWeights:
    def test_units_become_pictures_on_one_symmetric_scale(self):
        kernel = np.random.default_rng(0).normal(size=(12, 3))
        figure = figures.weights_as_images(kernel, (3, 4), class_names=("a", "b", "c"))
        panels = [axes for axes in figure.axes if axes.images]
        assert [axes.get_title() for axes in panels] == ["a", "b", "c"]
        for unit, axes in enumerate(panels):
            np.testing.assert_allclose(axes.images[0].get_array(), kernel[:, unit].reshape(3, 4))
            low, high = axes.images[0].get_clim()
            assert low == -high and high > 0

    def test_at_most_64_units_and_no_wrong_titles(self):
        kernel = np.ones((4, 100))
        figure = figures.weights_as_images(kernel, (2, 2), class_names=("a", "b"))
        panels = [axes for axes in figure.axes if axes.images]
        assert len(panels) == 64 and not any(axes.get_title() for axes in panels)
        assert any("first 64 of 100" in text for text in texts(figure))

    def test_color_images_show_the_mean_of_their_channels(self):
        kernel = np.random.default_rng(0).normal(size=(12, 1))
        figure = figures.weights_as_images(kernel, (2, 2, 3))
        np.testing.assert_allclose(
            figure.axes[0].images[0].get_array(), kernel[:, 0].reshape(2, 2, 3).mean(axis=2)
        )

    def test_filters_gray_and_color(self):
        gray = figures.filters(np.random.default_rng(0).normal(size=(3, 3, 1, 5)))
        assert [axes.images[0].get_array().shape for axes in gray.axes[:5]] == [(3, 3)] * 5
        color = figures.filters(np.random.default_rng(0).normal(size=(3, 3, 3, 5)))
        shown = np.asarray(color.axes[0].images[0].get_array())
        assert shown.shape == (3, 3, 3) and shown.min() >= 0 and shown.max() <= 1

    def test_all_zero_weights_can_be_drawn(self):
        png(figures.weights_as_images(np.zeros((4, 2)), (2, 2)))

    def test_kernels_that_do_not_fit_are_refused(self):
        with pytest.raises(ModelError, match="784"):
            figures.weights_as_images(np.zeros((10, 2)), (28, 28))
        with pytest.raises(ModelError, match="input channels"):
            figures.filters(np.zeros((10, 2)))


def test_hostile_class_names_are_taken_literally():
    evaluation = make_evaluation(60, HOSTILE)
    images = make_images(60)
    data = SimpleNamespace(
        y_train=evaluation.y_true, y_test=evaluation.y_true, num_classes=4, class_names=HOSTILE
    )
    for figure in (
        figures.confusion_matrix(evaluation),
        figures.per_class(evaluation),
        figures.most_confused(evaluation),
        figures.gallery(images, evaluation),
        figures.top_losses(images, evaluation),
        figures.class_counts(data),
        figures.weights_as_images(np.ones((4, 4)), (2, 2), class_names=HOSTILE),
        figures.image_grid(images, evaluation.y_true, HOSTILE, rows=4, columns=4),
    ):
        assert png(figure).startswith(b"\x89PNG")
        assert any("$5 \\fra" in text for text in texts(figure))


def test_dark_theme_and_unknown_theme(evaluation):
    from matplotlib.colors import to_hex

    assert to_hex(figures.per_class(evaluation, theme="dark").get_facecolor()) == DARK.surface
    with pytest.raises(InputError, match="light, dark"):
        figures.per_class(evaluation, theme="pink")


def test_options_are_keyword_only(evaluation):
    with pytest.raises(TypeError):
        figures.gallery(make_images(60), evaluation, False)


def test_pyplot_is_used_only_where_it_is_already_imported():
    program = """
import sys, numpy as np
from penmark.report import figures
figures.training_curves({"loss": [1.0, 0.5]})
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
figure = figures.training_curves({"loss": [1.0, 0.5]})
assert pyplot.get_fignums() == [figure.number]
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_drawing_leaves_matplotlib_s_settings_alone(evaluation, history):
    import matplotlib

    before = dict(matplotlib.rcParams)
    png(figures.training_curves(history))
    png(figures.confusion_matrix(evaluation))
    assert dict(matplotlib.rcParams) == before


def test_evaluation_of_one_image_can_be_drawn():
    one = Evaluation(np.array([1]), np.array([[0.2, 0.8]]), 0.2, ("a", "b"))
    for figure in (
        figures.confusion_matrix(one),
        figures.reliability_diagram(one),
        figures.per_class(one),
        figures.most_confused(one),
        figures.gallery(make_images(1), one),
    ):
        png(figure)

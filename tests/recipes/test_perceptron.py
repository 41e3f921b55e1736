"""Rosenblatt's rule, against what it must do by hand and by theorem."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

import penmark
from penmark import recipes
from penmark.engine.order import epoch_order
from penmark.errors import DataError, InputError

PERCEPTRON = recipes.get("perceptron")
CORNERS = np.array([[[0, 0]], [[0, 255]], [[255, 0]], [[255, 255]]], dtype=np.uint8)
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]


def trained(x, y, epochs, seed=0, model=None, **arguments):
    model = model or PERCEPTRON.build(image_shape=x.shape[1:], num_classes=2)
    history = PERCEPTRON.fit(
        model, x, np.array(y), epochs=epochs, seed=seed, verbose=0, **arguments
    )
    return model, history.history


def test_it_has_one_weight_a_pixel_and_a_bias_all_zero_at_first():
    model = PERCEPTRON.build(num_classes=2)
    assert model.count_params() == 785
    assert all((weight == 0).all() for weight in model.get_weights())


@pytest.mark.parametrize("truth", [AND, OR])
def test_separable_classes_are_learned_in_finitely_many_mistakes(truth):
    model, history = trained(CORNERS, truth, 30)
    assert penmark.predict(model, CORNERS)[:, 0].tolist() == truth
    assert history["loss"][-1] == 0
    # Novikoff (1962): with radius R and margin g there are at most (R/g)^2 mistakes. With a
    # constant 1 for the bias R^2 = 3; x1 + x2 = 1.5 separates AND, x1 + x2 = 0.5 separates OR,
    # each with a margin of 0.5 before the weights are brought to length 1.
    threshold = 1.5 if truth == AND else 0.5
    margin = 0.5 / np.sqrt(1 + 1 + threshold**2)
    assert sum(history["loss"]) * 4 <= 3 / margin**2


def test_exclusive_or_is_never_learned():
    _, history = trained(CORNERS, XOR, 50)
    assert min(history["loss"]) > 0


def test_every_step_is_the_rule(rng):
    images = rng.integers(0, 256, (20, 3, 3), dtype=np.uint8)
    truth = rng.integers(0, 2, 20)
    model, history = trained(images, truth, 2, seed=9)
    weights, bias, mistakes = np.zeros(9), 0.0, []
    for epoch in range(2):
        mistakes.append(0)
        for index in epoch_order(20, 9, epoch):
            pixels = images[index].reshape(-1) / 255
            answer = 1 if pixels @ weights + bias >= 0 else 0
            weights += (truth[index] - answer) * pixels
            bias += truth[index] - answer
            mistakes[-1] += int(answer != truth[index])
    kernel, learned_bias = model.get_layer("neuron").get_weights()
    np.testing.assert_allclose(kernel[:, 0], weights, rtol=1e-5, atol=1e-6)
    assert learned_bias[0] == bias
    assert history["loss"] == [count / 20 for count in mistakes]


def test_training_in_two_parts_gives_exactly_the_same(rng):
    images = rng.integers(0, 256, (50, 4, 4), dtype=np.uint8)
    truth = rng.integers(0, 2, 50)
    whole, _ = trained(images, truth, 6)
    parts, _ = trained(images, truth, 3)
    trained(images, truth, 6, model=parts, initial_epoch=3)
    np.testing.assert_array_equal(whole.get_weights()[0], parts.get_weights()[0])


def test_validation_and_callbacks_work_as_everywhere(rng):
    images = rng.integers(0, 256, (50, 4, 4), dtype=np.uint8)
    truth = (images.mean(axis=(1, 2)) > 128).astype(int)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", epoch == 1)
    )
    model, history = trained(images, truth, 5, validation_split=0.2, callbacks=[stop])
    assert len(history["val_accuracy"]) == 2
    loss, accuracy = penmark.evaluate(model, images[40:], truth[40:])
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)
    assert history["val_loss"][-1] == pytest.approx(loss)


def test_keras_alone_loads_a_saved_perceptron(rng, tmp_path):
    images = rng.integers(0, 256, (5, 4, 4), dtype=np.uint8)
    model, _ = trained(images, [0, 1, 1, 0, 1], 3)
    model.save(tmp_path / "p.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy as np, sys; m = keras.saving.load_model(sys.argv[1])\n"
        "print(m.predict(np.load(sys.argv[2]), verbose=0)[:, 0].tolist())"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "p.keras", tmp_path / "images.npy"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert finished.stdout.strip() == str(penmark.predict(model, images)[:, 0].tolist())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": [0, 1, 2, 3]}, DataError, "labels are 0 and 1: use dataset.one_against_rest"),
        ({"y": [0, 1, 0]}, DataError, "4 images but 3 labels"),
        ({"batch_size": 32}, InputError, "one image at a time; got batch_size=32"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        trained(**({"x": CORNERS, "y": AND, "epochs": 1} | arguments))


def test_it_is_trained_by_its_rule_only():
    with pytest.raises(InputError, match="leave the optimizer out"):
        PERCEPTRON.build(num_classes=2, optimizer="adam")

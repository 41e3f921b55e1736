"""Callbacks, resuming, refusals: `native.fit` behaves as `keras.Model.fit`."""

import numpy as np
import pytest

pytest.importorskip("penmark.engine._core", reason="the native core is not built")
keras = pytest.importorskip("keras")

import penmark  # noqa: E402
from penmark.engine import choice, core, native  # noqa: E402
from penmark.errors import DataError, InputError, ModelError  # noqa: E402

L = keras.layers


def model_of(*layers, optimizer="adam", loss="sparse_categorical_crossentropy", shape=(6, 6, 1)):
    model = keras.Sequential([L.Input(shape), *layers])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def small(**options):
    return model_of(
        L.Rescaling(1 / 255), L.Flatten(), L.Dense(16, "relu"), L.Dense(10, "softmax"), **options
    )


def data(n=40):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 6, 6, 1), dtype=np.uint8), rng.integers(0, 10, n)


def fit(model, epochs=1, n=40, **arguments):
    x, y = data(n)
    return penmark.fit(
        model, x, y, engine="native", seed=0, epochs=epochs, verbose=0, batch_size=16, **arguments
    )


def test_resuming_continues_as_if_uninterrupted():
    whole, parts = small(), small()
    parts.set_weights(whole.get_weights())
    fit(whole, 4)
    fit(parts, 2)
    fit(parts, 4, initial_epoch=2)
    assert int(parts.optimizer.iterations.numpy()) == int(whole.optimizer.iterations.numpy()) == 12
    for first, second in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


class Watcher(keras.callbacks.Callback):
    def __init__(self, stop_at=None):
        super().__init__()
        self.seen, self.stop_at = [], stop_at

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs["loss"]))
        if batch == self.stop_at:
            self.model.stop_training = True


def test_callbacks_that_watch_batches_see_each_and_change_nothing():
    watched, plain = small(), small()
    watched.set_weights(plain.get_weights())
    watcher = Watcher()
    history = fit(watched, 2, callbacks=[watcher])
    assert [batch for batch, _ in watcher.seen] == [0, 1, 2] * 2
    assert watcher.seen[-1][1] == pytest.approx(history.history["loss"][-1])
    assert fit(plain, 2).history["loss"] == pytest.approx(history.history["loss"], rel=1e-6)


def test_the_core_is_named_by_the_instruction_set_it_is_held_to(monkeypatch):
    monkeypatch.setenv("PENMARK_THREADS", "3")
    monkeypatch.setenv("PENMARK_ISA", "scalar")
    assert core.core_name() == "scalar, up to 3 threads"


def test_a_callback_stops_training():
    model = small()
    assert len(fit(model, 5, callbacks=[Watcher(stop_at=0)]).history["loss"]) == 1
    assert int(model.optimizer.iterations.numpy()) == 1


def test_the_rate_that_a_callback_sets_is_used():
    model = small(optimizer=keras.optimizers.SGD(0.1))
    before = model.get_weights()
    fit(model, 2, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.0)])
    for first, second in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_early_stopping_and_checkpoints_see_the_weights(tmp_path):
    model = small()
    x, y = data()
    path = tmp_path / "best.keras"
    history = fit(
        model,
        3,
        validation_data=(x, y),
        callbacks=[
            keras.callbacks.ModelCheckpoint(path),
            keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True),
        ],
    )
    scores = keras.models.load_model(path).evaluate(x, y, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(history.history["val_loss"][-1], rel=1e-4)


def test_dropout_and_augmentation_train_and_rest_in_evaluation():
    keras.utils.set_random_seed(0)
    model = model_of(
        L.Rescaling(1 / 255),
        L.RandomTranslation(0.1, 0.1),
        L.RandomRotation(0.05),
        L.RandomZoom(0.1),
        L.Conv2D(4, 3, activation="relu"),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(10, "softmax"),
    )
    x, _ = data()
    np.testing.assert_allclose(native.predict(model, x), model.predict(x, verbose=0), atol=1e-5)
    losses = fit(model, 30).history["loss"]
    assert losses[-1] < losses[0] - 0.1


def test_what_a_call_said_of_training_is_overruled_by_fit_and_predict_as_in_keras():
    image = L.Input((6, 6, 1))
    x = L.RandomTranslation(0.4, 0.4)(L.Rescaling(1 / 255)(image))  # Keras writes training=True
    x = L.Flatten()(L.Dropout(0.5)(x, training=True))
    model = keras.Model(image, L.Dense(10, "softmax")(x))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert native.unsupported_reason(model) is None
    x, _ = data()
    np.testing.assert_allclose(native.predict(model, x), model.predict(x, verbose=0), atol=1e-5)


def test_activations_are_those_of_keras():
    model = small()
    x, _ = data()
    names = [layer.name for layer in model.layers]
    ours = native.activations(model, x, names)
    for layer in model.layers:
        theirs = keras.Model(model.inputs, layer.output).predict(x, verbose=0)
        np.testing.assert_allclose(ours[layer.name], theirs, atol=1e-5)
    with pytest.raises(ModelError, match="there is no layer 'x'"):
        native.activations(model, x, ["x"])


def test_input_is_checked():
    model = small()
    x, y = data()
    for bad in (np.nan, np.inf):
        broken = x.astype(np.float32)
        broken[3, 0, 0, 0] = bad
        with pytest.raises(DataError, match="image 3 holds a value that is not a finite number"):
            penmark.fit(model, broken, y, engine="native")
    with pytest.raises(DataError, match="label of image 1 is 77"):
        penmark.fit(model, x, np.where(np.arange(40) == 1, 77, y), engine="native")
    assert native.predict(model, x[:0]).shape == (0, 10)


REASONS = [
    (lambda: model_of(L.Flatten(), L.Dense(10, "softmax", kernel_regularizer="l2", name="d")),
     "kernel_regularizer of the layer 'd'"),
    (lambda: model_of(L.Conv2D(4, 3, dilation_rate=2, name="c"), L.Flatten(), L.Dense(10)),
     "dilation_rate of the layer 'c'"),
    (lambda: model_of(L.SeparableConv2D(4, 3, name="s"), L.Flatten(), L.Dense(10, "softmax")),
     "the layer 's' (SeparableConv2D)"),
    (lambda: small(optimizer=keras.optimizers.Lion()), "the optimizer 'Lion'"),
    (lambda: small(optimizer=keras.optimizers.Adam(use_ema=True)), "use_ema of the optimizer"),
    (lambda: small(loss="poisson"), "the loss 'poisson'"),
    (lambda: model_of(L.Flatten(), L.Dense(10, "relu")), "from_logits=False"),
]  # fmt: skip


@pytest.mark.parametrize("make, reason", REASONS)
def test_what_is_not_covered_is_named(make, reason):
    assert reason in native.unsupported_reason(make())


def test_fit_arguments_that_are_not_covered_are_named():
    assert native.unsupported_reason(small(), {"steps_per_epoch": 3}) == "fit(steps_per_epoch=...)"
    assert native.unsupported_reason(small(), {"epochs": 3, "class_weight": None}) is None


def test_auto_says_in_one_line_why_it_takes_keras(capsys):
    choice.say_once.cache_clear()
    for _ in range(2):
        x, y = data()
        penmark.fit(small(optimizer=keras.optimizers.Lion()), x, y, verbose=2)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "Keras" in line] == [
        "Training through Keras: the optimizer 'Lion'"
    ]


def test_native_alone_turns_what_is_not_covered_into_an_error():
    x, y = data()
    with pytest.raises(InputError, match="native engine cannot train this model: the optimizer 'L"):
        penmark.fit(small(optimizer=keras.optimizers.Lion()), x, y, engine="native")


def test_without_the_core_everything_runs_through_keras(monkeypatch, capsys):
    monkeypatch.setattr(core, "missing_core", lambda: "the native core is not built")
    choice.say_once.cache_clear()
    x, y = data()
    model = small()
    penmark.fit(model, x, y, verbose=2)
    assert "Training through Keras: the native core is not built" in capsys.readouterr().err
    np.testing.assert_array_equal(penmark.predict(model, x), model.predict(x, verbose=0))
    with pytest.raises(InputError, match="not built"):
        penmark.fit(model, x, y, engine="native")

"""Old programs: each old thing against what it must become."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penmark.errors import InputError
from penmark.port import port_file, port_source

PREAMBLE = "from keras.models import Sequential\nfrom keras.layers import Dense\nmodel = m()\n"


def ported(source):
    """The new text of a program, without the preamble that makes it one of Keras."""
    return port_source(PREAMBLE + source).new.removeprefix(PREAMBLE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.fit(x, y, nb_epoch=3)", "model.fit(x, y, epochs=3)"),
        ("model.fit(x, y, 32, 3)", "model.fit(x, y, 32, 3)"),
        ("p = model.predict_proba(x)", "p = model.predict(x)"),
        ("h.history['acc']", "h.history['accuracy']"),
        ('h.history["val_acc"]', 'h.history["val_accuracy"]'),
        ("other['acc']", "other['acc']"),
        ("print(model.summary())", "model.summary()"),
        ("model.save_weights('w.h5')", "model.save_weights('w.weights.h5')"),
        ("model.load_weights('w.h5')", "model.load_weights('w.h5')"),  # an old file stays old
        (
            "d = Dense(output_dim=3, init='normal')",
            "d = Dense(units=3, kernel_initializer='normal')",
        ),
        (
            "d = Dense(3, W_regularizer=r, bias=False)",
            "d = Dense(3, kernel_regularizer=r, use_bias=False)",
        ),
        ("model.compile('sgd', 'mse', class_mode='binary')", "model.compile('sgd', 'mse')"),
    ],
)
def test_one_line(old, new):
    assert ported(old + "\n") == new + "\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Convolution2D(8, 3, 5)", "Conv2D(8, (3, 5))"),
        ("Convolution2D(8, (3, 5))", "Conv2D(8, (3, 5))"),
        (
            "Convolution2D(8, nb_row=3, nb_col=5, bias=False)",
            "Conv2D(8, kernel_size=(3, 5), use_bias=False)",
        ),
        ("Convolution2D(nb_filter=8, nb_row=3, nb_col=3)", "Conv2D(filters=8, kernel_size=(3, 3))"),
        (
            "Convolution2D(8, 3, 3, border_mode='same', subsample=(2, 2))",
            "Conv2D(8, (3, 3), padding='same', strides=(2, 2))",
        ),
        (
            "Convolution2D(8, 3, 3, dim_ordering='th')",
            "Conv2D(8, (3, 3), data_format='channels_first')",
        ),
        ("Convolution2D(8, 3, 3, dim_ordering='default')", "Conv2D(8, (3, 3))"),
    ],
)
def test_convolutions(old, new):
    program = f"from keras.layers.convolutional import Convolution2D\nlayer = {old}\n"
    assert port_source(program).new == f"from keras.layers import Conv2D\nlayer = {new}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD(lr=0.1)", "SGD(learning_rate=0.1)"),
        ("SGD(0.1, 0.9, 0.0, True)", "SGD(0.1, 0.9, nesterov=True)"),
        ("SGD(lr=0.1, decay=0.0)", "SGD(learning_rate=0.1)"),
        (
            "SGD(lr=0.1, decay=1e-6, momentum=0.9)",
            "SGD(learning_rate=InverseTimeDecay(0.1, decay_steps=1, decay_rate=1e-6), "
            "momentum=0.9)",
        ),
        (
            "Adam(decay=1e-4)",
            "Adam(learning_rate=InverseTimeDecay(0.001, decay_steps=1, decay_rate=1e-4))",
        ),
        ("Adam(lr=0.1, epsilon=None)", "Adam(learning_rate=0.1)"),
    ],
)
def test_optimizers(old, new):
    text = port_source(f"from keras.optimizers import Adam, SGD\no = {old}\n").new
    assert text.splitlines()[-1] == f"o = {new}"
    assert ("from keras.optimizers.schedules import InverseTimeDecay\n" in text) == (
        "InverseTimeDecay(" in new
    )


def test_a_ported_decay_follows_the_old_rate():
    """The old rule: rate / (1 + decay * step)."""
    from penmark.engine.backend import keras

    text = port_source("from keras.optimizers import SGD\no = SGD(lr=0.1, decay=0.01)\n").new
    names: dict[str, object] = {}
    exec(text, names)
    schedule = keras.optimizers.serialize(names["o"])["config"]["learning_rate"]
    schedule = keras.optimizers.schedules.deserialize(schedule)
    assert [float(schedule(step)) for step in (0, 10, 100)] == pytest.approx([0.1, 0.1 / 1.1, 0.05])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from keras.layers.core import Dense, Dropout", "from keras.layers import Dense, Dropout"),
        ("from keras.layers.core import Dense as D", "from keras.layers import Dense as D"),
        (
            "from keras.utils.np_utils import to_categorical",
            "from keras.utils import to_categorical",
        ),
        ("from keras.utils import np_utils", "from keras import utils as np_utils"),
        ("import keras.utils.np_utils as u", "import keras.utils as u"),
        ("from tensorflow import keras", "import keras"),
        ("from tensorflow.keras.layers import Dense", "from keras.layers import Dense"),
        ("import tensorflow.keras.backend as K", "import keras.backend as K"),
        ("from keras.layers.convolutional import *", "from keras.layers import *"),
        (
            "from sklearn.cross_validation import train_test_split",
            "from sklearn.model_selection import train_test_split",
        ),
        ("from keras.objectives import mse  # loss", "from keras.losses import mse  # loss"),
        ("import numpy as np", "import numpy as np"),
    ],
)
def test_imports(old, new):
    assert port_source(old + "\n").new == new + "\n"


def test_tf_keras_becomes_keras_and_tensorflow_goes_only_when_unused():
    program = "import tensorflow as tf\nlayer = tf.keras.layers.Dense(3)\n"
    assert port_source(program).new == "import keras\nlayer = keras.layers.Dense(3)\n"
    both = port_source(program + "x = tf.constant(3)\n").new
    assert "import tensorflow as tf\n" in both and "x = tf.constant(3)\n" in both


def test_the_shape_of_the_input_becomes_a_layer():
    old = "s = Sequential()\ns.add(Dense(2, input_dim=4))\ns.add(Dense(2, input_dim=2))\n"
    new = ported(old)
    assert "s.add(Input(shape=(4,)))\ns.add(Dense(2))\ns.add(Dense(2))\n" in new
    listed = ported("s = Sequential([\n    Dense(2, input_shape=(4,)),\n    Dense(1),\n])\n")
    assert listed.endswith(
        "s = Sequential([\n    Input(shape=(4,)),\n    Dense(2),\n    Dense(1),\n])\n"
    )


def test_an_embedding_keeps_its_input_dim():
    program = "from keras.layers import Embedding\ne = Embedding(input_dim=9, output_dim=3)\n"
    assert "Embedding(input_dim=9, output_dim=3)" in port_source(program).new


def test_image_ordering():
    program = (
        "from keras import backend as K\nK.set_image_dim_ordering('th')\n"
        "if K.image_dim_ordering() == 'tf':\n    pass\n"
    )
    assert port_source(program).new == (
        "from keras import backend as K\nK.set_image_data_format('channels_first')\n"
        "if K.image_data_format() == 'channels_last':\n    pass\n"
    )


def test_classes_from_one_output_are_a_threshold():
    two = ported("model.add(Dense(2))\nc = model.predict_classes(x)\n")
    assert "c = np.argmax(model.predict(x), axis=-1)\n" in two and "import numpy as np\n" in two
    one = ported("model.add(Dense(1))\nc = model.predict_classes(x)\n")
    assert 'c = (model.predict(x) > 0.5).astype("int32")\n' in one


def test_generators_count_in_batches():
    flow = "g = images.flow(x, y, batch_size=16)\n"
    new = ported(flow + "model.fit_generator(g, samples_per_epoch=len(x), nb_epoch=2)\n")
    assert "model.fit(g, steps_per_epoch=len(x) // 16, epochs=2)\n" in new
    later = ported("model.fit_generator(g, steps_per_epoch=9, epochs=2, workers=4)\n")
    assert later == "model.fit(g, steps_per_epoch=9, epochs=2)\n"
    unknown = port_source(PREAMBLE + "model.fit_generator(g, samples_per_epoch=9, nb_epoch=2)\n")
    assert "model.fit_generator(g, samples_per_epoch=9, nb_epoch=2)\n" in unknown.new
    assert [left.line for left in unknown.left] == [4]


def test_names_of_metrics_that_the_program_chose_stay():
    program = "model.compile('sgd', 'mse', metrics=['acc'])\nh.history['acc']\n"
    assert ported(program) == program


def test_a_checkpoint_gets_an_ending_that_keras_takes():
    program = (
        "from keras.callbacks import ModelCheckpoint\nfrom keras.models import load_model\n"
        "name = 'best.hdf5'\nc = ModelCheckpoint(name, monitor='val_acc')\n"
        "load_model('best.hdf5')\n"
    )
    new = port_source(program).new
    assert "name = 'best.keras'\n" in new and "load_model('best.keras')" in new
    assert "monitor='val_accuracy'" in new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('print "a", b', 'print("a", b)'),
        ("print", "print()"),
        ("print x,", 'print(x, end=" ")'),
        ("print >>f, x", "print(x, file=f)"),
        ("print ('a'), b", "print(('a'), b)"),
        ("print('a')", "print('a')"),
        ("if x: print 3; print 4", "if x: print(3); print(4)"),
        ("raise E, 'text'", "raise E('text')"),
        ("exec code in names", "exec(code , names)"),
        ("x = 0777 + 0x1FL + 0.5 + 00", "x = 0o777 + 0x1F + 0.5 + 00"),
        ("x = `y` <> 3", "x = repr(y) != 3"),
        ("s = 'print 3 <> 4'", "s = 'print 3 <> 4'"),
        ("for i in xrange(3): print i  # print i", "for i in range(3): print(i)  # print i"),
        ("print '%d' % (3)", "print('%d' % (3))"),
        ("n = len(x) / 2", "n = len(x) // 2"),
    ],
)
def test_python_2(old, new):
    # The line at the end makes sure that the program is taken for Python 2.
    text = port_source(f"{old}\nprint 'end'\n").new
    assert text == f"{new}\nprint('end')\n"


def test_python_2s_except():
    text = port_source("try:\n    pass\nexcept (A, B), e:\n    print e\n").new
    assert text == "try:\n    pass\nexcept (A, B) as e:\n    print(e)\n"


def test_what_is_gone_is_named_and_left():
    program = (
        "from keras.preprocessing.image import ImageDataGenerator\nimport tensorflow as tf\n"
        "from keras import backend as K\nsession = tf.Session()\nK.set_session(session)\n"
    )
    result = port_source(program)
    assert result.new == program
    assert [(left.line, left.what) for left in result.left] == [
        (1, "ImageDataGenerator"),
        (4, "tf.Session"),
        (5, "K.set_session"),
    ]


def test_lines_are_those_of_the_old_program():
    program = PREAMBLE + "\n\nmodel.fit(\n    x, y,\n    nb_epoch=3)\n"
    change = port_source(program).changes[0]
    assert (change.line, change.what, change.since) == (
        6,
        "nb_epoch= → epochs=",
        "Keras 2.0 (2017)",
    )


def test_a_program_of_today_is_not_touched():
    program = (
        "import keras\nfrom keras import layers\n\n"
        "model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])\n"
        "model.compile('adam', 'mse', metrics=['accuracy'])\n"
        "h = model.fit(x, y, epochs=3)\nprint(h.history['accuracy'])\nmodel.save('m.keras')\n"
    )
    result = port_source(program)
    assert (result.new, result.changes, result.left) == (program, (), ())


def test_a_program_without_keras_keeps_its_own_words():
    program = "model.fit(x, y, nb_epoch=3)\nprint(tree.summary())\nh['acc']\n"
    assert port_source(program).new == program


def test_porting_twice_changes_nothing(programs):
    for path in sorted(programs.glob("*.py")):
        once = port_file(path)
        assert once.changes
        again = port_source(once.new)
        assert (again.new, again.changes) == (once.new, ())


def test_what_is_no_program_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 2: this is neither Python 3 nor Python 2"):
        port_source("x = 1\nthese are words!\n")
    with pytest.raises(InputError, match="cannot read"):
        port_file(tmp_path / "none.py")
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        port_file(tmp_path / "a.py")
    for content in ("[]", "{", '{"cells": 3}', "[" * 100_000):
        (tmp_path / "a.ipynb").write_text(content)
        with pytest.raises(InputError, match="not a notebook"):
            port_file(tmp_path / "a.ipynb")
    (tmp_path / "a.ipynb").write_text('{"worksheets": []}')
    with pytest.raises(InputError, match="version 3"):
        port_file(tmp_path / "a.ipynb")


def test_a_notebook_keeps_its_text_and_magic(programs):
    result = port_file(programs / "workshop.ipynb")
    old = json.loads((programs / "workshop.ipynb").read_text())
    new = json.loads(result.new)
    assert new["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell["cell_type"] for cell in new["cells"]] == [c["cell_type"] for c in old["cells"]]
    for before, after in zip(old["cells"], new["cells"], strict=True):
        if before["cell_type"] == "markdown":
            assert before == after
    text = "".join("".join(cell["source"]) for cell in new["cells"])
    assert "%matplotlib inline" in text and "!ls" in text
    assert "penmark" not in text and "nb_epoch" not in text and "Convolution2D" not in text
    compile(result.program, "program", "exec")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="print exec raise,()[]'\"`<>=:;#\\\n 019L.xy%", max_size=60))
def test_any_text_is_ported_or_refused(text):
    """Never a crash, and what comes out can be read."""
    try:
        result = port_source(text)
    except InputError as error:
        assert "neither Python 3 nor Python 2" in str(error)
    else:
        port_source(result.new)

"""Old names and arguments of Keras, and what they are called today."""

from __future__ import annotations

from collections.abc import Mapping

# Modules whose content moved; longest first where one begins another.
MODULES: Mapping[str, str] = {
    "tensorflow.contrib.keras.python.keras": "keras",
    "tensorflow.contrib.keras": "keras",
    "tensorflow.python.keras": "keras",
    "tensorflow.keras": "keras",
    "tf_keras": "keras",
    "keras.layers.advanced_activations": "keras.layers",
    "keras.layers.convolutional": "keras.layers",
    "keras.layers.core": "keras.layers",
    "keras.layers.embeddings": "keras.layers",
    "keras.layers.local": "keras.layers",
    "keras.layers.merge": "keras.layers",
    "keras.layers.noise": "keras.layers",
    "keras.layers.normalization": "keras.layers",
    "keras.layers.pooling": "keras.layers",
    "keras.layers.recurrent": "keras.layers",
    "keras.layers.wrappers": "keras.layers",
    "keras.engine.topology": "keras.layers",
    "keras.engine.training": "keras.models",
    "keras.engine": "keras.layers",
    "keras.initializations": "keras.initializers",
    "keras.objectives": "keras.losses",
    "keras.utils.generic_utils": "keras.utils",
    "keras.utils.np_utils": "keras.utils",
    "keras.utils.vis_utils": "keras.utils",
    "keras.utils.visualize_util": "keras.utils",
    "keras.utils.layer_utils": "keras.utils",
    "keras.utils.data_utils": "keras.utils",
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
}

# Full names that changed beside their module.
NAMES: Mapping[str, str] = {
    "keras.layers.Convolution1D": "keras.layers.Conv1D",
    "keras.layers.Convolution2D": "keras.layers.Conv2D",
    "keras.layers.Convolution3D": "keras.layers.Conv3D",
    "keras.layers.Deconvolution2D": "keras.layers.Conv2DTranspose",
    "keras.layers.SeparableConvolution2D": "keras.layers.SeparableConv2D",
    "keras.utils.plot": "keras.utils.plot_model",
    "keras.backend.set_image_dim_ordering": "keras.backend.set_image_data_format",
    "keras.backend.image_dim_ordering": "keras.backend.image_data_format",
    "keras.backend.common.set_image_dim_ordering": "keras.backend.set_image_data_format",
    "keras.backend.common.image_dim_ordering": "keras.backend.image_data_format",
    "tensorflow.set_random_seed": "keras.utils.set_random_seed",
    "tensorflow.random.set_seed": "keras.utils.set_random_seed",
}

# Names that are gone, and what to do about each.
GONE: Mapping[str, str] = {
    "keras.layers.AtrousConvolution2D": "use Conv2D with dilation_rate=",
    "keras.layers.Highway": "write it as a functional model",
    "keras.layers.LocallyConnected1D": "no replacement in Keras 3; use Conv1D",
    "keras.layers.LocallyConnected2D": "no replacement in Keras 3; use Conv2D",
    "keras.layers.MaxoutDense": "write it as a Dense layer and keras.layers.Maximum",
    "keras.layers.Merge": "use keras.layers.Concatenate, Add or another merging layer",
    "keras.layers.TimeDistributedDense": "use TimeDistributed(Dense(...))",
    "keras.models.Graph": "write it as a functional model, keras.Model(inputs, outputs)",
    "keras.preprocessing.image.ImageDataGenerator": (
        "put keras.layers.RandomTranslation, RandomRotation and RandomZoom first in the model"
    ),
    "keras.preprocessing.text.Tokenizer": "use keras.layers.TextVectorization",
    "keras.regularizers.WeightRegularizer": "use keras.regularizers.L1L2",
    "keras.wrappers.scikit_learn.KerasClassifier": "use keras.wrappers.SKLearnClassifier",
    "keras.wrappers.scikit_learn.KerasRegressor": "use keras.wrappers.SKLearnRegressor",
    "keras.backend.function": "use keras.Model(inputs, layer.output)",
    "keras.backend.get_session": "TensorFlow sessions are gone; delete what uses it",
    "keras.backend.learning_phase": "pass training=True or False to the call instead",
    "keras.backend.set_learning_phase": "pass training=True or False to the call instead",
    "keras.backend.set_session": "TensorFlow sessions are gone; delete what uses it",
    "keras.backend.tensorflow_backend": "sessions and GPU options are gone; delete what uses it",
    "tensorflow.ConfigProto": "sessions are gone; delete what uses it",
    "tensorflow.GPUOptions": "sessions are gone; delete what uses it",
    "tensorflow.Session": "sessions are gone; delete what uses it",
    "tensorflow.placeholder": "graphs are gone; write the network as a keras.Model",
    "tensorflow.examples.tutorials.mnist.input_data": "use keras.datasets.mnist.load_data()",
    "scipy.misc.imread": "use PIL.Image.open and numpy.asarray",
    "scipy.misc.imresize": "use PIL.Image's resize",
    "sklearn.datasets.fetch_mldata": "use keras.datasets.mnist.load_data()",
}

# Functions of the old backend module that do the same in keras.ops.
BACKEND_TO_OPS = frozenset(
    "abs all any arange argmax argmin cast clip concatenate cos exp expand_dims eye flatten log max"
    " maximum mean min minimum not_equal ones ones_like prod relu repeat reshape round shape"
    " sigmoid sign sin softmax softplus softsign sqrt square squeeze stack std sum tanh tile"
    " transpose var zeros zeros_like".split()
)

_WEIGHTS: Mapping[str, str] = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
_CONVOLUTION: Mapping[str, str] = {
    **_WEIGHTS,
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
}
_POOLING: Mapping[str, str] = {"border_mode": "padding", "dim_ordering": "data_format"}
_RECURRENT: Mapping[str, str] = {
    **_WEIGHTS,
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}

# Old arguments by layer, optimizer or function.
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "keras.layers.Dense": {**_WEIGHTS, "output_dim": "units"},
    "keras.layers.Conv1D": {
        **_CONVOLUTION,
        "filter_length": "kernel_size",
        "subsample_length": "strides",
    },
    "keras.layers.Conv2D": _CONVOLUTION,
    "keras.layers.Conv2DTranspose": _CONVOLUTION,
    "keras.layers.SeparableConv2D": _CONVOLUTION,
    "keras.layers.MaxPooling1D": {**_POOLING, "pool_length": "pool_size", "stride": "strides"},
    "keras.layers.AveragePooling1D": {**_POOLING, "pool_length": "pool_size", "stride": "strides"},
    "keras.layers.MaxPooling2D": _POOLING,
    "keras.layers.AveragePooling2D": _POOLING,
    "keras.layers.GlobalAveragePooling2D": _POOLING,
    "keras.layers.GlobalMaxPooling2D": _POOLING,
    "keras.layers.ZeroPadding2D": _POOLING,
    "keras.layers.UpSampling2D": _POOLING,
    "keras.layers.Flatten": _POOLING,
    "keras.layers.Dropout": {"p": "rate"},
    "keras.layers.SpatialDropout2D": {"p": "rate", "dim_ordering": "data_format"},
    "keras.layers.GaussianNoise": {"sigma": "stddev"},
    "keras.layers.GaussianDropout": {"p": "rate"},
    "keras.layers.LeakyReLU": {"alpha": "negative_slope"},
    "keras.layers.Reshape": {"dims": "target_shape"},
    "keras.layers.BatchNormalization": {"beta_init": "beta_initializer"},
    "keras.layers.SimpleRNN": _RECURRENT,
    "keras.layers.GRU": _RECURRENT,
    "keras.layers.LSTM": _RECURRENT,
    "keras.layers.Embedding": {"init": "embeddings_initializer"},
    "keras.models.Model": {"input": "inputs", "output": "outputs"},
    "keras.Model": {"input": "inputs", "output": "outputs"},
    "keras.utils.to_categorical": {"nb_classes": "num_classes"},
}

# Arguments that mean nothing today and go, by layer or by method.
DROPPED: Mapping[str, frozenset[str]] = {
    "keras.layers.Embedding": frozenset({"input_length", "dropout"}),
    "keras.layers.BatchNormalization": frozenset({"mode"}),
    "keras.layers.LSTM": frozenset({"forget_bias_init", "consume_less"}),
    "keras.layers.GRU": frozenset({"consume_less"}),
    "keras.layers.SimpleRNN": frozenset({"consume_less"}),
    ".compile": frozenset({"class_mode", "theano_mode", "sample_weight_mode"}),
    ".fit": frozenset(
        {"show_accuracy", "max_q_size", "nb_worker", "pickle_safe", "max_queue_size"}
        | {"workers", "use_multiprocessing", "nb_val_samples"}
    ),
    ".evaluate": frozenset(
        {"show_accuracy", "max_q_size", "nb_worker", "pickle_safe", "max_queue_size"}
        | {"workers", "use_multiprocessing"}
    ),
    ".predict": frozenset(
        {"max_q_size", "nb_worker", "pickle_safe", "max_queue_size", "workers"}
        | {"use_multiprocessing"}
    ),
}

METHOD_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    ".fit": {"nb_epoch": "epochs", "nb_val_samples": "validation_steps"},
    ".evaluate": {"val_samples": "steps"},
    ".predict": {"val_samples": "steps"},
}

# The order of the arguments of Keras 1 and 2 that are given without a name.
POSITIONS: Mapping[str, tuple[str, ...]] = {
    "keras.optimizers.SGD": ("learning_rate", "momentum", "decay", "nesterov"),
    "keras.optimizers.RMSprop": ("learning_rate", "rho", "epsilon", "decay"),
    "keras.optimizers.Adagrad": ("learning_rate", "epsilon", "decay"),
    "keras.optimizers.Adadelta": ("learning_rate", "rho", "epsilon", "decay"),
    "keras.optimizers.Adam": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay"),
    "keras.optimizers.Adamax": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay"),
    "keras.optimizers.Nadam": ("learning_rate", "beta_1", "beta_2", "epsilon", "schedule_decay"),
}
# Their old default learning rates, where `decay` came without one.
OLD_RATES: Mapping[str, str] = {
    "keras.optimizers.SGD": "0.01",
    "keras.optimizers.RMSprop": "0.001",
    "keras.optimizers.Adagrad": "0.01",
    "keras.optimizers.Adadelta": "1.0",
    "keras.optimizers.Adam": "0.001",
    "keras.optimizers.Adamax": "0.002",
    "keras.optimizers.Nadam": "0.002",
}
TF_OPTIMIZERS: Mapping[str, str] = {
    "tensorflow.train.AdamOptimizer": "keras.optimizers.Adam",
    "tensorflow.train.GradientDescentOptimizer": "keras.optimizers.SGD",
    "tensorflow.train.RMSPropOptimizer": "keras.optimizers.RMSprop",
    "tensorflow.train.AdagradOptimizer": "keras.optimizers.Adagrad",
}

# Names that Python 2 had built in.
PYTHON_2_NAMES: Mapping[str, str] = {
    "xrange": "range",
    "raw_input": "input",
    "unicode": "str",
    "basestring": "str",
    "long": "int",
    "unichr": "chr",
}
PYTHON_2_METHODS: Mapping[str, str] = {
    "iteritems": "items",
    "itervalues": "values",
    "iterkeys": "keys",
}
PYTHON_2_MODULES: Mapping[str, str] = {
    "cPickle": "pickle",
    "ConfigParser": "configparser",
    "Queue": "queue",
    "StringIO": "io",
    "urllib2": "urllib.request",
}
NUMPY_NAMES: Mapping[str, str] = {
    "numpy.bool": "bool",
    "numpy.int": "int",
    "numpy.float": "float",
    "numpy.object": "object",
    "numpy.str": "str",
}


def canonical(name: str) -> str:
    """The full name that something has today, for a full name of any age."""
    for old, new in MODULES.items():
        if name == old or name.startswith(old + "."):
            name = new + name[len(old) :]
            break
    # tensorflow.keras.layers.core was a module of its own too.
    for old, new in MODULES.items():
        if old.startswith("keras.") and (name == old or name.startswith(old + ".")):
            name = new + name[len(old) :]
            break
    return NAMES.get(name, name)

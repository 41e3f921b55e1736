"""Softmax regression as a tutorial of 2016 would write it."""

import numpy
from keras.datasets import mnist
from keras.layers.core import Activation, Dense
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import np_utils

numpy.random.seed(7)
classes = 10
pixels = 28 * 28

(images, labels), (test_images, test_labels) = mnist.load_data()
images = images.reshape(images.shape[0], pixels)
test_images = test_images.reshape(test_images.shape[0], pixels)
targets = np_utils.to_categorical(labels, classes)
test_targets = np_utils.to_categorical(test_labels, classes)

model = Sequential()
model.add(Dense(output_dim=classes, input_dim=pixels, init="uniform"))
model.add(Activation("softmax"))
model.compile(optimizer=SGD(lr=0.01), loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(images, targets, batch_size=32, nb_epoch=20, verbose=0)
score = model.evaluate(test_images, test_targets, verbose=0)
print("test accuracy:", score[1])

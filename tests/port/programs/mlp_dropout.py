"""An MLP with dropout and galleries of what it got right and wrong, 2017."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tensorflow.python.keras.datasets import mnist
from tensorflow.python.keras.layers import Activation, Dense, Dropout
from tensorflow.python.keras.models import Sequential
from tensorflow.python.keras.utils import to_categorical

(X_train, y_train), (X_test, y_test) = mnist.load_data()
X_train = X_train.reshape(60000, 784).astype("float32") / 255
X_test = X_test.reshape(10000, 784).astype("float32") / 255
Y_train = to_categorical(y_train, 10)
Y_test = to_categorical(y_test, 10)

model = Sequential()
model.add(Dense(512, input_shape=(784,)))
model.add(Activation("relu"))
model.add(Dropout(0.2))
model.add(Dense(512))
model.add(Activation("relu"))
model.add(Dropout(0.2))
model.add(Dense(10))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(X_train, Y_train, batch_size=128, epochs=4, verbose=0, validation_data=(X_test, Y_test))
model.save_weights("mlp.h5")
model.load_weights("mlp.h5")
score = model.evaluate(X_test, Y_test, verbose=0)

predicted = model.predict_classes(X_test)
for name, found in (
    ("right", np.nonzero(predicted == y_test)[0]),
    ("wrong", np.nonzero(predicted != y_test)[0]),
):
    plt.figure()
    for place, index in enumerate(found[:9]):
        plt.subplot(3, 3, place + 1)
        plt.imshow(X_test[index].reshape(28, 28), cmap="gray")
        plt.title("%d, class %d" % (predicted[index], y_test[index]))
    plt.savefig(name + ".png")
print("test accuracy:", score[1])

# An MLP with curves of its training, in the Python 2 of 2016.
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from keras.datasets import mnist
from keras.models import Sequential
from keras.layers.core import Dense
from keras.utils.np_utils import to_categorical

np.random.seed(3)
(X_train, y_train), (X_test, y_test) = mnist.load_data()
print 'images', X_train.shape, 'labels', y_train.shape
for label in xrange(10):
    print label, ':', (y_train == label).sum()

X_train = X_train.reshape(60000, 784)
X_test = X_test.reshape(10000, 784)
Y_train = to_categorical(y_train, nb_classes=10)
Y_test = to_categorical(y_test, nb_classes=10)

model = Sequential([
    Dense(784, activation='relu', input_shape=(784,)),
    Dense(32, activation='relu'),
    Dense(10, activation='softmax'),
])
print model.summary()
model.compile(optimizer='sgd', loss='categorical_crossentropy', metrics=['accuracy'])
history = model.fit(X_train, Y_train, batch_size=500, nb_epoch=20, verbose=0,
                    validation_split=0.1)

plt.plot(history.history['acc'])
plt.plot(history.history['val_acc'])
plt.legend(['training', 'validation'])
plt.savefig('accuracy.png')

loss, accuracy = model.evaluate(X_test, Y_test, verbose=0)
print 'test accuracy: %.4f' % accuracy
